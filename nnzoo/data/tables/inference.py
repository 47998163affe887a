"""What a column is, found in the training rows alone; and what is likely not meant to be learned from."""

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
from nnzoo.data.tables.finding import FormFinder, FormWords, Numbers, count_numbers, labels_of
from nnzoo.data.tables.forms import TEXT, Form, canonical
from nnzoo.data.tables.numbers import PLAIN, may_be_number
from nnzoo.errors import DataError

MAX_CATEGORIES = 64
"""More would make one feature each of values that hardly any row has."""

_FEW = 20
_SURE_SHARE = 0.9
_LIKELY_SHARE = 0.5
"""With more than `_FEW` different numbers in so many rows, a few texts in the others may mean: no value."""
_FEW_TEXTS = 5
_MISSING_FIX = "correct them, or add what means no value to `missing`"
_RARE = 0.02
"""Texts in so many rows are mistakes, however few different numbers there are."""
_NOT_FINITE = ("inf", "infinity", "nan")
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
        words: What the config says of forms and types.

    Attributes:
        warnings: What was found, one line each.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        *,
        categorical: frozenset[str],
        chosen: frozenset[str],
        words: FormWords = FormWords(),  # noqa: B008  # frozen
    ) -> None:
        self.rows = rows
        self.types = {**words.types, **dict.fromkeys(categorical, "category")}
        self.chosen = chosen
        self.finder = FormFinder(rows, words)
        self.warnings: list[str] = []

    def column(self, cells: Cells) -> Column | None:
        """Returns the type of a column; None if nothing can be learned from it, which is a warning.

        Raises:
            DataError: No training row has a value; some cell does not have the type that the config gives; or some
                cell is not a number although nearly all others are, and they are too different to be names.
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
        asked = self.types.get(cells.name)
        column = self._asked(cells, missing, asked) if asked else self._found(cells, missing)
        doubt = self.finder.warnings.pop(cells.name, None)
        if column is not None and doubt is not None:
            self._warn(cells.name, doubt)
        return column

    def _found(self, cells: Cells, missing: NDArray[np.bool_]) -> Column | None:
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

    def _asked(self, cells: Cells, missing: NDArray[np.bool_], asked: str) -> Column | None:
        """The column as the config says that it is."""
        if asked == "category":
            return self._category(cells, missing)
        if asked == "boolean":
            return self._boolean(cells, missing)
        if asked == "number":
            numbers = self.finder.numbers(cells, 0.5) or Numbers(PLAIN, 0.0)
            return self._number(cells, numbers, missing)
        labels = labels_of(cells, self.rows).texts
        digits = cells.plain is not None and all(label.isdecimal() for label in labels.to_pylist())
        values = cells.numbers()[self.rows][~missing]
        date = self.finder.digit_date(cells, values, sure=True) if digits else self.finder.date(cells)
        if date is None:
            raise DataError(
                f"is not a column of dates of one form, as `types` says (got '{labels[0].as_py()}'). "
                "`date_order` gives the order of day, month and year; leave the column out of `types` otherwise.",
                where=f"{cells.where}: column '{cells.name}'",
            )
        return self._date(cells, date, missing)

    def _must_be_number(self, cells: Cells, numbers: Numbers) -> bool:
        """Raises an error if nearly all cells are numbers, and too different to be names."""
        values = cells.numbers(numbers.form)[self.rows]
        if len(np.unique(values[~np.isnan(values)])) > _FEW:
            is_train = np.zeros(len(cells), dtype=bool)
            is_train[self.rows] = True
            check_cells(
                cells,
                cells.is_text(numbers.form) & is_train,
                f"is not a number, as {numbers.share:.1%} of the column are (names? `categorical: [{cells.name}]`)",
            )
        return False

    def _number(self, cells: Cells, numbers: Numbers, missing: NDArray[np.bool_]) -> Column | None:
        values = read_numbers(cells, numbers.form)[self.rows]
        values = values[~missing]
        if bool((values == values[0]).all()) and not missing.any():
            is_one = len(np.unique(cells.keys(numbers.form).codes[self.rows])) == 1
            reason = f"has a single value ({cells.text(self.rows[0])})"
            fix = "" if is_one else f"`categorical: [{cells.name}]` takes them as names"
            self._leave_out(cells.name, reason if is_one else "has integers that float64 can't tell apart", fix)
            return None
        self.finder.doubt_number(cells, numbers.form, f"If they are names, set `types: {{{cells.name}: category}}`")
        self._check_counter(cells, values, is_full=len(values) == len(missing))
        written, exact = count_numbers(cells, numbers.form, self.rows)
        if written > exact:
            self._warn(
                cells.name,
                "has integers that float64 can't tell apart, and is read as amounts. If they are names, "
                f"`categorical: [{cells.name}]` keeps them apart",
            )
        fill = float(np.median(values))
        return NumberColumn(kind="number", name=cells.name, indicator=bool(missing.any()), fill=fill, form=numbers.form)

    def _check_counter(self, cells: Cells, values: NDArray[np.float64], *, is_full: bool) -> None:
        """Warns of integers that are all different within a small range, in any order: those of shuffled rows."""
        if (
            is_full
            and len(values) >= _FEW
            and len(values) - 1 <= values.max() - values.min() <= 2 * len(values)
            and (values == np.trunc(values)).all()
            and len(np.unique(values)) == len(values)
        ):
            self._warn(cells.name, f"seems to count the rows. `ignore: [{cells.name}]` leaves it out")

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
        self.finder.doubt_date(cells, form)
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
        self.finder.doubt_equal(cells, form, "category")
        codes = cells.keys(form).codes[self.rows][~missing]
        counts = np.bincount(codes)
        present = counts.nonzero()[0]
        if len(present) == 1 and not missing.any():
            self._leave_out(name, f"has a single value ({cells.text(self.rows[0])})")
            return None
        if name not in self.types:
            odd_one = self._odd_one(cells)
            if name not in self.chosen and len(present) > _FEW and len(present) > 0.5 * len(codes):
                self._leave_out(name, *self._why_not_names(cells, len(present), len(codes), odd_one))
                return None
            if odd_one is not None:
                fix = f"{_MISSING_FIX}; `categorical: [{name}]` ends this warning"
                self._warn(name, f"{odd_one}: it is read as categories; {fix}")
        is_capped = len(present) > MAX_CATEGORIES
        labels = cells.spellings(form, self.rows)
        if is_capped:
            ranked = sorted(present.tolist(), key=lambda index: (-counts[index], labels[index]))
            present = np.array(ranked[:MAX_CATEGORIES])
            self._warn(
                name,
                f"has {len(ranked)} categories: the {MAX_CATEGORIES} most frequent ones are features, the others "
                "share one",
            )
        categories = sorted_labels([labels[index] for index in present], form)
        return CategoryColumn(
            kind="category",
            name=name,
            indicator=bool(missing.any()),
            categories=categories,
            other=is_capped,
            form=form,
        )

    def _why_not_names(self, cells: Cells, num_names: int, num_rows: int, odd_one: str | None) -> tuple[str, str]:
        """Why a column of nearly as many texts as rows is left out, and what to do."""
        fix = f"`categorical: [{cells.name}]` takes it as it is"
        if odd_one is not None:
            return odd_one, f"{_MISSING_FIX}; {fix}"
        labels = labels_of(cells, self.rows).texts.to_pylist()
        odd = [label for label in labels if may_be_number(label)]
        if len(odd) > 0.5 * len(labels):
            reason = f"has texts such as '{odd[0]}' and '{odd[-1]}', which are not numbers of one form"
            return reason, f"{fix}, `types: {{{cells.name}: number}}` as numbers"
        return f"has {num_names} different texts in {num_rows} training rows, as names and free text do", fix

    def _odd_one(self, cells: Cells) -> str | None:
        """What is wrong with a column of numbers or dates that has a few other cells.

        Of numbers: some text that comes again, such as the dash of a spreadsheet, among many different ones; a few rows
        among nearly all; or what computers write for no finite number.
        """
        numbers = FormFinder(self.rows, self.finder.words).numbers(cells, _LIKELY_SHARE)
        if numbers is None or cells.is_categorical:
            return None if cells.is_categorical else self._odd_date(cells)
        is_text = cells.is_text(numbers.form)[self.rows]
        texts = labels_of(cells, self.rows[is_text]).texts
        values = cells.numbers(numbers.form)[self.rows]
        num_different = len(np.unique(values[~np.isnan(values)]))
        is_sure = num_different > _FEW
        if numbers.share >= _SURE_SHARE:
            is_sure |= num_different >= _MIN_ROWS or is_text.sum() <= max(1, _RARE * len(is_text))
        is_sure |= all(each.lower().lstrip("+-") in _NOT_FINITE for each in texts.to_pylist())
        if not is_sure or not 0 < len(texts) <= _FEW_TEXTS:
            return None
        return self._told_odd(cells, "numbers", is_text)

    def _odd_date(self, cells: Cells) -> str | None:
        labels = labels_of(cells, self.rows)
        if not len(labels.texts):
            return None
        fits = find_nearly_dates(labels.texts, labels.counts, self.finder.words.date_order, _SURE_SHARE)
        if fits is None or fits.all() or (~fits).sum() > _FEW_TEXTS:
            return None
        is_text = ~cells.missing[self.rows]
        is_text[is_text] = ~fits[labels.of_rows]
        return self._told_odd(cells, "dates", is_text)

    def _told_odd(self, cells: Cells, kind: str, is_text: NDArray[np.bool_]) -> str:
        """What is told of (M,) training rows that are texts among numbers or dates."""
        row = int(self.rows[is_text.argmax()])
        share = 1 - is_text.sum() / (~cells.missing[self.rows]).sum()
        example = f"'{cells.text(row)}' ({cells.locate(row)})"
        return f"has {kind} in {share:.1%} of its rows, and texts such as {example} in the others"

    def _warn(self, name: str, message: str) -> None:
        self.warnings.append(f"column '{name}' {message}")

    def _leave_out(self, name: str, reason: str, fix: str = "") -> None:
        self._warn(name, f"{reason}: it is left out{'; ' + fix if fix else ''}")

    def check_leak(self, column: Column, values: NDArray[Any], targets: list[NDArray[Any]], *, classes: bool) -> None:
        """Warns of a column that determines a target of every training row by itself.

        Args:
            column: The column.
            values: (N,) the values that its `read` returned.
            targets: (M,) arrays of the training rows: class indices or numbers.
            classes: Whether targets are class indices.
        """
        if values.ndim > 1 or len(self.rows) < _MIN_ROWS:
            return
        own = values[self.rows]
        if any(_tells(own, target, classes=classes, amounts=column.kind == "number") for target in targets):
            self._warn(
                column.name,
                f"determines the target of every training row by itself. If it is not known before the target is, "
                f"`ignore: [{column.name}]` leaves it out",
            )


def sorted_labels(labels: Sequence[str], form: Form = TEXT) -> tuple[str, ...]:
    """Sorts numbers by their size, and texts in natural order: `week 2` before `week 10`."""
    import pyarrow as pa

    found = sorted(labels, key=natural_key)
    texts = pa.array(found, pa.string())
    numbers = canonical(texts, form).to_pylist() if form.kind in ("text", "number") else found
    is_number = (~np.isnan(PLAIN.read(pa.array(numbers, pa.string())))).all()
    sizes = {label: Decimal(number) for label, number in zip(found, numbers, strict=True)} if is_number else {}
    return tuple(sorted(found, key=sizes.__getitem__) if sizes else found)


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
