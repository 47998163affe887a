"""What a column is, found in the training rows alone; and what is likely not meant to be learned from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files import natural_key
from nnzoo.data.tables.cells import MISSING_CODE, Cells, DateOrder, as_date, is_boolean, is_number, may_be_number
from nnzoo.data.tables.columns import (
    DATE_PARTS,
    BooleanColumn,
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    check_cells,
    date_parts,
    read_numbers,
)
from nnzoo.errors import DataError

MAX_CATEGORIES = 64
"""More would make a feature each of values that hardly a row has."""

_FEW = 20
_SURE_SHARE = 0.9
_MIN_ROWS = 10
"""Fewer rows are told apart by nearly anything."""
_SAMPLE_ROWS = 20_000
"""Of more, these have to tell first."""


class Inference:
    """Finds the types of columns.

    Args:
        rows: (M,) the training rows.
        categorical: Columns whose values are names, numbers too.
        chosen: Columns that were asked for by name, so that none is left out for its looks.

    Attributes:
        warnings: What was found, a line each.
    """

    def __init__(self, rows: NDArray[np.int64], *, categorical: frozenset[str], chosen: frozenset[str]) -> None:
        self.rows = rows
        self.categorical = categorical
        self.chosen = chosen
        self.warnings: list[str] = []

    def column(self, cells: Cells) -> Column | None:
        """The type of a column; None if nothing can be learned from it, which is a warning.

        Raises:
            DataError: No training row has a value; or some cell is no number though nearly all others are, and too
                different to be names.
        """
        missing = cells.missing[self.rows]
        if missing.all():
            if cells.name.isdecimal():  # a column without a name: a delimiter too many at the end of each line
                self._leave_out(cells.name, "has no values")
                return None
            raise DataError(
                f"has no value in any of the {len(missing)} training rows. `ignore: [{cells.name}]` leaves it out.",
                where=f"{cells.where}: column '{cells.name}'",
            )
        if cells.name not in self.categorical:
            if self._is_number(cells):
                return self._number(cells, missing)
            labels = self._labels(cells)
            if all(map(is_boolean, labels)) and len(labels) > 1:
                values = cells.booleans()[self.rows]
                return BooleanColumn(
                    kind="boolean",
                    name=cells.name,
                    indicator=bool(missing.any()),
                    fill=1 if np.nanmean(values) > 0.5 else 0,
                )
            order = _date_order(labels)
            if order is not None:
                return self._date(cells, order, missing)
        return self._category(cells, missing)

    def _is_number(self, cells: Cells) -> bool:
        is_text = cells.is_text
        numbers = cells.numbers[self.rows]
        count = int((~np.isnan(numbers)).sum())
        if not is_text[self.rows].any():
            return count > 0
        share = count / (count + is_text[self.rows].sum())
        if share < _SURE_SHARE or len(np.unique(numbers[~np.isnan(numbers)])) <= _FEW:
            return False
        is_train = np.zeros(len(cells), dtype=bool)
        is_train[self.rows] = True
        check_cells(
            cells,
            is_text & is_train,
            f"is no number, as {share:.1%} of the column are (names? `categorical: [{cells.name}]`)",
        )
        return False

    def _labels(self, cells: Cells) -> list[str]:
        """The distinct values of the training rows."""
        labels, codes = cells.distinct
        return [labels[code] for code in np.unique(codes[self.rows]) if code != MISSING_CODE]

    def _number(self, cells: Cells, missing: NDArray[np.bool_]) -> Column | None:
        numbers = cells.numbers[self.rows]
        numbers = numbers[~missing]
        is_constant = bool((numbers == numbers[0]).all())
        if is_constant and not missing.any():
            self._leave_out(cells.name, f"has one value alone ({cells.text(self.rows[0])})")
            return None
        steps = np.diff(numbers)
        if (
            len(numbers) == len(missing) >= _FEW
            and ((steps > 0).all() or (steps < 0).all())
            and (numbers == np.trunc(numbers)).all()
            and abs(numbers[-1] - numbers[0]) <= 2 * len(numbers)
        ):
            self._warn(cells.name, f"seems to count the rows. `ignore: [{cells.name}]` leaves it out")
        fill = float(np.median(read_numbers(cells)[self.rows][~missing]))
        return NumberColumn(kind="number", name=cells.name, indicator=bool(missing.any()), fill=fill)

    def _date(self, cells: Cells, order: DateOrder, missing: NDArray[np.bool_]) -> Column | None:
        values = date_parts(cells.dates(order)[self.rows])[~missing]  # (M, 6)
        varies = [index for index in range(values.shape[1]) if (values[:, index] != values[0, index]).any()]
        if not varies:
            self._leave_out(cells.name, f"has one value alone ({cells.text(self.rows[~missing][0])})")
            return None
        return DateColumn(
            kind="date",
            name=cells.name,
            indicator=bool(missing.any()),
            order=order,
            parts=tuple(DATE_PARTS[index] for index in varies),
            fill=tuple(float(np.median(values[:, index])) for index in varies),
        )

    def _category(self, cells: Cells, missing: NDArray[np.bool_]) -> Column | None:
        name, (labels, codes) = cells.name, cells.distinct
        counts = np.bincount(codes[self.rows][~missing], minlength=len(labels))
        present = counts.nonzero()[0]
        count = len(missing) - int(missing.sum())
        if len(present) == 1 and not missing.any():
            self._leave_out(name, f"has one value alone ({labels[present[0]]})")
            return None
        is_asked_for = name in self.categorical or name in self.chosen
        if not is_asked_for and len(present) > _FEW and len(present) > 0.5 * count:
            reason = f"has {len(present)} different texts in {count} training rows, as names and free text do"
            odd = [label for label in self._labels(cells) if may_be_number(label)]
            if len(odd) > 0.5 * len(present):
                reason = f"has texts such as '{odd[0]}': numbers are read if they are written like 1234.5"
            self._leave_out(name, reason, f"`categorical: [{name}]` takes it as it is")
            return None
        is_capped = len(present) > MAX_CATEGORIES
        if is_capped:
            ranked = sorted(present.tolist(), key=lambda index: (-counts[index], labels[index]))
            present = np.array(ranked[:MAX_CATEGORIES])
            self._warn(
                name,
                f"has {len(ranked)} categories: the {MAX_CATEGORIES} most frequent ones are features, the others one "
                "together",
            )
        categories = sorted_labels(labels[index] for index in present)
        return CategoryColumn(
            kind="category", name=name, indicator=bool(missing.any()), categories=categories, other=is_capped
        )

    def _warn(self, name: str, message: str) -> None:
        self.warnings.append(f"column '{name}' {message}")

    def _leave_out(self, name: str, reason: str, fix: str = "") -> None:
        self._warn(name, f"{reason}: it is left out{'; ' + fix if fix else ''}")

    def check_leak(self, column: Column, values: NDArray[Any], targets: list[NDArray[Any]], *, classes: bool) -> None:
        """Warns of a column that alone tells some target in every training row.

        Args:
            column: Its type.
            values: Of all rows, as the column reads them.
            targets: (M,) of the training rows, class indices or numbers.
            classes: Which of the two they are.
        """
        if values.ndim > 1 or len(self.rows) < _MIN_ROWS:
            return
        own = values[self.rows]
        if any(_tells(own, target, classes=classes, amounts=column.kind == "number") for target in targets):
            self._warn(
                column.name,
                f"alone tells the target of every training row. If it is not known before the target is, "
                f"`ignore: [{column.name}]` leaves it out",
            )


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Numbers by their size, if all are numbers; else texts in natural order: `week 2` before `week 10`."""
    found = sorted(labels, key=natural_key)
    return tuple(sorted(found, key=float) if all(map(is_number, found)) else found)


def _date_order(labels: list[str]) -> DateOrder | None:
    orders: tuple[DateOrder, ...] = get_args(DateOrder)
    return next((order for order in orders if all(as_date(label, order) is not None for label in labels)), None)


def _tells(values: NDArray[Any], target: NDArray[Any], *, classes: bool, amounts: bool) -> bool:
    """Whether the (M,) values determine the (M,) targets: each value has its own, or a line or thresholds tell them."""
    if (target == target[0]).all():
        return False
    if len(values) > _SAMPLE_ROWS:
        some = np.linspace(0, len(values) - 1, _SAMPLE_ROWS, dtype=np.int64)
        if not _tells(values[some], target[some], classes=classes, amounts=amounts):
            return False
    distinct, codes = np.unique(values, return_inverse=True)  # NaN is one value
    if 2 * len(distinct) <= len(values):
        one_of = np.empty(len(distinct), dtype=target.dtype)
        one_of[codes] = target
        if (one_of[codes] == target).all():
            return True
    if not amounts or np.isnan(values).any() or len(distinct) == 1:
        return False
    if classes:
        by_value = target[values.argsort(kind="stable")]
        ties = np.diff(np.sort(values)) == 0
        changes = np.diff(by_value) != 0
        return int(changes.sum()) == len(np.unique(target)) - 1 and not (ties & changes).any()
    return bool(np.corrcoef(values.astype(np.float64), target.astype(np.float64))[0, 1] ** 2 > 1 - 1e-9)
