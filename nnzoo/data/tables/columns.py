"""What a column means to a network: its type, as found in the training rows, and the features made from it.

These are saved with the weights. Reading a column has two steps: `read` turns cells into one small array, and `write`
fills the column's features from it, so that the features of all columns are in memory only once, as the result.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nnzoo.data.tables.cells import MISSING_CODE, Cells, DateOrder, Numbering

DateParts = tuple[Literal["year", "month", "day", "weekday", "hour", "minute"], ...]

UNSEEN_CODE = -2

_AS_LEARNT = "the training rows are here"

Real = Annotated[float, Field(ge=-3.4e38, le=3.4e38)]


class _Column(BaseModel):
    """A column that features are made from.

    Attributes:
        name: Of the column.
        indicator: Whether the last feature is 1 where the value is missing: where training rows lack it.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    name: str
    indicator: bool

    @property
    def own_features(self) -> tuple[str, ...]:
        """Names of the features, without the indicator."""
        raise NotImplementedError

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (*self.own_features, *([f"{self.name} is missing"] if self.indicator else []))

    def read(self, cells: Cells) -> NDArray[Any]:
        """(N,) or (N, P) values that `write` takes.

        Raises:
            DataError: A cell is not of the column's type; its row is named.
        """
        raise NotImplementedError

    def write(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Fills the features (N, len(feature_names)), which are 0, from values as `read` gives them."""
        raise NotImplementedError


class NumberColumn(_Column):
    """A number as it is; missing: the median of the training rows."""

    kind: Literal["number"]
    fill: Real

    @property
    def own_features(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, cells: Cells) -> NDArray[Any]:
        return read_numbers(cells)

    def write(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, np.float32(self.fill), values)
        if self.indicator:
            out[:, 1] = missing


class BooleanColumn(_Column):
    """1 for true, yes, t, y; 0 for false, no, f, n; missing: the more frequent one of the training rows."""

    kind: Literal["boolean"]
    fill: Literal[0, 1]

    @property
    def own_features(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, cells: Cells) -> NDArray[Any]:
        return read_booleans(cells)

    def write(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, np.float32(self.fill), values)
        if self.indicator:
            out[:, 1] = missing


class CategoryColumn(_Column):
    """One-hot: 1 for the category that it is, as it is written or, failing that, by the same number: 3.0 is 3.

    A value that no training row has is `other` where there is that feature, else none of the features is 1.

    Attributes:
        categories: Of the training rows.
        other: Whether there is a feature for the training rows' less frequent values.
    """

    kind: Literal["category"]
    categories: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    other: bool

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("a category stands there twice")
        return self

    @property
    def own_features(self) -> tuple[str, ...]:
        return (*(f"{self.name}={each}" for each in self.categories), *([f"{self.name}=other"] if self.other else []))

    @cached_property
    def _numbering(self) -> Numbering:
        return Numbering(self.categories)

    def read(self, cells: Cells) -> NDArray[Any]:
        labels, codes = cells.distinct
        unseen = len(self.categories) if self.other else UNSEEN_CODE
        index_of = [self._numbering.find(label, unseen) for label in labels]
        small = np.int16 if len(self.categories) < 2**15 else np.int32
        return np.array([*index_of, MISSING_CODE], dtype=small)[codes]

    def write(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        known = (values >= 0).nonzero()[0]
        out[known, values[known]] = 1
        if self.indicator:
            out[:, -1] = values == MISSING_CODE


class DateColumn(_Column):
    """The parts of a date that vary in the training rows, as numbers; weekdays from 0 for Monday. Missing: medians."""

    kind: Literal["date"]
    order: DateOrder
    parts: Annotated[DateParts, Field(min_length=1, strict=False)]
    fill: Annotated[tuple[Real, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.fill) != len(self.parts):
            raise ValueError("there is not one value to fill in a part")
        return self

    @property
    def own_features(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {part}" for part in self.parts)

    def read(self, cells: Cells) -> NDArray[Any]:
        dates = cells.dates(self.order)
        check_cells(cells, np.isnat(dates) & ~cells.missing, f"is no date ({'-'.join(self.order)}) as {_AS_LEARNT}")
        return date_parts(dates)[:, [DATE_PARTS.index(part) for part in self.parts]]

    def write(self, values: NDArray[Any], out: NDArray[np.float32]) -> None:
        missing = np.isnan(values[:, 0])
        out[:, : len(self.parts)] = np.where(missing[:, None], np.array(self.fill, dtype=np.float32), values)
        if self.indicator:
            out[:, -1] = missing


Column = Annotated[NumberColumn | BooleanColumn | CategoryColumn | DateColumn, Field(discriminator="kind")]

DATE_PARTS: DateParts = ("year", "month", "day", "weekday", "hour", "minute")


def date_parts(dates: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """(N, 6) the parts of (N,) dates, NaN where there is none."""
    days, months, hours = (dates.astype(f"datetime64[{unit}]") for unit in "DMh")
    parts = (
        dates.astype("datetime64[Y]").astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday
        (hours - days).astype(np.int64),
        (dates - hours).astype(np.int64) // 60,
    )
    found = np.stack(parts, axis=1).astype(np.float32)
    found[np.isnat(dates)] = np.nan
    return found


def read_numbers(cells: Cells, problem: str = f"is no number as {_AS_LEARNT}") -> NDArray[np.float32]:
    """(N,) NaN where missing.

    Args:
        cells: The column.
        problem: What is wrong with a cell that is none.

    Raises:
        DataError: A cell is no number, or too large.
    """
    check_cells(cells, cells.is_text, problem)
    with np.errstate(over="ignore"):
        values = cells.numbers.astype(np.float32)
    check_cells(cells, np.isinf(values), "is too large for float32")
    return values


def read_booleans(cells: Cells) -> NDArray[np.float32]:
    """(N,) NaN where missing.

    Raises:
        DataError: A cell is neither true nor false.
    """
    values = cells.booleans()
    check_cells(cells, values == -1, f"is neither true nor false as {_AS_LEARNT}")
    return values


def check_cells(cells: Cells, wrong: NDArray[np.bool_], problem: str) -> None:
    """Checks that no cell is marked.

    Raises:
        DataError: The first one is named.
    """
    if wrong.any():
        row = int(wrong.argmax())
        more = f" ({int(wrong.sum())} cells of {len(wrong)})" if wrong.sum() > 1 else ""
        fix = "Correct it, or add it to `missing` or `replace`."
        raise cells.problem(row, f"{cells.text(row)!r} {problem}{more}. {fix}")
