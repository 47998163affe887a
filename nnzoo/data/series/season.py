"""The season of a series, and naive seasonal forecasts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.series.timeline import last_known

_MIN_CORRELATION = 0.3
_MIN_SEASONS = 3
_MAX_LAG = 5_000


def find_season(values: NDArray[np.float64], horizon: int) -> int:
    """Returns the number of rows per season; 1 if there is none.

    The season is the lag of the highest autocorrelation of the detrended rows, averaged over columns. It must be a
    local maximum of at least 0.3, the rows must contain three seasons, and the value one season before must be a better
    forecast of the rows than the last value.

    Args:
        values: (R, M) the targets in the training rows, NaN if missing.
        horizon: H, the number of rows to forecast.
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
    """Returns the rows that the naive forecasts copy, (N, H): one or more seasons earlier, and known at forecast time.

    Args:
        first: (N,) the first row of each forecast.
        horizon: H.
        season: Rows per season; 1 to copy the last row.
    """
    ahead = np.arange(horizon)
    rows = first[:, None] + ahead - season * (1 + ahead // season)
    # Near the start of a series, the last value replaces missing seasons.
    return np.where(rows < 0, first[:, None] - 1, rows)


def _autocorrelations(values: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Returns the autocorrelations of lags 0 to `longest`, averaged over the columns that vary."""
    rows = np.arange(len(values)) - (len(values) - 1) / 2
    # The first row is subtracted, to keep precision for values far from 0.
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
    # Not divided by the number of products, to prefer the season to its multiples.
    found: NDArray[np.float64] = (products[:, varies] / products[0, varies]).mean(axis=1)
    return found


def _error(values: NDArray[np.float64], season: int, horizon: int) -> float:
    """Returns the mean squared error of naive forecasts of the rows, with columns scaled to unit variance."""
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
