"""Time stamps: dates or numbers, the step between them, and those that follow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
)
_TIMES = ("", *(f"{gap}{time}" for gap in (" ", "T") for time in ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H:%M:%S%z")))
_FORMATS = tuple(date + time for date, time in itertools.product(_DATES, _TIMES))

_EPOCH = datetime(1970, 1, 1)
_FEW = 0.05
"""Gaps are holes in a regular series if no more than this share of its rows follow one; else its steps are irregular,
as those of working days are."""


class BadStampError(ValueError):
    """A cell is no time stamp, or of another form than those before it.

    Args:
        row: Of the cell.
    """

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, eq=False)
class Stamps:
    """The time of every row.

    Attributes:
        positions: (R,) float64, in the unit.
        unit: What positions are: numbers as they stand in the file, seconds since 1970, or months since year 0.
        form: How a date is written; None for numbers.
        last: The last row's date.
    """

    positions: NDArray[np.float64]
    unit: Literal["number", "second", "month"]
    form: str | None = None
    last: datetime | None = None

    def take(self, rows: NDArray[np.int64]) -> Stamps:
        """Those of some rows; the last of them is the last in time."""
        return Stamps(self.positions[rows], self.unit, self.form, self.last)

    def gaps(self) -> NDArray[np.int64] | None:
        """(R - 1,) how many steps are missing between a row and the next; None where steps are irregular.

        The stamps rise. The step is the most frequent difference.
        """
        differences = np.diff(self.positions)
        if not len(differences):
            return np.zeros(0, dtype=np.int64)
        steps = differences / self._step(differences)
        whole = np.round(steps)
        gaps = (whole - 1).astype(np.int64)
        regular = np.abs(steps - whole).max() < 1e-3 and whole.min() >= 1
        return gaps if regular and (gaps > 0).sum() <= _FEW * len(differences) else None

    def following(self, count: int) -> list[str] | None:
        """The next stamps as they would be written; None where steps are irregular."""
        if len(self.positions) < 2 or self.gaps() is None:
            return None
        step = self._step(np.diff(self.positions))
        if self.unit == "number":
            values = [float(self.positions[-1] + step * ahead) for ahead in range(1, count + 1)]
            return [f"{value:.10g}" for value in values]
        assert self.form is not None
        assert self.last is not None
        if self.unit == "month":
            return [_later(self.last, round(step) * ahead).strftime(self.form) for ahead in range(1, count + 1)]
        form = self.form.replace("%z", "+00:00")
        return [(self.last + timedelta(seconds=step * ahead)).strftime(form) for ahead in range(1, count + 1)]

    @staticmethod
    def _step(differences: NDArray[np.float64]) -> float:
        values, counts = np.unique(differences.round(9), return_counts=True)
        return float(values[counts.argmax()])


def parse_stamps(cells: Sequence[str]) -> Stamps:
    """Reads time stamps: numbers, or dates of one form. Of several that fit, the one by which they rise.

    Raises:
        BadStampError: A cell is neither, or of another form than the first.
    """
    numbers = _numbers(cells)
    if isinstance(numbers, np.ndarray):
        return Stamps(numbers, "number")
    if numbers > 0:
        raise BadStampError(numbers)
    found: list[tuple[list[datetime], str]] = []
    furthest = 0
    for form in _FORMATS:
        dates = _parse(cells, form)
        if len(dates) == len(cells):
            found.append((dates, form))
        furthest = max(furthest, len(dates))
    if not found:
        raise BadStampError(furthest)
    dates, form = next((each for each in found if all(a < b for a, b in itertools.pairwise(each[0]))), found[0])
    last = max(dates)
    # Months are no number of seconds.
    times = {(date.day, date.time()) for date in dates}
    ends = all((date + timedelta(days=1)).day == 1 for date in dates)
    if len(times) == 1 or (ends and len({date.time() for date in dates}) == 1):
        return Stamps(np.array([float(date.year * 12 + date.month - 1) for date in dates]), "month", form, last)
    return Stamps(np.array([(date - _EPOCH).total_seconds() for date in dates]), "second", form, last)


def _numbers(cells: Sequence[str]) -> NDArray[np.float64] | int:
    """(R,) finite numbers, or the first row that is none."""
    values = []
    for row, cell in enumerate(cells):
        try:
            value = float(cell)
        except ValueError:
            return row
        if not np.isfinite(value):
            return row
        values.append(value)
    return np.array(values)


def _parse(cells: Sequence[str], form: str) -> list[datetime]:
    """The dates up to the first cell that has another form; those with a zone in UTC."""
    dates = []
    for cell in cells:
        try:
            date = datetime.strptime(cell, form)
        except ValueError:
            break
        dates.append(date.astimezone(UTC).replace(tzinfo=None) if date.tzinfo else date)
    return dates


def _later(date: datetime, months: int) -> datetime:
    """The same day of a later month; its last day where the date is a last day, or there is no such day."""
    ends = (date + timedelta(days=1)).day == 1
    total = date.year * 12 + date.month - 1 + months
    first = date.replace(year=total // 12, month=total % 12 + 1, day=1)
    following = first.replace(year=(total + 1) // 12, month=(total + 1) % 12 + 1)
    last_day = (following - timedelta(days=1)).day
    return first.replace(day=last_day if ends else min(date.day, last_day))
