"""Numbers and dates that may be names instead: what is told about them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import DateForm
from nnzoo.data.dates.layouts import follows_rule
from nnzoo.data.tables.numbers import NumberForm, currency_spelling, is_currency

_FEW_TIMES = 20
"""Fewer distinct times may be scores or ratios."""
_QUARTER = 15
"""Minutes of usual times are multiples of this."""


def doubt_number(form: NumberForm, labels: Any) -> str | None:
    """Returns how a cell is read, where the numbers of a column may be names.

    Those are integers with a letter right behind them that is a unit (12A) or multiplies them (1B), and without a
    currency; or right behind the letters of a currency that is written otherwise (rs123).

    Args:
        form: How the numbers are written.
        labels: A pyarrow.Array of the distinct cells, of which nearly all have the form.
    """
    from pyarrow import compute

    has_currency = bool(form.prefix) or is_currency(form.suffix)
    if form.magnitudes and not has_currency:
        pattern = r"^[+-]?\d+[KMBT]$"
        if _has(labels, r"[.,]") or _has(labels, "(?i)mn$|bn$"):
            return None
    elif len(form.suffix) == 1 and form.suffix.isascii() and form.suffix.isalpha():
        pattern = r"^[+-]?\d+[A-Za-z]$"
        if not _has_only(labels, pattern):
            return None
    elif form.prefix.isalpha() and form.prefix not in currency_spelling(form.prefix):
        pattern = r"^[A-Za-z]+\d+$"
        if not _has_only(labels, pattern):
            return None
    else:
        return None
    examples = compute.filter(labels, compute.match_substring_regex(labels, pattern))
    if not len(examples):
        return None
    example = examples[0].as_py()
    return f"has cells such as '{example}', read as the number {form.read(examples[:1])[0]:.10g}"


def doubt_date(form: DateForm, labels: Any, rows: NDArray[np.int64]) -> str | None:
    """Returns how a cell is read, where the dates of a column may have another year, or may be no dates.

    Args:
        form: How the dates are written.
        labels: A pyarrow.Array of the distinct cells.
        rows: (M,) the index of the cell of each row in file order.
    """
    local = form.read(labels).local
    if not form.layout:
        return _doubt_time(form, labels, local)
    if not form.has_short_year:
        return None
    years = local.astype("datetime64[Y]")
    short = (years.astype(np.int64) + 1970) % 100
    may_be_days = "day" not in form.parts and bool(((short >= 1) & (short <= 31)).all())
    if may_be_days and not follows_rule(local, rows):
        return (
            f"has cells such as '{labels[0].as_py()}', read as the month {str(local[0])[:7]}. If they are days, write "
            "them with their year"
        )
    latest = int(local.argmax())
    if years[latest] > np.datetime64("today").astype("datetime64[Y]"):
        return (
            f"has years of two digits: '{labels[latest].as_py()}' is read as {str(local[latest])[:10]}, in the future, "
            "since years up to 68 are in this century. Write years with four digits if that is wrong"
        )
    return None


def _doubt_time(form: DateForm, labels: Any, local: NDArray[np.datetime64]) -> str | None:
    """Of times of day that have hours and minutes only: scores and ratios look the same."""
    if any(sign in form.time for sign in "SpzTUG") or _has(labels, "^0") or not _has_only(labels, ":"):
        return None
    minutes = local.astype("datetime64[m]").astype(np.int64) % (24 * 60)
    if (minutes % _QUARTER == 0).all() or (len(labels) > _FEW_TIMES and minutes.max() >= 10 * 60):
        return None
    return f"has cells such as '{labels[0].as_py()}', read as the time of day {str(local[0])[11:16]}"


def _has(labels: Any, pattern: str) -> bool:
    from pyarrow import compute

    return bool(compute.any(compute.match_substring_regex(labels, pattern)).as_py())


def _has_only(labels: Any, pattern: str) -> bool:
    from pyarrow import compute

    return bool(compute.all(compute.match_substring_regex(labels, pattern)).as_py())
