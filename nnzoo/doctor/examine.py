"""Examines a config before training, or a run after training."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from nnzoo import log
from nnzoo.config import Config, config_path, load_config
from nnzoo.data.baseline import baseline
from nnzoo.doctor import linear, samples
from nnzoo.doctor.causes import explain, names_a_cause
from nnzoo.doctor.evidence import Evidence, Scores
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.gate import checks
from nnzoo.doctor.rules import LAST_RULES, RULES
from nnzoo.errors import CheckpointError, DataWarning, UsageError
from nnzoo.experiment.evaluate.measure import confusion_matrix
from nnzoo.experiment.load import load
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.pretrained.pretrained import with_checkpoint
from nnzoo.experiment.reference.comparison import compare
from nnzoo.experiment.reference.linear import CHEAP, fit_linear, linear_scores
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.experiment.train.start import build_state
from nnzoo.run.directory import ARTIFACT, CHECKPOINT, HEALTH, LOG, METRICS, RESULT, find_run_folder
from nnzoo.run.health import read_health
from nnzoo.run.history import History
from nnzoo.run.zoo import PREFIX
from nnzoo.training.evaluate import Evaluation, evaluate
from nnzoo.training.measures.metrics import MetricSums

EXPLAINED_WARNINGS = (
    ("sequences cut", "are truncated"),
    ("unknown tokens", "unknown symbol"),
    ("leak", "determines the target"),
    ("constant columns", "constant"),
)
"""Findings that say the same as a warning about the data, and words of that warning."""


@dataclass(frozen=True)
class Examination:
    """The result of an examination.

    Attributes:
        subject: The config or the run.
        findings: The findings, from the most to the least severe.
        data: The sizes, classes and columns of the training data.
        baseline: The scores, on the measured split, of a predictor that ignores the inputs.
        linear: The scores of a linear model on that split; empty if it could not be fitted.
        network: The health of the network on a few train samples.
        measured_on: The split on which the scores are measured.
        scores: For a run, the scores of its best weights by split.
        scores_epoch: The epoch of the best weights; None for a config.
        network_epoch: The epoch after which the network was probed; 0 for a config.
        gate: For a config, the checks before training: see `gate.checks`.
        warnings: The warnings about the data, which are also among the findings.
    """

    subject: str
    findings: tuple[Finding, ...]
    data: dict[str, Any]
    baseline: dict[str, float]
    linear: dict[str, float]
    network: dict[str, Any]
    measured_on: str
    scores: dict[str, float] = field(default_factory=dict)
    scores_epoch: int | None = None
    network_epoch: int = 0
    gate: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def spoiling(self) -> list[Finding]:
        """The findings that invalidate the result."""
        return [finding for finding in self.findings if finding.severity == "spoils"]

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `doctor --json`."""
        return {**vars(self), "findings": [finding.as_dict() for finding in self.findings], "ok": not self.spoiling}


def examine(subject: str, overrides: Sequence[str] = (), *, runs_dir: str = "runs") -> Examination:
    """Examines the run of that name or path if there is one, else a config.

    Raises:
        ConfigError: The config can't be used.
        DataError: The data is missing or can't be used.
        UsageError: There is no such config or run, or overrides are given for a run.
    """
    folder = run_folder(subject, runs_dir)
    if folder is not None and overrides:
        raise UsageError("overrides apply only to configs, not to runs. Leave them out.", where=subject)
    with log.recording(quiet=True) as journal, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # they are findings
        if folder is not None:
            examined = examine_run(folder)
        else:
            examined = examine_config(with_checkpoint(load_config(subject, overrides), Path(runs_dir)))
        topics = {finding.topic for finding in examined.findings}
        noted = [
            Finding("warning", "data", f"{text.rstrip('.')}.")
            for text in journal.warnings
            if not any(topic in topics and words in text for topic, words in EXPLAINED_WARNINGS)
        ]
        return replace(examined, findings=_sorted([*examined.findings, *noted]), warnings=tuple(journal.warnings))


def run_folder(subject: str, runs_dir: str) -> Path | None:
    """Returns the run directory of that name or path; None if the subject is a config.

    Raises:
        UsageError: There is no such config or run.
    """
    path = Path(subject)
    if (path / ARTIFACT).is_file() or (path / CHECKPOINT).is_file():
        return path
    try:
        config_path(subject)
    except UsageError as error:
        named = Path(runs_dir) / subject
        if (named / CHECKPOINT).is_file():
            return named  # perhaps without best weights, if no epoch was finished
        try:
            return find_run_folder(subject, Path(runs_dir))
        except UsageError as other:
            raise (other if subject == "latest" or subject.startswith(PREFIX) else error) from None
    return None


def examine_config(config: Config, *, try_training: bool = True) -> Examination:
    """Reads the data, builds the network, and trains it for at most a few seconds.

    Args:
        config: The config, not yet resolved.
        try_training: Whether one batch is learned by heart and the time of the training is estimated.

    Raises:
        ConfigError: The config does not fit the data.
        DataError: The data is missing or can't be used.
    """
    with use_threads(threads_of_data(config)):
        experiment = prepare(config)
        state, _, num_threads = build_state(experiment, None, show=lambda _: None)
        checked: dict[str, Any] = {}
        if try_training:
            with use_threads(num_threads):
                checked = checks.run(experiment, state.model)
        evidence = Evidence(experiment, state.model, thorough=False)
        found = [*diagnose(evidence), *linear.doubtful_labels(evidence.examined)]
        found = checks.with_findings(checked, found) if checked else found
        return replace(_examination(config.name, evidence, found), gate=checked)


def examine_run(folder: Path) -> Examination:
    """Examines the data of a run, its learning curves, its weights, and what other settings would have learned.

    With restarts, the best restart is examined, with its best weights.

    Raises:
        CheckpointError: A file is damaged, or there is no checkpoint.
        DataError: The data is missing or can't be used.
    """
    if load_config(folder, custom_model=True).train.folds is not None:
        raise UsageError("each fold of a cross-validation is a run. Examine one: RUN/fold-1.", where=str(folder))
    if not (folder / CHECKPOINT).is_file():
        raise CheckpointError(f"there is no {CHECKPOINT}, which holds the training state.", where=str(folder))
    last = load(folder / CHECKPOINT)
    config = load_config(folder, ["train.device=cpu"])
    with use_threads(threads_of_data(config)):
        experiment = prepare(config, saved={"preprocess": last.preprocess.state_dict()})
        evidence = _evidence_of_run(folder, experiment, last.module)
        examined = _examination(str(folder), evidence, diagnose(evidence))
    best_epoch = last.metadata.best_epoch or None
    network_epoch = best_epoch if config.train.restarts > 1 and best_epoch else evidence.num_epochs
    return replace(examined, scores_epoch=best_epoch, network_epoch=network_epoch)


def diagnose(evidence: Evidence) -> list[Finding]:
    """Applies all rules, and returns the findings with the root causes first."""
    found = list(samples.findings(evidence.experiment, evidence.examined))
    if evidence.can_try:  # whether class weights help is known
        found = [replace(each, severity="note") if each.topic == "class balance" else each for each in found]
    found += [finding for rule in RULES if (finding := rule(evidence)) is not None]
    if not any(names_a_cause(each) for each in found):
        found += [finding for rule in LAST_RULES if (finding := rule(evidence)) is not None]
    return explain(evidence, found)


def _evidence_of_run(folder: Path, experiment: Experiment, last: nn.Module) -> Evidence:
    """Reads the files of a run."""
    result = _result(folder)
    seed = experiment.config.seed
    if experiment.config.train.restarts > 1 and isinstance(result.get("restarts"), dict):
        seed = result["restarts"].get("best") or seed
    best = load(folder / ARTIFACT).module if (folder / ARTIFACT).is_file() else None
    return Evidence(
        experiment,
        seed=seed,
        best=best,
        last=last,
        history=History.read(folder / METRICS),
        health=read_health(folder / HEALTH) if (folder / HEALTH).is_file() else (),
        status=str(result.get("status", "interrupted")),
        failure=_failure(folder),
        scores=Scores() if best is None else _scores(experiment, best),
    )


def _result(folder: Path) -> dict[str, Any]:
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the run was interrupted before it had a result
    return result if isinstance(result, dict) else {}


def _failure(folder: Path) -> str:
    """Returns where the loss was not finite, from the log of the run."""
    try:
        text = (folder / LOG).read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.findall(r"the training loss is .+? in epoch \d+, step \d+[^.\n]*", text)
    return f"{found[-1]}." if found else ""


def _scores(experiment: Experiment, module: nn.Module) -> Scores:
    """Returns the scores of the best weights by split, and compares them with the baseline and a linear model."""
    measured = next(name for name in PREDICTED_SPLITS if name in experiment.splits)
    name = "r2" if experiment.dataset.task == "regression" else "accuracy"
    names = ("rmse", "r2") if name == "r2" else ("accuracy",)
    evaluations = {split: _evaluate(experiment, module, split, names, measured) for split in experiment.splits}
    outputs, matrix = evaluations[measured].outputs, []
    if experiment.dataset.task == "classification" and outputs is not None:
        matrix = confusion_matrix(experiment.decoder.on_cpu(), outputs, experiment.splits[measured].truth.cpu())
    metrics = {f"{split}/{key}": value for split, each in evaluations.items() for key, value in each.metrics.items()}
    shown = {f"{split}/{name}": metrics[f"{split}/{name}"] for split in evaluations}
    fitted = fit_linear(experiment, measured, max_operations=CHEAP)
    return Scores(shown, compare(experiment, measured, metrics, matrix, outputs, fitted))


def _evaluate(experiment: Experiment, module: nn.Module, split: str, names: tuple[str, ...], kept: str) -> Evaluation:
    return evaluate(
        module,
        experiment.loss,
        experiment.splits[split],
        MetricSums(names, experiment.decoder),
        batch_size=experiment.settings.batch_size or len(experiment.splits["train"]),
        mirror=experiment.settings.mirrored,
        keep_outputs=split == kept,
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns the findings from the most to the least severe; the order within a severity is kept."""
    order = ("spoils", "warning", "note")
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _examination(subject: str, evidence: Evidence, findings: Iterable[Finding]) -> Examination:
    experiment, measured = evidence.experiment, evidence.measured_on
    return Examination(
        subject,
        _sorted(findings),
        samples.describe(experiment, evidence.examined),
        baseline(experiment.dataset, measured),
        linear_scores(evidence.examined, measured),
        evidence.at_end.as_dict(),
        measured,
        scores=dict(evidence.scores.by_split),
    )
