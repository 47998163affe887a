"""Column types, inferred from the training rows, and the features computed from them.

Columns are saved with the weights. Reading has two steps, to save memory: `read` converts cells to one compact array,
and `write` fills the features from it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nnzoo.data.dates.dates import DateForm
from nnzoo.data.tables.cells import MISSING_CODE, Cells
from nnzoo.data.tables.forms import BooleanForm, TextForm, canonical
from nnzoo.data.tables.numbers import PLAIN, NumberForm

DateParts = tuple[Literal["year", "month", "day", "weekday", "hour", "minute"], ...]

UNSEEN_CODE = -2

LARGEST = 1e100
"""The squares of larger numbers, or their sums, could overflow."""

_AS_LEARNED = "in the training rows"

Real = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class _Column(BaseModel):
    """A column that features are computed from.

    Attributes:
        name: The name in the table.
        indicator: Whether there is a last feature that is 1 for missing values. It exists if values are missing in
            training rows.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    name: str
    indicator: bool

    @property
    def own_features(self) -> tuple[str, ...]:
        """The names of the features, without the indicator."""
        raise NotImplementedError

    def describe(self) -> str:
        """Returns a readable description of the format; empty for a plain format."""
        return ""

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (*self.own_features, *([f"{self.name} is missing"] if self.indicator else []))

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        """The ranges (start, stop) of the features that are 0 or 1."""
        size = len(self.own_features)
        return ((size, size + 1),) if self.indicator else ()

    @property
    def feature_keys(self) -> tuple[str, ...]:
        """Canonical names of the features, which do not depend on the spelling of categories."""
        return self.feature_names

    def read(self, cells: Cells) -> NDArray[Any]:
        """Returns (N,) or (N, P) values for `write`.

        Raises:
            DataError: A cell does not match the column's format. The message names its row.
        """
        raise NotImplementedError

    def write(self, values: NDArray[Any], out: NDArray[np.float64]) -> None:
        """Fills (N, len(feature_names)) features, initially 0, from the values of `read`."""
        raise NotImplementedError


class NumberColumn(_Column):
    """A number. Missing values become the median of the training rows."""

    kind: Literal["number"]
    fill: Real
    form: NumberForm = PLAIN

    @property
    def own_features(self) -> tuple[str, ...]:
        return (self.name,)

    def describe(self) -> str:
        return self.form.describe()

    def read(self, cells: Cells) -> NDArray[Any]:
        return read_numbers(cells, self.form)

    def write(self, values: NDArray[Any], out: NDArray[np.float64]) -> None:
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, self.fill, values)
        if self.indicator:
            out[:, 1] = missing


class BooleanColumn(_Column):
    """1 for true, yes, on, t, y and 1; 0 for false, no, off, f, n and 0.

    Missing values become the more frequent value of the training rows.
    """

    kind: Literal["boolean"]
    fill: Literal[0, 1]

    @property
    def own_features(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        return (0, len(self.own_features)), *super().one_hot

    def read(self, cells: Cells) -> NDArray[Any]:
        return read_booleans(cells).astype(np.float32)

    def write(self, values: NDArray[Any], out: NDArray[np.float64]) -> None:
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, self.fill, values)
        if self.indicator:
            out[:, 1] = missing


class CategoryColumn(_Column):
    """One-hot encoding: 1 for the category that a cell equals.

    An unknown value sets the feature `other` to 1 if it exists; otherwise all features are 0.

    Attributes:
        categories: The distinct values of the training rows.
        other: Whether there is a feature for less frequent values of the training rows.
        form: The format by which cells are compared.
    """

    kind: Literal["category"]
    categories: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    other: bool
    form: TextForm | BooleanForm | NumberForm = Field(TextForm(), discriminator="kind")

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        if len(self._index) != len(self.categories):
            raise ValueError("two categories are equal")
        return self

    @property
    def own_features(self) -> tuple[str, ...]:
        return (*(f"{self.name}={each}" for each in self.categories), *([f"{self.name}=other"] if self.other else []))

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        return (0, len(self.own_features)), *super().one_hot

    def describe(self) -> str:
        return self.form.describe()

    @property
    def feature_keys(self) -> tuple[str, ...]:
        others = self.feature_names[len(self.categories) :]
        return (*(f"{self.name}={key}" for key in self._index), *others)

    @cached_property
    def _index(self) -> dict[str, int]:
        return index_of(self.categories, self.form)

    def read(self, cells: Cells) -> NDArray[Any]:
        keys = cells.keys(self.form)
        unseen = len(self.categories) if self.other else UNSEEN_CODE
        found = [self._index.get(name, unseen) for name in keys.names.to_pylist()]
        small = np.int16 if len(self.categories) < 2**15 else np.int32
        return np.array([*found, MISSING_CODE], dtype=small)[keys.codes]

    def write(self, values: NDArray[Any], out: NDArray[np.float64]) -> None:
        known = (values >= 0).nonzero()[0]
        out[known, values[known]] = 1
        if self.indicator:
            out[:, -1] = values == MISSING_CODE


class DateColumn(_Column):
    """The parts of a date that vary in the training rows, as numbers. Monday is 0.

    The parts of missing values become the medians of the training rows.
    """

    kind: Literal["date"]
    form: DateForm
    parts: Annotated[DateParts, Field(min_length=1, strict=False)]
    fill: Annotated[tuple[Real, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.fill) != len(self.parts):
            raise ValueError("parts and fill values differ in number")
        return self

    @property
    def own_features(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {part}" for part in self.parts)

    def describe(self) -> str:
        return self.form.describe()

    def read(self, cells: Cells) -> NDArray[Any]:
        dates = cells.dates(self.form)
        check_cells(
            cells,
            np.isnat(dates) & ~cells.missing,
            f"is not a date in the format that the column has {_AS_LEARNED} ({self.form.describe()})",
            "Correct it, or train with `date_order` or `types` set.",
        )
        return date_parts(dates)[:, [DATE_PARTS.index(part) for part in self.parts]]

    def write(self, values: NDArray[Any], out: NDArray[np.float64]) -> None:
        missing = np.isnan(values[:, 0])
        for index, fill in enumerate(self.fill):
            out[:, index] = np.where(missing, fill, values[:, index])
        if self.indicator:
            out[:, -1] = missing


Column = Annotated[NumberColumn | BooleanColumn | CategoryColumn | DateColumn, Field(discriminator="kind")]

DATE_PARTS: DateParts = ("year", "month", "day", "weekday", "hour", "minute")


def date_parts(dates: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Returns the parts of (N,) dates as (N, 6); NaN for NaT."""
    days, months, hours = (dates.astype(f"datetime64[{unit}]") for unit in "DMh")
    parts = (
        dates.astype("datetime64[Y]").astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday
        (hours - days).astype(np.int64),
        (dates.astype("datetime64[m]") - hours).astype(np.int64),
    )
    found = np.empty((len(dates), len(parts)), dtype=np.float32)
    for index, part in enumerate(parts):
        found[:, index] = part
    found[np.isnat(dates)] = np.nan
    return found


def index_of(names: tuple[str, ...], form: TextForm | BooleanForm | NumberForm | DateForm) -> dict[str, int]:
    """Returns the index of each name by its canonical spelling."""
    import pyarrow as pa

    spellings = canonical(pa.array(names, pa.string()), form).to_pylist()
    return {each: index for index, each in enumerate(spellings)}


def read_numbers(cells: Cells, form: NumberForm = PLAIN, problem: str = "") -> NDArray[np.float64]:
    """Returns (N,) numbers, NaN if missing.

    Args:
        cells: The column.
        form: The number format.
        problem: The error message for a cell that is not a number.

    Raises:
        DataError: A cell does not match the format or is too large.
    """
    values = cells.numbers(form)
    shown = "" if form.is_plain else f" ({form.describe()})"
    check_cells(
        cells,
        cells.is_text(form),
        problem or f"is not a number in the format that the column has {_AS_LEARNED}{shown}",
        "Correct it, add it to `missing` or `replace`, or train with `decimal`, `thousands` or `types` set.",
    )
    with np.errstate(invalid="ignore"):
        check_cells(cells, np.abs(values) > LARGEST, f"is too large (expected at most {LARGEST:g})")
    return values


def read_booleans(cells: Cells) -> NDArray[np.float64]:
    """Returns (N,) values: 1 for true, 0 for false, and NaN if missing.

    Raises:
        DataError: A cell is neither true nor false.
    """
    values = cells.booleans()
    check_cells(cells, values == -1, f"is not a boolean, but the column is boolean {_AS_LEARNED}")
    return values


def check_cells(
    cells: Cells, wrong: NDArray[np.bool_], problem: str, fix: str = "Correct it, or add it to `missing` or `replace`."
) -> None:
    """Checks that no cell is invalid.

    Raises:
        DataError: A cell is invalid. The message names the first one.
    """
    if wrong.any():
        row = int(wrong.argmax())
        more = f" ({int(wrong.sum())} cells of {len(wrong)})" if wrong.sum() > 1 else ""
        raise cells.problem(row, f"{cells.text(row)!r} {problem}{more}. {fix}")
