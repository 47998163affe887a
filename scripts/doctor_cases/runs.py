"""Trains plans and examines the runs, and keeps both in a folder, so that only what changed is computed again."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nnzoo
from doctor_cases.made_data import make
from doctor_cases.plan import Plan, digest
from nnzoo.doctor import examine
from nnzoo.errors import NnzooError
from nnzoo.experiment.train.run import train
from nnzoo.run.history import History


@dataclass(frozen=True)
class Outcome:
    """A finished training.

    Attributes:
        folder: The run directory.
        result: The content of result.json; empty if the run was refused.
        error: Why the run was refused or diverged.
        balanced_gain: The mean recall of the classes on test, from 0 for a constant answer to 1; NaN without classes.
        losses: The loss of each epoch on val, or on train without val.
        seconds: The time of the training.
    """

    folder: str
    result: dict[str, Any]
    error: str
    balanced_gain: float
    losses: list[float]
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """The findings about a run.

    Attributes:
        findings: As in `nnzoo doctor --json`.
        seconds: The CPU time of the examination.
        error: The error of the doctor; empty if there was none.
    """

    findings: list[dict[str, Any]]
    seconds: float
    error: str = ""

    @property
    def topics(self) -> list[str]:
        """The topics that `train` would print (`spoils` and `warning`), in order, each once."""
        return list(dict.fromkeys(each["topic"] for each in self.findings if each["severity"] != "note"))


def doctor_digest() -> str:
    """Returns a digest of the code that decides about verdicts."""
    package = Path(nnzoo.__file__).parent
    folders = ("doctor", "experiment/reference", "training/health")
    files = sorted(path for folder in folders for path in (package / folder).rglob("*.py"))
    content = hashlib.sha256()
    for path in files:
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


class Laboratory:
    """The folder of trainings and verdicts.

    Args:
        folder: The folder; trainings of an earlier call are not repeated.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.doctor = doctor_digest()

    def train(self, plan: Plan, overrides: Sequence[str] = ()) -> Outcome:
        """Trains a plan, unless it was trained before."""
        key = digest([plan.key, list(overrides)]) if overrides else plan.key
        path = self.folder / "outcomes" / f"{key}.json"
        if path.is_file():
            return Outcome(**json.loads(path.read_text(encoding="utf-8")))
        runs = self.folder / "runs"
        data = make(plan.data, self.folder / "data") if plan.data else runs
        shutil.rmtree(runs / key, ignore_errors=True)
        started, error, result = time.perf_counter(), "", {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = train(
                    plan.located(data), overrides=list(overrides), name=key, runs_dir=runs, device="cpu", quiet=True
                ).result
        except NnzooError as problem:
            error = str(problem)
            result = getattr(problem, "result", None) or {}
        outcome: dict[str, Any] = {
            "folder": str(runs / key),
            "result": result,
            "error": error,
            "balanced_gain": _balanced_gain(runs / key / "confusion_matrix.csv"),
            "losses": _losses(runs / key / "metrics.csv"),
            "seconds": time.perf_counter() - started,
        }
        _write(path, outcome)
        return Outcome(**outcome)

    def examine(self, outcome: Outcome) -> Verdict:
        """Examines a run, unless this version of the doctor has examined it before."""
        path = self.folder / "verdicts" / self.doctor / f"{Path(outcome.folder).name}.json"
        if path.is_file():
            return Verdict(**json.loads(path.read_text(encoding="utf-8")))
        started, error, findings = time.process_time(), "", []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                findings = [each.as_dict() for each in examine(outcome.folder).findings]
        except Exception as problem:  # an error of the doctor is a result of the score
            error = f"{type(problem).__name__}: {problem}"
        verdict: dict[str, Any] = {"findings": findings, "seconds": time.process_time() - started, "error": error}
        _write(path, verdict)
        return Verdict(**verdict)


def _balanced_gain(path: Path) -> float:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
    except OSError:
        return math.nan
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    recalls = [row[index] / sum(row) for index, row in enumerate(counts) if sum(row)]
    if len(recalls) < 2:
        return math.nan
    chance = 1 / len(recalls)
    return (sum(recalls) / len(recalls) - chance) / (1 - chance)


def _losses(path: Path) -> list[float]:
    if not path.is_file():
        return []
    history = History.read(path)
    name = "val/loss" if "val/loss" in history else "train/loss"
    return [float(loss) for loss in history.get(name, [])]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}-{os.getpid()}")
    part.write_text(json.dumps(content, default=str), encoding="utf-8")
    part.replace(path)
