"""Writes the results of a sweep: result.json, trials.csv, best.yaml and sweep.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnzoo.config import load_config, to_yaml
from nnzoo.config.yaml_writer import flow
from nnzoo.run.directory import RESULT
from nnzoo.run.files import write_csv, write_json, write_text
from nnzoo.search.plan import Plan
from nnzoo.search.records import ENDED, Record, best_of, counts_of, metric_of
from nnzoo.search.study import SweepStudy

if TYPE_CHECKING:
    from nnzoo.config import Config

TRIALS, BEST, PAGE = "trials.csv", "best.yaml", "sweep.html"


def result_of(
    plan: Plan, records: Sequence[Record], importances: Mapping[str, float] | None = None, status: str = ""
) -> dict[str, Any]:
    """Returns the content of result.json."""
    best, counts = best_of(records, plan.mode), counts_of(records)
    ended = sum(counts[state] for state in ENDED)
    if not status:
        status = "running" if ended < len(records) else "failed" if counts["failed"] == ended else "completed"
    return {
        "sweep_dir": str(plan.folder),
        "status": status,
        "method": plan.method,
        "metric": metric_of(records, plan.metric),
        "mode": plan.mode,
        "space": {key: str(each) for key, each in plan.space.items()},
        "counts": {"all": len(records), **counts},
        "best": None if best is None else _as_dict(plan, best),
        "importances": dict(importances) if importances else None,
        "trials": [_as_dict(plan, each) for each in records],
    }


def _as_dict(plan: Plan, record: Record) -> dict[str, Any]:
    return {
        "trial": record.number,
        "status": record.state,
        "value": record.value,
        "values": dict(record.values),
        # The run of another machine is not here.
        "run_dir": str(folder) if record.run and (folder := plan.folder / record.run).is_dir() else None,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "reason": record.reason or None,
        "host": record.host or None,
        "batch": record.batch,
    }


def write_results(plan: Plan, study: SweepStudy, *, status: str = "", page: bool = True) -> dict[str, Any]:
    """Writes the files of a sweep, and returns the content of result.json.

    Args:
        plan: The plan.
        study: The database.
        status: interrupted; by default, it follows from the trials.
        page: Whether sweep.html is written.

    Raises:
        RunError: A file can't be written.
    """
    records = study.records()
    importances, reason = study.importances() if page else ({}, "")
    result = result_of(plan, records, importances, status)
    header = ["trial", "status", "value", *plan.space, "epochs", "seconds", "batch", "reason"]
    write_csv(plan.folder / TRIALS, header, (_row(plan, each) for each in records))
    best = best_of(records, plan.mode)
    if best is not None:
        write_text(plan.folder / BEST, best_yaml(plan, best))
    if page:
        from nnzoo.search.page import write_page

        write_page(plan.folder / PAGE, plan, records, importances, reason)
    write_json(plan.folder / RESULT, result)
    return result


def _row(plan: Plan, record: Record) -> list[Any]:
    values = [flow(record.values[key]) if key in record.values else "" for key in plan.space]
    value = "" if record.value is None else record.value
    return [record.number, record.state, value, *values, record.epochs, record.seconds, record.batch, record.reason]


def best_config(plan: Plan, best: Record) -> Config:
    """Returns the config of the best trial, with the name of the config and `-best`."""
    return load_config(plan.config, {**best.values, "name": f"{plan.config.name[:95]}-best"})


def best_yaml(plan: Plan, best: Record) -> str:
    """Returns best.yaml."""
    comment = (
        f"# The best of the trials of {plan.name}: trial {best.number}, {best.monitor} {best.value:.6g}. The value is "
        "optimistic,\n# since it chose the trial. Other seeds measure it: nnzoo train best.yaml seed=1\n"
    )
    return comment + to_yaml(best_config(plan, best))
