"""The season of a series, and the naive forecasts that it gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.series.timeline import last_known

_MIN_CORRELATION = 0.3
_MIN_SEASONS = 3
_MAX_LAG = 5_000


def find_season(values: NDArray[np.float64], horizon: int) -> int:
    """Returns the number of rows per season; 1 if there is none.

    It is the lag of the highest autocorrelation of the rows without their linear trend, averaged over columns. The lag
    has to be a local maximum of at least 0.3 with three seasons in the rows, and the value one season before has to be
    a better forecast of the rows than the last value is.

    Args:
        values: (R, M) the targets in the rows of train, NaN where they are missing.
        horizon: H, the rows that are forecast.
    """
    known = last_known(values)
    known = known[np.isfinite(known).all(axis=1)]
    longest = min(len(known) // _MIN_SEASONS, _MAX_LAG)
    if longest < 2:
        return 1
    correlations = _autocorrelations(known, longest + 1)
    lags = np.arange(2, longest + 1)
    inner = correlations[lags]
    peaks = (inner > correlations[lags - 1]) & (inner >= correlations[lags + 1]) & (inner >= _MIN_CORRELATION)
    if not peaks.any():
        return 1
    season = int(lags[peaks][inner[peaks].argmax()])
    return season if _error(known, season, horizon) < _error(known, 1, horizon) else 1


def rows_before(first: NDArray[np.int64], horizon: int, season: int) -> NDArray[np.int64]:
    """Returns the rows whose values are the naive forecasts, (N, H): one season or more before, and known by then.

    Args:
        first: (N,) the first row that is forecast.
        horizon: H.
        season: Rows per season; 1 for the last row.
    """
    ahead = np.arange(horizon)
    rows = first[:, None] + ahead - season * (1 + ahead // season)
    # Near the start of a series there is only the last value.
    return np.where(rows < 0, first[:, None] - 1, rows)


def _autocorrelations(values: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Returns the autocorrelations of lags 0 to `longest`, averaged over the columns that vary."""
    rows = np.arange(len(values)) - (len(values) - 1) / 2
    # Counted from the first row, since what is far from 0 varies by little of its size.
    values = values - values[0]
    scale = np.abs(values).max(axis=0)
    values = values / np.where(scale > 0, scale, 1)
    values = values - values.mean(axis=0)
    slope = rows @ values / (rows @ rows)
    values = values - rows[:, None] * slope
    spectrum = np.fft.rfft(values, 2 * len(values), axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[: longest + 1]  # (L + 1, M) sums of x_t x_(t + lag)
    varies = products[0] > 1e-12 * len(values)
    if not varies.any():
        return np.zeros(longest + 1)
    # Not divided by the number of products, which favours the season itself over its multiples.
    found: NDArray[np.float64] = (products[:, varies] / products[0, varies]).mean(axis=1)
    return found


def _error(values: NDArray[np.float64], season: int, horizon: int) -> float:
    """Returns the mean squared error of the naive forecasts inside the rows, each column in its own spread."""
    first = np.arange(season, len(values) - horizon + 1)
    if not len(first):
        return float("inf")
    spread = values.std(axis=0)
    before = rows_before(first, horizon, season)
    total = 0.0
    for ahead in range(horizon):
        error = (values[first + ahead] - values[before[:, ahead]]) / np.where(spread > 0, spread, 1)
        total += float(np.square(error).mean())
    return total / horizon
