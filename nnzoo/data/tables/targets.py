"""Targets: class names, and encoding as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.columns import index_of, read_booleans, read_numbers
from nnzoo.data.tables.forms import Form
from nnzoo.data.tables.inference import sorted_labels
from nnzoo.data.tables.tasks import Target

_SHOWN = 10


def class_indices(columns: Sequence[Cells], rows: NDArray[np.int64], form: Form) -> tuple[Tensor, tuple[str, ...]]:
    """Returns (M,) class indices and the sorted class names, with a single spelling per class."""
    cells = columns[0]
    codes = cells.keys(form).codes
    spelled = cells.spellings(form, rows)
    used = np.unique(codes[rows])
    names = sorted_labels([spelled[code] for code in used], form)
    position = {name: index for index, name in enumerate(names)}
    found = np.full(len(spelled), -1)
    found[used] = [position[spelled[code]] for code in used]
    return torch.from_numpy(found[codes[rows]]), names


def encode_targets(
    columns: Sequence[Cells], rows: NDArray[np.int64], target: Target, classes: tuple[str, ...]
) -> Tensor:
    """Returns the targets of some rows: (M,) int64 class indices, (M, K) float32 labels, or (M, K) float64 numbers.

    Raises:
        DataError: A cell is not a class of the training rows, a boolean or a number.
    """
    if target.task == "classification":
        return _encode_classes(columns[0], rows, classes, target.forms[0])
    if target.task == "multilabel":
        labels = np.stack([read_booleans(cells)[rows] for cells in columns], axis=1)
        return torch.from_numpy(labels.astype(np.float32))
    numbers = [read_numbers(cells, form)[rows] for cells, form in zip(columns, target.forms, strict=True)]  # type: ignore[arg-type]
    return torch.from_numpy(np.stack(numbers, axis=1))


def _encode_classes(cells: Cells, rows: NDArray[np.int64], classes: tuple[str, ...], form: Form) -> Tensor:
    keys = cells.keys(form)
    index = index_of(classes, form)
    found = [index.get(name, -1) for name in keys.names.to_pylist()]
    indices = np.array([*found, -1])[keys.codes[rows]]
    if (indices < 0).any():
        row = int(rows[int((indices < 0).argmax())])
        shown = ", ".join(classes[:_SHOWN]) + (f", ... ({len(classes)} in all)" if len(classes) > _SHOWN else "")
        raise cells.problem(
            row,
            f"{cells.text(row)!r} is not a class of the training rows (expected one of: {shown}). Correct or "
            "`replace` it.",
        )
    return torch.from_numpy(indices)
