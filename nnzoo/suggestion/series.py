"""A config for a time series: its time column, its step and season, inputs, window and network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from nnzoo.suggestion.trials import Trial, try_forecasts

LEAST_ROWS = 40
_REGULAR = 0.6
"""The share of equal time steps that a series has; those of working days have .8."""
_TIME_NAMES = {"time", "date", "timestamp", "datetime", "epoch", "month", "year", "week", "day", "period", "hour"}
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_STEPS = {"hour": 24, "minute": 60, "second": 60, "day": 28, "month": 12}
_LONGEST_WINDOW = 60
_MOST_CATEGORIES = 20


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


@dataclass(eq=False)
class Plan:
    """What a forecast reads, and what quick linear forecasts of the train rows say about it.

    Attributes:
        facts: The table.
        target: The columns to forecast.
        axis: How its rows follow each other in time.
        inputs: The numeric input columns.
        categorical: The categorical input columns.
        unused: The other columns.
        others_help: Whether other columns than the targets make the linear forecasts better; true if there are none.
        season: Rows per season; 1 if there is none.
        trial: The errors of linear forecasts; None if there are too few rows.
    """

    facts: TableFacts
    target: tuple[str, ...]
    axis: TimeAxis
    inputs: list[str]
    categorical: list[str]
    unused: list[str]
    others_help: bool
    season: int
    trial: Trial | None


def plan_series(facts: TableFacts, target: Sequence[str], axis: TimeAxis) -> Plan:
    """Chooses the inputs and the window of a forecast by linear forecasts of the train rows, which take little time."""
    inputs, categorical, unused = _inputs(facts, target, axis)
    rows = _in_order(facts, axis)
    values = _columns(facts, target)[rows]
    season = find_season(values[: round(0.7 * len(values))], 1)
    usual, _ = _window(facts, axis, season)
    own = [name for name in inputs if name not in target]
    one_hot = [np.eye(facts.columns[name].codes.max() + 1)[facts.columns[name].codes] for name in categorical]
    others = np.concatenate([_columns(facts, own), *one_hot], axis=1)[rows]
    windows = [window for window in (usual, usual // 2, 2 * usual) if window > 1]
    trial = try_forecasts(values, others, windows, season)
    others_help = trial is None or not trial.choice.own or len(inputs) + len(categorical) == len(target)
    if not others_help:
        unused = [*unused, *own, *categorical]
        inputs, categorical = [*target], []
    return Plan(facts, tuple(target), axis, inputs, categorical, unused, others_help, season, trial)


def suggest_series(plan: Plan, path: Path) -> Suggestion:
    """Returns a config for a time series."""
    facts, target, axis, inputs = plan.facts, plan.target, plan.axis, plan.inputs
    shown = ", ".join(map(printable, target))
    suggestion = Suggestion("series", {}, task=f"forecast of {shown}, one step of {axis.step} ahead")
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
    why = f"; not used: {', '.join(map(printable, plan.unused))}" if plan.unused else ""
    if inputs != [*target]:
        suggestion.set("data.features", inputs, f"the past of the target and of the other numbers{why}")
    elif plan.unused:
        gain = "" if plan.others_help else ": other columns gain little"
        suggestion.reasons["data.target"] = f"only its own past is read{gain}{why}"
    if plan.categorical:
        suggestion.set("data.categorical", plan.categorical, "one-hot encoded")
    _set_cells(suggestion, plan)
    share = 0.15
    suggestion.set(
        "data.split",
        {"val": share, "test": share},
        f"the last {percent(share)} of the rows are the test split, those before them val: no forecast sees its future",
    )
    window = suggestion.config["data"]["window"]
    _set_network(suggestion, plan, max(round(facts.num_rows * (1 - 2 * share)) - window, 1))
    return suggestion


def _set_cells(suggestion: Suggestion, plan: Plan) -> None:
    """Sets how cells are read, and the window."""
    facts, columns = plan.facts, plan.facts.columns
    odd = {text: "" for name in [*plan.inputs, *plan.categorical] for text in columns[name].odd}
    if odd:
        suggestion.set("data.replace", odd, "these cells mean missing values")
    read = [*plan.inputs, *plan.categorical, *([] if plan.axis.column is None else [plan.axis.column])]
    set_date_order(suggestion, [columns[name].dates for name in read], decimal_comma=facts.has_decimal_comma)
    window, why = _window(facts, plan.axis, plan.season)
    if plan.trial is not None and plan.trial.choice.window != window:
        window = plan.trial.choice.window
        why += f"; {window} rows gave the best linear forecast of the train rows"
    suggestion.set("data.window", window, why)
    suggestion.set("data.horizon", 1, "rows to forecast; more rows ahead are harder")
    if plan.trial is not None and not plan.trial.choice.difference:
        why = "values are forecast, not changes from the last value, which was better on the train rows"
        suggestion.set("data.difference", False, why)


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


def _window(facts: TableFacts, axis: TimeAxis, season: int) -> tuple[int, str]:
    """Returns the usual number of input rows, and why."""
    longest = max(facts.num_rows // 10, 2)
    if 1 < season <= min(_LONGEST_WINDOW, longest):
        window = season if season >= 12 else season * max(1, 14 // season)
        return min(window, longest), f"the values repeat every {season} rows"
    usual = _STEPS.get(axis.unit, 24)
    about = f"the values repeat every {season} rows, more than a window can hold" if season > 1 else "no season found"
    return min(usual, longest), f"rows that a forecast is made from; {about}"


def _columns(facts: TableFacts, names: Sequence[str]) -> NDArray[np.float64]:
    """Returns the (R, F) numbers of some columns."""
    columns = [facts.columns[name].values for name in names]
    numbers = [column.astype(np.float64) for column in columns if column is not None]
    return np.stack(numbers, axis=1) if numbers else np.zeros((facts.num_rows, 0))


def _in_order(facts: TableFacts, axis: TimeAxis) -> NDArray[np.int64]:
    """Returns the rows sorted by time."""
    if axis.column is None:
        return np.arange(facts.num_rows)
    return parse_stamps(facts.table.cells(axis.column).texts).positions.argsort(kind="stable")


def _set_network(suggestion: Suggestion, plan: Plan, num_train: int) -> None:
    """Sets a linear forecast, or a network if nonlinear features help."""
    trial = plan.trial
    suggestion.set("loss", "huber", "far outliers count less than in mse")
    if trial is None or not trial.is_curved:
        why = "nonlinear features gained nothing over a linear forecast of the train rows; `mlp` and `gru` learn them"
        suggestion.set("model", "linear", why if trial is not None else "few rows: a linear forecast is hard to beat")
        suggestion.set("optimizer", "lbfgs", "finds the best linear forecast in a few steps over all rows")
        penalty = 0.1 if trial is None else trial.choice.l2 / 2
        suggestion.set("regularization", {"l2": penalty}, "the best penalty for a linear forecast of the train rows")
        suggestion.set("train", {"batch_size": "full", "epochs": 50, "early_stopping": {"patience": 10}})
    else:
        suggestion.set(
            "model",
            {"name": "mlp", "hidden": [64]},
            "nonlinear features gain over a linear forecast of "
            "the train rows; `gru` reads the window step by step, but is slower",
        )
        suggestion.set("optimizer", {"name": "adamw", "lr": 1e-3})
        set_training(suggestion, budget_for(num_train, steps=3_000 if num_train < 2_000 else 6_000), num_train)
    if trial is not None and not trial.helps:
        suggestion.warnings.append(
            f"a linear forecast of the train rows was not clearly better than the "
            f"{'value one season before' if plan.season > 1 else 'last value'} (mean error {trial.linear:.3g} and "
            f"{trial.naive:.3g} standard deviations). The series may not be predictable from its past"
        )
