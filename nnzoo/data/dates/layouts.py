"""Infers the date format of a column from its cells."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import DateForm, DateOrder, blocks_of

_SAMPLE = 50
"""The number of cells that are tested first, to reject most layouts early."""
_FEW = 5
"""Fewer dates may have regular steps by chance."""

COMPACT = ("%Y%m%d", "%Y%m", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H")
"""Layouts of digits only."""
_LONGEST = 60
_MICROSECONDS = 6
_PLAUSIBLE_YEARS = (1900, 2100)
"""Digits are dates only within these years."""


class DateFinding(NamedTuple):
    """The date format of a column.

    Attributes:
        form: The format.
        is_ambiguous: Whether a different order of day, month and year also fits every cell, and nothing shows which
            order is right.
    """

    form: DateForm
    is_ambiguous: bool


@functools.cache
def _layouts() -> tuple[str, ...]:
    """Returns all layouts with separators, the most likely first."""
    found = [
        date.replace("~", sign)
        for date in ("%Y~%m~%d", "%d~%m~%Y", "%m~%d~%Y", "%d~%m~%y", "%m~%d~%y", "%y~%m~%d")
        for sign in "-/. "
    ]
    named = [date.replace("~", sign) for sign in (" ", "-", "/", ".", ", ") for date in ("%d~%b~%Y", "%d~%b~%y")]
    named += ["%b %d, %Y", "%b %d %Y", "%b-%d-%Y", "%d. %b %Y", "%Y %b %d", "%Y-%b-%d", "%d%b%Y", "%d%b%y"]
    named += ["%b %d, %y", "%d %b, %Y"]
    found += named
    found += [date.replace("%d", "%od") for date in named if "%d%b" not in date]
    found += [gap.join(("%a", date)) for gap in (" ", ", ") for date in found]
    months = ("%Y~%m", "%m~%Y", "%b~%Y", "%Y~%b", "%b~%y")
    found += [date.replace("~", sign) for date in months for sign in ("-", "/", " ", ", ", ".")]
    weeks = ("%G-W%V", "%GW%V", "%G W%V", "W%V %G", "W%V-%G", "W%V/%G", "%G-W%V-%u", "%GW%V%u", "%G-W%V/%u")
    quarters = ("%YQ%q", "%Y-Q%q", "%Y Q%q", "%Y/Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "Q%q%Y")
    clocked = ("%Y%m%dT%H%M%S", "%Y%m%dT%H%M", "%Y%m%d_%H%M%S", "%Y%m%d_%H%M", "%Y%m%d-%H%M%S", "%Y%m%d %H%M%S")
    return (*found, *weeks, *quarters, *clocked, "%Y%m%d", "")


@functools.cache
def _signs(layout: str) -> frozenset[str]:
    """Returns the characters between the parts of a date."""
    return frozenset(re.sub("%o?[A-Za-z]", "", layout).lower())


@functools.cache
def _compiled(layout: str) -> re.Pattern[str]:
    return re.compile(DateForm(layout=layout).pattern, re.ASCII)


def find_date_forms(labels: Any, order: DateOrder | Literal["auto"], *, digits: bool = False) -> list[DateForm]:
    """Finds the formats that every cell matches. If there are several, they differ in the order of day, month and year.

    Args:
        labels: A pyarrow.Array of (K,) distinct cells, K > 0.
        order: The configured order of day, month and year.
        digits: Whether the cells consist only of digits. A year by itself is a number, not a date.

    Returns:
        Formats with the details that `DateForm.write` needs; empty if the cells are not dates.
    """
    from pyarrow import compute

    places = np.unique(np.linspace(0, len(labels) - 1, _SAMPLE, dtype=np.int64))
    some: list[str] = compute.take(labels, places).to_pylist()
    found: list[DateForm] = []
    if not all(len(each) <= _LONGEST and any(sign.isdigit() for sign in each) for each in some):
        return found
    signs = set(some[0].lower())
    for layout in COMPACT if digits else _layouts():
        # Compiling all layouts takes longer than reading most columns.
        if not signs >= _signs(layout) or not all(_compiled(layout).match(each) for each in some):
            continue
        form = DateForm(layout=layout)
        if order != "auto" and form.order not in (None, order):
            continue
        form = _detailed(form, labels)
        local = form.read(labels).local
        if not np.isnat(local).any() and (not digits or _is_plausible(local)):
            found.append(form)
    return found


def _is_plausible(local: NDArray[np.datetime64]) -> bool:
    first, last = (str(year) for year in _PLAUSIBLE_YEARS)
    return bool((local >= np.datetime64(first)).all() and (local < np.datetime64(last)).all())


def choose_date_form(forms: Sequence[DateForm], labels: Any, rows: NDArray[np.int64]) -> DateFinding:
    """Chooses among formats that match every cell.

    Prefers, in this order: dates that are evenly spaced, or sorted in row order; dates that are all the first day of a
    month, as in monthly data; the fewest distinct years; the month first with slashes, and the day first otherwise. The
    choice is ambiguous unless the first criterion decides.

    Args:
        forms: The formats, at least one.
        labels: A pyarrow.Array of (K,) distinct cells.
        rows: (M,) the index into `labels` of each row, in file order.
    """
    if len(forms) == 1:
        return DateFinding(forms[0], is_ambiguous=False)

    def evidence(form: DateForm) -> tuple[bool, bool]:
        return _evidence(form.read(labels).local, rows)

    def preference(form: DateForm) -> tuple[tuple[bool, bool], bool, int, bool]:
        local = form.read(labels).local
        days = local.astype("datetime64[D]")
        first_days = bool((days == days.astype("datetime64[M]")).all()) and len(np.unique(days)) > 1
        years = len(np.unique(days.astype("datetime64[Y]")))
        usual = "mdy" if "/" in form.layout else "dmy"
        return evidence(form), first_days, -years, form.order == usual

    ranked = sorted(forms, key=preference, reverse=True)
    return DateFinding(ranked[0], is_ambiguous=evidence(ranked[0]) == evidence(ranked[1]))


def is_ordered(local: NDArray[np.datetime64], rows: NDArray[np.int64]) -> bool:
    """Returns whether dates have regular steps, or are sorted.

    Args:
        local: (K,) the distinct dates.
        rows: (M,) the index into `local` per row, in file order.
    """
    return any(_evidence(local, rows))


def _evidence(local: NDArray[np.datetime64], rows: NDArray[np.int64]) -> tuple[bool, bool]:
    """Returns whether dates have regular steps, and whether rows are sorted; False for fewer than `_FEW` dates."""
    moves = np.diff(local[rows])
    rises = bool((moves >= np.timedelta64(0)).all() or (moves <= np.timedelta64(0)).all())
    return is_regular(local) and len(local) >= _FEW, rises and len(local) >= _FEW


def find_nearly_dates(
    labels: Any, counts: NDArray[np.int64], order: DateOrder | Literal["auto"], share: float
) -> NDArray[np.bool_] | None:
    """Finds the cells of a column that are dates, if nearly all of them are.

    Args:
        labels: A pyarrow.Array of (K,) distinct cells, K > 0.
        counts: (K,) the number of rows per distinct cell.
        order: The configured order of day, month and year.
        share: The minimum fraction of rows that must match one format.

    Returns:
        (K,) whether each cell matches; None if fewer rows match.
    """
    from pyarrow import compute

    places = np.unique(np.linspace(0, len(labels) - 1, _SAMPLE, dtype=np.int64))
    some: list[str] = compute.take(labels, places).to_pylist()
    dated = [each for each in some if len(each) <= _LONGEST and any(sign.isdigit() for sign in each)]
    if len(dated) < 0.5 * len(some):
        return None
    signs = set("".join(dated).lower())
    for layout in _layouts():
        if not signs >= _signs(layout) or sum(bool(_compiled(layout).match(each)) for each in dated) < 0.5 * len(some):
            continue
        form = DateForm(layout=layout)
        fits = ~np.isnat(form.read(labels).local)
        if order in ("auto", form.order or order) and counts[fits].sum() >= share * counts.sum():
            return fits
    return None


def is_regular(local: NDArray[np.datetime64]) -> bool:
    """Returns whether dates have equal steps, in time or in months on the same day of the month."""
    times = np.unique(local)
    steps = np.diff(times)
    if len(steps) and (steps == steps[0]).all():
        return True
    months = times.astype("datetime64[M]")
    offsets = times - months.astype(times.dtype)
    steps = np.diff(months.astype(np.int64))
    return bool(len(steps) and (offsets == offsets[0]).all() and (steps == steps[0]).all())


def _detailed(form: DateForm, labels: Any) -> DateForm:
    """Returns the format with the details for writing: leading zeros, names, case, and the time of day."""
    values = _part_values(form, labels)
    layout = form.layout
    if not _is_padded(layout, values.get("d", set()) | values.get("m", set())):
        layout = layout.replace("%d", "%-d").replace("%m", "%-m")
    for token, long in (("b", "B"), ("a", "A")):
        names = {name.strip(".") for name in values.get(token, ())}
        if names:
            is_full = any(len(name) > 3 for name in names if name.lower() != "sept")
            flag = "^" if all(map(str.isupper, names)) else "_" if all(map(str.islower, names)) else ""
            layout = layout.replace(f"%{token}", f"%{flag}{long if is_full else token}")
    time, unit = form.time, form.unit
    if "H" not in form.layout and values.get("H"):
        time = _time_layout(form, labels, padded=all(len(hour) > 1 for hour in values["H"]))
        unit = "ns" if max(map(int, values["f"]), default=0) > _MICROSECONDS else "us"
    return DateForm(layout=_with_own_letters(layout, str(labels[0].as_py())), time=time, unit=unit)


def _part_values(form: DateForm, labels: Any) -> dict[str, set[str]]:
    """Returns the distinct values of each part of the dates; for fractions of a second, the number of digits."""
    from pyarrow import compute

    parts: dict[str, set[str]] = {}
    for block in blocks_of(labels):
        found = compute.extract_regex(block, form.pattern)
        for field in found.type:
            group = compute.struct_field(found, field.name)
            if field.name == "f":
                group = compute.cast(compute.utf8_length(group), "string")
            values = compute.unique(group).to_pylist()
            parts.setdefault(field.name, set()).update(value for value in values if value)
    return parts


def _is_padded(layout: str, values: Collection[str]) -> bool:
    """Returns whether days and months have leading zeros. If no cell shows it, dates with month names have none."""
    if any(len(value) == 1 for value in values):
        return False
    return any(value.startswith("0") for value in values) or ("%b " not in layout and " %b" not in layout)


def _with_own_letters(layout: str, example: str) -> str:
    """Returns the layout with W and Q in the case that the file uses."""
    for letter in "WQ":
        if f"{letter}%" in layout and letter not in example:
            layout = layout.replace(f"{letter}%", f"{letter.lower()}%")
    return layout


def _time_layout(form: DateForm, labels: Any, *, padded: bool) -> str:
    """Returns the layout of the time of day, from the longest cell that has one."""
    from pyarrow import compute

    longest, example = -1, None
    for block in blocks_of(labels):
        hours = compute.struct_field(compute.extract_regex(block, form.pattern), "H")
        sizes = compute.if_else(compute.equal(hours, ""), -1, compute.utf8_length(block)).fill_null(-1)
        size = compute.max(sizes).as_py()
        if size > longest:
            cell = block[compute.index(sizes, size).as_py()].as_py()
            longest, example = size, _compiled(form.layout).match(cell)
    assert example is not None
    half, zone, fraction = example["p"], example["z"], example["f"] or ""
    zones = {"Z": "%^z", "z": "%^z"} | {name: name for name in ("UTC", "GMT")}
    tokens = {
        "H": f"%{'' if padded else '-'}{'I' if half else 'H'}",
        "M": "%M",
        "S": "%S",
        "f": f"%{len(fraction)}f",
        "p": "%_p" if half.islower() else "%p",
        "z": zones.get(zone) or {5: "%1z", 3: "%2z"}.get(len(zone), "%z"),
    }
    text = example.string
    end = example.end()
    pieces: list[str] = []
    for name in reversed([name for name in tokens if example[name]]):
        pieces += [text[example.end(name) : end], tokens[name]]
        end = example.start(name)
    begin = example.start("gap") if "gap" in example.groupdict() else example.start("H")
    return "".join(reversed([*pieces, text[begin:end]]))
