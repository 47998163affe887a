"""User arrays: an .npz file, or a folder of .npy files.

The arrays are `x` and `y`, for sequences and tokens optionally `lengths`, and the same with `_val` and `_test`. Pickled
Python objects are never loaded, so that a file can't run code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.arrays.file import Part, find_part, find_parts, parts_in_memory
from nnzoo.data.dataset import Dataset, Split, row_slices
from nnzoo.data.encode import (
    Array,
    check_tokens,
    choose_layout,
    choose_per,
    choose_task,
    encode_inputs,
    encode_lengths,
    encode_steps,
    encode_targets,
    find_classes,
    inputs_on_disk,
    rounded_integers,
    steps_with_target,
)
from nnzoo.data.files.on_disk import Cache
from nnzoo.data.files.origin import constant, of_files
from nnzoo.data.reader import NO_TARGET, Layout, Reader, Samples, Schema, Task
from nnzoo.errors import DataError

LARGEST_IN_MEMORY = 2**30
"""Bytes of float32. A fixed limit, independent of the free memory, so that a resumed run makes the same choice."""


def load_arrays(
    *,
    path: str | Path,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    task: Task | Literal["auto"] = "auto",
    layout: Layout | Literal["auto"] = "auto",
    limit: int | None = None,
    cache: Cache | Literal["auto"] = "auto",
) -> Dataset:
    """Reads arrays and checks them.

    Args:
        path: An .npz file or a folder of .npy files with `x` and `y`, optionally also with `x_val`, `y_val`, `x_test`
            and `y_test` for further splits. A folder is memory-mapped, so `limit` also limits how much is read.
        val_path: A file or folder whose `x` and `y` are the val split.
        test_path: A file or folder whose `x` and `y` are the test split.
        task: "auto": float `y` is regression; integers, booleans and strings are classes. Probabilities (float
            (N, K)), one-hot rows and labels (zeros and ones (N, K)) need an explicit task. Labels (N, T) with
            sequences or tokens of T steps are one target per step, -100 for steps without a target, unless the task is
            multilabel or regression.
        layout: "auto": (N,) and (N, F) are features, integers (N, T) tokens, (N, T, F) sequences, (N, C, H, W) images.
            With an explicit layout sequences may also be (N, T) and images (N, H, W). Channels come first.
        limit: Maximum number of samples per split; the first ones are used.
        cache: Where inputs are stored: "memory"; "disk": they stay in their .npy file and each batch is read from it,
            in the background unless replicas are trained in parallel; "auto": by their size. Targets and lengths are
            always in memory.

    Returns:
        A dataset with the splits of the files. Classes are the sorted distinct labels of the training samples.

    Raises:
        DataError: A file, an array or a row can't be used; the message names it.
    """
    parts = find_parts(Path(path), {"val": val_path, "test": test_path}, limit)
    cache = _choose_cache(cache, list(parts.values()))
    parts = {name: replace(part, on_disk=cache == "disk" and part.can_stay_on_disk()) for name, part in parts.items()}
    return _load(parts, task, layout, {"cache": cache})


def load_arrays_in_memory(
    *,
    arrays: Mapping[str, Array],
    task: Task | Literal["auto"] = "auto",
    layout: Layout | Literal["auto"] = "auto",
) -> Dataset:
    """Checks arrays that were passed from Python, in the same way as `load_arrays`.

    Args:
        arrays: `x` and `y`, for sequences and tokens optionally `lengths`, and the same with `_val` and `_test`.
        task: As in `load_arrays`.
        layout: As in `load_arrays`.

    Raises:
        DataError: An array or a row can't be used; the message names it.
    """
    return _load(parts_in_memory(arrays), task, layout, {})


def _load(
    parts: dict[str, Part], task: Task | Literal["auto"], layout: Layout | Literal["auto"], choices: dict[str, object]
) -> Dataset:
    train = parts.pop("train")
    dataset = _load_train(train, task, layout)
    warnings = [line for part in (train, *parts.values()) for line in _rounded(part, dataset.schema)]
    splits = dataset.splits | {name: _load_split(part, dataset.schema) for name, part in parts.items()}
    for name, part in {"train": train, **parts}.items():
        splits[name] = replace(splits[name], origin=constant(array=f"x{part.suffix}"))
    num_tokens = max(map(_largest, splits.values())) + 1 if dataset.layout == "tokens" else 0
    choices = {"task": dataset.task, "layout": dataset.layout, **choices}
    return replace(dataset, splits=splits, num_tokens=num_tokens, choices=choices, warnings=tuple(warnings))


def _choose_cache(cache: Cache | Literal["auto"], parts: Sequence[Part]) -> Cache:
    if cache == "disk":
        for part in parts:
            if not part.can_stay_on_disk():
                raise DataError(
                    "an .npz file can't be read in parts, so it can't stay on disk. Save each of its arrays as an "
                    ".npy file in a folder, or set `data: {cache: memory}`.",
                    where=str(part.path),
                )
    if cache != "auto":
        return cache
    size = sum(part.num_entries() for part in parts if part.can_stay_on_disk()) * torch.float32.itemsize
    return "disk" if size >= LARGEST_IN_MEMORY else "memory"


def _rounded(part: Part, schema: Schema) -> Iterator[str]:
    """Yields warnings about integers that float64 can't represent."""
    numeric = (["x"] if schema.layout in ("features", "sequence") else []) + (
        ["y"] if schema.task == "regression" else []
    )
    for name in numeric:
        array = part.read(name)[: part.limit]
        if count := rounded_integers(array):
            yield (
                f"{part.where(name)}: {count} of {array.size} integers are larger than 2^53 and were rounded to "
                "float64. If small differences matter, subtract an offset before saving them."
            )


def _largest(split: Split) -> int:
    return max(int(split.inputs[rows].max()) for rows in row_slices(split.inputs))


class ArraysReader(Reader):
    """Reads an .npz file, a folder of .npy files, or one .npy file with `x`."""

    kind: Literal["arrays"] = "arrays"

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads `x`, `lengths` if present, and `y` if `labelled`.

        Raises:
            DataError: A file can't be read, or does not match the training data in the shape of a sample, the labels,
                the number of targets or the range of tokens.
        """
        splits = [_load_new(Path(path), schema, labelled=labelled) for path in paths]
        lengths = [part.lengths if part.lengths is not None else _all_steps(part.inputs) for part in splits]
        inputs = torch.cat([part.inputs for part in splits])
        return Samples(
            inputs,
            range(len(inputs)),
            targets=torch.cat([part.targets for part in splits]) if labelled else None,
            lengths=torch.cat(lengths) if any(part.lengths is not None for part in splits) else None,
            origin=of_files(list(map(str, paths)), [len(part.inputs) for part in splits]),
        )


def read_arrays(path: Path, *, labelled: bool) -> tuple[Array, Array | None]:
    """Reads the unprocessed `x`, and `y` if `labelled`, from a file or folder.

    Raises:
        DataError: The file can't be read, or an array is missing, is empty or has a different length.
    """
    arrays = _read(find_part(path, labelled=labelled), labelled=labelled)
    return arrays.x, arrays.y if labelled else None


def _load_new(path: Path, schema: Schema, *, labelled: bool) -> Split:
    """Loads new samples that match a schema. If `labelled` is False, their targets are empty."""
    part = find_part(path, labelled=labelled)
    if labelled:
        split = _load_split(part, schema)
    else:
        arrays = _read(part, labelled=False)
        split = arrays.encode_inputs(schema.layout)
        _check_shape(split, schema, part)
    if schema.layout == "tokens":
        check_tokens(split.inputs, largest=schema.num_tokens - 1, where=part.where("x"))
    return split


def _all_steps(inputs: Tensor) -> Tensor:
    return torch.full((len(inputs),), inputs.shape[1] if inputs.ndim > 1 else 1)


@dataclass(frozen=True)
class _Arrays:
    """The unprocessed arrays of one split."""

    part: Part
    x: Array
    y: Array
    lengths: Array | None

    def encode(self, schema: Schema) -> Split:
        split = self.encode_inputs(schema.layout)
        return replace(
            split, targets=encode_targets_like(self.y[: self.part.limit], schema, split, where=self.part.where("y"))
        )

    def encode_inputs(self, layout: Layout) -> Split:
        """Returns the split without targets."""
        lengths, where = self.encode_lengths(layout), self.part.where("x")
        if self.part.on_disk:
            inputs: Tensor = inputs_on_disk(self.part.rows(), layout, lengths=lengths, where=where)
        else:
            inputs = encode_inputs(self.x[: self.part.limit], layout, lengths=lengths, where=where)
        return Split(inputs, torch.empty(len(inputs), 0), lengths)

    def encode_lengths(self, layout: Layout) -> Tensor | None:
        if self.lengths is None:
            return None
        return encode_lengths(self.lengths[: self.part.limit], self.x, layout, where=self.part.where("lengths"))


def encode_targets_like(y: Array, schema: Schema, split: Split, *, where: str) -> Tensor:
    """Encodes labels or numbers in the same way as the targets of the training data.

    Args:
        y: One target per sample, or (N, T) with one target per step.
        schema: The schema of the training data.
        split: The samples.
        where: The name of `y` in messages.

    Raises:
        DataError: The targets do not match those of the training data.
    """
    if len(y) != len(split.inputs):
        raise DataError(
            f"has a different length than x (got {len(y)} samples, expected {len(split.inputs)}).", where=where
        )
    if schema.per == "step":
        if y.shape != tuple(split.inputs.shape[:2]) or y.dtype.kind not in "biuUS":
            raise DataError(
                f"does not have a label for every step (got {y.dtype} {y.shape}; expected integers "
                f"{tuple(split.inputs.shape[:2])}, {NO_TARGET} for no target).",
                where=where,
            )
        has_target = steps_with_target(y, split.lengths, where=where)
        return encode_steps(y, schema.classes, has_target, where=where)
    targets = encode_targets(y, schema.task, schema.classes, where=where)
    if schema.task == "regression" and schema.target_names and targets.shape[1] != len(schema.target_names):
        raise DataError(
            f"has a different number of targets than the training data (got {targets.shape[1]}; "
            f"expected {len(schema.target_names)}).",
            where=where,
        )
    return targets


def _read(part: Part, *, labelled: bool = True) -> _Arrays:
    x = part.read("x")
    y = part.read("y", x) if labelled else np.zeros(len(x))
    return _Arrays(part, x, y, part.read("lengths", x) if part.has_lengths else None)


def _load_train(part: Part, task: Task | Literal["auto"], layout: Layout | Literal["auto"]) -> Dataset:
    """Loads a dataset with only the train split."""
    arrays = _read(part)
    y, where = arrays.y[: part.limit], part.where("y")
    layout = choose_layout(arrays.x, layout, where=part.where("x"))
    per = choose_per(arrays.x, arrays.y, task, layout)
    task = "classification" if per == "step" else choose_task(y, task, where=where)
    labels = y
    if per == "step":
        labels = y[steps_with_target(y, arrays.encode_lengths(layout), where=where)]
    classes = find_classes(labels, task, where=where)
    train = arrays.encode(Schema(task, layout, classes, (), (), 0, (), per))
    indices = train.class_indices() if task == "classification" and not train.targets.is_floating_point() else None
    if indices is not None and bool((indices == indices[0]).all()):
        raise DataError(
            f"has only one class (got {classes[int(indices[0])]!r} in all {len(train)} samples; expected two or more).",
            where=where,
        )
    num_targets = train.targets.shape[1] if task == "regression" else 0
    target_names = tuple(f"y{index}" for index in range(num_targets))
    return Dataset({"train": train}, task=task, layout=layout, classes=classes, target_names=target_names, per=per)


def _load_split(part: Part, schema: Schema) -> Split:
    split = _read(part).encode(schema)
    _check_shape(split, schema, part)
    return split


def _check_shape(split: Split, schema: Schema, part: Part) -> None:
    shape = tuple(split.inputs.shape[1:])
    if shape != schema.input_shape:
        raise DataError(
            f"has samples of a different shape than the training data (got {shape}; expected {schema.input_shape}).",
            where=part.where("x"),
        )
