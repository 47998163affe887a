"""Brings windows that lie far from the training rows, as with a counter, close to them, and shifts forecasts back.

A network that forecasts changes (`models.relative_forecast.RelativeForecast`) gives the same changes at every level: if
the inputs shift by some amount, its outputs shift by the same. Float32 has 7 digits, so a window far from the training
rows is first shifted close to them, in float64, and its forecast is shifted back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.preprocess import Preprocess

FAR = 100.0
"""Windows are shifted if their last value is this many standard deviations from the mean of the training rows."""


def moves(inputs: Tensor, columns: Sequence[int], preprocess: Preprocess) -> Tensor | None:
    """Returns the shift, per window and column, that moves the last value to the mean of the column, (N, F) float64.

    Args:
        inputs: (N, T, F), before preprocessing.
        columns: For each of the M outputs, the index of the feature that it forecasts.
        preprocess: The fitted preprocessing.

    Returns:
        The shifts, 0 for near windows and other columns; None if all windows are near.
    """
    last = inputs[:, -1].double()
    shift, scale, _, _ = preprocess.units(last.shape[1], len(columns))
    away = torch.zeros_like(last)
    chosen = sorted(set(columns))
    away[:, chosen] = (last - shift)[:, chosen]
    far = (away.abs() > FAR * scale).any(dim=1, keepdim=True)
    return away * far if bool(far.any()) else None


def outputs_of_moves(moved: Tensor, columns: Sequence[int], preprocess: Preprocess) -> Tensor:
    """Returns how far the outputs shift if their windows are shifted, (N, M) float64, in the unit of the outputs."""
    return moved[:, list(columns)] / preprocess.units(moved.shape[1], len(columns))[3]


def move_far_windows(dataset: Dataset, columns: Sequence[int] | None, preprocess: Preprocess) -> Dataset:
    """Shifts the windows and targets of each split that are far from the training rows.

    Args:
        dataset: A series, before preprocessing.
        columns: See `moves`; None if the network does not forecast changes.
        preprocess: The fitted preprocessing.

    Returns:
        A dataset whose shifted splits have `exact` targets and the `level` of their outputs.
    """
    if columns is None:
        return dataset
    splits = {name: _move(split, columns, preprocess) for name, split in dataset.splits.items()}
    return replace(dataset, splits=splits)


def _move(split: Split, columns: Sequence[int], preprocess: Preprocess) -> Split:
    moved = moves(split.inputs, columns, preprocess)
    if moved is None:
        return split
    return replace(
        split,
        inputs=split.inputs.double() - moved.unsqueeze(1),
        targets=split.targets.double() - moved[:, list(columns)],
        exact=split.targets.double(),
        level=outputs_of_moves(moved, columns, preprocess),
    )
