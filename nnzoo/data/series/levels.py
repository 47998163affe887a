"""Windows of a series that lie far from the training rows, as those of a counter do: moved near, and back again.

A network that forecasts changes (`models.relative_forecast.RelativeForecast`) gives the same changes at every level: if
the inputs move by some amount, its outputs move by the same. Float32 has 7 digits, so a window far away is first moved
next to the training rows, in float64, and its forecast is moved back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.preprocess import Preprocess

FAR = 100.0
"""Standard deviations of the training rows between their mean and the last value of a window that is moved."""


def moves(inputs: Tensor, columns: Sequence[int], preprocess: Preprocess) -> Tensor | None:
    """Returns by how much each column of each window is moved, (N, F) float64, so that its last value is the mean.

    Args:
        inputs: (N, T, F), before preprocessing.
        columns: Which of the F features each of the M outputs is a later value of.
        preprocess: Fitted.

    Returns:
        0 for windows that are near and for other columns; None if all are near.
    """
    last = inputs[:, -1].double()
    shift, scale, _, _ = preprocess.units(last.shape[1], len(columns))
    away = torch.zeros_like(last)
    chosen = sorted(set(columns))
    away[:, chosen] = (last - shift)[:, chosen]
    far = (away.abs() > FAR * scale).any(dim=1, keepdim=True)
    return away * far if bool(far.any()) else None


def outputs_of_moves(moved: Tensor, columns: Sequence[int], preprocess: Preprocess) -> Tensor:
    """Returns what is added to the outputs of moved windows, (N, M) float64, in the unit of the outputs."""
    return moved[:, list(columns)] / preprocess.units(moved.shape[1], len(columns))[3]


def move_far_windows(dataset: Dataset, columns: Sequence[int] | None, preprocess: Preprocess) -> Dataset:
    """Moves the windows and targets of each split that are far from the training rows.

    Args:
        dataset: Of a series, before preprocessing.
        columns: As of `moves`; None if the network does not forecast changes.
        preprocess: Fitted.

    Returns:
        A dataset whose splits know their `exact` targets and the `level` of their outputs.
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
