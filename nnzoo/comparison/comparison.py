"""Compares runs: groups them, and finds the differences of their settings and of their metrics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnzoo.comparison.groups import Group, comparable, grouped
from nnzoo.comparison.pairs import Pair, compare_pairs
from nnzoo.comparison.run_files import RunFiles, find_runs, read_run
from nnzoo.comparison.settings import differences
from nnzoo.config.metrics import SPLITS, main_metric
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import NnzooError, UsageError
from nnzoo.numbers import spread

RunLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class RunComparison:
    """The result of a comparison. `as_dict` returns it as plain values.

    Attributes:
        metric: The metric that is tested; None if no runs can be compared.
        groups: The runs that can be compared. Runs that differ only in their seeds are one group.
        not_comparable: The other runs: the run directory and the reason.
        settings: The config keys that differ, with the value of each group that has the key.
        pairs: The pairs of groups, with the tests of their difference.
        notes: Remarks on the groups.
    """

    metric: str | None
    groups: tuple[Group, ...]
    not_comparable: tuple[tuple[str, str], ...]
    settings: dict[str, dict[str, Any]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @property
    def metrics(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The spread of each metric of each group."""
        keys = dict.fromkeys(key for group in self.groups for run in group.runs for key in run.metrics)
        found = {key: {group.name: group.values(key) for group in self.groups} for key in sorted(keys, key=_order)}
        return {key: {name: spread(each) for name, each in values.items() if each} for key, values in found.items()}

    @property
    def restarts(self) -> dict[str, dict[str, Any]]:
        """The spread of the monitor over the random restarts of each group that has some."""
        found = {group.name: group.restart_values(group.runs[0].config.train.monitor) for group in self.groups}
        return {name: spread(values) for name, values in found.items() if values}

    @property
    def curves(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """The columns of metrics.csv, by column, then by run directory: the epochs and the values."""
        found: dict[str, dict[str, dict[str, list[float]]]] = {}
        for group in self.groups:
            for run in group.runs:
                for column in run.history:
                    if "/" in column:
                        curve = {"epoch": run.history["epoch"], "value": run.history[column]}
                        found.setdefault(column, {})[str(run.folder)] = curve
        return found

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `compare --json`."""
        return {
            "metric": self.metric,
            "groups": [{"name": group.name, "runs": [_run_dict(run) for run in group.runs]} for group in self.groups],
            "settings": self.settings,
            "metrics": self.metrics,
            "restarts": self.restarts,
            "pairs": [pair.as_dict() for pair in self.pairs],
            "not_comparable": [{"run_dir": folder, "reason": reason} for folder, reason in self.not_comparable],
            "notes": list(self.notes),
            "curves": self.curves,
        }


def _run_dict(run: RunFiles) -> dict[str, Any]:
    keys = ("epochs", "best_epoch", "monitor", "num_parameters", "seconds", "device")
    values = {key: run.result.get(key) for key in keys}
    return {"run_dir": str(run.folder), "seed": run.config.seed, "status": run.status, **values, "metrics": run.metrics}


def _order(metric: str) -> tuple[int, bool]:
    """Returns the sort key of metrics: those on test first, the loss of a split last."""
    split, _, name = metric.partition("/")
    return SPLITS.index(split), name == "loss"


def compare(
    runs: Sequence[RunLike], *, metric: str | None = None, runs_dir: str | os.PathLike[str] = "runs"
) -> RunComparison:
    """Compares finished runs, as `nnzoo compare` does.

    Args:
        runs: Run directories, names of runs, or `latest`.
        metric: The metric that is tested, such as "test/accuracy"; default: the first metric of the config on test, or
            on val if there is no test split.
        runs_dir: The folder in which names of runs are looked up.

    Raises:
        UsageError: There is no such run or metric, or there are fewer than two runs.
    """
    folders = find_runs([os.fspath(run) for run in runs], Path(runs_dir))
    names = _unique_names(folders)
    damaged, intact = [], []
    for folder in folders:
        try:
            intact.append(read_run(folder))
        except NnzooError as error:
            damaged.append((str(folder), f"it can't be read ({str(error).rstrip('.')})"))
    chosen, others = comparable(intact)
    groups = tuple(grouped(chosen, lambda run: names[run.folder]))
    reasons = (*damaged, *((str(run.folder), reason) for run, reason in others))
    tested = _tested_metric(groups, metric) if groups else None
    return RunComparison(
        tested,
        groups,
        reasons,
        differences({group.name: group.runs[0].config for group in groups}),
        tuple(compare_pairs(groups, tested)) if tested else (),
        tuple(_notes(groups)),
    )


def _unique_names(folders: Sequence[Path]) -> dict[Path, str]:
    """Returns the names of the folders, or their paths if two have the same name."""
    names = [folder.resolve().name for folder in folders]
    return {
        folder: name if names.count(name) == 1 else str(folder) for folder, name in zip(folders, names, strict=True)
    }


def _tested_metric(groups: Sequence[Group], wanted: str | None) -> str:
    known = list(dict.fromkeys(key for group in groups for run in group.runs for key in run.metrics))
    if wanted is None:
        # A metric that all runs have is preferred.
        shared = [key for key in known if all(group.values(key) for group in groups)]
        return main_metric(shared or known)
    if wanted not in known:
        raise UsageError(f"'{wanted}' is not a metric of these runs.{did_you_mean(wanted, known)}", where="metric")
    return wanted


def _notes(groups: Sequence[Group]) -> list[str]:
    notes = []
    for group in groups:
        repeated = len(group.runs) - len(group.by_seed)
        if repeated:
            notes.append(f"{group.name}: {repeated} of {len(group.runs)} runs repeat a seed and are not counted.")
    splits = {repr(sorted(group.runs[0].metadata["data_digests"].items())) for group in groups}
    if len(splits) > 1:
        on = groups[0].runs[0].measured_on
        notes.append(
            f"The runs are measured on the same rows of {on}, but their data differs in columns or other splits."
        )
    if any(group.runs[0].measured_on == "train" for group in groups):
        notes.append("The runs are measured on the data that they were trained on, since there is no other split.")
    elif any(group.runs[0].measured_on == "val" for group in groups):
        notes.append(
            "The runs are measured on val, which also selected their best epochs, so their metrics are too good."
        )
    return notes
