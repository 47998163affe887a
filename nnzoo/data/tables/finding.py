"""Infers the format of a column: its numbers, dates, booleans or categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import DateForm, DateOrder
from nnzoo.data.dates.layouts import choose_date_form, find_date_forms
from nnzoo.data.tables.ambiguity import ambiguous_date, ambiguous_number
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.forms import BOOLEAN, TEXT, BooleanForm, Form, TextForm, names_form
from nnzoo.data.tables.number_forms import NumberOptions, find_number_form
from nnzoo.data.tables.numbers import PLAIN, DecimalSign, NumberForm, ThousandsSign

ColumnType = Literal["number", "category", "boolean", "date"]

_EXACT = 2.0**53
"""Integers up to here are exact in float64."""
_DIGIT_DATES = {6: 3, 8: 2, 10: 2, 12: 2, 14: 2}
"""Length of dates such as 202401 and 20240131, and the number of distinct ones that distinguish them from numbers."""


@dataclass(frozen=True)
class FormOptions:
    """The configured formats and types of columns.

    Attributes:
        decimal: The decimal separator.
        thousands: The thousands separator.
        date_order: The order of day, month and year in numeric dates.
        types: Types by column name, which replace the inferred ones.
    """

    decimal: Literal["auto"] | DecimalSign = "auto"
    thousands: Literal["auto"] | ThousandsSign = "auto"
    date_order: Literal["auto"] | DateOrder = "auto"
    types: Mapping[str, ColumnType] = field(default_factory=dict)


class Numbers(NamedTuple):
    """A number format, and how well it fits.

    Attributes:
        form: The format.
        share: The fraction of rows that match it, among rows with a value.
    """

    form: NumberForm
    share: float


class Labels(NamedTuple):
    """The distinct cells of some rows.

    Attributes:
        texts: A pyarrow.Array of (K,) strings.
        counts: (K,) the number of rows per distinct cell.
        of_rows: (M,) the index into `texts` of each row with a value.
    """

    texts: Any
    counts: NDArray[np.int64]
    of_rows: NDArray[np.int64]


def count_numbers(cells: Cells, form: NumberForm, rows: NDArray[np.int64]) -> tuple[int, int]:
    """Returns the number of distinct numbers in some rows, both as written and in float64."""
    values = cells.numbers(form)[rows]
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if not len(values) or np.abs(values).max() < _EXACT:
        return len(distinct), len(distinct)
    codes = cells.keys(form).codes[rows][~cells.missing[rows] & ~cells.is_text(form)[rows]]
    return len(np.unique(codes)), len(distinct)


def labels_of(cells: Cells, rows: NDArray[np.int64]) -> Labels:
    """Returns the distinct cells of some rows."""
    from pyarrow import compute

    labels, codes = cells.labels
    own = codes[rows]
    own = own[own >= 0]
    counts = np.bincount(own, minlength=len(labels))
    present = counts.nonzero()[0]
    index = np.full(len(labels), -1)
    index[present] = np.arange(len(present))
    return Labels(compute.take(labels, present), counts[present], index[own])


class FormFinder:
    """Infers formats from the cells of some rows.

    Args:
        rows: (M,) the training rows.
        options: The configured formats and types.

    Attributes:
        warnings: Warnings about ambiguous formats, by column.
    """

    def __init__(self, rows: NDArray[np.int64], options: FormOptions = FormOptions()) -> None:
        self.rows = rows
        self.options = options
        self.warnings: dict[str, str] = {}

    def numbers(self, cells: Cells, share: float) -> Numbers | None:
        """Finds the number format that at least this fraction of the rows matches; None if there is none."""
        options = self._number_options(cells)
        if cells.plain is not None and (options.allows_plain or cells.typed):
            found = Numbers(PLAIN, 1.0)
            example = self._grouped(cells) if options.expects_commas and not cells.typed else None
            if example is not None:
                form = NumberForm(decimal=",", thousands=".") if options.has_evidence else PLAIN
                found = Numbers(form, 1.0)
                self._warn_ambiguous(cells, form, example)
        else:
            labels = labels_of(cells, self.rows)
            padded = self.options.types.get(cells.name) == "number"
            finding = find_number_form(labels.texts, labels.counts, options, share, padded=padded)
            if finding is None:
                return None
            fits = labels.counts[finding.fits].sum()
            found = Numbers(finding.form, float(fits / labels.counts.sum()))
            if finding.ambiguous_cell is not None:
                self._warn_ambiguous(cells, finding.form, finding.ambiguous_cell)
            elif finding.form == NumberForm(decimal=",") and options.usual == "both" and options.decimal == "auto":
                self._warn_comma(cells, labels.texts[int(finding.fits.argmax())].as_py())
        values = cells.numbers(found.form)[self.rows]
        values = values[~np.isnan(values)]
        if not len(values):
            return None
        if found.form == PLAIN and (values == 0).any() and ((values == 0) | (values == 1)).all():
            return Numbers(NumberForm(words=True), found.share)
        return found

    def _number_options(self, cells: Cells) -> NumberOptions:
        return NumberOptions(self.options.decimal, self.options.thousands, cells.delimiter, cells.usual_decimal)

    def _grouped(self, cells: Cells) -> str | None:
        """Returns a cell whose point may be a thousands separator; None if any cell rules this out."""
        from pyarrow import compute

        labels = labels_of(cells, self.rows).texts
        is_grouped = compute.match_substring_regex(labels, r"^[+-]?[1-9]\d{0,2}\.\d{3}$")
        if not compute.all(compute.or_(is_grouped, compute.match_substring_regex(labels, r"^[+-]?\d{1,3}$"))).as_py():
            return None
        examples = compute.filter(labels, is_grouped)
        return str(examples[0].as_py()) if len(examples) else None

    def _warn_ambiguous(self, cells: Cells, form: NumberForm, example: str) -> None:
        import pyarrow as pa

        value = float(form.read(pa.array([example]))[0])
        sign = "," if "," in example else "."
        role, other, key = ("decimal separator", "thousands separator", "thousands")
        if form.thousands == sign:
            role, other, key = ("thousands separator", "decimal separator", "decimal")
        self.warnings[cells.name] = (
            f"has numbers such as '{example}', read as {value:.10g} with '{sign}' as the {role}. If it is the "
            f'{other}, set `data.{key}: "{sign}"`; `data.decimal` or `data.thousands` silences this warning'
        )

    def _warn_comma(self, cells: Cells, example: str) -> None:
        if cells.name not in self.options.types:
            self.warnings[cells.name] = (
                f"has numbers with a decimal comma such as '{example}', while other columns have decimal points. If "
                f"they are lists or categories, set `types: {{{cells.name}: category}}`; `types: {{{cells.name}: "
                "number}` silences this warning"
            )

    def date(self, cells: Cells) -> DateForm | None:
        """Finds the date format that every row matches; None if there is none."""
        labels = labels_of(cells, self.rows)
        order = self.options.date_order
        forms = find_date_forms(labels.texts, order)
        if not forms and order != "auto":
            others = find_date_forms(labels.texts, "auto")
            if others:
                self.warnings[cells.name] = (
                    f"has dates such as '{labels.texts[0].as_py()}' ({others[0].describe()}), which do not match "
                    f"`date_order: {order}`, and is read as categorical. Correct `date_order`"
                )
        return self._choose(cells, forms, labels)

    def digit_date(self, cells: Cells, values: NDArray[np.float64], *, sure: bool = False) -> DateForm | None:
        """Finds the format of dates such as 20240131 that every row matches; None if there is none.

        Args:
            cells: A column of numbers.
            values: (M,) the numbers of the rows with a value.
            sure: Whether the config declares them as dates, so a few distinct ones suffice.
        """
        low, high = float(values.min()), float(values.max())
        size = len(f"{high:.0f}")
        if size not in _DIGIT_DATES or low < 1900 * 10.0 ** (size - 4) or high >= 2101 * 10.0 ** (size - 4):
            return None
        labels = labels_of(cells, self.rows)
        if len(labels.texts) < _DIGIT_DATES[size] and not sure:
            return None
        return self._choose(cells, find_date_forms(labels.texts, "auto", digits=True), labels)

    def _choose(self, cells: Cells, forms: list[DateForm], labels: Labels) -> DateForm | None:
        if not forms:
            return None
        form, is_ambiguous = choose_date_form(forms, labels.texts, labels.of_rows)
        if is_ambiguous:
            example = str(labels.texts[0].as_py())
            others = ", ".join(f"`data.date_order: {each.order}`" for each in forms if each != form)
            day = str(form.read(labels.texts[:1]).local[0])[:10]
            self.warnings[cells.name] = (
                f"has dates of ambiguous order: '{example}' is read as {day} "
                f"({form.describe()}). {others} reads them differently; `data.date_order: {form.order}` silences this "
                "warning"
            )
        return form

    def is_boolean(self, cells: Cells) -> bool:
        """Returns whether the cells are booleans, with both true and false."""
        return names_form(labels_of(cells, self.rows).texts) == BOOLEAN

    def names(self, cells: Cells) -> TextForm | BooleanForm | NumberForm:
        """Finds the format by which categories are compared: '0' = '0.0', 'True' = 'TRUE', '1,5' = '1,50'."""
        if self.is_boolean(cells):
            return BOOLEAN
        if cells.plain is not None:
            return TEXT
        labels = labels_of(cells, self.rows)
        options = self._number_options(cells)
        finding = find_number_form(labels.texts, labels.counts, options, 1.0)
        return TEXT if finding is None or finding.ambiguous_cell is not None else finding.form

    def warn_number(self, cells: Cells, form: NumberForm, fix: str) -> None:
        """Warns if the numbers of a column may be categories.

        Args:
            cells: A column of numbers.
            form: Their format.
            fix: What to do if they are categories.
        """
        if cells.name not in self.options.types and not cells.typed:
            self._warn_type(cells, ambiguous_number(form, labels_of(cells, self.rows).texts), "number", fix)

    def warn_date(self, cells: Cells, form: DateForm) -> None:
        """Warns if the years of the dates in a column may be wrong, or the dates may be categories."""
        if cells.name not in self.options.types and not cells.typed:
            labels = labels_of(cells, self.rows)
            fix = f"If they are categories, set `types: {{{cells.name}: category}}`"
            self._warn_type(cells, ambiguous_date(form, labels.texts, labels.of_rows), "date", fix)

    def _warn_type(self, cells: Cells, problem: str | None, column_type: ColumnType, fix: str) -> None:
        if problem is not None:
            before = f"{self.warnings[cells.name]}. It also " if cells.name in self.warnings else ""
            silence = f"`types: {{{cells.name}: {column_type}}}` silences this warning"
            self.warnings[cells.name] = f"{before}{problem}. {fix}; {silence}"

    def warn_equal(self, cells: Cells, form: Form, what: str) -> None:
        """Warns about categories such as 3.1 and 3.10, which are equal as numbers but may be versions.

        Args:
            cells: The column.
            form: The format by which its cells are compared.
            what: The noun for its cells in messages: classes, categories.
        """
        pair = cells.equal_fractions(form, self.rows)
        if pair is not None:
            shorter, longer = pair
            self.warnings.setdefault(
                cells.name,
                f"has the {what} '{shorter}' and '{longer}', which are the same because they are equal as numbers. If "
                f'they are versions, `replace: {{"{longer}": "v{longer}"}}` distinguishes them; '
                f'`replace: {{"{longer}": "{shorter}"}}` silences this warning',
            )

    def equality(self, cells: Cells) -> Form:
        """Finds the format by which rows are compared: numbers, booleans, dates or categories."""
        if self.options.types.get(cells.name) == "category":
            return TEXT
        if cells.plain is not None:
            return PLAIN
        form = self.names(cells)
        if form != TEXT or not len(labels_of(cells, self.rows).texts):
            return form
        return self.date(cells) or TEXT
