"""Groups of runs: which runs can be compared, and which differ only in their seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnzoo.comparison.run_files import RunFiles
from nnzoo.comparison.settings import is_path, same_training, settings
from nnzoo.config.yaml_writer import flow


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that differ only in their seeds.

    Attributes:
        name: The name of the first run.
        runs: The runs, in the given order.
    """

    name: str
    runs: tuple[RunFiles, ...]

    @cached_property
    def by_seed(self) -> dict[int, RunFiles]:
        """The runs by seed. A run that repeats the seed of an earlier one is left out, as it is no new evidence."""
        found: dict[int, RunFiles] = {}
        for run in self.runs:
            found.setdefault(run.config.seed, run)
        return found

    def values(self, metric: str) -> list[float]:
        """Returns a metric of the best weights of each seed that has it."""
        return [run.metrics[metric] for run in self.by_seed.values() if metric in run.metrics]

    def restart_values(self, metric: str) -> list[float]:
        """Returns a metric of each random restart of all runs, one value per seed; empty without restarts.

        It is measured during training, at the best epoch of the restart, so it exists for train and val only.
        """
        found: dict[int, float] = {}
        for run in self.runs:
            for seed, metrics in run.restarts.items():
                if metric in metrics:
                    found.setdefault(seed, metrics[metric])
        return list(found.values())


def grouped(runs: Sequence[RunFiles], name_of: Callable[[RunFiles], str]) -> list[Group]:
    """Returns the groups of runs that differ only in their seeds, in the order of their first runs.

    Args:
        runs: The runs.
        name_of: Returns the unique name of a run.
    """
    found: dict[tuple[Any, ...], list[RunFiles]] = {}
    for run in runs:
        digests = run.metadata.get("data_digests", {})
        key = (same_training(run.config), repr(sorted(digests.items())), run.result.get("num_parameters"))
        found.setdefault(key, []).append(run)
    return [Group(name_of(runs[0]), tuple(runs)) for runs in found.values()]


def comparable(runs: Sequence[RunFiles]) -> tuple[list[RunFiles], list[tuple[RunFiles, str]]]:
    """Divides runs into the largest set of runs that can be compared, and the other runs with the reason.

    The first of several largest sets is used.
    """
    sets: list[list[RunFiles]] = []
    without_result = [(run, f"it has no result ({run.status})") for run in runs if not (run.metrics and run.metadata)]
    for run in runs:
        if run.metrics and run.metadata:
            fitting = next((each for each in sets if why_not(run, each[0]) is None), None)
            if fitting is None:
                sets.append([run])
            else:
                fitting.append(run)
    chosen = max(sets, key=len, default=[])
    others = [(run, str(why_not(run, chosen[0]))) for run in runs if run.metrics and run.metadata and run not in chosen]
    return chosen, without_result + others


def why_not(run: RunFiles, reference: RunFiles) -> str | None:
    """Returns why the metrics of a run can't be compared with those of another run.

    They can be compared if the checksums of the measured split are equal, or if it has the same rows with the same
    targets, as with another choice of features.

    Returns:
        The reason; None if they can be compared.
    """
    here, there = run.metadata, reference.metadata
    for key, word in (("task", "task"), ("per", "task: a target per")):
        if here[key] != there[key]:
            return f"other {word} ({here[key]} instead of {there[key]})"
    measured, expected = run.measured_on, reference.measured_on
    data, other = run.config.data.name, reference.config.data.name
    if measured == expected and here["data_digests"][measured] == there["data_digests"][measured]:
        return None
    if data != other:
        return f"other data ({data} instead of {other})"
    if (here["classes"], here["target_names"]) != (there["classes"], there["target_names"]):
        return f"other targets ({_names(here)} instead of {_names(there)})"
    if measured != expected:
        return f"other split (measured on {measured} instead of {expected})"
    if run.predictions and reference.predictions and run.predictions.same_rows(reference.predictions):
        return None
    return _data_difference(run, reference) or f"other data (the {measured} split has other samples)"


def _names(metadata: dict[str, Any]) -> str:
    names = metadata["target_names"] or metadata["classes"]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _data_difference(run: RunFiles, reference: RunFiles) -> str | None:
    """Returns the keys of the data section that explain why the samples differ; None if the samples are the same."""
    mine, theirs = settings(run.config), settings(reference.config)
    keys = [key for key in mine if key.startswith("data.") and key in theirs and mine[key].value != theirs[key].value]
    of_split = [key for key in keys if key.startswith("data.split.")]
    of_data = [key for key in keys if key not in of_split]
    if any(not is_path(key) for key in of_data) or (of_data and not of_split):
        word, shown = "data", of_data
    elif of_split:
        word, shown = "split", of_split
    else:
        return None
    return f"other {word} ({', '.join(f'{key}: {_short(mine[key].value, theirs[key].value)}' for key in shown)})"


def _short(mine: Any, theirs: Any) -> str:
    return " instead of ".join(text if len(text) <= 60 else f"{text[:57]}..." for text in (flow(mine), flow(theirs)))
