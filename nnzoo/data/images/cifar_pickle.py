"""Reads the original CIFAR files, which are pickles. nnzoo reads no other pickles.

A pickle names the functions that create its objects. This unpickler looks up every name in a short table of safe
replacements and rejects all others. NumPy only gets checked values: its own unpickling trusts the shapes and types in a
file, and can read memory out of bounds.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INTEGERS = re.compile(r"[iu][1248]")


def read_cifar_pickle(stream: io.BufferedIOBase) -> dict[Any, Any]:
    """Returns the content of a file: numbers, strings, bytes, lists, dicts and integer arrays.

    Args:
        stream: A file of CIFAR-10 or CIFAR-100, pickled by Python 2 or 3.

    Raises:
        ValueError: The file has unexpected content.
        Exception: The file is truncated or damaged. The type depends on the damage.
    """
    try:
        content = _Unpickler(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(error) from error
    if not isinstance(content, dict):
        raise ValueError("its content is not a dict")
    return {key: _to_numpy(value) for key, value in content.items()}


def _to_numpy(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_numpy(each) for each in value]
    return value.to_numpy() if isinstance(value, _Array) else value


class _Type:
    """Replaces numpy.dtype, for integer types only."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code
        self.order: object = "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def to_numpy(self) -> np.dtype[Any]:
        if (
            not isinstance(self.code, str)
            or not _INTEGERS.fullmatch(self.code)
            or self.order not in ("=", "<", ">", "|")
        ):
            raise ValueError("it has an array of non-integers")
        return np.dtype(f"{self.order}{self.code}")


class _Array:
    """Replaces numpy.ndarray, and `_reconstruct`, which creates an array whose state is set later."""

    def __init__(self, *_: object) -> None:
        self.__setstate__((1, (), None, False, b""))

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.is_fortran, self.data = state

    def to_numpy(self) -> NDArray[Any]:
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        sizes_fit = isinstance(self.shape, tuple) and all(type(size) is int and size >= 0 for size in self.shape)
        if not sizes_fit or not isinstance(self.dtype, _Type) or not isinstance(data, bytes | bytearray):
            raise ValueError("it has an invalid array")
        dtype = self.dtype.to_numpy()
        if math.prod(self.shape) * dtype.itemsize != len(data):
            raise ValueError("it has an array whose shape does not match its bytes")
        return np.frombuffer(data, dtype=dtype).reshape(self.shape, order="F" if self.is_fortran else "C")


class _Callable:
    """Base class of the replacements for functions. A pickle can't set their state."""

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it sets the state of a function")


class _Scalar(_Callable):
    """Replaces numpy's `scalar`."""

    def __new__(cls, dtype: object, data: object) -> Any:
        array = _Array()
        array.dtype, array.data = dtype, data
        return array.to_numpy()[()]


class _FromBuffer(_Callable):
    """Replaces numpy's `_frombuffer`."""

    def __new__(cls, data: object, dtype: object, shape: object, order: object) -> Any:
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array


class _Encode(_Callable):
    """Replaces `_codecs.encode`, with which Python 3 pickles bytes for Python 2."""

    def __new__(cls, text: str, _: object = None) -> Any:
        return text.encode("latin1")


_REPLACEMENTS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Encode,
    ("multiarray", "_reconstruct"): _Array,
    ("multiarray", "scalar"): _Scalar,
    ("numeric", "_frombuffer"): _FromBuffer,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Returns the replacement for a name of NumPy 1 or 2."""
        key = (module.removeprefix("numpy.core.").removeprefix("numpy._core."), name)
        if key not in _REPLACEMENTS:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not part of an array")
        return _REPLACEMENTS[key]
