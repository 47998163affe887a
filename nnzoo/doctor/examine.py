"""Examines a config before training, or a run after training."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from nnzoo import log
from nnzoo.config import Config, config_path, load_config
from nnzoo.data.baseline import baseline
from nnzoo.doctor import curves, linear, network, samples
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.gate import checks
from nnzoo.errors import CheckpointError, UsageError
from nnzoo.experiment.evaluate.measure import confusion_matrix
from nnzoo.experiment.load import load
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.pretrained.pretrained import with_checkpoint
from nnzoo.experiment.reference.comparison import compare
from nnzoo.experiment.reference.linear import linear_scores
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.experiment.train.start import build_state
from nnzoo.numbers import number
from nnzoo.run.directory import ARTIFACT, CHECKPOINT, METRICS, RESULT, find_checkpoint
from nnzoo.run.history import History
from nnzoo.training.evaluate import Evaluation, evaluate
from nnzoo.training.finite import REMEDY
from nnzoo.training.measures.metrics import MetricSums

MAX_UNTRAINED_LOSS = 10
"""Multiple of the loss of guessing. Healthy deep networks start at a few times that loss."""


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
    folder = _run_folder(subject, runs_dir)
    if folder is not None and overrides:
        raise UsageError("overrides apply only to configs, not to runs. Leave them out.", where=subject)
    with log.recording(quiet=True) as journal:
        if folder is not None:
            examined = examine_run(folder)
        else:
            examined = examine_config(with_checkpoint(load_config(subject, overrides), Path(runs_dir)))
        warnings = tuple(Finding("warning", "data", f"{text.rstrip('.')}.") for text in journal.warnings)
        return replace(examined, findings=_sorted([*examined.findings, *warnings]), warnings=tuple(journal.warnings))


def _run_folder(subject: str, runs_dir: str) -> Path | None:
    path = Path(subject)
    if (path / ARTIFACT).is_file() or (path / CHECKPOINT).is_file():
        return path
    try:
        config_path(subject)
    except UsageError as error:
        try:
            return find_checkpoint(subject, Path(runs_dir)).parent
        except UsageError as other:
            raise (other if subject == "latest" else error) from None
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
        health = network.probe(state.model, experiment.loss, experiment.splits["train"])
        examined_part = samples.select_examined(experiment)
        findings = itertools.chain(
            samples.findings(experiment, examined_part),
            linear.doubtful_labels(examined_part),
            network.findings(health, trained=False),
            _untrained_loss(experiment, health),
        )
        all_findings = checks.with_findings(checked, findings) if checked else findings
        return replace(_examination(config.name, experiment, examined_part, health, all_findings), gate=checked)


def examine_run(folder: Path) -> Examination:
    """Examines the data of a run, its learning curves, its best weights, and its network after the last step.

    With restarts, the best restart is examined, with its best weights.

    Raises:
        CheckpointError: A file is damaged, or there is no checkpoint.
        DataError: The data is missing or can't be used.
    """
    if not (folder / CHECKPOINT).is_file():
        raise CheckpointError(f"there is no {CHECKPOINT}, which holds the training state.", where=str(folder))
    last = load(folder / CHECKPOINT)
    config = load_config(folder, ["train.device=cpu"])
    with use_threads(threads_of_data(config)):
        experiment = prepare(config)
        health = network.probe(last.module, experiment.loss, experiment.splits["train"])
        history = History.read(folder / METRICS)
        scores, weight_findings = _examine_best_weights(folder, experiment, history)
        examined_part = samples.select_examined(experiment)
        findings = itertools.chain(
            samples.findings(experiment, examined_part),
            network.findings(health, trained=True),
            _divergence(folder, history),
            weight_findings,
        )
        examined = _examination(str(folder), experiment, examined_part, health, findings)
    best_epoch = last.metadata.best_epoch or None
    network_epoch = best_epoch if config.train.restarts > 1 and best_epoch else len(history.rows)
    return replace(examined, scores=scores, scores_epoch=best_epoch, network_epoch=network_epoch)


def _examine_best_weights(
    folder: Path, experiment: Experiment, history: History
) -> tuple[dict[str, float], Iterable[Finding]]:
    """Returns the scores of the best weights by split, and the findings about them."""
    if not (folder / ARTIFACT).is_file():
        return {}, ()
    module, measured = load(folder).module, _measured(experiment)
    name = "r2" if experiment.dataset.task == "regression" else "accuracy"
    names = ("rmse", "r2") if name == "r2" else ("accuracy",)
    evaluations = {split: _evaluate(experiment, module, split, names) for split in experiment.splits}
    outputs, matrix = evaluations[measured].outputs, []
    if experiment.dataset.task == "classification" and outputs is not None:
        matrix = confusion_matrix(experiment.decoder.on_cpu(), outputs, experiment.splits[measured].truth.cpu())
    metrics = {f"{split}/{key}": value for split, each in evaluations.items() for key, value in each.metrics.items()}
    curve = curves.findings(
        history,
        score=name,
        train_score=metrics[f"train/{name}"],
        val_score=metrics.get(f"val/{name}"),
        num_val=len(experiment.splits.get("val", ())),
        baseline=baseline(experiment.dataset, "train")[name],
    )
    compared = compare(experiment, measured, metrics, matrix)
    worse = (Finding("warning", topic, remark) for topic, remark in compared.remarks)
    return {f"{split}/{name}": metrics[f"{split}/{name}"] for split in evaluations}, itertools.chain(curve, worse)


def _measured(experiment: Experiment) -> str:
    return next(name for name in PREDICTED_SPLITS if name in experiment.splits)


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns the findings, sorted from the most to the least severe."""
    order = ("spoils", "warning", "note")
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _examination(
    subject: str, experiment: Experiment, examined_part: Experiment, health: network.Health, findings: Iterable[Finding]
) -> Examination:
    measured = _measured(experiment)
    return Examination(
        subject,
        _sorted(findings),
        samples.describe(experiment, examined_part),
        baseline(experiment.dataset, measured),
        linear_scores(examined_part, measured),
        health.as_dict(),
        measured,
    )


def _divergence(folder: Path, history: History) -> Iterator[Finding]:
    """Reports a run whose loss was not finite."""
    try:
        status = json.loads((folder / RESULT).read_text(encoding="utf-8"))["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the run was interrupted before it had a result
    if status == "diverged":
        finished = f"after {len(history.rows)} epochs" if history.rows else "in the first epoch"
        yield Finding("spoils", "divergence", f"the loss was no longer finite {finished}. {REMEDY}")


def _evaluate(experiment: Experiment, module: nn.Module, split: str, names: tuple[str, ...]) -> Evaluation:
    return evaluate(
        module,
        experiment.loss,
        experiment.splits[split],
        MetricSums(names, experiment.decoder),
        batch_size=experiment.settings.batch_size or len(experiment.splits["train"]),
        keep_outputs=split == _measured(experiment),
    )


def _untrained_loss(experiment: Experiment, health: network.Health) -> Iterator[Finding]:
    """Reports an untrained network that is overconfident: its cross entropy should be about log(num_classes)."""
    if experiment.config.loss.name != "cross_entropy":
        return
    guessing = math.log(len(experiment.dataset.classes))
    if math.isfinite(health.loss) and health.loss > MAX_UNTRAINED_LOSS * guessing:
        yield Finding(
            "warning",
            "initial weights too large",
            f"the loss before training is {number(health.loss)}, but that of random guessing is {number(guessing)}: "
            "the network is overconfident. Use init: auto, or preprocess: {normalize: standardize}.",
        )
