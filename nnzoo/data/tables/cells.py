"""The cells of one column: texts, of which some are missing, and what they are as numbers, codes and dates."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnzoo.errors import DataError

DateOrder = Literal["ymd", "dmy", "mdy"]

MISSING_CODE = -1

_BOOLEANS = {**dict.fromkeys(("true", "t", "yes", "y"), 1.0), **dict.fromkeys(("false", "f", "no", "n"), 0.0)}

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WRITTEN_OTHERWISE = re.compile(r"[$€£¥+\s-]*\d[\d.,'\s]*[%$€£¥]?")
_TIME = r"(?:[T ](?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_DATES: dict[DateOrder, re.Pattern[str]] = {
    "ymd": re.compile(rf"(?P<y>\d{{4}})([-/.])(?P<m>\d\d?)\2(?P<d>\d\d?){_TIME}", re.ASCII),
    "dmy": re.compile(rf"(?P<d>\d\d?)([-/.])(?P<m>\d\d?)\2(?P<y>\d{{4}}){_TIME}", re.ASCII),
    "mdy": re.compile(rf"(?P<m>\d\d?)([-/.])(?P<d>\d\d?)\2(?P<y>\d{{4}}){_TIME}", re.ASCII),
}


def is_number(text: str) -> bool:
    """Whether a cell is a finite decimal number: digits, a point, an exponent."""
    return _NUMBER.fullmatch(text) is not None and abs(float(text)) != float("inf")


def may_be_number(text: str) -> bool:
    """Whether a cell looks like a number that is not written as one: 1,5 or 1,234 or 12% or $3."""
    return _WRITTEN_OTHERWISE.fullmatch(text) is not None and not is_number(text)


def is_boolean(text: str) -> bool:
    """Whether a cell is a word for true or false."""
    return text.lower() in _BOOLEANS


class Numbering:
    """The index of each of some distinct names: as it is written or, failing that, by the same number: 3.0 is 3."""

    def __init__(self, names: Sequence[str]) -> None:
        self._index: dict[str | float, int] = {each: index for index, each in enumerate(names)}
        for each in filter(is_number, names):
            self._index.setdefault(float(each), self._index[each])

    def find(self, label: str, default: int) -> int:
        known = self._index.get(label)
        if known is None and is_number(label):
            known = self._index.get(float(label))
        return default if known is None else known


def as_date(text: str, order: DateOrder) -> datetime | None:
    """A date, with or without a time of day; zones are left aside. None if it is none."""
    found = _DATES[order].fullmatch(text)
    if found is None:
        return None
    try:
        return datetime(*(int(found[part] or 0) for part in "ymdHMS"))  # type: ignore[arg-type]
    except ValueError:
        return None


class Cells:
    """A column of a table.

    Args:
        name: Of the column.
        values: A pyarrow.ChunkedArray of (N,) strings, null where missing.
        where: The table, for messages.
        locate: Turns a row into its place, such as `data.csv: line 7`.
    """

    def __init__(self, name: str, values: Any, where: str, locate: Callable[[int], str]) -> None:
        self.name = name
        self.where = where
        self._values = values
        self._locate = locate

    def __len__(self) -> int:
        return len(self._values)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """(N,) whether there is no value."""
        found: NDArray[np.bool_] = self._values.is_null().to_numpy()
        return found

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """(N,) NaN where the cell is missing or no number."""
        import pyarrow as pa

        try:
            fast: NDArray[np.float64] = self._values.cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            fast = np.array([np.inf])
        if not np.isinf(fast).any():
            return fast
        labels, codes = self.distinct
        parsed = np.array([*(float(label) if is_number(label) else np.nan for label in labels), np.nan])
        return parsed[codes]  # the code of what is missing is the last index

    @cached_property
    def distinct(self) -> tuple[list[str], NDArray[np.int32]]:
        """The distinct cells, and (N,) the index of each row's, -1 where it is missing."""
        encoded = self._values.dictionary_encode().combine_chunks()
        labels: list[str] = encoded.dictionary.to_pylist()
        return labels, encoded.indices.fill_null(MISSING_CODE).to_numpy(zero_copy_only=False).astype(np.int32)

    @property
    def texts(self) -> list[str]:
        """(N,) the cells as they are; empty where missing."""
        return [cell or "" for cell in self._values.to_pylist()]

    @cached_property
    def is_text(self) -> NDArray[np.bool_]:
        """(N,) whether there is a value and it is no number."""
        return np.isnan(self.numbers) & ~self.missing

    def booleans(self) -> NDArray[np.float32]:
        """(N,) 1, 0, NaN where missing, -1 where it is neither true nor false."""
        labels, codes = self.distinct
        values = [_BOOLEANS.get(label.lower(), float(label) if is_number(label) else -1) for label in labels]
        values = [value if value in (0, 1) else -1 for value in values]
        return np.array([*values, np.nan], dtype=np.float32)[codes]

    def dates(self, order: DateOrder) -> NDArray[np.datetime64]:
        """(N,) seconds; NaT where the cell is missing or no such date."""
        labels, codes = self.distinct
        parsed = np.array([*(as_date(label, order) for label in labels), None], dtype="datetime64[s]")
        return parsed[codes]

    def text(self, row: int) -> str:
        """The cell of a row that has one."""
        return str(self._values[int(row)].as_py())

    def problem(self, row: int, message: str) -> DataError:
        """What is wrong with the cell of a row, located."""
        return DataError(message, where=self.place(row))

    def place(self, row: int) -> str:
        """Where the cell of a row is, for messages."""
        return f"{self._locate(int(row))}: column '{self.name}'"
