"""The two examinations: of a config before it is trained, and of a run afterwards."""

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
from nnzoo.errors import CheckpointError, UsageError
from nnzoo.experiment.linear import linear_scores
from nnzoo.experiment.load import load
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.pretrained import with_checkpoint
from nnzoo.experiment.record import PREDICTED_SPLITS
from nnzoo.experiment.start import build_state
from nnzoo.experiment.threads import computing_with, threads_of_data
from nnzoo.run.directory import ARTIFACT, CHECKPOINT, METRICS, RESULT, find_checkpoint
from nnzoo.run.history import History
from nnzoo.training.evaluate import evaluate
from nnzoo.training.finite import REMEDY
from nnzoo.training.metrics import MetricSums

SURELY_WRONG = 10
"""A loss before training of so many times that of guessing; a few times is what deep nets have at a sound start."""


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        subject: The config or the run.
        findings: The worst first.
        data: What it is or will be trained on.
        baseline: What an answer that ignores the inputs reaches, on the split that is measured.
        linear: What a linear model reaches on it; empty where there is none.
        network: The state of the network on a few train samples.
        measured_on: That split.
        scores: Of a run: train and val, by its best weights.
        warnings: What was warned about while the data was read.
    """

    subject: str
    findings: tuple[Finding, ...]
    data: dict[str, Any]
    baseline: dict[str, float]
    linear: dict[str, float]
    network: dict[str, Any]
    measured_on: str
    scores: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def spoiling(self) -> list[Finding]:
        """What will spoil the result, or has."""
        return [finding for finding in self.findings if finding.severity == "spoils"]

    def as_dict(self) -> dict[str, Any]:
        """The object of `doctor --json`."""
        return {**vars(self), "findings": [finding.as_dict() for finding in self.findings], "ok": not self.spoiling}


def examine(subject: str, overrides: Sequence[str] = (), *, runs_dir: str = "runs") -> Examination:
    """Examines a run where there is one of that name or path, else a config.

    Raises:
        ConfigError: The config can't be used.
        DataError: The data is missing or can't be used.
        UsageError: There is no such config or run, or overrides for a run.
    """
    folder = _run_folder(subject, runs_dir)
    if folder is not None and overrides:
        raise UsageError("overrides are for configs, not for runs.", where=subject)
    with log.recording(quiet=True) as journal:
        if folder is not None:
            examined = examine_run(folder)
        else:
            examined = examine_config(with_checkpoint(load_config(subject, overrides), Path(runs_dir)))
        return replace(examined, warnings=tuple(journal.warnings))


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


def examine_config(config: Config) -> Examination:
    """Reads the data and builds the network, without training.

    Raises:
        ConfigError: The data shows that the words don't fit it.
        DataError: The data is missing or can't be used.
    """
    with computing_with(threads_of_data(config)):
        experiment = prepare(config)
        state, _, _ = build_state(experiment, None, show=lambda _: None)
        health = network.probe(state.model, experiment.loss, experiment.splits["train"])
        seen = samples.looked_at(experiment)
        found = itertools.chain(
            samples.findings(experiment, seen),
            linear.doubtful_labels(seen),
            network.findings(health, trained=False),
            _untrained_loss(experiment, health),
        )
        return _examination(config.name, experiment, seen, health, found)


def examine_run(folder: Path) -> Examination:
    """Diagnoses a training by its data, its curves, its best weights, and the network that its last step left.

    Of restarts it is the best one, as it was at its best.

    Raises:
        CheckpointError: A file is damaged, or there is nothing to go by.
        DataError: The data is missing or can't be used.
    """
    if not (folder / CHECKPOINT).is_file():
        raise CheckpointError(f"has no {CHECKPOINT}, which holds what the training left.", where=str(folder))
    last = load(folder / CHECKPOINT)
    config = load_config(folder, ["train.device=cpu"])
    with computing_with(threads_of_data(config)):
        experiment = prepare(config)
        health = network.probe(last.module, experiment.loss, experiment.splits["train"])
        history = History.read(folder / METRICS)
        score = "r2" if experiment.dataset.task == "regression" else "accuracy"
        scores: dict[str, float] = {}
        curve: Iterable[Finding] = ()
        if (folder / ARTIFACT).is_file():
            best = load(folder).module
            scores = {split: _score(experiment, best, split, score) for split in experiment.splits}
            curve = curves.findings(
                history,
                score=score,
                train_score=scores["train"],
                val_score=scores.get("val"),
                num_val=len(experiment.splits.get("val", ())),
                baseline=baseline(experiment.dataset, "train")[score],
            )
        seen = samples.looked_at(experiment)
        found = itertools.chain(
            samples.findings(experiment, seen),
            network.findings(health, trained=True),
            _divergence(folder, history),
            curve,
        )
        examined = _examination(str(folder), experiment, seen, health, found)
    return replace(examined, scores={f"{split}/{score}": value for split, value in scores.items()})


def _examination(
    subject: str, experiment: Experiment, seen: Experiment, health: network.Health, found: Iterator[Finding]
) -> Examination:
    order = ("spoils", "warning", "note")
    measured = next(name for name in PREDICTED_SPLITS if name in experiment.splits)
    return Examination(
        subject,
        tuple(sorted(found, key=lambda finding: order.index(finding.severity))),
        samples.describe(experiment, seen),
        baseline(experiment.dataset, measured),
        linear_scores(seen, measured),
        health.as_dict(),
        measured,
    )


def _divergence(folder: Path, history: History) -> Iterator[Finding]:
    """A run that had no finite loss to go on with."""
    try:
        status = json.loads((folder / RESULT).read_text(encoding="utf-8"))["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # interrupted before there was a result
    if status == "diverged":
        finished = f"after {len(history.rows)} epochs" if history.rows else "in the first epoch"
        yield Finding("spoils", "divergence", f"the loss was no longer finite {finished}. {REMEDY}")


def _score(experiment: Experiment, module: nn.Module, split: str, score: str) -> float:
    found = evaluate(
        module,
        experiment.loss,
        experiment.splits[split],
        MetricSums((score,), experiment.decoder),
        batch_size=experiment.settings.batch_size or len(experiment.splits["train"]),
    )
    return found.metrics[score]


def _untrained_loss(experiment: Experiment, health: network.Health) -> Iterator[Finding]:
    """A network that knows nothing should not be sure: its cross entropy is about log(classes)."""
    if experiment.config.loss.name != "cross_entropy":
        return
    guessing = math.log(len(experiment.dataset.classes))
    if math.isfinite(health.loss) and health.loss > SURELY_WRONG * guessing:
        yield Finding(
            "warning",
            "initialisation",
            f"the loss before training is {health.loss:.3g}, where guessing has {guessing:.3g}: the network is sure of "
            "wrong answers. Use init: auto, or preprocess.normalize: standardize.",
        )
