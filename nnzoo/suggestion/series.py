"""A config for a time series: its time column, its step and season, inputs, window and network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.series.season import find_season
from nnzoo.data.series.stamps import BadStampError, Stamps, parse_stamps
from nnzoo.data.tables.columns import NumberColumn
from nnzoo.suggestion.dates import set_date_order
from nnzoo.suggestion.facts import ColumnFacts, TableFacts
from nnzoo.suggestion.suggestion import Suggestion, percent, plural, printable
from nnzoo.suggestion.targets import looks_like_id, words_of
from nnzoo.suggestion.training import budget_for, set_training

LEAST_ROWS = 40
_REGULAR = 0.6
"""The share of equal time steps that a series has; those of working days have .8."""
_TIME_NAMES = {"time", "date", "timestamp", "datetime", "epoch", "month", "year", "week", "day", "period", "hour"}
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_STEPS = {"hour": 24, "minute": 60, "second": 60, "day": 28, "month": 12}
_LONGEST_WINDOW = 60
_MOST_CATEGORIES = 20
_FEW_ROWS = 5_000


class TimeAxis(NamedTuple):
    """How the rows of a table follow each other in time.

    Attributes:
        column: The time column; None if the rows are in order and several columns have parts of the time.
        parts: Columns with parts of the time.
        step: The time step in words.
        unit: The unit of the step.
    """

    column: str | None
    parts: tuple[str, ...]
    step: str
    unit: str

    @property
    def per(self) -> str:
        """The time of a row in words: `day`, `15 minutes`."""
        return self.step.removeprefix("1 ")


IN_ORDER = TimeAxis(None, (), "1 row", "row")
"""The axis of a file with one column of numbers, whose rows follow each other."""


def find_time(facts: TableFacts) -> TimeAxis | None:
    """Returns the time axis of a table whose rows are a time series; None if they are not."""
    if facts.num_rows < LEAST_ROWS:
        return None
    for column in facts.columns.values():
        is_named = bool(set(words_of(column.name)) & _TIME_NAMES)
        is_time = column.kind == "date" or (is_named and column.kind in ("number", "text"))
        if is_time and column.is_unique and not column.missing:
            axis = _axis_of(column, facts)
            if axis is not None:
                return axis
    return _axis_of_parts(facts)


def _axis_of(column: ColumnFacts, facts: TableFacts) -> TimeAxis | None:
    try:
        stamps: Stamps = parse_stamps(facts.table.cells(column.name).texts)
    except BadStampError:
        return None
    ordered = stamps.take(stamps.positions.argsort(kind="stable"))
    steps = np.diff(ordered.positions)
    usual = ordered.usual_step()
    counts = np.unique(steps, return_counts=True)[1]
    if usual is None or counts.max() < _REGULAR * len(steps):
        return None
    described = usual.describe()
    return TimeAxis(column.name, (), described, described.split()[-1].rstrip("s"))


def _axis_of_parts(facts: TableFacts) -> TimeAxis | None:
    """Returns the axis of rows in order whose columns are `year`, `month`, `day`, ..."""
    names = {column.name.lower(): column for column in facts.columns.values() if column.kind == "number"}
    parts = [names[part] for part in _PARTS if part in names and not names[part].missing]
    if len(parts) < 2:
        return None
    keys = np.zeros(facts.num_rows)
    for part in parts:
        assert part.values is not None
        keys = keys * 100 + part.values
    if not bool((np.diff(keys) > 0).all()):
        return None
    counter = next((each for each in facts.columns.values() if looks_like_id(each) and each.kind == "number"), None)
    unit = parts[-1].name.lower()
    return TimeAxis(None if counter is None else counter.name, tuple(each.name for each in parts), f"1 {unit}", unit)


def can_be_series(facts: TableFacts, target: Sequence[str]) -> bool:
    """Returns whether all targets are numbers, so that they can be forecast."""
    return all(facts.columns[name].kind == "number" and facts.columns[name].distinct > 2 for name in target)


def suggest_series(facts: TableFacts, target: Sequence[str], axis: TimeAxis, path: Path) -> Suggestion:
    """Returns a config for a time series."""
    shown = ", ".join(map(printable, target))
    suggestion = Suggestion("series", {}, task=f"forecast of {shown}, one step of {axis.step} ahead")
    inputs, categorical, unused = _inputs(facts, target, axis)
    suggestion.found += [
        f"{plural(facts.num_rows, 'row')}, {plural(len(facts.columns), 'column')}, one row per {axis.per}",
        *(
            f"{printable(name)}{' (target)' if name in target else ''}: {column.describe()}"
            for name, column in facts.columns.items()
        ),
    ]
    suggestion.set("data.name", "series")
    suggestion.set("data.path", str(path))
    for key, value in facts.layout.keys.items():
        suggestion.set(f"data.{key}", value, facts.layout.reasons.get(key, ""))
    if axis.column is not None:
        suggestion.set("data.time", axis.column, f"one row per {axis.per}; the rows are sorted by it")
    else:
        by = f", by {', '.join(axis.parts)}" if axis.parts else ""
        suggestion.notes.append(f"the rows are in time order{by}")
    suggestion.set("data.target", target[0] if len(target) == 1 else [*target])
    if inputs != [*target]:
        why = f"; not used: {', '.join(map(printable, unused))}" if unused else ""
        suggestion.set("data.features", inputs, f"the past of the target and of the other numbers{why}")
    if categorical:
        suggestion.set("data.categorical", categorical, "one-hot encoded")
    odd = {text: "" for name in [*inputs, *categorical] for text in facts.columns[name].odd}
    if odd:
        suggestion.set("data.replace", odd, "these cells mean missing values")
    read = [*inputs, *categorical, *([] if axis.column is None else [axis.column])]
    dates = [facts.columns[name].dates for name in read]
    set_date_order(suggestion, dates, decimal_comma=facts.has_decimal_comma)
    window, why = _window(facts, target, axis)
    suggestion.set("data.window", window, why)
    suggestion.set("data.horizon", 1, "rows to forecast; more rows ahead are harder")
    share = 0.15
    suggestion.set(
        "data.split",
        {"val": share, "test": share},
        f"the last {percent(share)} of the rows are the test split, those before them val: no forecast sees its future",
    )
    num_train = max(round(facts.num_rows * (1 - 2 * share)) - window, 1)
    _set_network(suggestion, num_train, len(inputs) + len(categorical))
    return suggestion


def _inputs(facts: TableFacts, target: Sequence[str], axis: TimeAxis) -> tuple[list[str], list[str], list[str]]:
    """Returns the numeric and the categorical input columns, and those that are not used."""
    inputs, categorical, unused = [*target], list[str](), list[str]()
    calendar = [part for part in axis.parts if part.lower() in ("month", "hour")]
    for name, column in facts.columns.items():
        if name in target or name == axis.column:
            continue
        if column.kind == "number" and (name not in axis.parts or name in calendar) and not looks_like_id(column):
            is_plain = isinstance(column.column, NumberColumn) and column.missing < 0.5 * column.num_rows
            (inputs if is_plain else unused).append(name)
        elif column.kind in ("category", "boolean") and column.distinct <= _MOST_CATEGORIES and not column.missing:
            categorical.append(name)
        else:
            unused.append(name)
    # With few rows, the past of the target says more than many inputs.
    if facts.num_rows < 10 * len(inputs) * len(inputs):
        unused += inputs[len(target) :]
        inputs = [*target]
    return inputs, categorical, unused


def _window(facts: TableFacts, target: Sequence[str], axis: TimeAxis) -> tuple[int, str]:
    """Returns the number of input rows, and why."""
    values = np.stack([_numbers(facts.columns[name]) for name in target], axis=1)
    season = find_season(values[: round(0.7 * len(values))], 1)
    longest = max(facts.num_rows // 10, 2)
    if 1 < season <= min(_LONGEST_WINDOW, longest):
        window = season if season >= 12 else season * max(1, 14 // season)
        return min(window, longest), f"the values repeat every {season} rows"
    usual = _STEPS.get(axis.unit, 24)
    about = f"the values repeat every {season} rows, more than a window can hold" if season > 1 else "no season found"
    return min(usual, longest), f"rows that a forecast is made from; {about}"


def _numbers(column: ColumnFacts) -> NDArray[np.float64]:
    assert column.values is not None
    return column.values.astype(np.float64)


def _set_network(suggestion: Suggestion, num_train: int, num_inputs: int) -> None:
    if num_train < _FEW_ROWS and (num_inputs == 1 or num_train < 1_000):
        suggestion.set("model", "linear", "few rows: a linear forecast from the window is hard to beat")
        rate = 1e-2 if num_train < 500 else 3e-3
    else:
        suggestion.set("model", {"name": "mlp", "hidden": [64]}, "`gru` reads the window step by step, but is slower")
        rate = 1e-3
    suggestion.set("loss", "huber", "far outliers count less than in mse")
    suggestion.set("optimizer", {"name": "adamw", "lr": rate})
    set_training(suggestion, budget_for(num_train, steps=3_000 if num_train < 2_000 else 6_000), num_train)
