"""Normalizes columns by their quantiles, in float64: robust scaling, and the map to a normal distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.errors import DataError

Columns = Callable[[], Iterator[Tensor]]
"""Iterates over (M, F) float64 blocks of rows; each call starts at the first block."""

CLIP = 3.0
"""The bound of robustly scaled values."""
NOISE = 1e-3
"""The noise of the rows that quantiles are fitted on, in standard deviations. It separates equal values."""
MAX_ROWS = 200_000
_LARGEST_INPUT = 1e150  # its square is finite
_ROWS_PER_QUANTILE, _FEWEST, _MOST = 30, 10, 1000
_LARGEST = 5.199337582605575
"""Phi^-1(1 - 1e-7): values beyond the training rows are mapped to it, as in scikit-learn."""


def fit_robust(columns: Columns) -> tuple[Tensor, Tensor]:
    """Returns the median and the distance between the quartiles of each column, (F,) each.

    Where the quartiles are equal, the scale is half of the range; for a constant column it is 1.
    """
    values = _values(columns)
    _check_range(values)
    low, first, median, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1], axis=0)
    scale = np.where(third > first, third - first, (high - low) / 2)
    return torch.from_numpy(median), torch.from_numpy(np.where(scale > 0, scale, 1.0))


def clip_smoothly(values: Tensor, bounds: Tensor) -> Tensor:
    """Maps (*, F) values to x / sqrt(1 + (x / bound)^2), whose size is less than the bound (Holzmueller et al. 2024).

    Columns with a bound of 0 stay unchanged.
    """
    ratios = torch.where(bounds > 0, values / bounds.clamp_min(torch.finfo(bounds.dtype).tiny), 0.0)
    return values / (1 + ratios.square()).sqrt()


def fit_quantiles(columns: Columns) -> Tensor:
    """Returns the quantiles of each column, (Q, F): one per 30 rows, at least 10 and at most 1,000.

    As in Gorishniy et al. 2021, they are fitted on rows with a little noise, so that a value that many rows have, such
    as 0, is mapped to the middle of its rows. A constant column has equal quantiles.
    """
    values = _values(columns)
    _check_range(values)
    spread = values.std(axis=0)
    drawn = np.random.default_rng(0).standard_normal(values.shape)
    count = min(max(len(values) // _ROWS_PER_QUANTILE, _FEWEST), _MOST)
    found = np.quantile(values + NOISE * spread * drawn, np.linspace(0, 1, count), axis=0)
    varies = values.max(axis=0) > values.min(axis=0)
    # np.quantile interpolates, which may round neighbours to the wrong order.
    return torch.from_numpy(np.maximum.accumulate(np.where(varies, found, values[:1]), axis=0))


def to_normal(inputs: Tensor, quantiles: Tensor) -> Tensor:
    """Maps (*, F) columns to a standard normal distribution by their (Q, F) quantiles, as scikit-learn does.

    Columns with equal quantiles are only shifted: a constant column becomes 0, and 0 stays 0.
    """
    rows, fitted = inputs.reshape(-1, inputs.shape[-1]).numpy(), quantiles.numpy()
    outputs = rows - fitted[0]
    levels = np.linspace(0, 1, len(fitted))
    for column in np.flatnonzero(fitted[-1] > fitted[0]):
        outputs[:, column] = _levels_of(rows[:, column], fitted[:, column], levels)
        outputs[:, column] = torch.special.ndtri(torch.from_numpy(outputs[:, column])).clamp(-_LARGEST, _LARGEST)
    return torch.from_numpy(outputs).reshape(inputs.shape)


def _levels_of(values: NDArray[Any], quantiles: NDArray[Any], levels: NDArray[Any]) -> NDArray[Any]:
    """Returns the share of rows below each value; in the middle of a jump if quantiles are equal."""
    rising = np.interp(values, quantiles, levels)
    falling = np.interp(-values, -quantiles[::-1], -levels[::-1])
    middle: NDArray[Any] = (rising - falling) / 2
    return middle


def _values(columns: Columns) -> NDArray[Any]:
    """Returns at most 200,000 evenly spaced rows, (M, F)."""
    num_rows = sum(len(block) for block in columns())
    step, start, kept = -(-num_rows // MAX_ROWS), 0, []
    for block in columns():
        kept.append(block[-start % step :: step].numpy())
        start += len(block)
    return np.concatenate(kept)


def _check_range(values: NDArray[Any]) -> None:
    if np.abs(values).max() > _LARGEST_INPUT:
        raise DataError("the range of a column is too large for float64. Rescale its values.", where="preprocess")
