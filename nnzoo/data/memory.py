"""Data passed from Python: arrays, data frames and torch Datasets, converted to one form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch.utils import data as torch_data

from nnzoo.data.encode import Array
from nnzoo.data.tables.frames import columns_of, is_table, texts_of
from nnzoo.errors import DataError, UsageError

SPLITS = ("train", "val", "test")
WEIGHTS = "sample_weight"
_ARRAYS = (*(f"{name}{suffix}" for suffix in ("", "_val", "_test") for name in ("x", "y", "lengths")), WEIGHTS)
_EXPECTED = (
    "Pass (x, y); a dict with x and y, optionally lengths and sample_weight, and x, y and lengths with _val and _test; "
    "a data frame with "
    "target=; or a torch Dataset of (x, y)."
)
DEFAULT_TARGET = "target"
"""The name of the column of `y` in a data frame of inputs, if `y` has no name."""
_ROWS_PER_BLOCK = 2**20


@dataclass(frozen=True, eq=False)
class DataInMemory:
    """Data that was passed from Python.

    Attributes:
        kind: The name of the source in the config: `memory` for arrays, `frame` for data frames.
        arrays: Arrays by name: `x`, `y`, optionally `lengths`, and the same with `_val` and `_test`; empty for frames.
        frames: Data frames by split; empty for arrays.
        target: The target columns of frames; empty if they are not specified.
        weights: (N,) float64 the weight of each sample of train in the loss; None if all are equal.
    """

    kind: Literal["memory", "frame"]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    frames: Mapping[str, Any] = field(default_factory=dict)
    target: tuple[str, ...] = ()
    weights: Array | None = None

    def section(self) -> dict[str, Any]:
        """Returns the `data` section of the config."""
        target = {"target": list(self.target)} if self.target else {}
        return {"name": self.kind, "digest": self.digest(), **target}

    def digest(self) -> str:
        """Returns the SHA-256 of all values. It takes about a second per gigabyte of arrays."""
        digest = hashlib.sha256(b"" if self.weights is None else self.weights.tobytes())
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name} {array.shape} {array.dtype}".encode())
            values = np.ascontiguousarray(array)
            if values.dtype.kind in "US":
                digest.update("\0".join(map(str, values.ravel().tolist())).encode())
            else:
                digest.update(values.reshape(-1).view(np.uint8).data)
        for split, frame in self.frames.items():
            for name, column in columns_of(frame, where="data").items():
                digest.update(f"{split} {name}".encode())
                _add_texts(digest, texts_of(column).texts)
        return digest.hexdigest()


def data_in_memory(data: Any, target: str | Sequence[str] | None = None) -> DataInMemory:
    """Converts data passed from Python to `DataInMemory`.

    Args:
        data: `(x, y)`; a dict with `x` and `y`, optionally `lengths`, and the same with `_val` and `_test`; a data
            frame (pandas, polars, pyarrow), a dict of columns or a list of dicts; a torch Dataset of `(x, y)`; or a
            dict with `train`, optionally `val` and `test`, of frames or Datasets. `x` may be a data frame too.
        target: The target columns of a frame. None if the config names them, or if `y` contains them.

    Raises:
        UsageError: The data has an unsupported type.
        DataError: A torch Dataset is empty, has no length, or has samples other than `(x, y)`.
    """
    columns = () if target is None else (target,) if isinstance(target, str) else tuple(target)
    if isinstance(data, Mapping) and data and set(data) <= set(SPLITS) and not _is_columns(data):
        return _of_splits(data, columns)
    if isinstance(data, Mapping) and {"x", "y"} & set(data) and not columns:
        return _of_arrays(data)
    if isinstance(data, tuple) and len(data) == 2:
        if columns:
            raise UsageError("target= is for data frames. Here y is the target.", where="target")
        return _of_arrays({"x": data[0], "y": data[1]})
    if isinstance(data, torch_data.Dataset):
        return _of_splits({"train": data}, columns)
    if is_table(data):
        return DataInMemory("frame", frames={"train": data}, target=columns)
    raise UsageError(f"{type(data).__name__} is not data to train on. {_EXPECTED}", where="data")


def _is_columns(data: Mapping[str, Any]) -> bool:
    """Returns whether the values of a dict are columns, not the data frames or Datasets of splits."""
    return not any(isinstance(each, torch_data.Dataset) or is_table(each) or _is_pair(each) for each in data.values())


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(hasattr(each, "__array__") for each in value)


def _of_splits(data: Mapping[str, Any], target: tuple[str, ...]) -> DataInMemory:
    if "train" not in data:
        raise UsageError(f"there is no train split (got {', '.join(data)}). Add a train split.", where="data")
    if all(is_table(each) for each in data.values()):
        return DataInMemory("frame", frames=dict(data), target=target)
    if target:
        raise UsageError("target= is for data frames. Here y is the target.", where="target")
    named: dict[str, Any] = {}
    for split, each in data.items():
        suffix = "" if split == "train" else f"_{split}"
        x, y = _stacked(each, where=f"data ({split})") if isinstance(each, torch_data.Dataset) else _pair_of(each)
        named |= {f"x{suffix}": x, f"y{suffix}": y}
    return _of_arrays(named)


def _pair_of(value: Any) -> tuple[Any, Any]:
    if not _is_pair(value):
        raise UsageError(f"{type(value).__name__} is not a split of data. {_EXPECTED}", where="data")
    return value[0], value[1]


def _of_arrays(given: Mapping[str, Any]) -> DataInMemory:
    unknown = [str(name) for name in given if name not in _ARRAYS]
    if unknown:
        raise UsageError(f"{', '.join(unknown)} is not one of {', '.join(_ARRAYS)}. {_EXPECTED}", where="data")
    values = {name: each for name, each in given.items() if each is not None}
    weights = values.pop(WEIGHTS, None)
    if is_frame(values.get("x")):
        found = _joined(values)
    else:
        arrays = {name: array_of(each, where=f"data: {name}") for name, each in values.items()}
        found = DataInMemory("memory", arrays=arrays)
    return found if weights is None else replace(found, weights=_checked_weights(weights, values["x"]))


def _checked_weights(weights: Any, x: Any) -> Array:
    """Returns the weights of the samples `x` as float64."""
    array, where = array_of(weights, where=f"data: {WEIGHTS}"), f"data: {WEIGHTS}"
    if array.shape != (len(x),):
        raise DataError(f"expected one number per sample, shape ({len(x)},) (got {array.shape}).", where=where)
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all() or array.min() < 0 or not array.any():
        raise DataError("expected finite numbers of at least 0 that are not all 0.", where=where)
    return array.astype(np.float64)


def is_frame(value: object) -> bool:
    """Returns whether a value is a data frame, not plain Python values or an array."""
    return hasattr(value, "columns") and is_table(value)


def _joined(values: Mapping[str, Any]) -> DataInMemory:
    """Adds the targets to each data frame of inputs as columns."""
    frames: dict[str, Any] = {}
    name, target = "", tuple[str, ...]()
    for split, suffix in zip(SPLITS, ("", "_val", "_test"), strict=True):
        x, y = values.get(f"x{suffix}"), values.get(f"y{suffix}")
        if x is None and y is None:
            continue
        if not is_frame(x) or y is None or f"lengths{suffix}" in values:
            raise UsageError(f"expected a data frame x{suffix} and its y{suffix}, and nothing else.", where="data")
        columns = columns_of(x, where=f"data: x{suffix}")
        name = name or str(getattr(y, "name", None) or DEFAULT_TARGET)
        answers = _target_columns(y, name, where=f"data: y{suffix}")
        target = target or tuple(answers)
        taken = next((each for each in answers if each in columns), None)
        if taken is not None:
            raise DataError(f"already has a column '{taken}', the name of y. Rename it.", where=f"data: x{suffix}")
        frames[split] = {**columns, **answers}
    return DataInMemory("frame", frames=frames, target=target)


def _target_columns(y: Any, name: str, *, where: str) -> dict[str, Any]:
    """Returns the targets as columns: all columns of a data frame or a 2-D array, otherwise a single column."""
    if is_frame(y):
        return columns_of(y, where=where)
    answers = y if hasattr(y, "__len__") and not isinstance(y, torch.Tensor) else array_of(y, where=where)
    if getattr(answers, "ndim", 1) != 2:
        return {name: answers}
    columns = list(answers.T)
    return {name: columns[0]} if len(columns) == 1 else {f"{name} {index}": each for index, each in enumerate(columns)}


def _stacked(dataset: torch_data.Dataset[Any], *, where: str) -> tuple[Array, Array]:
    """Stacks all samples of a torch Dataset."""
    try:
        size = len(dataset)  # type: ignore[arg-type]
        if not size:
            raise DataError("has no samples. Pass a Dataset with samples.", where=where)
        samples = [dataset[index] for index in range(size)]
    except (TypeError, NotImplementedError) as error:
        raise DataError(f"needs __len__ and __getitem__ with an index ({error}).", where=where) from None
    if not all(isinstance(sample, Sequence) and len(sample) == 2 for sample in samples):
        first = type(samples[0]).__name__
        raise DataError(f"expected samples (x, y), got {first}. Wrap it in a Dataset of (x, y).", where=where)
    parts = []
    for name, values in zip(("x", "y"), zip(*samples, strict=True), strict=True):
        arrays = [array_of(value, where=f"{where}: {name}") for value in values]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            shown = " and ".join(map(str, sorted(shapes)[:2]))
            raise DataError(f"{name} has samples of different shapes (got {shown}). Make them the same.", where=where)
        parts.append(np.stack(arrays))
    return parts[0], parts[1]


def array_of(value: Any, *, where: str) -> Array:
    """Converts a value to an array of numbers, booleans or strings.

    Raises:
        DataError: The value has an unsupported type.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        array = np.asarray(value)
        if array.dtype == object and all(isinstance(each, str) for each in array.ravel()):
            array = array.astype(str)
    except (TypeError, ValueError) as error:
        raise DataError(f"expected an array ({str(error).splitlines()[0]}).", where=where) from None
    if array.dtype.kind not in "biufUS":
        raise DataError(
            f"expected numbers, booleans or strings, got {array.dtype} of {type(value).__name__}. Convert it first; "
            "for PIL images use torchvision.transforms.ToTensor.",
            where=where,
        )
    return array


def _add_texts(digest: Any, texts: Any) -> None:
    """Adds a column of strings to a digest, independently of how the column is chunked in memory."""
    from pyarrow import compute

    lengths, characters = hashlib.sha256(), hashlib.sha256()
    for start in range(0, len(texts), _ROWS_PER_BLOCK):
        part = texts.slice(start, _ROWS_PER_BLOCK)
        counts = compute.fill_null(compute.binary_length(part), -1)
        lengths.update(counts.to_numpy().astype(np.int64).tobytes())
        characters.update("".join(compute.fill_null(part, "").to_pylist()).encode())
    digest.update(lengths.digest() + characters.digest())
