"""The rows of a series in time order, with missing values and gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files.origin import Origin
from nnzoo.data.series.stamps import BadStampError, StampForm, Stamps, TimeStep, parse_stamps
from nnzoo.data.tables.finding import FormOptions
from nnzoo.data.tables.number_forms import NumberOptions
from nnzoo.data.tables.table import Table
from nnzoo.errors import DataError


@dataclass(frozen=True, eq=False)
class Timeline:
    """Rows in time order.

    Attributes:
        columns: The numeric columns.
        numbers: (R, C) float64, NaN for missing values.
        names: (R, D) categories; an empty text if missing.
        rows: (R,) the row index in the table; for a missing row, that of the row before.
        table: The table that the rows come from.
        stamps: The timestamp of each row of the files; None without a time column.
        times: The time cell of each row of the table; empty without a time column.
        notes: Remarks on the order and the time steps.
    """

    columns: tuple[str, ...]
    numbers: NDArray[np.float64]
    names: NDArray[np.object_]
    rows: NDArray[np.int64]
    table: Table
    stamps: Stamps | None = None
    times: Sequence[str] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, row: int) -> str:
        """Returns the place of a row, for messages."""
        return self.table.locate(int(self.rows[min(row, len(self) - 1)]))

    def origin(self, root: Path | None) -> Origin:
        """Returns the origin of rows: file, row and time."""
        found = self.table.origin(root)
        return (found.beside({"time": self.times}) if self.times else found).renumbered(self.rows)

    def take(self, rows: NDArray[np.int64]) -> Timeline:
        """Returns the given rows, in the given order, without changing the stamps."""
        return replace(self, numbers=self.numbers[rows], names=self.names[rows], rows=self.rows[rows])

    def first(self, count: int) -> Timeline:
        """Returns the first rows."""
        rows = np.arange(min(count, len(self)))
        return self.take(rows)

    def columns_of(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Returns the given columns, (R, K)."""
        return self.numbers[:, [self.columns.index(column) for column in columns]]

    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Returns the sorted categories of each column."""
        return tuple(tuple(sorted(set(column) - {""})) for column in self.names.T)

    def missing(self, categorical: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Returns the number of missing values and of rows, for each column with missing values."""
        counts = dict(zip(self.columns, np.isnan(self.numbers).sum(0).tolist(), strict=True))
        counts |= dict(zip(categorical, (self.names == "").sum(0).tolist(), strict=True))
        return {column: (int(count), len(self)) for column, count in counts.items() if count}

    def check_values(self, features: Sequence[str], target: Sequence[str]) -> None:
        """Checks that every column has a value.

        Raises:
            DataError: A column has no values.
        """
        for column in (*target, *features):
            if np.isnan(self.columns_of([column])).all():
                raise DataError(
                    f"no training row has a value in column '{column}'. Choose a different column.",
                    where=self.table.where,
                )

    def in_time(
        self, cells: Sequence[str], column: str, form: StampForm | None, step: TimeStep | None, options: FormOptions
    ) -> Timeline:
        """Returns the rows sorted by their timestamps.

        Args:
            cells: (R,) the stamps.
            column: The name of their column.
            form: Their format; None to infer it.
            step: The step of the training rows; None to infer it.
            options: The configured formats.

        Raises:
            DataError: A cell is not a timestamp, or two are equal.
        """
        try:
            numbers = NumberOptions(options.decimal, options.thousands, self.table.delimiter, self.table.usual_decimal)
            stamps = parse_stamps(cells, form, step=step, order=options.date_order, options=numbers)
        except BadStampError as error:
            expected = "" if form is None else f", or than in training ({form.describe() or 'plain numbers'})"
            raise DataError(
                f"'{cells[error.row]}' is neither a number nor a date, or has a different format than the cells before "
                f"it{expected}. Correct it, or set `date_order`.",
                where=f"{self.where(error.row)}: column '{column}'",
            ) from None
        order = stamps.positions.argsort(kind="stable")
        sorted_stamps = stamps.take(order)
        same = np.diff(sorted_stamps.positions) == 0
        if same.any():
            row, again = order[int(same.argmax())], order[int(same.argmax()) + 1]
            raise DataError(
                f"'{cells[again]}' occurs twice, here and in {self.where(int(row))}. Provide a single series with one "
                "row per timestamp.",
                where=f"{self.where(int(again))}: column '{column}'",
            )
        notes = self.notes
        if stamps.ambiguity is not None:
            notes += (f"column '{column}' {stamps.ambiguity}",)
        if (np.diff(order) < 0).any():
            row = int((np.diff(stamps.positions) < 0).argmax()) + 1
            notes += (f"{self.where(row)}: column '{column}' is not sorted; the rows were sorted by it",)
        return replace(self.take(order), stamps=sorted_stamps, times=cells, notes=notes)

    def on_grid(self, window: int, step: TimeStep | None) -> Timeline:
        """Fills gaps in time with empty rows, at most `window` + 1 per gap.

        Args:
            window: The number of rows of a window.
            step: The step of the training rows; None to infer it.

        Raises:
            DataError: The rows have a different step than the training rows.
        """
        if self.stamps is None:
            return self
        stamps = self.stamps.take(np.arange(len(self)))
        gaps = stamps.gaps(step)
        if gaps is None and step is not None:
            usual = stamps.usual_step()
            assert usual is not None
            raise DataError(
                f"the time step does not match the training data (got mostly {usual.describe()}; expected "
                f"{step.describe()}). Provide rows with the same step as in training.",
                where=self.table.where,
            )
        if gaps is None:
            notes = (*self.notes, "the time steps are not equal; every row counts as one step")
            return replace(self, stamps=stamps, notes=notes)
        if not gaps.any():
            return replace(self, stamps=stamps)
        counts = np.append(gaps.clip(max=window + 1) + 1, 1)
        rows = np.repeat(np.arange(len(self)), counts)
        wide = self.take(rows)
        added = np.append(False, rows[1:] == rows[:-1])
        wide.numbers[added] = np.nan
        wide.names[added] = ""
        note = f"{int(gaps.sum())} rows are missing in {int((gaps > 0).sum())} places, according to the time steps"
        return replace(wide, stamps=stamps, notes=(*self.notes, note))

    def remarks(self, window: int, categories: Mapping[str, Sequence[str]]) -> list[str]:
        """Returns remarks on the order, the time steps, missing values, and unknown categories."""
        remarks = list(self.notes)
        for column, absent in zip(self.columns, np.isnan(self.numbers).sum(0).tolist(), strict=True):
            if absent:
                remarks.append(
                    f"{absent} of {len(self)} values of '{column}' are missing; up to {window} consecutive ones are "
                    "filled with the last value before them"
                )
        for (column, found), names in zip(categories.items(), self.names.T, strict=True):
            new = sorted(set(names) - {"", *found})
            if new:
                listed = ", ".join(new[:5]) + (", ..." if len(new) > 5 else "")
                remarks.append(f"'{column}' has categories that no training row has, encoded as all zeros ({listed})")
        return remarks

    def following(self, count: int, step: TimeStep | None) -> list[int | str]:
        """Returns the names of the next rows after the end: their times, or their indices."""
        stamps = None if self.stamps is None else self.stamps.following(count, step)
        return [*stamps] if stamps else list(range(len(self), len(self) + count))


def last_known(values: NDArray[np.float64], *, limit: int | None = None) -> NDArray[np.float64]:
    """Replaces missing values of (R, C) by the last known value of the column, if it is at most `limit` rows above."""
    rows = np.arange(len(values))[:, None]
    known = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    filled = np.take_along_axis(values, known.clip(0), axis=0)
    near = known >= 0 if limit is None else (known >= 0) & (rows - known <= limit)
    return np.where(near, filled, np.nan)
