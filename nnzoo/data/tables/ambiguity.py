"""Describes numbers and dates that may be categories instead, such as 12A or 2:10."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import DateForm
from nnzoo.data.dates.layouts import is_ordered
from nnzoo.data.tables.numbers import NumberForm, currency_spelling, is_currency

_FEW_TIMES = 20
"""Fewer distinct times may be scores or ratios."""
_QUARTER = 15
"""Times of day whose minutes are multiples of this are not ambiguous."""


def ambiguous_number(form: NumberForm, labels: Any) -> str | None:
    """Describes how an ambiguous cell is read in a column of numbers; None if there is none.

    Two kinds of cells are ambiguous: integers without a currency that are directly followed by a letter, which is read
    as a unit (12A) or as a factor (1B); and integers directly after a currency with unusual capitalization (rs123).

    Args:
        form: The number format.
        labels: A pyarrow.Array of the distinct cells.
    """
    from pyarrow import compute

    if form.magnitudes and not form.prefix:
        pattern = r"^[+-]?\d+[KMBT]$"
        is_ambiguous = not _any(labels, r"[.,]|[mb]n$")
    elif len(form.suffix) == 1 and form.suffix.isascii() and form.suffix.isalpha():
        pattern = r"^[+-]?\d+[A-Za-z]$"
        is_ambiguous = not is_currency(form.suffix) and _all(labels, pattern)
    else:
        pattern = r"^[A-Za-z]+\d+$"
        is_ambiguous = form.prefix.isalpha() and form.prefix not in currency_spelling(form.prefix)
        is_ambiguous = is_ambiguous and _all(labels, pattern)
    examples = compute.filter(labels, compute.match_substring_regex(labels, pattern))
    if not is_ambiguous or not len(examples):
        return None
    return f"has cells such as '{examples[0].as_py()}', read as the number {form.read(examples[:1])[0]:.10g}"


def ambiguous_date(form: DateForm, labels: Any, rows: NDArray[np.int64]) -> str | None:
    """Describes how an ambiguous cell is read in a column of dates; None if there is none.

    Two kinds of cells are ambiguous: two-digit years that are in the future or may be days (Jan 15); and times that may
    be scores or ratios (2:10).

    Args:
        form: The date format.
        labels: A pyarrow.Array of the distinct cells.
        rows: (M,) the index into `labels` per row, in file order.
    """
    local = form.read(labels).local
    if not form.layout:
        return _ambiguous_time(form, labels, local)
    if not form.has_short_year:
        return None
    years = local.astype("datetime64[Y]")
    short = (years.astype(np.int64) + 1970) % 100
    may_be_days = "day" not in form.parts and bool(((short >= 1) & (short <= 31)).all())
    if may_be_days and not is_ordered(local, rows):
        return (
            f"has cells such as '{labels[0].as_py()}', read as the month {str(local[0])[:7]}. If they are days, write "
            "them with their year"
        )
    latest = int(local.argmax())
    if years[latest] > np.datetime64("today").astype("datetime64[Y]"):
        return (
            f"has years with two digits: '{labels[latest].as_py()}' is read as {str(local[latest])[:10]}, in the "
            "future, because 00 to 68 are read as 2000 to 2068. If that is wrong, write years with four digits"
        )
    return None


def _ambiguous_time(form: DateForm, labels: Any, local: NDArray[np.datetime64]) -> str | None:
    """Describes times that consist only of hours and minutes, without leading zeros."""
    if any(sign in form.time for sign in "SpzUG") or _any(labels, "^0") or not _all(labels, ":"):
        return None
    minutes = local.astype("datetime64[m]").astype(np.int64) % (24 * 60)
    if (minutes % _QUARTER == 0).all() or (len(labels) > _FEW_TIMES and minutes.max() >= 10 * 60):
        return None
    return f"has cells such as '{labels[0].as_py()}', read as the time of day {str(local[0])[11:16]}"


def _any(labels: Any, pattern: str) -> bool:
    from pyarrow import compute

    return bool(compute.any(compute.match_substring_regex(labels, pattern)).as_py())


def _all(labels: Any, pattern: str) -> bool:
    from pyarrow import compute

    return bool(compute.all(compute.match_substring_regex(labels, pattern)).as_py())
