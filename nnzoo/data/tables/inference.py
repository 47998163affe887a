"""Infers column types from the training rows, and detects columns that are unlikely to be features."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import DateForm
from nnzoo.data.dates.layouts import find_nearly_dates
from nnzoo.data.files.find import natural_key
from nnzoo.data.tables.cells import Cells
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
from nnzoo.data.tables.finding import FormFinder, FormOptions, Numbers, count_numbers, labels_of
from nnzoo.data.tables.forms import TEXT, Form, canonical
from nnzoo.data.tables.numbers import PLAIN, is_number, may_be_number
from nnzoo.errors import DataError

MAX_CATEGORIES = 64
"""More categories would add features that are 1 in hardly any row."""

_FEW = 20
_SURE_SHARE = 0.9
_LIKELY_SHARE = 0.5
"""If this share of the rows has numbers, more than `_FEW` distinct, a few other texts may mean missing values."""
_FEW_TEXTS = 5
_MISSING_FIX = "correct them, or add markers of missing values to `missing`"
_RARE = 0.02
"""Texts in at most this share of the rows are likely mistakes, however few distinct numbers there are."""
_NOT_FINITE = ("inf", "infinity", "nan")
_MIN_ROWS = 10
"""Almost any column separates fewer rows."""
_SAMPLE_ROWS = 20_000
"""Larger tables are tested on this many rows first."""


class Inference:
    """Infers column types.

    Args:
        rows: (M,) the training rows.
        categorical: Columns that are categorical even if their values are numbers.
        chosen: Columns that the config names as features. They are never left out as free text.
        options: The configured formats and types.

    Attributes:
        warnings: One line per warning.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        *,
        categorical: frozenset[str],
        chosen: frozenset[str],
        options: FormOptions = FormOptions(),  # noqa: B008  # frozen
    ) -> None:
        self.rows = rows
        self.types = {**options.types, **dict.fromkeys(categorical, "category")}
        self.chosen = chosen
        self.finder = FormFinder(rows, options)
        self.warnings: list[str] = []

    def column(self, cells: Cells) -> Column | None:
        """Returns the type of a column. If the column is left out, adds a warning and returns None.

        Raises:
            DataError: No training row has a value, a cell does not match the configured type, or a cell is not a number
                although nearly all others are and there are too many distinct values for categories.
        """
        missing = cells.missing[self.rows]
        if missing.all():
            if cells.name.isdecimal():  # a column without a name, from an extra delimiter at the end of each line
                self._leave_out(cells.name, "has no values")
                return None
            raise DataError(
                f"has no value in any of the {len(missing)} training rows. `ignore: [{cells.name}]` leaves it out.",
                where=f"{cells.where}: column '{cells.name}'",
            )
        configured = self.types.get(cells.name)
        column = self._configured(cells, missing, configured) if configured else self._inferred(cells, missing)
        ambiguity = self.finder.warnings.pop(cells.name, None)
        if column is not None and ambiguity is not None:
            self._warn(cells.name, ambiguity)
        return column

    def _inferred(self, cells: Cells, missing: NDArray[np.bool_]) -> Column | None:
        if cells.is_categorical:
            return self._category(cells, missing)
        numbers = self.finder.numbers(cells, _SURE_SHARE)
        if numbers is not None and numbers.share == 1 and numbers.form.is_plain:
            values = cells.numbers(numbers.form)[self.rows]
            date = self.finder.digit_date(cells, values[~missing])
            return self._date(cells, date, missing) if date else self._number(cells, numbers, missing)
        if self.finder.is_boolean(cells):
            return self._boolean(cells, missing)
        date = self.finder.date(cells)
        if date is not None:
            return self._date(cells, date, missing)
        if numbers is not None and (numbers.share == 1 or self._must_be_number(cells, numbers)):
            return self._number(cells, numbers, missing)
        return self._category(cells, missing)

    def _configured(self, cells: Cells, missing: NDArray[np.bool_], column_type: str) -> Column | None:
        """Returns a column of the configured type."""
        if column_type == "category":
            return self._category(cells, missing)
        if column_type == "boolean":
            return self._boolean(cells, missing)
        if column_type == "number":
            numbers = self.finder.numbers(cells, 0.5) or Numbers(PLAIN, 0.0)
            return self._number(cells, numbers, missing)
        labels = labels_of(cells, self.rows).texts
        digits = cells.plain is not None and all(label.isdecimal() for label in labels.to_pylist())
        values = cells.numbers()[self.rows][~missing]
        date = self.finder.digit_date(cells, values, sure=True) if digits else self.finder.date(cells)
        if date is None:
            raise DataError(
                f"`types` declares these cells as dates, but they have no common format (got '{labels[0].as_py()}'). "
                "Set `date_order`, or remove the column from `types`.",
                where=f"{cells.where}: column '{cells.name}'",
            )
        return self._date(cells, date, missing)

    def _must_be_number(self, cells: Cells, numbers: Numbers) -> bool:
        """Raises an error if nearly all cells are numbers, with too many distinct values for categories."""
        values = cells.numbers(numbers.form)[self.rows]
        if len(np.unique(values[~np.isnan(values)])) > _FEW:
            is_train = np.zeros(len(cells), dtype=bool)
            is_train[self.rows] = True
            check_cells(
                cells,
                cells.is_text(numbers.form) & is_train,
                f"is not a number, as {numbers.share:.1%} of the column are (category? `categorical: [{cells.name}]`)",
            )
        return False

    def _number(self, cells: Cells, numbers: Numbers, missing: NDArray[np.bool_]) -> Column | None:
        values = read_numbers(cells, numbers.form)[self.rows]
        values = values[~missing]
        if bool((values == values[0]).all()) and not missing.any():
            is_one = len(np.unique(cells.keys(numbers.form).codes[self.rows])) == 1
            reason = f"has a single value ({cells.text(self.rows[0])})"
            fix = "" if is_one else f"`categorical: [{cells.name}]` makes it categorical"
            self._leave_out(cells.name, reason if is_one else "has integers that are equal in float64", fix)
            return None
        fix = f"If they are categories, set `types: {{{cells.name}: category}}`"
        self.finder.warn_number(cells, numbers.form, fix)
        self._check_counter(cells, values, is_full=len(values) == len(missing))
        written, exact = count_numbers(cells, numbers.form, self.rows)
        if written > exact:
            self._warn(
                cells.name,
                "has integers that are equal in float64, and is read as numbers. If they are categories, "
                f"`categorical: [{cells.name}]` distinguishes them",
            )
        fill = float(np.median(values))
        return NumberColumn(kind="number", name=cells.name, indicator=bool(missing.any()), fill=fill, form=numbers.form)

    def _check_counter(self, cells: Cells, values: NDArray[np.float64], *, is_full: bool) -> None:
        """Warns about distinct integers within a small range, in any order: they probably number the rows."""
        if (
            is_full
            and len(values) >= _FEW
            and len(values) - 1 <= values.max() - values.min() <= 2 * len(values)
            and (values == np.trunc(values)).all()
            and len(np.unique(values)) == len(values)
        ):
            self._warn(cells.name, f"seems to number the rows. `ignore: [{cells.name}]` leaves it out")

    def _boolean(self, cells: Cells, missing: NDArray[np.bool_]) -> Column:
        values = cells.booleans()[self.rows]
        return BooleanColumn(
            kind="boolean",
            name=cells.name,
            indicator=bool(missing.any()),
            fill=1 if np.nanmean(values) > 0.5 else 0,
        )

    def _date(self, cells: Cells, form: DateForm, missing: NDArray[np.bool_]) -> Column | None:
        values = date_parts(cells.dates(form)[self.rows])[~missing]  # (M, 6)
        known = [index for index, part in enumerate(DATE_PARTS) if part in form.parts]
        varies = [index for index in known if (values[:, index] != values[0, index]).any()]
        if not varies:
            self._leave_out(cells.name, f"has a single value ({cells.text(self.rows[~missing][0])})")
            return None
        self.finder.warn_date(cells, form)
        return DateColumn(
            kind="date",
            name=cells.name,
            indicator=bool(missing.any()),
            form=form,
            parts=tuple(DATE_PARTS[index] for index in varies),
            fill=tuple(float(np.median(values[:, index])) for index in varies),
        )

    def _category(self, cells: Cells, missing: NDArray[np.bool_]) -> Column | None:
        name, form = cells.name, self.finder.names(cells)
        self.finder.warn_equal(cells, form, "categories")
        codes = cells.keys(form).codes[self.rows][~missing]
        counts = np.bincount(codes)
        present = counts.nonzero()[0]
        if len(present) == 1 and not missing.any():
            self._leave_out(name, f"has a single value ({cells.text(self.rows[0])})")
            return None
        if name not in self.types:
            problem = None if cells.is_categorical else self._number_problem(cells)
            if name not in self.chosen and len(present) > _FEW and len(present) > 0.5 * len(codes):
                self._leave_out(name, *self._why_left_out(cells, len(present), len(codes), problem))
                return None
            if problem is not None:
                fix = f"{_MISSING_FIX}; `categorical: [{name}]` silences this warning"
                self._warn(name, f"{problem}: it is read as categories; {fix}")
        is_capped = len(present) > MAX_CATEGORIES
        labels = cells.spellings(form, self.rows)
        if is_capped:
            ranked = sorted(present.tolist(), key=lambda index: (-counts[index], labels[index]))
            present = np.array(ranked[:MAX_CATEGORIES])
            self._warn(
                name,
                f"has {len(ranked)} categories: the {MAX_CATEGORIES} most frequent ones are features, the others "
                "share one feature",
            )
        categories = sorted_labels([labels[index] for index in present], form)
        if "" in categories:
            self._warn(name, "has empty cells as a category, since `missing` does not contain ''")
        return CategoryColumn(
            kind="category",
            name=name,
            indicator=bool(missing.any()),
            categories=categories,
            other=is_capped,
            form=form,
        )

    def _why_left_out(self, cells: Cells, num_names: int, num_rows: int, problem: str | None) -> tuple[str, str]:
        """Returns why a column with nearly as many distinct texts as rows is left out, and what to do."""
        fix = f"`categorical: [{cells.name}]` keeps it"
        if problem is not None:
            return problem, f"{_MISSING_FIX}; {fix}"
        labels = labels_of(cells, self.rows).texts.to_pylist()
        numeric = [label for label in labels if may_be_number(label)]
        if len(numeric) > 0.5 * len(labels):
            odd = [label for label in labels if not is_number(label) or label.startswith("0")]
            plain = [label for label in numeric if label not in odd]
            first, second = [*plain[:1], *odd[:1], *numeric][:2]
            reason = f"has texts such as '{first}' and '{second}', which are not numbers in one format"
            return reason, f"{fix} as categories, `types: {{{cells.name}: number}}` as numbers"
        return f"has {num_names} distinct texts in {num_rows} training rows, like identifiers or free text", fix

    def _number_problem(self, cells: Cells) -> str | None:
        """Describes a column of numbers or dates that also contains a few texts; None for other columns.

        The non-numeric texts may be: one repeated text, such as a dash (only if there are many distinct numbers); a few
        rare texts; or infinity.
        """
        numbers = FormFinder(self.rows, self.finder.options).numbers(cells, _LIKELY_SHARE)
        if numbers is None:
            return self._date_problem(cells)
        values = cells.numbers(numbers.form)[self.rows]
        is_text = cells.is_text(numbers.form)[self.rows]
        texts = labels_of(cells, self.rows[is_text]).texts
        num_distinct = len(np.unique(values[~np.isnan(values)]))
        is_likely = num_distinct > _FEW
        if numbers.share >= _SURE_SHARE:
            is_likely |= num_distinct >= _MIN_ROWS or is_text.sum() <= max(1, _RARE * len(is_text))
        is_likely |= all(text.lower().lstrip("+-") in _NOT_FINITE for text in texts.to_pylist())
        return self._mixed(cells, "numbers", is_text) if is_likely and 0 < len(texts) <= _FEW_TEXTS else None

    def _date_problem(self, cells: Cells) -> str | None:
        labels = labels_of(cells, self.rows)
        if not len(labels.texts):
            return None
        fits = find_nearly_dates(labels.texts, labels.counts, self.finder.options.date_order, _SURE_SHARE)
        if fits is None or not 0 < (~fits).sum() <= _FEW_TEXTS:
            return None
        is_text = ~cells.missing[self.rows]
        is_text[is_text] = ~fits[labels.of_rows]
        return self._mixed(cells, "dates", is_text)

    def _mixed(self, cells: Cells, what: str, is_text: NDArray[np.bool_]) -> str:
        """Describes a column of numbers or dates that contains texts in some of the (M,) training rows."""
        row = int(self.rows[is_text.argmax()])
        share = 1 - is_text.sum() / (~cells.missing[self.rows]).sum()
        example = f"'{cells.text(row)}' ({cells.locate(row)})"
        return f"has {what} in {share:.1%} of its rows, and texts such as {example} in the others"

    def _warn(self, name: str, message: str) -> None:
        self.warnings.append(f"column '{name}' {message}")

    def _leave_out(self, name: str, reason: str, fix: str = "") -> None:
        self._warn(name, f"{reason}: it is left out{'; ' + fix if fix else ''}")

    def check_leak(self, column: Column, values: NDArray[Any], targets: list[NDArray[Any]], *, classes: bool) -> None:
        """Warns about a column that determines the target of every training row.

        Args:
            column: The column.
            values: (N,) the values from `column.read`.
            targets: Arrays (M,) of the targets of the training rows.
            classes: Whether targets are class indices.
        """
        if values.ndim > 1 or len(self.rows) < _MIN_ROWS:
            return
        own = values[self.rows]
        if any(_determines(own, target, classes=classes, amounts=column.kind == "number") for target in targets):
            self._warn(
                column.name,
                f"determines the target of every training row by itself. If it is not known before the target, "
                f"`ignore: [{column.name}]` leaves it out",
            )


def sorted_labels(labels: Sequence[str], form: Form = TEXT) -> tuple[str, ...]:
    """Sorts numbers by value, and texts in natural order: `week 2` before `week 10`."""
    import pyarrow as pa

    found = sorted(labels, key=natural_key)
    texts = pa.array(found, pa.string())
    numbers = canonical(texts, form).to_pylist() if form.kind in ("text", "number") else found
    is_number = (~np.isnan(PLAIN.read(pa.array(numbers, pa.string())))).all()
    sizes = {label: Decimal(number) for label, number in zip(found, numbers, strict=True)} if is_number else {}
    return tuple(sorted(found, key=sizes.__getitem__) if sizes else found)


def _determines(values: NDArray[Any], target: NDArray[Any], *, classes: bool, amounts: bool) -> bool:
    """Returns whether (M,) values determine (M,) targets: one target per value, a linear relation, or thresholds."""
    if (target == target[0]).all():
        return False
    if len(values) > _SAMPLE_ROWS:
        some = np.linspace(0, len(values) - 1, _SAMPLE_ROWS, dtype=np.int64)
        if not _determines(values[some], target[some], classes=classes, amounts=amounts):
            return False
    distinct, codes = np.unique(values, return_inverse=True)  # NaN counts as one value
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
