"""What is predicted: the task, the class names, and targets as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.reader import Task
from nnzoo.data.tables.cells import Cells, Numbering
from nnzoo.data.tables.columns import read_booleans, read_numbers
from nnzoo.data.tables.inference import sorted_labels
from nnzoo.errors import DataError

_MAX_NUMBER_CLASSES = 20
_SHOWN = 10


def find_task(columns: Sequence[Cells], rows: NDArray[np.int64], asked: Task | Literal["auto"]) -> Task:
    """The task of the targets in some rows.

    One column: numbers are classes if they are whole, at most 20 different ones, and two or in three rows each on
    average; other numbers are regression, also if a few cells are text by mistake; text is classes. Several columns:
    labels if all are 0 and 1 or true and false, regression if all are numbers.

    Raises:
        DataError: Several columns that are neither.
    """
    if asked != "auto":
        return asked
    if len(columns) == 1:
        cells = columns[0]
        numbers = cells.numbers[rows]
        numbers = numbers[~np.isnan(numbers)]
        num_texts = int(cells.is_text[rows].sum())
        distinct = np.unique(numbers)
        is_few = len(distinct) <= _MAX_NUMBER_CLASSES and (len(distinct) <= 2 or 3 * len(distinct) <= len(numbers))
        if num_texts:
            return "classification" if is_few or num_texts > len(numbers) else "regression"
        return "classification" if is_few and bool((distinct == np.trunc(distinct)).all()) else "regression"
    if all(not (cells.booleans()[rows] == -1).any() for cells in columns):
        return "multilabel"
    texts = [cells for cells in columns if cells.is_text[rows].any()]
    if texts:
        raise DataError(
            f"the targets are neither labels (0 and 1) nor numbers (got text in '{texts[0].name}'). Classes are in one "
            "column.",
            where=texts[0].where,
        )
    return "regression"


def class_indices(columns: Sequence[Cells], rows: NDArray[np.int64]) -> tuple[Tensor, tuple[str, ...]]:
    """(M,) the class of some rows, and the names: the distinct cells as they are written, sorted."""
    cells = columns[0]
    labels, codes = cells.distinct
    used = np.unique(codes[rows])
    names = sorted_labels(labels[code] for code in used)
    position = {name: index for index, name in enumerate(names)}
    index_of = np.array([position.get(label, -1) for label in labels])
    return torch.from_numpy(index_of[codes[rows]]), names


def encode_targets(columns: Sequence[Cells], rows: NDArray[np.int64], task: Task, classes: tuple[str, ...]) -> Tensor:
    """Targets of some rows: (M,) int64 class indices, (M, K) float32 labels or numbers.

    Raises:
        DataError: A cell is missing, is no class of the training rows, neither 0 nor 1, or no number.
    """
    check_present(columns, rows)
    if task == "classification":
        return _encode_classes(columns[0], rows, classes)
    found = np.empty((len(rows), len(columns)), dtype=np.float32)
    for index, cells in enumerate(columns):
        found[:, index] = (read_numbers if task == "regression" else read_booleans)(cells)[rows]
    return torch.from_numpy(found)


def _encode_classes(cells: Cells, rows: NDArray[np.int64], classes: tuple[str, ...]) -> Tensor:
    labels, codes = cells.distinct
    numbering = Numbering(classes)
    indices = np.array([*(numbering.find(label, -1) for label in labels), -1])[codes[rows]]
    if (indices < 0).any():
        row = int(rows[int((indices < 0).argmax())])
        shown = ", ".join(classes[:_SHOWN]) + (f", ... ({len(classes)} in all)" if len(classes) > _SHOWN else "")
        raise cells.problem(
            row,
            f"{cells.text(row)!r} is no class of the training rows (those are: {shown}). Correct it, or `replace` it.",
        )
    return torch.from_numpy(indices)


def check_present(columns: Sequence[Cells], rows: NDArray[np.int64]) -> None:
    """Checks that some rows have their targets.

    Raises:
        DataError: A cell is missing.
    """
    for cells in columns:
        missing = cells.missing[rows]
        if missing.any():
            row, count = int(rows[int(missing.argmax())]), int(missing.sum())
            raise cells.problem(
                row,
                f"the target is missing ({count} of {len(rows)} rows). Remove such rows, or see whether `missing` has "
                "a value that means something here.",
            )
