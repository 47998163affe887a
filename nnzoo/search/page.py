"""The page of a sweep: the best trials, importances, parallel coordinates, curves and a table of all trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from nnzoo.errors import CheckpointError
from nnzoo.report.charts import Bars, Cell, Curve, Lines, Link, Part, Scatter, Section, TableOf, Text
from nnzoo.report.page import page
from nnzoo.run.directory import METRICS, REPORT, RESULT
from nnzoo.run.files import write_text
from nnzoo.run.history import History
from nnzoo.search.parallel import parallel_coordinates
from nnzoo.search.plan import Plan
from nnzoo.search.records import Record, best_of, counts_of, metric_of
from nnzoo.search.space import Range
from nnzoo.search.worker import shown

MAX_NAMED = 6
"""More curves can't be told apart, so the others are grey."""
MAX_CURVES = 200


def write_page(
    path: Path, plan: Plan, records: Sequence[Record], importances: Mapping[str, float], reason: str
) -> None:
    """Writes the page of a sweep.

    Args:
        path: The file.
        plan: The plan.
        records: The trials.
        importances: The share of the variance that each key explains.
        reason: Why there are no importances.

    Raises:
        RunError: The file can't be written.
    """
    counts = counts_of(records)
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    found = [
        Section("result", "Result", _result(plan, records)),
        Section("importances", "Importances", _importances(importances, reason)),
        Section("values", "Values and results", _values(plan, records)),
        Section("curves", "Curves", _curves(plan, records)),
        Section("trials", "All trials", [_table(plan, records)]),
    ]
    batched = sum(each.batch > 1 for each in records)
    lead = f"{len(records)} trials by {plan.method}: {states}{f'; {batched} in batches' if batched else ''}"
    write_text(path, page(f"Sweep {plan.name}", [each for each in found if each.parts], lead=lead))


def _result(plan: Plan, records: Sequence[Record]) -> list[Part]:
    best = best_of(records, plan.mode)
    metric = metric_of(records, plan.metric)
    space: list[list[Cell]] = [
        [key, str(each), shown(best.values[key]) if best else None] for key, each in plan.space.items()
    ]
    parts: list[Part] = []
    if best is not None:
        parts.append(
            Text(
                f"Trial {best.number} is the best: {metric} {best.value:.4g}. The value is optimistic, since it chose "
                "the trial among all. Train best.yaml with other seeds to measure what these values bring."
            )
        )
        parts.append(Text(f"nnzoo train {plan.folder}/best.yaml seed=1", code=True))
    if metric.startswith("train/"):
        parts.append(Text("There is no val split, so trials are compared on train, which can't show overfitting."))
    parts.append(TableOf("Search space", "", ["key", "searched", "best trial"], space))
    ended = [each for each in records if each.value is not None and math.isfinite(each.value)]
    if len(ended) > 1:
        parts.append(_progress(plan, ended, metric))
    return parts


def _progress(plan: Plan, ended: Sequence[Record], metric: str) -> Lines:
    """Returns the results in the order of the trials, and the best one so far."""
    choose = min if plan.mode == "min" else max
    completed = [each for each in ended if each.state == "completed"]
    best: list[float] = []
    for each in completed:
        best.append(choose(best[-1], each.value or 0.0) if best else each.value or 0.0)
    numbers = [each.number for each in completed]
    better = "lower" if plan.mode == "min" else "higher"
    return Lines(
        "Progress",
        f"The result of each completed trial, and the best one so far; {better} is better.",
        "trial",
        metric,
        {"result": (numbers, [each.value or 0.0 for each in completed]), "best so far": (numbers, best)},
        log_y=_is_log(ended, metric),
    )


def _is_log(ended: Sequence[Record], metric: str) -> bool:
    """Whether results are shown on a logarithmic axis: losses and errors that are positive."""
    return not metric.endswith(("accuracy", "r2")) and all((each.value or 0.0) > 0 for each in ended)


def _importances(importances: Mapping[str, float], reason: str) -> list[Part]:
    if not importances:
        return [Text(reason)] if reason else []
    caption = (
        "The share of the variance of the results that each key explains alone and in combinations (fANOVA, a forest "
        "fitted to the completed trials). With few trials the shares are rough."
    )
    return [Bars("Importance", caption, list(importances), {"share": list(importances.values())}, "share")]


def _values(plan: Plan, records: Sequence[Record]) -> list[Part]:
    ended = [each for each in records if each.value is not None and math.isfinite(each.value) and each.values]
    if not ended:
        return []
    metric = metric_of(records, plan.metric)
    log_value = _is_log(ended, metric)
    parts: list[Part] = [parallel_coordinates(plan.space, ended, metric, plan.mode, log_value=log_value)]
    for key, dimension in plan.space.items():
        if isinstance(dimension, Range):
            # A scatter has linear axes, so that values of a logarithmic range are drawn by their logarithm.
            is_log = dimension.kind in ("log", "logint")
            groups: dict[str, Curve] = {}
            for state in ("completed", "pruned"):
                own = [each for each in ended if each.state == state]
                numbers = [math.log10(each.values[key]) if is_log else each.values[key] for each in own]
                results = [math.log10(each.value or 1.0) if log_value else each.value or 0.0 for each in own]
                if own:
                    groups[state] = numbers, results
            labels = (f"log10 of {key}" if is_log else key, f"log10 of {metric}" if log_value else metric)
            parts.append(Scatter(key, "One point per trial.", *labels, groups))
        else:
            parts.append(_by_value(key, plan, ended, metric))
    return parts


def _by_value(key: str, plan: Plan, ended: Sequence[Record], metric: str) -> Bars:
    """Returns the best result of each listed value of a key."""
    choose = min if plan.mode == "min" else max
    found: dict[str, list[float]] = {}
    for each in ended:
        found.setdefault(shown(each.values[key]), []).append(each.value or 0.0)
    caption = "The best result of the trials with each value."
    return Bars(key, caption, list(found), {metric: [choose(each) for each in found.values()]}, metric)


def _curves(plan: Plan, records: Sequence[Record]) -> list[Part]:
    """Returns the monitor over the epochs: the best trials by name, and the others in grey."""
    sign = 1 if plan.mode == "min" else -1
    metric = metric_of(records, plan.metric)
    ended = [each for each in records if each.value is not None]
    ended.sort(key=lambda each: (each.state != "completed", sign * (each.value or 0.0)))
    curves = {f"trial {each.number}": _curve(plan, each, metric) for each in ended[:MAX_CURVES]}
    curves = {name: curve for name, curve in curves.items() if curve[0]}
    if not curves:
        return []
    named = dict(list(curves.items())[:MAX_NAMED])
    others = list(curves.values())[MAX_NAMED:]
    grey = f"; the other {len(others)} trials are grey" if others else ""
    missing = f" {len(ended) - MAX_CURVES} more are left out." if len(ended) > MAX_CURVES else ""
    positive = all(y > 0 for _, ys in curves.values() for y in ys if y == y)
    return [
        Lines(
            metric,
            f"The {len(named)} best trials by name{grey}. Pruned trials end early.{missing}",
            "epoch",
            metric,
            named,
            log_y=positive and not metric.endswith(("accuracy", "r2")),
            behind=others,
        )
    ]


def _curve(plan: Plan, record: Record, metric: str) -> Curve:
    """Returns the monitor of each epoch, from the run directory if it is on this machine."""
    file = plan.folder / record.run / METRICS
    if file.is_file():
        try:
            rows = History.read(file).rows
        except CheckpointError:
            rows = []
        if rows and metric in rows[0]:
            return [row["epoch"] for row in rows], [row[metric] for row in rows]
    return list(record.curve), list(record.curve.values())


def _table(plan: Plan, records: Sequence[Record]) -> TableOf:
    metric = metric_of(records, plan.metric)
    rows: list[list[Cell | Link]] = [
        [
            _linked(plan, each),
            each.state,
            each.value,
            *(shown(each.values[key]) if key in each.values else None for key in plan.space),
            each.epochs,
            each.seconds,
            each.reason or None,
        ]
        for each in records
    ]
    return TableOf("", "", ["trial", "status", metric, *plan.space, "epochs", "seconds", "reason"], rows)


def _linked(plan: Plan, record: Record) -> Cell | Link:
    """Returns the number of a trial as a link to its page or its result, if that is on this machine."""
    for name in (REPORT, RESULT):
        if record.run and (plan.folder / record.run / name).is_file():
            return Link(str(record.number), quote(f"{record.run}/{name}"))
    return str(record.number)
