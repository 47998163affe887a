"""Quick linear forecasts of the train rows of a series, which show what a network should read and whether it helps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_BLOCKS = ((0.55, 0.7), (0.7, 0.85))
"""The ends of the rows that each trial is fitted to, and measured on. The last rows are the test split."""
_MOST_ROWS = 20_000
_MOST_NUMBERS = 20_000_000
"""The maximum number of entries of the windows of a trial."""
_PENALTIES = (1.0, 1e-1, 1e-2, 1e-4)
_UNITS = 256
_CLOSE = 0.01
"""A simpler choice is preferred if its error is at most this share larger."""
_IMMATERIAL = 2e-3
"""Differences of errors, in standard deviations of the targets, that do not matter."""
_GAIN = 0.02
"""The share by which nonlinear features must reduce the error."""
_LITTLE, _MORE = 0.9, 0.5


class Choice(NamedTuple):
    """What a forecast is made from.

    Attributes:
        window: The number of rows.
        own: Whether only the past of the targets is read.
        difference: Whether changes from the last value are forecast.
        l2: The penalty on the squares of the weights, for standardized inputs and targets.
    """

    window: int
    own: bool
    difference: bool
    l2: float


class Trial(NamedTuple):
    """The mean absolute errors of forecasts, in standard deviations of the targets.

    Attributes:
        choice: What the best linear forecast is made from.
        linear: The error of this forecast.
        naive: The error of the last value, or of the value one season before.
        constant: The error of the mean of the rows before.
        curved: The error with random nonlinear features of the same window in addition.
        same_row: The error of a linear model of the other columns in the same row; infinite if there are none.
        is_curved: Whether nonlinear features clearly help.
        helps: Whether the linear forecast is clearly better than the naive one.
    """

    choice: Choice
    linear: float
    naive: float
    constant: float
    curved: float
    same_row: float
    is_curved: bool
    helps: bool

    @property
    def follows_other_columns(self) -> bool:
        """Whether the past says little about the targets, and the other columns of the same row say much."""
        return self.linear > _LITTLE * self.constant and self.same_row < _MORE * self.linear


def try_forecasts(targets: Array, others: Array, windows: Sequence[int], season: int) -> Trial | None:
    """Measures linear forecasts one row ahead, fitted to the first rows and measured on the rows after them.

    Args:
        targets: (R, M) the columns to forecast, NaN if missing.
        others: (R, F) other input columns.
        windows: Numbers of rows that a forecast can be made from, the preferred one first.
        season: Rows per season; 1 if there is none.

    Returns:
        The errors of the best forecast; None if there are too few rows.
    """
    first = max(0, len(targets) - _MOST_ROWS)
    targets, others = _filled(targets[first:]), _filled(others[first:])
    num_fit = round(_BLOCKS[0][0] * len(targets))
    usable = [window for window in windows if 2 * window < num_fit]
    if not usable or not np.isfinite(targets).any(axis=0).all():
        return None
    targets, others = _standardized(targets, num_fit), _standardized(others, num_fit)
    scopes = (True, False) if others.shape[1] else (True,)
    errors = {
        choice: error
        for window, own, difference in product(usable, scopes, (True, False))
        for choice, error in _errors(targets, others, Choice(window, own, difference, 0.0))
    }
    steps = np.arange(len(targets))
    is_measured = (steps >= _BLOCKS[0][0] * len(targets)) & (steps < _BLOCKS[-1][1] * len(targets)) & (steps >= season)
    naive = np.where(is_measured, np.abs(targets - np.roll(targets, season, axis=0)).mean(axis=1), np.nan)
    if not errors or not np.isfinite(naive).any():
        return None
    # The choices are ordered by preference.
    least = min(errors.values(), key=_mean)
    best = next(choice for choice, error in errors.items() if not _is_larger(error, least, _CLOSE, certainty=0.0))
    curved = min((error for _, error in _errors(targets, others, best, units=_UNITS)), key=_mean, default=errors[best])
    constant = np.abs(targets - np.nanmean(targets[:num_fit], axis=0)).mean(axis=1)
    return Trial(
        best,
        linear=_mean(errors[best]),
        naive=_mean(naive),
        constant=_mean(np.where(is_measured, constant, np.nan)),
        curved=_mean(curved),
        same_row=_mean(_same_row(targets, others)),
        is_curved=_is_larger(errors[best], curved, _GAIN, certainty=2.0),
        helps=_is_larger(naive, errors[best], 0.0),
    )


def _mean(errors: Array) -> float:
    """Returns the mean error of the measured rows; infinite if there are none."""
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if len(known) else np.inf


def _is_larger(errors: Array, others: Array, least: float, certainty: float = 1.0) -> bool:
    """Returns whether errors are larger than those of another forecast, by this share and by more than chance.

    Args:
        errors: (R,) the error of each row, NaN if it is not measured.
        others: (R,) the errors to compare with.
        least: The least difference, as a share of `others`.
        certainty: The least difference in standard errors of the paired differences.
    """
    differences = errors - others
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        return False
    spread = certainty * float(known.std(ddof=1)) / np.sqrt(len(known))
    return bool(known.mean() > max(spread, least * _mean(others), _IMMATERIAL))


def _errors(targets: Array, others: Array, choice: Choice, units: int = 0) -> Iterable[tuple[Choice, Array]]:
    """Yields the error of each row with each penalty, (R,), NaN if it is not measured."""
    columns = targets if choice.own else np.concatenate([targets, others], axis=1)
    if choice.window * columns.shape[1] * len(targets) > _MOST_NUMBERS:
        return
    x, y = _windows(columns, targets, choice)
    x = _with_units(x, units) if units else x
    known = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    rows = np.arange(choice.window, len(targets))
    found = np.full((len(_PENALTIES), len(targets)), np.nan)
    for train, test in _blocks(rows, known, len(targets)):
        if not train.any() or not test.any():
            return
        for place, weights in enumerate(_ridge(x[train], y[train], _PENALTIES)):
            found[place, rows[test]] = np.abs(_with_bias(x[test]) @ weights - y[test]).mean(axis=1)
    for l2, error in zip(_PENALTIES, found, strict=True):
        yield choice._replace(l2=l2), error


def _blocks(rows: Array, known: Any, num_rows: int) -> Iterable[tuple[Array, Array]]:
    """Yields which entries each trial is fitted to, and measured on, as masks.

    Args:
        rows: The row of each entry.
        known: Whether each entry has no missing values.
        num_rows: The number of rows of the series.
    """
    for fit_end, end in _BLOCKS:
        is_fit = rows < fit_end * num_rows
        yield known & is_fit, known & ~is_fit & (rows < end * num_rows)


def _windows(columns: Array, targets: Array, choice: Choice) -> tuple[Array, Array]:
    """Returns flat windows (N, T * F) and the targets after them (N, M), relative to the last value if chosen."""
    x = np.lib.stride_tricks.sliding_window_view(columns[:-1], choice.window, axis=0).transpose(0, 2, 1)
    y = targets[choice.window :]
    if choice.difference:
        last = targets[choice.window - 1 : -1]
        moved = np.zeros((len(x), columns.shape[1]))
        moved[:, : targets.shape[1]] = last
        x = x - moved[:, None]
        y = y - last
    return x.reshape(len(x), -1), y


def _with_units(x: Array, units: int) -> Array:
    """Adds the outputs of random rectified linear units."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(x.shape[1], units)) / np.sqrt(x.shape[1])
    return np.concatenate([x, np.maximum(x @ weights + rng.normal(size=units), 0) / np.sqrt(units)], axis=1)


def _ridge(x: Array, y: Array, penalties: Sequence[float]) -> list[Array]:
    """Returns the weights of ridge regressions, (D + 1, M), the last row being the bias, which has no penalty."""
    x = _with_bias(x)
    gram, moments = x.T @ x / len(x), x.T @ y / len(x)
    diagonal = np.ones(len(gram))
    diagonal[-1] = 1e-9
    return [np.linalg.solve(gram + np.diag(penalty * diagonal), moments) for penalty in penalties]


def _with_bias(x: Array) -> Array:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def _same_row(targets: Array, others: Array) -> Array:
    """Returns the error of a linear model of the other columns in the same row, (R,), NaN if it is not measured."""
    found = np.full(len(targets), np.nan)
    known = np.isfinite(others).all(axis=1) & np.isfinite(targets).all(axis=1)
    rows = np.arange(len(targets))
    for train, test in _blocks(rows, known, len(targets)):
        if others.shape[1] and train.any() and test.any():
            weights = _ridge(others[train], targets[train], _PENALTIES[-1:])[0]
            found[test] = np.abs(_with_bias(others[test]) @ weights - targets[test]).mean(axis=1)
    return found


def _filled(values: Array) -> Array:
    """Returns the columns with the last known value in place of missing ones."""
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def _standardized(values: Array, num_fit: int) -> Array:
    part = values[:num_fit]
    with np.errstate(all="ignore"):
        spread = np.nanstd(part, axis=0)
        spread = np.where(spread > 0, spread, 1)
        scaled: Array = (values - np.nanmean(part, axis=0)) / spread
    return scaled
