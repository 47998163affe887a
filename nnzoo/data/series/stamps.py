"""Timestamps: dates or numbers, the step between them, and the next ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal, localcontext
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nnzoo.data.dates.dates import DateForm, DateOrder
from nnzoo.data.dates.layouts import choose_date_form, find_date_forms
from nnzoo.data.tables.number_forms import NumberOptions, find_number_form
from nnzoo.data.tables.numbers import PLAIN, NumberForm

StampForm = Annotated[DateForm | NumberForm, Field(discriminator="kind")]

_FEW = 0.05
"""The maximum fraction of steps that may be gaps. With more, steps are irregular, as for working days."""
_MOST_GAPS = 0.5
"""The same if the step of the training rows is known."""
_SECONDS = {"day": 86400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0}
_EPOCHS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_EPOCH_SECONDS = (1e8, 4.2e9)
"""Integers are seconds since 1970 if they are in this range, from 1973 to 2103; other units have their own ranges."""
_MOST_DECIMALS = 100
_MOST_DIGITS = 500
_LARGEST = 9e18
"""Larger differences do not fit into 64-bit integers."""


class TimeStep(BaseModel):
    """The step between the rows of a series.

    Attributes:
        unit: The unit of the step; "number" for stamps that are numbers.
        size: The number of units.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    unit: Literal["month", "second", "number"]
    size: float = Field(gt=0)

    def describe(self) -> str:
        """Returns the step for messages, such as `1 day`."""
        if self.unit == "number":
            return f"{self.size:g}"
        lengths = {"month": 1.0} if self.unit == "month" else _SECONDS
        unit, length = next((pair for pair in lengths.items() if self.size % pair[1] == 0), ("second", 1.0))
        count = self.size / length
        return f"{count:g} {unit}{'' if count == 1 else 's'}"


class BadStampError(ValueError):
    """A cell is not a timestamp, or has a different format than the cells before it.

    Args:
        row: The row of the cell.
    """

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, eq=False)
class Stamps:
    """The time of every row.

    Attributes:
        positions: (R,) int64: months since 1970 if `months`, otherwise ticks: microseconds or nanoseconds for dates;
            for numbers, units of the last decimal, from `base`. float64 if the numbers are too far apart for int64.
        form: The format of the stamps.
        months: Whether positions are months.
        decimals: The number of decimals.
        is_fixed: Whether all numbers have the same number of decimals.
        epoch: The unit of numbers that count from 1970; None for other numbers and for dates.
        last: The last date, in local time; None for numbers that do not count from 1970.
        offset: The UTC offset of the last date in minutes.
        base: The smallest number, in ticks.
        ambiguity: A warning that a different order of day, month and year is also possible; None if it is not.
    """

    positions: NDArray[Any]
    form: DateForm | NumberForm
    months: bool = False
    decimals: int = 0
    is_fixed: bool = True
    epoch: Literal["s", "ms", "us", "ns"] | None = None
    last: np.datetime64 | None = None
    offset: int = 0
    base: int = 0
    ambiguity: str | None = None

    def take(self, rows: NDArray[np.int64]) -> Stamps:
        """Returns the stamps of some rows, which must include the last in time."""
        return replace(self, positions=self.positions[rows])

    @property
    def _unit(self) -> tuple[Literal["month", "second", "number"], int]:
        """The unit of steps, and the number of ticks per unit."""
        if self.months:
            return "month", 1
        if isinstance(self.form, DateForm):
            return "second", 10**9 if self.form.unit == "ns" else 10**6
        return "number", 10**self.decimals

    def usual_step(self) -> TimeStep | None:
        """Returns the most frequent step; None for a single row. Stamps must be sorted."""
        if len(self.positions) < 2:
            return None
        unit, ticks = self._unit
        return TimeStep(unit=unit, size=float(_most_frequent(np.diff(self.positions)) / ticks))

    def gaps(self, known: TimeStep | None = None) -> NDArray[np.int64] | None:
        """Returns the number of missing steps after each row, (R - 1,); None if steps are irregular.

        Stamps must be sorted.

        Args:
            known: The expected step, which is that of the training rows; half of the steps must have no gap. None for
                the most frequent step; nearly all steps must then have no gap.
        """
        differences = np.diff(self.positions)
        if not len(differences):
            return np.zeros(0, dtype=np.int64)
        unit, ticks = self._unit
        if known is not None and known.unit != unit:
            return None
        steps = differences / (_most_frequent(differences) if known is None else known.size * ticks)
        rounded = np.round(steps)
        gaps = (rounded - 1).astype(np.int64)
        regular = np.abs(steps - rounded).max() < 1e-3 and rounded.min() >= 1
        most = _FEW if known is None else _MOST_GAPS
        return gaps if regular and (gaps > 0).sum() <= most * len(differences) else None

    def following(self, count: int, known: TimeStep | None = None) -> list[str] | None:
        """Returns the next stamps in the format of the file; None if steps are irregular.

        Args:
            count: The number of stamps.
            known: The step of the training rows; None for the most frequent step.
        """
        unit, ticks = self._unit
        if known is not None:
            step = round(known.size * ticks)
            is_whole = known.unit == unit and abs(step - known.size * ticks) < 1e-3
            return [self._format(step, ahead) for ahead in range(1, count + 1)] if is_whole else None
        if len(self.positions) < 2 or self.gaps() is None:
            return None
        usual = _most_frequent(np.diff(self.positions)).item()
        return [self._format(usual, ahead) for ahead in range(1, count + 1)]

    def _format(self, step: Any, ahead: int) -> str:
        if self.months:
            assert self.last is not None
            return self._date(_later(self.last, int(step) * ahead))
        if isinstance(self.form, NumberForm):
            return self._number(self.base + self.positions[-1].item() + step * ahead)
        assert self.last is not None
        return self._date(self.last + np.timedelta64(int(step) * ahead, self.form.unit))

    def _date(self, local: np.datetime64) -> str:
        if isinstance(self.form, DateForm):
            return self.form.write(local, self.offset)
        assert self.epoch is not None
        since = (local - np.datetime64(0, self.epoch)) // np.timedelta64(1, self.epoch)
        return self._number(int(since) * 10**self.decimals)

    def _number(self, position: int | float) -> str:
        assert isinstance(self.form, NumberForm)
        if isinstance(position, float):
            return repr(position)
        with localcontext(Context(prec=_MOST_DIGITS)):
            text = f"{Decimal(position).scaleb(-self.decimals):f}"
        if not self.is_fixed and "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", self.form.decimal)


def parse_stamps(
    cells: Sequence[str],
    form: DateForm | NumberForm | None = None,
    *,
    step: TimeStep | None = None,
    order: DateOrder | Literal["auto"] = "auto",
    options: NumberOptions = NumberOptions(),  # noqa: B008  # immutable
) -> Stamps:
    """Parses timestamps: numbers or dates in one format.

    Args:
        cells: (R,) the stamps.
        form: Their format; None to infer it.
        step: The step of the training rows; None to infer whether it is a number of months.
        order: The order of day, month and year, if `form` is None.
        options: Hints for the number format, if `form` is None.

    Raises:
        BadStampError: A cell is neither a number nor a date, or has a different format than the first.
    """
    import pyarrow as pa

    months = step is None or step.unit == "month"
    texts = pa.array(cells, pa.string())
    encoded = texts.dictionary_encode()
    labels, rows = encoded.dictionary, encoded.indices.to_numpy()
    if isinstance(form, DateForm):
        return _dates(form, labels, rows, months=months)
    if form is not None:
        return _numbers(form, texts, months=months)
    plain = PLAIN.plain_texts(labels).null_count == 0
    forms = find_date_forms(labels, "auto" if plain else order, digits=plain)
    if forms:
        found, is_ambiguous = choose_date_form(forms, labels, rows)
        others = [each.order for each in forms if each != found]
        stamps = _dates(found, labels, rows, months=months)
        return replace(stamps, ambiguity=_ambiguity(found, others, cells)) if is_ambiguous else stamps
    if plain and options.allows_plain:
        return _numbers(PLAIN, texts, months=months)
    finding = find_number_form(labels, np.bincount(rows), options, 1.0, padded=True)
    if finding is None:
        raise BadStampError(_first_bad(cells, order))
    return _numbers(finding.form, texts, months=months)


def _ambiguity(form: DateForm, others: Sequence[DateOrder | None], cells: Sequence[str]) -> str:
    keys = ", ".join(f"`data.date_order: {other}`" for other in others)
    return (
        f"has dates of ambiguous order: '{cells[0]}' is read as {form.describe()}. {keys} reads them differently; "
        f"`data.date_order: {form.order}` silences this warning"
    )


def _first_bad(cells: Sequence[str], order: DateOrder | Literal["auto"]) -> int:
    """Returns the first cell with a different format than cell 0."""
    import pyarrow as pa

    texts, first = pa.array(cells, pa.string()), pa.array(cells[:1], pa.string())
    is_number = PLAIN.plain_texts(texts).is_valid().to_numpy(zero_copy_only=False)
    furthest = int((~is_number).argmax())
    for form in find_date_forms(first, order):
        furthest = max(furthest, int(np.isnat(form.read(texts).local).argmax()))
    return furthest


def _dates(form: DateForm, labels: Any, rows: NDArray[np.int64], *, months: bool) -> Stamps:
    of_labels = form.read(labels)
    local, offset = of_labels.local[rows], of_labels.offset[rows]
    if np.isnat(local).any():
        raise BadStampError(int(np.isnat(local).argmax()))
    times = local - offset.astype("timedelta64[m]")
    last = int(times.argmax())
    found = _months(local) if months else None
    return Stamps(
        times.astype(np.int64) if found is None else found,
        form,
        found is not None,
        last=local[last],
        offset=int(offset[last]),
    )


def _numbers(form: NumberForm, texts: Any, *, months: bool) -> Stamps:
    plain = form.plain_texts(texts)
    values = form.read(texts)
    if np.isnan(values).any():
        raise BadStampError(int(np.isnan(values).argmax()))
    decimals = [Decimal(text) for text in plain.to_pylist()]
    sizes = {max(0, -int(each.as_tuple().exponent)) for each in decimals}
    most = max(sizes)
    if most > _MOST_DECIMALS or (values.max() - values.min()) * 10.0**most >= _LARGEST:
        return Stamps(values, form)
    with localcontext(Context(prec=_MOST_DIGITS)):
        ticks = [int(each.scaleb(most)) for each in decimals]
    base = min(ticks)
    positions = np.array([tick - base for tick in ticks], dtype=np.int64)
    epoch = _epoch(values) if not most else None
    if epoch is not None:
        dates = (positions + base).astype(f"datetime64[{epoch}]")
        found = _months(dates) if months else None
        if found is not None:
            return Stamps(found, form, months=True, epoch=epoch, last=dates.max())
    return Stamps(positions, form, decimals=most, is_fixed=len(sizes) == 1, epoch=epoch, base=base)


def _epoch(values: NDArray[np.float64]) -> Literal["s", "ms", "us", "ns"] | None:
    low, high = _EPOCH_SECONDS
    for unit, scale in _EPOCHS.items():
        if values.min() >= low * scale and values.max() <= high * scale:
            return unit  # type: ignore[return-value]
    return None


def _months(local: NDArray[np.datetime64]) -> NDArray[np.int64] | None:
    """Returns (R,) months since 1970 if all dates are on the same day of the month, or all on the last; else None."""
    months, days = local.astype("datetime64[M]"), local.astype("datetime64[D]")
    times = local - days.astype(local.dtype)
    day = days - months.astype("datetime64[D]")
    is_last = (days + np.timedelta64(1, "D")).astype("datetime64[M]") != months
    if (times == times[0]).all() and ((day == day[0]).all() or is_last.all()):
        return months.astype(np.int64)
    return None


def _later(date: np.datetime64, months: int) -> np.datetime64:
    """Returns the same day of a later month, or its last day if the date is the last day or the day does not exist."""
    month, day = date.astype("datetime64[M]"), date.astype("datetime64[D]")
    time = date - day.astype(date.dtype)
    is_last = (day + np.timedelta64(1, "D")).astype("datetime64[M]") != month
    later = month + np.timedelta64(months, "M")
    last = (later + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    same = later.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
    chosen: np.datetime64 = last if is_last else min(same, last)
    later_date: np.datetime64 = chosen.astype(date.dtype) + time
    return later_date


def _most_frequent(differences: NDArray[Any]) -> Any:
    """Returns the most frequent of the (R - 1,) differences, up to floating-point rounding."""
    scale = np.abs(differences).max() if differences.dtype.kind == "f" else None
    values, counts = np.unique(differences if scale is None else (differences / scale).round(9), return_counts=True)
    found = values[counts.argmax()]
    return found if scale is None else found * scale
