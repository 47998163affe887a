"""From NumPy arrays to checked tensors: numbers that a network can take, or a `DataError` that names the row.

Rows are counted from 0. `where` is the place that a message is about, such as `data.npz: x_val`. Everything is copied
into memory that torch owns: the alignment of memory that NumPy owns would change the last bits of a training.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.dataset import row_slices
from nnzoo.data.mapped import Mapped, MappedFile
from nnzoo.data.reader import NO_TARGET, Layout, Per, Task
from nnzoo.errors import DataError

Array = NDArray[Any]

_AXES: dict[Layout, tuple[int, ...]] = {"features": (1, 2), "sequence": (2, 3), "image": (3, 4), "tokens": (2,)}
_SHAPES: dict[Layout, str] = {
    "features": "(N, F) or (N,)",
    "sequence": "(N, T, F) or (N, T)",
    "image": "(N, C, H, W) or (N, H, W)",
    "tokens": "integer (N, T)",
}
_LARGEST_TOKEN = 2**31 - 1


def choose_layout(x: Array, layout: Layout | Literal["auto"], *, where: str) -> Layout:
    """The layout of the inputs `x`, which for "auto" follows from the number of axes and the type.

    (N,) and (N, F) are features, but integers (N, T) tokens; (N, T, F) is a sequence; (N, C, H, W) are images.

    Raises:
        DataError: No layout has that many axes.
    """
    if layout != "auto":
        return layout
    by_axes: dict[int, Layout] = {1: "features", 2: "features", 3: "sequence", 4: "image"}
    if x.ndim not in by_axes:
        allowed = ", ".join(f"{name} {shape}" for name, shape in _SHAPES.items())
        raise DataError(f"has a shape that is no layout (got {x.shape}; allowed {allowed}).", where=where)
    return "tokens" if x.ndim == 2 and x.dtype.kind in "iu" else by_axes[x.ndim]


def encode_inputs(x: Array, layout: Layout, *, lengths: Tensor | None, where: str) -> Tensor:
    """Copy inputs into a tensor, with 0 beyond the length of each sample.

    Args:
        x: Real numbers, of any type and byte order, in the shape of the layout or without its axis of size one.
        layout: What the axes are. Images have their channels first.
        lengths: (N,) valid steps of sequences and tokens; what lies beyond may be anything, even NaN.
        where: The place, for messages.

    Returns:
        (N, F) features, (N, T, F) sequences, (N, C, H, W) images, all float32; or (N, T) int64 tokens.

    Raises:
        DataError: Another type or number of axes, an empty axis, channels last, NaN, inf (also for what is too large
            for float32), or tokens that are negative or too large.
    """
    _check_inputs_shape(x, layout, where)
    inputs = _copy(x, _dtype(layout)).reshape(_shape(x, layout))
    if lengths is not None:
        beyond = torch.arange(inputs.shape[1]) >= lengths.unsqueeze(1)  # (N, T)
        inputs.masked_fill_(beyond.reshape(*beyond.shape, *[1] * (inputs.ndim - 2)), 0)
    _check_values(inputs, layout, where)
    return inputs


def map_inputs(file: MappedFile, layout: Layout, *, lengths: Tensor | None, where: str) -> Mapped:
    """What `encode_inputs` gives, left in its file. It is read once, to check it.

    Raises:
        DataError: As of `encode_inputs`.
    """
    _check_inputs_shape(file.array, layout, where)
    inputs = Mapped(file, _shape(file.array, layout), _dtype(layout), lengths)
    _check_values(inputs, layout, where)
    return inputs


def encode_pixels(x: Array, *, where: str) -> Tensor:
    """Copy images (N, C, H, W) or (N, H, W) into a tensor: uint8 stays so, anything else becomes float32 in [0, 1].

    Raises:
        DataError: As of `encode_inputs`, or values outside of [0, 1].
    """
    if x.dtype == np.uint8:
        _check_inputs_shape(x, "image", where)
        pixels = _copy(x, torch.uint8)
        return pixels.unsqueeze(1) if pixels.ndim == 3 else pixels
    inputs = encode_inputs(x, "image", lengths=None, where=where)
    low, high = float(inputs.min()), float(inputs.max())
    if low < 0 or high > 1:
        raise DataError(
            f"has pixels outside of 0 to 1 (got {low:g} to {high:g}). Save them as uint8, or divide them by 255.",
            where=where,
        )
    return inputs


def check_tokens(tokens: Tensor, *, largest: int, where: str) -> None:
    """Check that (N, T) `tokens` are from 0 to `largest`.

    Raises:
        DataError: They are not.
    """
    for rows in row_slices(tokens):
        block = tokens[rows]
        outside = ((block < 0) | (block > largest)).any(dim=1)
        if outside.any():
            row = int(outside.int().argmax())
            raise DataError(
                f"has a token that is out of range in row {rows.start + row} (got {block[row].min()} to "
                f"{block[row].max()}; allowed 0 to {largest}).",
                where=where,
            )


def encode_lengths(lengths: Array, x: Array, layout: Layout, *, where: str) -> Tensor:
    """Copy the valid steps of each sequence in `x` into an (N,) int64 tensor.

    Raises:
        DataError: Not (N,) integers from 1 to the number of steps, or a layout without steps.
    """
    if layout not in ("sequence", "tokens") or x.ndim < 2:
        raise DataError(f"is for sequences and tokens (got layout {layout}). Remove it or set layout.", where=where)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise DataError(f"is not a list of integers (got {_describe(lengths)}; allowed integer (N,)).", where=where)
    num_steps = x.shape[1]
    outside = (lengths < 1) | (lengths > num_steps)
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"has a length that is out of range in row {row} (got {lengths[row]}; allowed 1 to {num_steps}).",
            where=where,
        )
    return _copy(lengths, torch.int64)


def choose_per(x: Array, y: Array, task: Task | Literal["auto"], layout: Layout) -> Per:
    """What has a target: each step, where `y` (N, T) are labels beside sequences or tokens of as many steps T > 1.

    One-hot rows of as many classes as there are steps are read so too: save class indices in their place.
    """
    labels = task in ("auto", "classification") and y.dtype.kind in "biuUS"
    steps = layout in ("sequence", "tokens") and x.ndim > 1 and y.ndim == 2 and y.shape[1] == x.shape[1] > 1
    return "step" if labels and steps else "sample"


def steps_with_target(y: Array, lengths: Tensor | None, *, where: str) -> NDArray[np.bool_]:
    """(N, T) which steps have a target: those within the length of their sample whose label is not -100.

    Raises:
        DataError: A sample without any.
    """
    there: NDArray[np.bool_] = np.not_equal(y, NO_TARGET) if y.dtype.kind in "iu" else np.ones(y.shape, dtype=bool)
    if lengths is not None:
        there &= np.arange(y.shape[1]) < lengths.numpy()[:, None]
    _check_rows(
        np.asarray(there.any(axis=1)), f"has no target at any step (all are {NO_TARGET}, or past its length)", where
    )
    return there


def encode_steps(y: Array, classes: tuple[str, ...], there: NDArray[np.bool_], *, where: str) -> Tensor:
    """(N, T) labels of steps as int64 class indices, `NO_TARGET` where there is none.

    Raises:
        DataError: A label that is no class.
    """
    targets = torch.full(y.shape, NO_TARGET)
    rows, steps = np.nonzero(there)
    targets[torch.from_numpy(rows), torch.from_numpy(steps)] = _encode_labels(y[there], classes, where, rows)
    return targets


def choose_task(y: Array, task: Task | Literal["auto"], *, where: str) -> Task:
    """The task of the targets `y`, which for "auto" follows from their type: floats are regression, others classes.

    Raises:
        DataError: Integers of several columns, which may be one-hot classes or labels.
    """
    if task != "auto":
        return task
    if y.dtype.kind == "f":
        return "regression"
    if y.ndim == 2 and y.shape[1] > 1:
        raise DataError(
            f"could be one-hot classes or several labels (got {_describe(y)}). Set task to classification, multilabel "
            "or regression.",
            where=where,
        )
    return "classification"


def find_classes(y: Array, task: Task, *, where: str) -> tuple[str, ...]:
    """Names of the classes or labels in the order of their indices; empty for regression.

    The names are the distinct labels, sorted (numbers as numbers), or column numbers where each has a column.

    Raises:
        DataError: Class labels other than whole numbers, booleans or strings, or labels without a column each.
    """
    if task == "regression":
        return ()
    if task == "multilabel" and y.ndim != 2:
        raise DataError(f"has no column a label (got shape {y.shape}; allowed (N, K)).", where=where)
    if task == "multilabel" or _has_columns(y):
        return tuple(str(column) for column in range(y.shape[-1]))
    return tuple(str(label) for label in np.unique(_labels(y, where)))


def encode_targets(y: Array, task: Task, classes: tuple[str, ...], *, where: str) -> Tensor:
    """Copy targets into a tensor.

    Args:
        y: Classification: (N,) or (N, 1) labels, whole numbers also as floats; (N, K) integers or booleans that are
            one-hot; (N, K) float probabilities. Multilabel: (N, K) zeros and ones. Regression: (N,) or (N, M) numbers.
        task: What the targets are.
        classes: Names as found by `find_classes` in the training samples.
        where: The place, for messages.

    Returns:
        (N,) int64 class indices; or (N, K) float32 probabilities, labels or regression targets.

    Raises:
        DataError: A shape or type that the task has no meaning for, a label that is no class, or a row of `y` that is
            not one-hot, no probability distribution (sum 1 within 1e-4), neither 0 nor 1, NaN or inf.
    """
    if task == "classification":
        return _encode_columns(y, classes, where) if _has_columns(y) else _encode_labels(y, classes, where)
    _check_kind(y, "biuf", f"numbers for {task}", where)
    if task == "multilabel":
        _check_columns(y, classes, where)
        _check_rows(((y == 0) | (y == 1)).all(axis=1), "has labels other than 0 and 1", where)
    elif y.ndim not in (1, 2) or 0 in y.shape:
        raise DataError(f"is no list of targets (got shape {y.shape}; allowed (N,) or (N, M)).", where=where)
    targets = _copy(y, torch.float32)
    _check_finite(targets, where)
    return targets.unsqueeze(1) if targets.ndim == 1 else targets


def _encode_columns(y: Array, classes: tuple[str, ...], where: str) -> Tensor:
    """(N, K) float probabilities as they are, other one-hot rows to (N,) indices."""
    _check_kind(y, "biuf", "numbers", where)
    _check_columns(y, classes, where)
    if y.dtype.kind != "f":
        one_hot = ((y == 0) | (y == 1)).all(axis=1) & ((y == 1).sum(axis=1) == 1)
        _check_rows(one_hot, "is not one-hot (exactly one 1, else 0)", where)
        return torch.tensor(y.argmax(axis=1), dtype=torch.int64)
    targets = _copy(y, torch.float32)
    _check_finite(targets, where)
    distribution = (targets >= 0).all(dim=1) & ((targets.double().sum(dim=1) - 1).abs() <= 1e-4)
    _check_rows(distribution.numpy(), "is no probability distribution (at least 0, sum 1 within 1e-4)", where)
    return targets


def _encode_labels(y: Array, classes: tuple[str, ...], where: str, rows: Array | None = None) -> Tensor:
    """(N,) class indices; `rows` are the numbers of their samples, where several labels are of one."""
    distinct, positions = np.unique(_labels(y, where), return_inverse=True)
    index_of = {name: index for index, name in enumerate(classes)}
    indices = np.array([index_of.get(str(label), -1) for label in distinct], dtype=np.int64)[positions.reshape(-1)]
    if (indices < 0).any():
        first = int(indices.argmin())
        raise DataError(
            "has a label that is no class of the training samples in row "
            f"{first if rows is None else rows[first]} "
            f"(got {str(distinct[positions.reshape(-1)[first]])!r}; allowed {_listed(classes)}).",
            where=where,
        )
    return torch.tensor(indices)


def _labels(y: Array, where: str) -> Array:
    """(N,) integers, booleans or strings, in which equal labels are written equally."""
    _check_kind(y, "biufUS", "whole numbers, booleans or strings for classes", where)
    labels = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if labels.ndim != 1:
        raise DataError(f"is no list of labels (got shape {y.shape}; allowed (N,) or (N, K)).", where=where)
    if labels.dtype.kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"has labels that are not UTF-8 ({error}).", where=where) from error
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels) & (labels == np.trunc(labels)) & (np.abs(labels) < 2**53)
        _check_rows(whole, "is no whole number, as a class has to be", where)
        return labels.astype(np.int64)
    return labels


def _has_columns(y: Array) -> bool:
    return y.ndim == 2 and y.shape[1] > 1


def _copy(values: Array, dtype: torch.dtype) -> Tensor:
    tensor = torch.empty(values.shape, dtype=dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # too large becomes inf, which is refused by its row
        np.copyto(tensor.numpy(), values, casting="unsafe")
    return tensor


def _dtype(layout: Layout) -> torch.dtype:
    return torch.int64 if layout == "tokens" else torch.float32


def _shape(x: Array, layout: Layout) -> tuple[int, ...]:
    """With the axis of size one that may be left out."""
    if x.ndim == max(_AXES[layout]):
        return x.shape
    return (len(x), 1, *x.shape[1:]) if layout == "image" else (*x.shape, 1)


def _check_values(inputs: Tensor, layout: Layout, where: str) -> None:
    if layout == "tokens":
        check_tokens(inputs, largest=_LARGEST_TOKEN, where=where)
    else:
        _check_finite(inputs, where)


def _check_inputs_shape(x: Array, layout: Layout, where: str) -> None:
    kinds, allowed = ("iu", "integers") if layout == "tokens" else ("biuf", "real numbers")
    _check_kind(x, kinds, f"{allowed} for {layout}", where)
    if x.ndim not in _AXES[layout]:
        raise DataError(
            f"has a shape that does not fit the layout {layout} (got {x.shape}; allowed {_SHAPES[layout]}). "
            "Reshape it or set layout.",
            where=where,
        )
    if 0 in x.shape:
        raise DataError(f"is empty (got shape {x.shape}; every axis needs at least size 1).", where=where)
    if layout == "image" and x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise DataError(
            f"has its channels last (got shape {x.shape}; allowed (N, C, H, W)). Save x.transpose(0, 3, 1, 2).",
            where=where,
        )


def _check_columns(y: Array, classes: tuple[str, ...], where: str) -> None:
    if y.ndim != 2 or y.shape[1] != len(classes):
        raise DataError(
            f"does not have a column a class (got shape {y.shape}; allowed (N, {len(classes)})).", where=where
        )


def _check_kind(values: Array, kinds: str, allowed: str, where: str) -> None:
    if values.dtype.kind not in kinds:
        raise DataError(f"has a type that can't be used (got {values.dtype}; allowed {allowed}).", where=where)


def _check_finite(values: Tensor, where: str) -> None:
    """Check (N, ...) `values` for NaN and inf; blocks keep the memory for it small."""
    # Made beforehand: small results kept one by one would lie between the blocks and break up the memory.
    finite = torch.empty(len(values), dtype=torch.bool)
    for rows in row_slices(values):
        block = values[rows]
        finite[rows] = block.reshape(len(block), -1).isfinite().all(dim=1)
    _check_rows(finite.numpy(), "has NaN or inf in float32", where)


def _check_rows(good: NDArray[np.bool_], problem: str, where: str) -> None:
    if not good.all():
        num_bad = int((~good).sum())
        rows = "1 row" if num_bad == 1 else f"{num_bad} rows"
        raise DataError(f"row {int(good.argmin())} {problem} ({rows} of {len(good)}).", where=where)


def _describe(values: Array) -> str:
    return f"{values.dtype} {values.shape}"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 10 else shown
