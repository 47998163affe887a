"""The list of the runs in a folder. It is made without importing torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnzoo.config.metrics import direction, is_metric, main_metric
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError
from nnzoo.run.directory import RESULT, runs

FIGURES = ("epochs", "best_epoch", "num_parameters", "seconds")
"""The numbers of result.json by which runs are sorted, the smallest first."""
TEXTS = ("name", "status")


@dataclass(frozen=True)
class ListedRun:
    """A run in the list.

    Attributes:
        folder: The run directory.
        status: The status of its result; "unfinished" without a readable result.json, "damaged" if that has no metrics.
        result: The content of result.json; empty if there is none or it is damaged.
    """

    folder: Path
    status: str
    result: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the best weights that are finite numbers."""
        return finite_metrics(self.result.get("metrics"))

    @property
    def best(self) -> tuple[str, float] | None:
        """The first metric on test, or on val or train without a test split, and its value."""
        name = main_metric(self.metrics) if self.metrics else None
        return None if name is None else (name, self.metrics[name])

    def baseline(self, metric: str) -> float | None:
        """Returns the value of a metric for a predictor that ignores the inputs."""
        return finite_metrics(self.result.get("baseline")).get(metric)

    def figure(self, key: str) -> float | None:
        """Returns a number of result.json."""
        value = self.result.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def as_dict(self) -> dict[str, Any]:
        """Returns the entry of `list runs --json`."""
        name, value = self.best or (None, None)
        entry = {"name": self.folder.name, "run_dir": str(self.folder), "status": self.status, "metrics": {}}
        return {**entry, **self.result, "best_metric": name, "best_value": value}


def finite_metrics(values: Any) -> dict[str, float]:
    """Returns the finite numbers of metrics that nnzoo knows; result.json may have been edited."""
    items = values.items() if isinstance(values, dict) else ()
    return {
        key: float(value)
        for key, value in items
        if is_metric(key) and isinstance(value, float | int) and math.isfinite(value)
    }


def list_runs(runs_dir: Path, *, sort: str | None = None, name: str | None = None) -> list[ListedRun]:
    """Returns the runs in a folder, the oldest first.

    Args:
        runs_dir: The folder.
        sort: The key to sort by: a metric such as "test/accuracy" (the best first), "best" (the first metric of each
            run, by metric), a figure such as "seconds" (the smallest first), or "name" or "status". Runs without a
            value come last.
        name: Only the run of this name.

    Raises:
        UsageError: There is no such key.
    """
    found = [_listed(folder) for folder in runs(runs_dir) if name is None or folder.name == name]
    return found if sort is None else _sorted(found, sort)


def _listed(folder: Path) -> ListedRun:
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ListedRun(folder, "unfinished", {})
    if not isinstance(result, dict) or not isinstance(result.get("metrics"), dict):
        return ListedRun(folder, "damaged", {})
    return ListedRun(folder, str(result.get("status", "unfinished")), result)


def _sorted(found: Sequence[ListedRun], key: str) -> list[ListedRun]:
    metrics = sorted({metric for run in found for metric in run.metrics})
    known = [*TEXTS, *FIGURES, "best", *metrics]
    if key not in known and not is_metric(key):
        raise UsageError(
            f"'{key}' is not a key to sort by.{did_you_mean(key, known)} ({', '.join(known)})", where="--sort"
        )
    if key in TEXTS:
        return sorted(found, key=lambda run: run.folder.name if key == "name" else run.status)
    if key in FIGURES:
        return sorted(found, key=lambda run: _last_if_none(run.figure(key)))
    if key == "best":
        return sorted(found, key=lambda run: _by_best(run.best))
    return sorted(found, key=lambda run: _last_if_none(_cost(key, run.metrics.get(key))))


def _last_if_none(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


def _by_best(best: tuple[str, float] | None) -> tuple[bool, str, float]:
    return (True, "", 0.0) if best is None else (False, best[0], _cost(*best) or 0.0)


def _cost(metric: str, value: float | None) -> float | None:
    """Returns a value that is lower for better runs."""
    sign = -1 if direction(metric.partition("/")[2]) == "max" else 1
    return None if value is None else sign * value
