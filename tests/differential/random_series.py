"""Random series with known values, written to disk in many formats."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from hypothesis import strategies as st
from spellings import MISSING, SPELLINGS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _later_month(date: datetime, count: int) -> datetime:
    total = date.year * 12 + date.month - 1 + count
    return date.replace(year=total // 12, month=total % 12 + 1)


STEPS: dict[str, Callable[[datetime, int], datetime]] = {
    "minute": lambda start, count: start + timedelta(minutes=count),
    "hour": lambda start, count: start + timedelta(hours=count),
    "day": lambda start, count: start + timedelta(days=count),
    "week": lambda start, count: start + timedelta(weeks=count),
    "month": _later_month,
    "quarter": lambda start, count: _later_month(start, 3 * count),
}


def _of_epoch(per_second: int) -> Callable[[datetime], str]:
    def write(date: datetime) -> str:
        gone = date - EPOCH
        return str((gone.days * 86400 + gone.seconds) * per_second)

    return write


def _written(form: str) -> Callable[[datetime], str]:
    return lambda date: date.strftime(form)


FORMS: dict[str, tuple[tuple[str, ...], Callable[[datetime], str]]] = {
    "iso": (("day", "week", "month"), _written("%Y-%m-%d")),
    "iso minutes": (("minute", "hour", "day"), _written("%Y-%m-%d %H:%M")),
    "iso fraction and zone": (("minute", "hour", "day"), _written("%Y-%m-%dT%H:%M:%S.000Z")),
    "compact": (("day", "month"), _written("%Y%m%d")),
    "european": (("day", "month"), _written("%d.%m.%Y")),
    "british": (("day",), _written("%d/%m/%Y")),
    "american": (("day", "month"), _written("%m/%d/%Y")),
    "month name": (("day", "month"), _written("%B %d, %Y")),
    "months": (("month",), _written("%Y-%m")),
    "quarters": (("quarter",), lambda date: f"{date.year}Q{(date.month + 2) // 3}"),
    "weeks": (("week",), _written("%G-W%V")),
    "seconds": (("minute", "hour", "day"), _of_epoch(1)),
    "milliseconds": (("minute", "hour", "day"), _of_epoch(1000)),
    "microseconds": (("minute", "hour"), _of_epoch(10**6)),
    "nanoseconds": (("minute", "hour"), _of_epoch(10**9)),
}
"""Time formats: the steps that they can express, and the writer."""


@dataclass(frozen=True)
class SeriesPlan:
    """A series.

    Attributes:
        seed: The seed of the numbers.
        num_rows: R, the number of rows in the files.
        form: The time format, a key of `FORMS`; empty for rows without time.
        step: The time step, a key of `STEPS`.
        style: The number format, a key of `SPELLINGS`.
        offset: The mean of the numbers.
        num_features: The number of numeric columns; the first is the target.
        categorical: Whether there is a categorical column.
        missing: The share of missing numbers.
        holes: The number of missing rows.
        shuffled: Whether rows are in random order.
        parts: The number of files.
        window: T.
        horizon: H.
        val: The share of val rows.
        test: The share of test rows.
        period: The period of a wave in the numbers, in rows; 0 for none.
        season: The configured season; 0 for none.
    """

    seed: int
    num_rows: int
    form: str
    step: str
    style: str
    offset: Decimal
    num_features: int
    categorical: bool
    missing: float
    holes: int
    shuffled: bool
    parts: int
    window: int
    horizon: int
    val: float
    test: float
    period: int
    season: int


@st.composite
def series(draw: st.DrawFn) -> SeriesPlan:
    """Draws a series."""
    form = draw(st.sampled_from(["", *FORMS]))
    share = st.sampled_from([0.0, 0.15, 0.2])
    return SeriesPlan(
        seed=draw(st.integers(0, 2**32 - 1)),
        num_rows=draw(st.integers(80, 140)),
        form=form,
        step=draw(st.sampled_from(FORMS[form][0])) if form else "",
        style=draw(st.sampled_from(["plain", "plain", "decimal comma", "dollars", "percent"])),
        offset=draw(st.sampled_from([Decimal(0), Decimal(1000), Decimal(10**9)])),
        num_features=draw(st.integers(1, 3)),
        categorical=draw(st.booleans()),
        missing=draw(st.sampled_from([0.0, 0.0, 0.05])),
        holes=draw(st.integers(0, 2)) if form else 0,
        shuffled=draw(st.booleans()) if form else False,
        parts=draw(st.sampled_from([1, 1, 12])),
        window=draw(st.integers(1, 6)),
        horizon=draw(st.integers(1, 3)),
        val=draw(share),
        test=draw(share),
        period=draw(st.sampled_from([0, 0, 4, 7])),
        season=draw(st.sampled_from([0, 0, 0, 1, 5])),
    )


@dataclass
class WrittenSeries:
    """A series on disk.

    Attributes:
        plan: The plan.
        path: The file, or the folder of part files.
        times: (R,) the written times, in file order.
        places: (R,) the time step of each row, from 0.
        numbers: (R, C) in file order; None if missing.
        names: (R,) the cells of the categorical column.
        following: The times of the next rows, in the format of the file.
    """

    plan: SeriesPlan
    path: Path
    times: list[str]
    places: list[int]
    numbers: list[list[Decimal | None]]
    names: list[str]
    following: list[str]

    @property
    def columns(self) -> list[str]:
        return [f"c{index}" for index in range(self.plan.num_features)]


def write_series(plan: SeriesPlan, folder: Path) -> WrittenSeries:
    """Writes a series into an empty folder."""
    random = Random(plan.seed)
    places = list(range(plan.num_rows))
    for _ in range(plan.holes):
        places.remove(random.choice(places[1:-1]))
    if plan.shuffled:
        random.shuffle(places)
    numbers: list[list[Decimal | None]] = [
        [None if random.random() < plan.missing else _number(plan, place, random) for _ in range(plan.num_features)]
        for place in places
    ]
    names = [random.choice(["calm", "NE", "SW, strong"]) for _ in places]
    ahead = range(plan.num_rows, plan.num_rows + plan.horizon)
    path = folder / "s.csv" if plan.parts == 1 else folder
    written = WrittenSeries(
        plan, path, _times(plan, places), places, numbers, names, _times(plan, list(ahead)) if plan.form else []
    )
    _write(written, folder, random)
    return written


def _number(plan: SeriesPlan, place: int, random: Random) -> Decimal:
    wave = 9 * math.sin(2 * math.pi * place / plan.period) if plan.period else 0.0
    return plan.offset + Decimal(round((wave + random.gauss(0, 3)) * 100)).scaleb(-2)


def _times(plan: SeriesPlan, places: list[int]) -> list[str]:
    if not plan.form:
        return []
    # A Monday, the first of a month and of a quarter.
    start = datetime(2018, 1, 1, tzinfo=UTC)
    return [FORMS[plan.form][1](STEPS[plan.step](start, place)) for place in places]


def _write(written: WrittenSeries, folder: Path, random: Random) -> None:
    plan = written.plan
    header = [*(["time"] if plan.form else []), *written.columns, *(["wind"] if plan.categorical else [])]
    rows = []
    for row, numbers in enumerate(written.numbers):
        cells = [random.choice(MISSING) if value is None else SPELLINGS[plan.style].write(value) for value in numbers]
        name = [written.names[row]] if plan.categorical else []
        rows.append([*(written.times[row : row + 1]), *cells, *name])
    cuts = [round(part * len(rows) / plan.parts) for part in range(plan.parts + 1)]
    for part in range(plan.parts):
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows[cuts[part] : cuts[part + 1]])
        file = written.path if plan.parts == 1 else folder / f"p{part + 1}.csv"
        file.write_text(out.getvalue(), encoding="utf-8", newline="")
