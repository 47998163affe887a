"""Describes the formats of table cells for the JavaScript of the page, and writes features as cells."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import DateForm
from nnzoo.data.tables.columns import (
    DATE_PARTS,
    BooleanColumn,
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    date_parts,
)
from nnzoo.data.tables.forms import BooleanForm, TextForm
from nnzoo.data.tables.numbers import MAGNITUDES, PLAIN, NumberForm, is_currency
from nnzoo.errors import UsageError

_ANY_CASE = re.compile(r"\(\?i:((?:\\.|\[[^\]]*\]|[^()\\\[])*)\)")
_TOKEN = re.compile(r"\\.|\[[^\]]*\]|.", re.DOTALL)
MISSING = ""
OTHER = "(another value)"
"""The cell of a category that is not among the fitted ones."""


class UnsupportedInputError(UsageError):
    """The page can't offer controls for the input of a network."""


def javascript_pattern(pattern: str) -> str:
    """Returns a regular expression of Python for JavaScript, which has no `(?i:...)` in all browsers."""

    def either_case(group: re.Match[str]) -> str:
        return "".join(["(?:", *map(_both_cases, _TOKEN.findall(group[1])), ")"])

    return _ANY_CASE.sub(either_case, pattern).replace("(?P<", "(?<")


def _both_cases(token: str) -> str:
    if token.startswith("["):
        return f"[{token[1:-1].lower()}{token[1:-1].upper()}]"
    if len(token) > 1 or len(token.lower()) > 1 or len(token.upper()) > 1 or token.lower() == token.upper():
        return token
    return f"[{token.lower()}{token.upper()}]"


def number_form(form: NumberForm) -> dict[str, Any]:
    """Returns the format of numbers as `plainNumber` in table.js reads it."""
    separators = [form.thousands] if form.thousands else [" ", "'", "," if form.decimal == "." else "."]
    return {
        "kind": "number",
        "pattern": javascript_pattern(form.pattern),
        "separators": separators,
        "decimal": form.decimal,
        "unit": "" if is_currency(form.suffix) else form.suffix,
        "padded": form.padded,
        "words": form.words,
        "magnitudes": MAGNITUDES if form.magnitudes else None,
    }


def column_format(column: Column) -> dict[str, Any]:
    """Returns a column as table.js reads it."""
    common = {"kind": column.kind, "name": column.name, "indicator": column.indicator}
    match column:
        case NumberColumn():
            return {**common, "fill": column.fill, "form": number_form(column.form), "hint": column.describe()}
        case BooleanColumn():
            return {**common, "fill": column.fill}
        case CategoryColumn():
            return {
                **common,
                "categories": column.categories,
                "other": column.other,
                "form": category_form(column.form),
            }
        case DateColumn():
            return {
                **common,
                "parts": column.parts,
                "fill": column.fill,
                "pattern": javascript_pattern(column.form.pattern),
                "nanoseconds": column.form.unit == "ns",
                "hint": column.describe(),
            }


def category_form(form: object) -> dict[str, Any]:
    """Returns the format by which categories are compared."""
    match form:
        case NumberForm():
            return number_form(form)
        case BooleanForm():
            return {"kind": "boolean"}
        case TextForm():
            return {"kind": "text"}
    raise UnsupportedInputError("the page can't compare categories that are dates")


def plain_column(name: str) -> dict[str, Any]:
    """Returns a column of plain numbers in which every cell has a value."""
    column = NumberColumn(kind="number", name=name, indicator=False, fill=0.0)
    return {**column_format(column), "required": True}


def number_text(value: float, form: NumberForm = PLAIN) -> str:
    """Returns a number as a cell in the format of its column."""
    text = format(Decimal(repr(float(value))), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = text.replace(".", ",") if form.decimal == "," else text
    unit = "" if not form.suffix or is_currency(form.suffix) else form.suffix
    return f"{text} {unit}".strip() if unit != "%" else f"{text}%"


def cells_of(columns: Sequence[Column], features: Sequence[float]) -> list[str]:
    """Returns the cells of a table row from its features.

    A missing value without an indicator looks like the fill value. Dates get parts that no feature depends on.
    """
    cells, start = [], 0
    for column in columns:
        own = features[start : start + len(column.feature_names)]
        start += len(own)
        if column.indicator and own[-1]:
            cells.append(MISSING)
            continue
        match column:
            case NumberColumn():
                cells.append(number_text(own[0], column.form))
            case BooleanColumn():
                cells.append("true" if own[0] else "false")
            case CategoryColumn():
                chosen = [name for name, value in zip(column.categories, own, strict=False) if value]
                cells.append(chosen[0] if chosen else OTHER)
            case DateColumn():
                cells.append(_date_text(column.form, column.parts, own))
    return cells


@functools.cache
def _days() -> tuple[NDArray[np.datetime64], NDArray[np.float32]]:
    """Returns the days of two centuries, and their parts."""
    days = np.arange("1900-01-01", "2101-01-01", dtype="datetime64[D]")
    return days, date_parts(days)


def _date_text(form: DateForm, parts: Sequence[str], values: Sequence[float]) -> str:
    """Returns a date with the given parts; an empty cell if there is none."""
    wanted = dict(zip(parts, values, strict=False))
    days, table = _days()
    if "year" in wanted and not 1900 <= wanted["year"] <= 2100:
        first = np.datetime64(f"{int(wanted['year']):04d}-01-01")
        days = np.arange(first, first + np.timedelta64(366, "D"))
        table = date_parts(days)
    fits = np.ones(len(days), dtype=bool)
    for part in ("year", "month", "day", "weekday"):
        if part in wanted:
            fits &= table[:, DATE_PARTS.index(part)] == wanted[part]
    if not fits.any():
        return MISSING
    time = np.timedelta64(int(60 * wanted.get("hour", 0) + wanted.get("minute", 0)), "m")
    return form.write(days[int(fits.argmax())].astype(f"datetime64[{form.unit}]") + time)
