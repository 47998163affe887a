"""Reads the files of a run that a comparison needs."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnzoo.comparison.listing import finite_metrics
from nnzoo.comparison.predictions import Predictions, read_predictions
from nnzoo.config.experiment import Config
from nnzoo.config.metrics import SPLITS
from nnzoo.config.yaml_reader import read_yaml
from nnzoo.errors import NnzooError, RunError, UsageError
from nnzoo.run.artifact import load_artifact
from nnzoo.run.directory import ARTIFACT, CONFIG, METRICS, PREDICTIONS, RESTARTS, RESULT, runs
from nnzoo.run.history import History


@dataclass(frozen=True, eq=False)
class RunFiles:
    """The content of a run directory.

    Attributes:
        folder: The run directory.
        config: The resolved config.
        result: The content of result.json; empty if the training was not finished.
        metadata: The metadata of best.safetensors; empty if there is none.
        history: The content of metrics.csv.
        restarts: The rows of restarts.csv whose training did not diverge: the seed and the metrics of the best epoch.
    """

    folder: Path
    config: Config
    result: dict[str, Any]
    metadata: dict[str, Any]
    history: History
    restarts: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status of result.json, or "unfinished"."""
        return str(self.result.get("status", "unfinished"))

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the best weights that are finite numbers."""
        return finite_metrics(self.result.get("metrics"))

    @property
    def measured_on(self) -> str:
        """The split on which the run is measured: test, or val or train without it."""
        digests = self.metadata.get("data_digests", {})
        return next((split for split in SPLITS if split in digests), "train")

    @cached_property
    def predictions(self) -> Predictions | None:
        """The content of predictions.csv; None if it is missing or damaged."""
        return read_predictions(self.folder / PREDICTIONS, self.metadata) if self.metadata else None


def find_runs(names: list[str], runs_dir: Path) -> list[Path]:
    """Returns the run directories of RUN arguments, without repetitions.

    Args:
        names: Run directories, files in them, names of runs, or `latest`.
        runs_dir: The folder in which names of runs are looked up.

    Raises:
        UsageError: There is no such run, or there are fewer than two.
    """
    found: dict[Path, Path] = {}
    for name in names:
        path = Path(name)
        folder = path.parent if path.is_file() else path
        candidates = [folder, runs_dir / name, *(list(runs(runs_dir))[-1:] if name == "latest" else [])]
        run = next((each for each in candidates if (each / CONFIG).is_file()), None)
        if run is None:
            problem = f"is not a run directory: it has no {CONFIG}." if path.exists() else "no such run."
            known = ", ".join(each.name for each in list(runs(runs_dir))[-8:]) or "none"
            raise UsageError(f"{problem} Runs in {runs_dir}: {known}.", where=name)
        found.setdefault(run.resolve(), run)
    if len(found) < 2:
        given = "none" if not found else f"only {next(iter(found.values()))}"
        raise UsageError(f"a comparison needs at least two runs (got {given}).", where="RUN")
    return list(found.values())


def read_run(folder: Path) -> RunFiles:
    """Reads the files of a run.

    Raises:
        RunError: A file is damaged, or was written by another version of nnzoo.
    """
    try:
        config = Config.model_validate(read_yaml(folder / CONFIG, str(folder / CONFIG)).plain())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunError(f"{CONFIG} can't be used ({where}: {error.errors()[0]['msg']}).", where=str(folder)) from None
    except NnzooError as error:
        raise RunError(f"{CONFIG} can't be used ({error}).", where=str(folder)) from None
    return RunFiles(
        folder,
        config,
        _result(folder),
        load_artifact(folder / ARTIFACT).metadata if (folder / ARTIFACT).is_file() else {},
        History.read(folder / METRICS) if (folder / METRICS).is_file() else History(),
        _restarts(folder / RESTARTS) if (folder / RESTARTS).is_file() else {},
    )


def _result(folder: Path) -> dict[str, Any]:
    if not (folder / RESULT).is_file():
        return {}
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{RESULT} can't be read ({error}).", where=str(folder)) from None
    if not isinstance(result, dict):
        raise RunError(f"{RESULT} is damaged: it is not a JSON object.", where=str(folder))
    return result


def _restarts(path: Path) -> dict[int, dict[str, float]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["status"] != "diverged" and row["best_epoch"]]
        return {
            int(row["seed"]): {key: float(value) for key, value in row.items() if "/" in key and value} for row in rows
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"can't be read ({error}).", where=str(path)) from None
