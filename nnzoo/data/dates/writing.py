"""Writes dates in a given format."""

from __future__ import annotations

import re
from datetime import date

import numpy as np

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TOKEN = re.compile(r"%([-^_o]?)(\d?)([A-Za-z])")


def write_date(layout: str, local: np.datetime64, offset: int) -> str:
    """Returns a date in the layout of a `DateForm`.

    Args:
        layout: The date and the time of day.
        local: The date and time to write.
        offset: The UTC offset in minutes.
    """
    return TOKEN.sub(lambda token: _format_token(token, local, offset), layout)


def _format_token(token: re.Match[str], local: np.datetime64, offset: int) -> str:
    """Returns the text for a token."""
    flag, digits, letter = token.groups()
    day: date = local.astype("datetime64[D]").item()
    nanoseconds = int((local - local.astype("datetime64[D]")).astype("timedelta64[ns]").astype(np.int64))
    hour, minute, second = (nanoseconds // 10**9 // size % limit for size, limit in ((3600, 24), (60, 60), (1, 60)))
    week = day.isocalendar()
    numbers = {
        "Y": (day.year, 4),
        "y": (day.year % 100, 2),
        "m": (day.month, 2),
        "d": (day.day, 2),
        "G": (week.year, 4),
        "V": (week.week, 2),
        "u": (week.weekday, 1),
        "q": ((day.month + 2) // 3, 1),
        "H": (hour, 2),
        "I": ((hour - 1) % 12 + 1, 2),
        "M": (minute, 2),
        "S": (second, 2),
    }
    if letter in numbers:
        value, width = numbers[letter]
        return _ordinal(value) if flag == "o" else str(value) if flag == "-" else str(value).zfill(width)
    if letter == "f":
        return f"{nanoseconds % 10**9:09d}"[: int(digits or 6)]
    if letter == "z":
        return _zone(flag, digits, offset)
    names = {
        "b": MONTHS[day.month - 1][:3].title(),
        "B": MONTHS[day.month - 1].title(),
        "a": WEEKDAYS[day.weekday()][:3].title(),
        "A": WEEKDAYS[day.weekday()].title(),
        "p": "PM" if hour >= 12 else "AM",
    }
    return {"^": str.upper, "_": str.lower}.get(flag, str)(names[letter])


def _ordinal(value: int) -> str:
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def _zone(flag: str, digits: str, offset: int) -> str:
    """Returns a zone: `%z` as +01:00, `%1z` as +0100, `%2z` as +01; `%^z` as Z."""
    if flag == "^":
        return "Z" if offset == 0 else _zone("", "", offset)
    sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
    return f"{sign}{hours:02d}" + {"": f":{minutes:02d}", "1": f"{minutes:02d}"}.get(digits, "")
