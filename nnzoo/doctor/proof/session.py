"""Proves the fixes of an examined run, and writes a config with fixes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnzoo import log
from nnzoo.builders import choose_device
from nnzoo.config import Config, load_config
from nnzoo.doctor.examine import Examination, run_folder
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.proof import apply
from nnzoo.doctor.proof.changes import combined, describe
from nnzoo.doctor.proof.prove import Proof, Prover, withdraw
from nnzoo.doctor.proof.verdict import mean
from nnzoo.errors import UsageError
from nnzoo.experiment.pretrained.pretrained import with_checkpoint
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.numbers import number
from nnzoo.run.directory import METRICS
from nnzoo.run.history import History
from nnzoo.training.signals import StopRequest


@dataclass(frozen=True)
class Proved:
    """The proofs of a run.

    Attributes:
        proofs: One per fix, in the order of the findings.
        together: The proof of the fixes that belong in the config, if several were proved and tried together.
        seeds: The requested number of seeds.
        seconds: The time that it took.
        signal_number: The signal that interrupted it; None if there was none.
    """

    proofs: tuple[Proof, ...]
    together: Proof | None
    seeds: int
    seconds: float
    signal_number: int | None = None

    @property
    def best(self) -> Proof | None:
        """The proof of the fixes that belong in the config; None if no fix was proved."""
        return self.together or next((proof for proof in self.proofs if proof.verdict == "proved"), None)

    def as_dict(self) -> dict[str, Any]:
        """Returns the entries of `doctor --json`."""
        together = None if self.together is None else self.together.as_dict()
        return {"proofs": [proof.as_dict() for proof in self.proofs], "together": together}


def check_is_run(subject: str, runs_dir: str) -> Path:
    """Returns the run directory of that name or path.

    Raises:
        UsageError: The subject is a config, or does not exist.
    """
    folder = run_folder(subject, runs_dir)
    if folder is None:
        raise UsageError("--prove needs a run. Train the config first, then pass the run directory.", where=subject)
    return folder


def prove(
    found: Examination, subject: str, *, runs_dir: str, seeds: int, minutes: float, combine: bool, quiet: bool
) -> tuple[Examination, Proved]:
    """Trains a run again with each fix of its findings. Nothing is written.

    Args:
        found: The examination of the run.
        subject: The run.
        runs_dir: The directory of the runs.
        seeds: The number of seeds.
        minutes: The time limit.
        combine: Whether several proved fixes are also tried together.
        quiet: Whether no progress is shown.

    Returns:
        The examination without the fixes that do not help, and the proofs.

    Raises:
        UsageError: The subject is a config.
    """
    folder = check_is_run(subject, runs_dir)
    start, together = time.monotonic(), None
    with log.recording(quiet=quiet) as journal, one_at_a_time(), StopRequest() as stop:
        for text in found.warnings:
            journal.add_warning(text, in_result=False)  # shown already
        prover = Prover(
            lambda fix: _config(folder, fix, runs_dir),
            found.data["task"],
            History.read(folder / METRICS),
            seeds,
            minutes,
            stop,
        )
        proofs = prover.prove(found.findings)
        helpful = [proof for proof in proofs if proof.verdict == "proved"]
        if combine and len(helpful) > 1 and stop.signal_number is None:
            together = prover.together(helpful)
        proved = Proved(tuple(proofs), together, seeds, time.monotonic() - start, stop.signal_number)
    return replace(found, findings=withdraw(found.findings, proofs)), proved


def _config(folder: Path, fix: Sequence[str], runs_dir: str) -> Config:
    """Returns the config of a run with a fix; its device is replaced if this machine does not have it."""
    config = with_checkpoint(load_config(folder, fix), Path(runs_dir))
    try:
        choose_device(config.train.device)
    except UsageError:
        return config.model_copy(update={"train": config.train.model_copy(update={"device": "auto"})})
    return config


def write_proved(path: Path, subject: str, proved: Proved, *, runs_dir: str) -> tuple[str, ...]:
    """Writes the config of a run with the proved fixes; returns them, or none if no file was written."""
    folder, best = run_folder(subject, runs_dir), proved.best
    if best is None or folder is None:
        return ()
    reason = f"{', '.join(best.topics)}: {best.change}: {comparison(best)}"
    apply.write(path, str(folder), load_config(folder, best.fix), [reason])
    return best.fix


def write_unproved(
    path: Path, subject: str, findings: Sequence[Finding], overrides: Sequence[str], *, runs_dir: str
) -> tuple[str, ...]:
    """Writes the config with the fixes of the warnings, untested; returns them, or none if no file was written."""
    serious = [finding for finding in findings if finding.fix and finding.severity != "note"]
    fix = combined(finding.fix for finding in serious)
    if not fix:
        return ()
    folder = run_folder(subject, runs_dir)
    source = subject if folder is None else folder
    before, after = load_config(source, overrides), load_config(source, [*overrides, *fix])
    reasons = [f"{finding.topic}: {describe(before, after, finding.fix)}, not tested" for finding in serious]
    apply.write(path, subject if folder is None else str(folder), after, reasons)
    return fix


def comparison(proof: Proof) -> str:
    """Returns the measured effect of a fix, such as "val/accuracy 0.1900 -> 0.9800, 5 of 5 seeds better"."""
    if not proof.metric:
        return proof.note
    note = f" ({proof.note})" if proof.note else ""
    scores = f"{_scores(proof.before)} -> {_scores(proof.after)}"
    return f"{proof.metric} {scores}, {proof.better} of {len(proof.before)} seeds better{note}"


def _scores(scores: Sequence[float | None]) -> str:
    value, lost = mean(scores), sum(score is None for score in scores)
    if value is None:
        return "diverged"
    return f"{number(value)} ({lost} diverged)" if lost else number(value)
