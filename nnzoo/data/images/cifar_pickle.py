"""Reads CIFAR's own files, which are pickles. No other pickle is read anywhere in nnzoo.

A pickle names what is called to make its objects. Here every name is looked up in a short table of stand-ins, and
anything else is refused. NumPy itself is only given checked numbers: its own unpickling trusts the shapes and types in
a file, and may read memory that is not the file's.
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
    """Returns what one file holds: numbers, strings, bytes, lists, dicts, and arrays of integers.

    Args:
        stream: A file of CIFAR-10 or CIFAR-100, as Python 2 or 3 pickled it.

    Raises:
        ValueError: It holds something else.
        Exception: It is cut short or damaged: the kind depends on where.
    """
    try:
        found = _Unpickler(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(error) from error
    if not isinstance(found, dict):
        raise ValueError("it does not hold a dict")
    return {key: _to_numpy(value) for key, value in found.items()}


def _to_numpy(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_numpy(each) for each in value]
    return value.to_numpy() if isinstance(value, _Array) else value


class _Type:
    """Stands in for numpy.dtype. Only integers have one."""

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
            raise ValueError("it holds an array of something else than integers")
        return np.dtype(f"{self.order}{self.code}")


class _Array:
    """Stands in for numpy.ndarray, and for `_reconstruct`, which makes an empty one whose state follows."""

    def __init__(self, *_: object) -> None:
        self.__setstate__((1, (), None, False, b""))

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.is_fortran, self.data = state

    def to_numpy(self) -> NDArray[Any]:
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        sizes_fit = isinstance(self.shape, tuple) and all(type(size) is int and size >= 0 for size in self.shape)
        if not sizes_fit or not isinstance(self.dtype, _Type) or not isinstance(data, bytes | bytearray):
            raise ValueError("it holds an array that is not one")
        dtype = self.dtype.to_numpy()
        if math.prod(self.shape) * dtype.itemsize != len(data):
            raise ValueError("it holds an array whose shape does not fit its bytes")
        return np.frombuffer(data, dtype=dtype).reshape(self.shape, order="F" if self.is_fortran else "C")


class _Callable:
    """Base of the stand-ins for functions. A pickle may set the state of whatever it names, but not of these."""

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


class _Scalar(_Callable):
    """Stands in for numpy's `scalar`."""

    def __new__(cls, dtype: object, data: object) -> Any:
        array = _Array()
        array.dtype, array.data = dtype, data
        return array.to_numpy()[()]


class _FromBuffer(_Callable):
    """Stands in for numpy's `_frombuffer`."""

    def __new__(cls, data: object, dtype: object, shape: object, order: object) -> Any:
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array


class _Encode(_Callable):
    """Stands in for `_codecs.encode`, with which Python 3 writes bytes for Python 2."""

    def __new__(cls, text: str, _: object = None) -> Any:
        return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Encode,
    ("multiarray", "_reconstruct"): _Array,
    ("multiarray", "scalar"): _Scalar,
    ("numeric", "_frombuffer"): _FromBuffer,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Returns the stand-in for a name, as NumPy 1 or 2 spells it."""
        key = (module.removeprefix("numpy.core.").removeprefix("numpy._core."), name)
        if key not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not part of an array")
        return _STAND_INS[key]
