"""Date formats of columns: parses and writes dates and times.

A format is a layout with `strftime` codes, such as `%d.%m.%Y`, and an optional time of day after the date:

- `%Y %y %m %d` year, month, day; `%b %B` short and full name of the month; `%a %A` of the weekday.
- `%G %V %u` ISO year, week and day of the week (Monday is 1); `%q` the quarter.
- `%H %I %M %S` hours (24-hour and 12-hour clock), minutes, seconds; `%3f` three digits of a fraction; `%p` AM or PM;
  `%z` the zone.
- `%-d` no leading zero; `%^b` upper case; `%_b` lower case; `%od` followed by st, nd, rd or th.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nnzoo.data.dates.writing import MONTHS, TOKEN, WEEKDAYS, write_date

DateOrder = Literal["ymd", "dmy", "mdy"]

_NAME = r"[A-Za-z]{3,9}\.?"
_GROUPS = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{1,2}",
    "d": r"\d{1,2}",
    "b": _NAME,
    "a": _NAME,
    "G": r"\d{4}",
    "V": r"\d{1,2}",
    "u": "[1-7]",
    "q": "[1-4]",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
}
"""The pattern of each token."""
_MINUTES = r"[:.h](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
_AFTER = r" ?(?P<p>(?i:[ap]\.?m\.?)?) ?(?P<z>(?:Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)"
CLOCK = rf"(?P<H>\d{{1,2}}){_MINUTES}{_AFTER}"
"""A time of day without a date."""
CLOCK_AFTER_DATE = rf"(?P<gap>[Tt_:]|,? +| at )(?P<H>\d{{1,2}})(?:{_MINUTES})?{_AFTER}"
_WRITABLE = frozenset("YymdbBaAGVuqHIMSfpz")
_BLOCK = 2**16
_PIVOT = 69
"""Two-digit years from this one on are in the 20th century, as in POSIX."""


class Instants(NamedTuple):
    """Points in time.

    Attributes:
        local: (K,) datetime64, local time; NaT if a cell does not match.
        offset: (K,) int64, the UTC offset in minutes; 0 without a zone.
    """

    local: NDArray[np.datetime64]
    offset: NDArray[np.int64]


class DateForm(BaseModel):
    """The date format of a column.

    Attributes:
        layout: The date; empty for a time of day without a date.
        time: The time of day and its separator, used for writing; empty for dates only. Any time of day can be read.
        unit: The resolution: microseconds, or nanoseconds if fractions of a second have more than six digits.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: Literal["date"] = "date"
    layout: str = Field(max_length=40)
    time: str = Field("", max_length=40)
    unit: Literal["us", "ns"] = "us"

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        tokens = [found[3] for found in TOKEN.finditer(self.layout + self.time)]
        if len(tokens) != (self.layout + self.time).count("%") or not set(tokens) <= _WRITABLE:
            raise ValueError("the layout has unknown tokens")
        if len(set(tokens)) != len(tokens) or not set(map(_kind_of, self._layout_tokens)) <= set(_GROUPS):
            raise ValueError("the layout has a repeated token, or one for the time of day")
        return self

    @property
    def _layout_tokens(self) -> list[str]:
        return [found[3] for found in TOKEN.finditer(self.layout)]

    @property
    def _are_digits(self) -> bool:
        return bool(self.layout) and not TOKEN.sub("", self.layout) and not {"b", "B"} & set(self._layout_tokens)

    @property
    def order(self) -> DateOrder | None:
        """The order of day, month and year; None unless all three are numbers."""
        found = "".join(token.lower() for token in self._layout_tokens if token in "Yymd")
        return found if found in ("ymd", "dmy", "mdy") else None  # type: ignore[return-value]

    @property
    def has_short_year(self) -> bool:
        """Whether years have two digits."""
        return "y" in self._layout_tokens

    @property
    def parts(self) -> frozenset[str]:
        """The known parts of a date: some of year, month, day, weekday, hour and minute."""
        tokens = set(map(_kind_of, self._layout_tokens))
        found = {"hour", "minute"}
        if tokens & {"Y", "y", "G"}:
            found |= {"year"}
        if tokens & {"m", "b", "q", "V"}:
            found |= {"month"}
        if tokens & {"d", "V"}:
            found |= {"day"}
        if tokens & {"d", "u"}:
            found |= {"weekday"}
        return frozenset(found)

    @functools.cached_property
    def pattern(self) -> str:
        """The regular expression for a cell."""
        tokens = set(self._layout_tokens)
        if not self.layout:
            return f"^{CLOCK}$"
        if self._are_digits:
            return rf"^{_pattern_of(self.layout)}(?:\.0+)?$"  # integers that became floats
        clock = "" if "H" in tokens or not tokens & {"d", "u"} else f"(?:{CLOCK_AFTER_DATE})?"
        return f"^{_pattern_of(self.layout)}{clock}$"

    def describe(self) -> str:
        """Returns a readable description."""
        orders = {"ymd": "year first", "dmy": "day first", "mdy": "month first"}
        shown = (self.layout + self.time).strip()
        return ", ".join([*([orders[self.order]] if self.order else []), shown])

    def read(self, labels: Any) -> Instants:
        """Returns the dates of cells.

        Args:
            labels: A pyarrow.Array of (K,) strings.
        """
        parts = [self._read(block) for block in blocks_of(labels)]
        return Instants(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _read(self, labels: Any) -> Instants:
        from pyarrow import compute

        found = compute.extract_regex(labels, self.pattern)
        valid = found.is_valid().to_numpy(zero_copy_only=False)
        groups = {field.name: compute.struct_field(found, field.name) for field in found.type}
        days, is_day = _days(groups)
        ticks, is_time = _time(groups, self.unit)
        with np.errstate(over="ignore"):
            local = days.astype(f"datetime64[{self.unit}]") + ticks.astype(f"timedelta64[{self.unit}]")
        # Years beyond 1678 to 2261 overflow nanoseconds.
        valid &= is_day & is_time & (local.astype("datetime64[D]") - days <= np.timedelta64(1, "D"))
        valid &= local.astype("datetime64[D]") >= days
        return Instants(np.where(valid, local, np.datetime64("NaT")), np.where(valid, _offset(groups, len(labels)), 0))

    def canonical(self, labels: Any) -> Any:
        """Returns the same spelling for cells with the same instant; null for cells that do not match."""
        import pyarrow as pa

        local, offset = self.read(labels)
        texts = np.datetime_as_string(local - offset.astype("timedelta64[m]"))
        return pa.array(texts, mask=np.isnat(local))

    def write(self, local: np.datetime64, offset: int = 0) -> str:
        """Returns a date in this format.

        Args:
            local: The date and time to write.
            offset: The UTC offset in minutes.
        """
        return write_date(self.layout + self.time, local, offset)


def blocks_of(labels: Any) -> list[Any]:
    """Returns slices of a pyarrow.Array, at least one, to save memory while parsing."""
    return [labels.slice(start, _BLOCK) for start in range(0, max(1, len(labels)), _BLOCK)]


def _kind_of(token: str) -> str:
    """Returns the token in `_GROUPS` for a token: `b` for `B`."""
    return {"B": "b", "A": "a"}.get(token, token)


def _pattern_of(layout: str) -> str:
    parts: list[str] = []
    end = 0
    tokens = list(TOKEN.finditer(layout))
    for index, token in enumerate(tokens):
        parts.append(_literal(layout[end : token.start()]))
        end = token.end()
        kind = _kind_of(token[3])
        group = _GROUPS[kind]
        touches = {each.end() for each in tokens[:index]} | {each.start() for each in tokens[index + 1 :]}
        if kind in "mdV" and touches & {token.start(), token.end()} and "b" not in map(_kind_of, "".join(layout)):
            group = r"\d{2}"  # without a separator, only a fixed width shows where it ends
        parts.append(f"(?P<{kind}>{group})")
        parts.append("(?i:st|nd|rd|th)" if token[1] == "o" else "")
    return "".join([*parts, _literal(layout[end:])])


def _literal(text: str) -> str:
    return "".join(" +" if sign == " " else f"(?i:{sign})" if sign.isalpha() else re.escape(sign) for sign in text)


def _number(groups: dict[str, Any], name: str, default: int) -> NDArray[np.int64]:
    """Returns the values of a group as (K,) integers; `default` where it is empty."""
    import pyarrow as pa
    from pyarrow import compute

    texts = groups[name]
    texts = compute.if_else(compute.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    found: NDArray[np.int64] = texts.cast(pa.int64()).fill_null(default).to_numpy(zero_copy_only=False)
    return found


def _position(groups: dict[str, Any], name: str, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Returns the index of each name in `names`, (K,), in full or abbreviated to three letters; -1 for other names."""
    import pyarrow as pa
    from pyarrow import compute

    places = {full: index for index, full in enumerate(names)} | {full[:3]: index for index, full in enumerate(names)}
    places |= {"sept": places["september"]} if "september" in places else {}
    spelled = compute.utf8_rtrim(compute.utf8_lower(groups[name]), characters=".")
    found = compute.index_in(spelled, value_set=pa.array(list(places))).fill_null(-1)
    index: NDArray[np.int64] = np.array([*places.values(), -1])[found.to_numpy(zero_copy_only=False)]
    return index


def _days(groups: dict[str, Any]) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Returns (K,) days, and whether they exist."""
    size = len(next(iter(groups.values())))
    ones = np.ones(size, dtype=np.int64)
    if "V" in groups:
        year, week = _number(groups, "G", 1970), _number(groups, "V", 1)
        first = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]") + np.timedelta64(3, "D")  # January 4
        monday = first - ((first.astype(np.int64) + 3) % 7).astype("timedelta64[D]")
        days = monday + (7 * (week - 1)).astype("timedelta64[D]")
        thursday = days + np.timedelta64(3, "D")
        valid = (thursday.astype("datetime64[Y]").astype(np.int64) + 1970 == year) & (year > 0) & (week > 0)
        if "u" in groups:
            days = days + (_number(groups, "u", 1) - 1).astype("timedelta64[D]")
        return days, valid
    year = _number(groups, "Y", 1970) if "Y" in groups else 1970 * ones
    if "y" in groups:
        short = _number(groups, "y", 70)
        year = np.where(short < _PIVOT, 2000, 1900) + short
    month = ones
    if "m" in groups:
        month = _number(groups, "m", 1)
    elif "b" in groups:
        month = _position(groups, "b", MONTHS) + 1
    elif "q" in groups:
        month = 3 * _number(groups, "q", 1) - 2
    day = _number(groups, "d", 1) if "d" in groups else ones
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    valid = (days.astype("datetime64[M]") == months) & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    if "a" in groups:
        valid &= _position(groups, "a", WEEKDAYS) == (days.astype(np.int64) + 3) % 7
    return days, valid


def _time(groups: dict[str, Any], unit: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns the times of day in ticks of `unit`, (K,), and whether they exist."""
    from pyarrow import compute

    size = len(next(iter(groups.values())))
    if "H" not in groups:
        return np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.bool_)
    hour, minute, second = (
        _number(groups, name, 0) if name in groups else np.zeros(size, dtype=np.int64) for name in "HMS"
    )
    valid = (hour <= 23) & (minute <= 59) & (second <= 59)
    valid |= (hour == 24) & (minute == 0) & (second == 0)
    if "p" in groups:
        half = compute.utf8_lower(compute.utf8_slice_codeunits(groups["p"], 0, 1))
        after, before = (compute.equal(half, letter).fill_null(False).to_numpy(zero_copy_only=False) for letter in "pa")
        valid &= ~(after | before) | ((hour >= 1) & (hour <= 12))
        hour = np.where(after | before, hour % 12 + 12 * after, hour)
    digits = {"us": 6, "ns": 9}[unit]
    ticks: NDArray[np.int64] = (hour * 3600 + minute * 60 + second) * 10**digits
    if "f" in groups:
        padded = compute.utf8_rpad(groups["f"], 9, "0")
        fraction = _number({"f": padded}, "f", 0)
        rest = fraction % 10 ** (9 - digits)
        valid &= rest == 0
        ticks = ticks + fraction // 10 ** (9 - digits)
    return ticks, valid


def _offset(groups: dict[str, Any], size: int) -> NDArray[np.int64]:
    """Returns the UTC offsets in minutes, (K,)."""
    from pyarrow import compute

    if "z" not in groups:
        return np.zeros(size, dtype=np.int64)
    found = compute.extract_regex(groups["z"], r"^(?P<s>[+-])(?P<h>\d{2}):?(?P<m>\d{0,2})$")
    parts = {name: compute.struct_field(found, name) for name in "shm"}
    minutes = 60 * _number(parts, "h", 0) + _number(parts, "m", 0)
    behind = compute.equal(parts["s"], "-").fill_null(False).to_numpy(zero_copy_only=False)
    return np.where(behind, -minutes, minutes)


ISO = DateForm(layout="%Y-%m-%d")
