"""Encoding of targets: infers the task and the classes, and encodes the labels and values of samples and steps."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.encode.checks import Array, check_finite, check_kind, check_rows, copy, describe
from nnzoo.data.reader import NO_TARGET, Layout, Per, Task
from nnzoo.errors import DataError


def choose_per(x: Array, y: Array, task: Task | Literal["auto"], layout: Layout) -> Per:
    """Returns "step" if `y` (N, T) are labels of sequences or tokens with T > 1 steps, else "sample".

    One-hot rows with as many classes as steps are ambiguous and give "step"; class indices avoid this.
    """
    labels = task in ("auto", "classification") and y.dtype.kind in "biuUS"
    steps = layout in ("sequence", "tokens") and x.ndim > 1 and y.ndim == 2 and y.shape[1] == x.shape[1] > 1
    return "step" if labels and steps else "sample"


def steps_with_target(y: Array, lengths: Tensor | None, *, where: str) -> NDArray[np.bool_]:
    """Returns which steps have a target, (N, T): those within the length of their sample whose label is not -100.

    Raises:
        DataError: A sample has no target.
    """
    has_target: NDArray[np.bool_] = np.not_equal(y, NO_TARGET) if y.dtype.kind in "iu" else np.ones(y.shape, dtype=bool)
    if lengths is not None:
        has_target &= np.arange(y.shape[1]) < lengths.numpy()[:, None]
    some = np.asarray(has_target.any(axis=1))
    check_rows(some, f"has no target at any step (all are {NO_TARGET}, or beyond its length)", where)
    return has_target


def encode_steps(y: Array, classes: tuple[str, ...], has_target: NDArray[np.bool_], *, where: str) -> Tensor:
    """Encodes (N, T) labels of steps as int64 class indices, `NO_TARGET` for steps without a target.

    Raises:
        DataError: A label is not a class of the training samples.
    """
    targets = torch.full(y.shape, NO_TARGET)
    rows, steps = np.nonzero(has_target)
    targets[torch.from_numpy(rows), torch.from_numpy(steps)] = _encode_labels(y[has_target], classes, where, rows)
    return targets


def choose_task(y: Array, task: Task | Literal["auto"], *, where: str) -> Task:
    """Returns the task of the targets `y`; for "auto" by their type: floats are regression, others classes.

    Raises:
        DataError: Integers have several columns, so they may be one-hot classes or labels.
    """
    if task != "auto":
        return task
    if y.dtype.kind == "f":
        return "regression"
    if y.ndim == 2 and y.shape[1] > 1:
        raise DataError(
            f"may be one-hot classes or several labels (got {describe(y)}). Set task to classification, multilabel or "
            "regression.",
            where=where,
        )
    return "classification"


def find_classes(y: Array, task: Task, *, where: str) -> tuple[str, ...]:
    """Returns the names of the classes or labels in the order of their indices; empty for regression.

    The names are the distinct labels, sorted (numbers as numbers), or column numbers if each class has a column.

    Raises:
        DataError: Class labels are not integers, booleans or strings, or multilabel targets are not (N, K).
    """
    if task == "regression":
        return ()
    if task == "multilabel" and y.ndim != 2:
        raise DataError(f"does not have one column per label (got shape {y.shape}; allowed (N, K)).", where=where)
    if task == "multilabel" or _has_columns(y):
        return tuple(str(column) for column in range(y.shape[-1]))
    return tuple(str(label) for label in np.unique(_labels(y, where)))


def encode_targets(y: Array, task: Task, classes: tuple[str, ...], *, where: str) -> Tensor:
    """Copies targets to a tensor.

    Args:
        y: Classification: (N,) or (N, 1) labels, integers also as floats; (N, K) integers or booleans that are
            one-hot; (N, K) float probabilities. Multilabel: (N, K) zeros and ones. Regression: (N,) or (N, M) numbers.
        task: The task.
        classes: The classes of the training samples, from `find_classes`.
        where: The location in messages.

    Returns:
        (N,) int64 class indices; (N, K) float32 probabilities or labels; or (N, M) float64 regression targets.

    Raises:
        DataError: The shape or the type does not fit the task, a label is not a class, or a row is not one-hot, not a
            probability distribution (sum 1 within 1e-4), not zeros and ones, or has NaN or inf.
    """
    if task == "classification":
        return _encode_columns(y, classes, where) if _has_columns(y) else _encode_labels(y, classes, where)
    check_kind(y, "biuf", f"numbers for {task}", where)
    if task == "multilabel":
        _check_columns(y, classes, where)
        check_rows(((y == 0) | (y == 1)).all(axis=1), "has labels other than 0 and 1", where)
    elif y.ndim not in (1, 2) or 0 in y.shape:
        raise DataError(f"does not have one row per sample (got shape {y.shape}; allowed (N,) or (N, M)).", where=where)
    targets = copy(y, torch.float64 if task == "regression" else torch.float32)
    check_finite(targets, where)
    return targets.unsqueeze(1) if targets.ndim == 1 else targets


def _encode_columns(y: Array, classes: tuple[str, ...], where: str) -> Tensor:
    """Returns float probabilities (N, K) unchanged, and one-hot rows as (N,) indices."""
    check_kind(y, "biuf", "numbers", where)
    _check_columns(y, classes, where)
    if y.dtype.kind != "f":
        one_hot = ((y == 0) | (y == 1)).all(axis=1) & ((y == 1).sum(axis=1) == 1)
        check_rows(one_hot, "is not one-hot (exactly one 1, else 0)", where)
        return torch.tensor(y.argmax(axis=1), dtype=torch.int64)
    targets = copy(y, torch.float32)
    check_finite(targets, where)
    distribution = (targets >= 0).all(dim=1) & ((targets.double().sum(dim=1) - 1).abs() <= 1e-4)
    check_rows(distribution.numpy(), "is not a probability distribution (at least 0, sum 1 within 1e-4)", where)
    return targets


def _encode_labels(y: Array, classes: tuple[str, ...], where: str, rows: Array | None = None) -> Tensor:
    """Returns (N,) class indices. `rows` are the sample numbers of the labels, if samples have several."""
    distinct, positions = np.unique(_labels(y, where), return_inverse=True)
    index_of = {name: index for index, name in enumerate(classes)}
    indices = np.array([index_of.get(str(label), -1) for label in distinct], dtype=np.int64)[positions.reshape(-1)]
    if (indices < 0).any():
        first = int(indices.argmin())
        raise DataError(
            "has a label that is not a class of the training samples in row "
            f"{first if rows is None else rows[first]} "
            f"(got {str(distinct[positions.reshape(-1)[first]])!r}; allowed {_listed(classes)}).",
            where=where,
        )
    return torch.tensor(indices)


def _labels(y: Array, where: str) -> Array:
    """Returns (N,) integers, booleans or strings, normalized so that equal labels compare equal."""
    check_kind(y, "biufUS", "integers, booleans or strings for classes", where)
    labels = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if labels.ndim != 1:
        raise DataError(
            f"does not have one label per sample (got shape {y.shape}; allowed (N,) or (N, K)).", where=where
        )
    if labels.dtype.kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"has labels that are not UTF-8 ({error}).", where=where) from error
    if labels.dtype.kind == "f":
        is_integer = np.isfinite(labels) & (labels == np.trunc(labels)) & (np.abs(labels) < 2**53)
        check_rows(is_integer, "is not an integer, as classes must be", where)
        return labels.astype(np.int64)
    return labels


def _has_columns(y: Array) -> bool:
    return y.ndim == 2 and y.shape[1] > 1


def _check_columns(y: Array, classes: tuple[str, ...], where: str) -> None:
    if y.ndim != 2 or y.shape[1] != len(classes):
        raise DataError(
            f"does not have one column per class (got shape {y.shape}; allowed (N, {len(classes)})).", where=where
        )


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 10 else shown
