"""All that is known about a config or a run, computed when a rule asks for it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Literal

import torch
from torch import nn

from nnzoo.config import Config
from nnzoo.data import Dataset, OnDisk
from nnzoo.data.baseline import baseline, shares
from nnzoo.doctor import network, skill
from nnzoo.doctor.samples import select_examined
from nnzoo.doctor.trials import (
    MAX_HELD,
    MAX_TRAIN,
    Outcome,
    Trials,
    changed_config,
    kept_random_state,
    measured_rows,
    quiet,
)
from nnzoo.experiment.prepare import Experiment, steps_per_epoch
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.experiment.train.start import build_network
from nnzoo.run.health import HealthRow
from nnzoo.run.history import History
from nnzoo.training.batches.order import arguments_of

TRIAL_SECONDS = 0.5
"""Estimated CPU seconds of one trial over the full length."""
FEW_STEPS = 60
"""Steps of a trial if the length of the run is not known."""
RARE = 5
"""If the largest class has this many times the samples of the smallest, the mean recall is compared."""
SAME_FIT, SEEN_ON_TRAIN = 0.02, 0.25
"""A cure of poor training loses no more skill than this on train, and has at least this part of its gain there."""
LOST = 0.1
"""A share of the possible gain over the baseline that a healthy run does not lose."""


class Fit(Enum):
    """What a change of the config must do to the fit of the train samples to be a cure."""

    ANY = "any"
    SAME = "not worse"
    BETTER = "better"


@dataclass(frozen=True)
class Scores:
    """How the best weights compare with simple references.

    Attributes:
        by_split: The accuracy or r2 by split: "test/accuracy".
        remarks: A topic and a message for each reference that is not beaten.
    """

    by_split: Mapping[str, float] = field(default_factory=dict)
    remarks: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about a config before training, or about a run.

    Attributes:
        experiment: The data, the loss and the resolved config.
        untrained: The network with its initial weights; None to build it when it is needed.
        seed: The seed of the initial weights; None for that of the config.
        best: The network with the best weights; None before training, or if the run has none.
        last: The network after the last step; None before training, or if it is not known.
        history: One row per epoch; empty before training.
        health: The rows of health.csv.
        status: How the run ended; empty before training.
        failure: The message of the error that ended the training; empty if there was none.
        scores: The scores of the best weights.
        thorough: Whether short trainings may be run.
        seconds: The estimated CPU seconds of one short training over the full length.
        limit: The estimated CPU seconds of all of them together; further ones are skipped.
    """

    experiment: Experiment
    untrained: nn.Module | None = None
    seed: int | None = None
    best: nn.Module | None = None
    last: nn.Module | None = None
    history: History = field(default_factory=History)
    health: Sequence[HealthRow] = ()
    status: str = ""
    failure: str = ""
    scores: Scores = field(default_factory=Scores)
    thorough: bool = True
    seconds: float = TRIAL_SECONDS
    limit: float = math.inf

    @property
    def config(self) -> Config:
        """The resolved config."""
        return self.experiment.config

    @property
    def dataset(self) -> Dataset:
        """The dataset before preprocessing."""
        return self.experiment.dataset

    @property
    def is_run(self) -> bool:
        """Whether the network was trained."""
        return bool(self.status)

    @property
    def diverged(self) -> bool:
        """Whether the loss was no longer finite."""
        return self.status == "diverged"

    @cached_property
    def initial(self) -> nn.Module:
        """The network with its initial weights."""
        if self.untrained is not None:
            return self.untrained
        with quiet(), kept_random_state():
            return build_network(self.experiment, None, self.config.seed if self.seed is None else self.seed)

    @cached_property
    def examined(self) -> Experiment:
        """The experiment with samples in memory."""
        return select_examined(self.experiment)

    @cached_property
    def measured_on(self) -> str:
        """The split on which results are measured."""
        return next(name for name in PREDICTED_SPLITS if name in self.experiment.splits)

    @cached_property
    def at_start(self) -> network.Health:
        """The health of the untrained network."""
        with kept_random_state():
            return network.probe(self.initial, self.experiment.loss, self.experiment.splits["train"])

    @cached_property
    def at_end(self) -> network.Health:
        """The health of the network after the last step, or of the untrained one before training."""
        if self.last is None:
            return self.at_start
        with kept_random_state():
            return network.probe(self.last, self.experiment.loss, self.experiment.splits["train"])

    @cached_property
    def score_name(self) -> str:
        """The score of trials: r2, or accuracy, or the mean recall if some classes are rare."""
        if self.dataset.task == "regression":
            return "r2"
        return "balanced_accuracy" if self.imbalance >= RARE else "accuracy"

    @cached_property
    def imbalance(self) -> float:
        """The ratio of the sizes of the largest and the smallest class in train; 1 if it does not apply."""
        dataset = self.dataset
        if dataset.task != "classification" or dataset.per == "step":
            return 1.0
        frequencies = shares(dataset.measured_split("train"), len(dataset.classes))
        return float(frequencies.max() / frequencies.min().clamp_min(1e-9))

    @cached_property
    def trials(self) -> Trials:
        """Short trainings with changed settings."""
        return Trials(self.experiment, self.score_name, seconds=self.seconds, limit=self.limit)

    @cached_property
    def can_try(self) -> bool:
        """Whether short trainings are possible, and worth it."""
        return self.thorough and self.is_run and self.trials.are_possible

    @cached_property
    def own(self) -> Outcome:
        """What the best weights have learned, on the samples of the trials."""
        if self.best is None:
            return Outcome(math.inf, -math.inf, -math.inf, math.inf, 0, 1)
        return self.trials.measure(self.best)

    @cached_property
    def floor(self) -> float:
        """The score of the baseline on the samples of `Outcome.held`: a constant prediction or the naive forecast."""
        if self.score_name == "balanced_accuracy":
            return 1 / len(self.dataset.classes)
        found = baseline(self.dataset, "val" if "val" in self.dataset.splits else "train")[self.score_name]
        return max(found, 0.0) if math.isfinite(found) else 0.0

    @cached_property
    def guess_loss(self) -> float:
        """The loss of the best constant prediction: entropy or variance; NaN for other losses."""
        if self.config.loss.name == "mse":
            return float(self.experiment.splits["train"].targets.double().var(0, correction=0).mean())
        if self.config.loss.name not in ("cross_entropy", "nll") or self.dataset.per != "sample":
            return math.nan
        frequencies = shares(self.dataset.measured_split("train"), len(self.dataset.classes))
        return float(-(frequencies * frequencies.clamp_min(1e-12).log()).sum())

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return steps_per_epoch(self.experiment, self.initial)

    @cached_property
    def num_steps(self) -> int:
        """Optimizer steps of the run."""
        return int(self.history["step"][-1]) if self.history.rows else 0

    @cached_property
    def num_epochs(self) -> int:
        """Finished epochs of the run."""
        return len(self.history.rows)

    @cached_property
    def trial_steps(self) -> int:
        """Steps of a trial: those of the run, as far as the time allows."""
        return max(1, min(self.num_steps or FEW_STEPS, self.trials.num_steps))

    def skill(self, score: float) -> float:
        """Returns a score as a share of the way from the baseline to a perfect one; 0 below the baseline."""
        return max(0.0, skill.skill(self.score_name, score, self.floor))

    def gain(self, outcome: Outcome | None) -> float:
        """Returns by how much the skill of an outcome on held-out samples is above that of the run."""
        return 0.0 if outcome is None else self.gain_of(outcome.held)

    def gain_of(self, score: float) -> float:
        """Returns by how much the skill of a score on held-out samples is above that of the run.

        For a run that is worse than the baseline, its distance from the baseline counts up to 1.
        """
        own = skill.skill(self.score_name, self.own.held, self.floor)
        return self.skill(score) - max(own, -1.0)

    def better(self, outcome: Outcome | None, fit: Fit = Fit.SAME) -> float:
        """Returns the share of the skill of an outcome that the run has lost in comparison with it.

        It is 0 unless the outcome is clearly better on held-out samples, or clearly better on train and about as much
        on held-out samples, which may be few.

        Args:
            outcome: The outcome; None for none.
            fit: What the outcome must have learned of the train samples.
        """
        if outcome is None or not math.isfinite(outcome.held_loss) or not self.skill(outcome.held):
            return 0.0
        own, reached = self.own, self.skill(outcome.held)
        gain = reached - self.skill(own.held)
        if not math.isfinite(own.held):
            return 1.0 if reached > self.noise(self.floor, "val") else 0.0
        train_gain = self.skill(outcome.train) - self.skill(own.train)
        if fit is not Fit.ANY and train_gain < (fit is Fit.BETTER) * SEEN_ON_TRAIN * gain - SAME_FIT:
            return 0.0
        if gain > self.noise(own.held, "val"):
            return gain / reached
        if fit is not Fit.ANY and gain >= train_gain / 2 and train_gain > self.noise(own.train, "train"):
            return (gain / reached + train_gain / self.skill(outcome.train)) / 2
        return 0.0

    def gained(self, *overrides: str) -> float:
        """Returns the gain of a changed config, over the length of the run; 0 if nothing can be tried."""
        return self.gain(self.trial(*overrides)) if self.can_try and overrides else 0.0

    @cached_property
    def can_gain(self) -> bool:
        """Whether a perfect score would be clearly better than that of the run."""
        own = self.own
        if not math.isfinite(own.held) or self.floor >= 1:
            return True
        return 1 - min(self.skill(own.held), self.skill(own.train)) >= LOST

    def noise(self, score: float, split: Literal["train", "val"] = "val") -> float:
        """Returns the difference of two skills that may be due to the choice of the measured samples."""
        if split not in self.experiment.splits:
            return skill.LEAST_NOISE
        return skill.noise(self.score_name, score, self.floor, self._measured_counts[split])

    @cached_property
    def _measured_counts(self) -> dict[str, list[int]]:
        """The number of samples on which trials are measured, by split and class."""
        found = {}
        for name, most in (("train", MAX_TRAIN), ("val", MAX_HELD)):
            if name in self.experiment.splits:
                split = self.experiment.splits[name]
                rows = measured_rows(split, most)
                found[name] = [len(rows)]
                if self.score_name == "balanced_accuracy":
                    found[name] = split.take(rows.to(split.targets.device)).class_indices().bincount().tolist()
        return found

    def trial(self, *overrides: str, steps: int | None = None) -> Outcome | None:
        """Trains a changed config from the start, over the length of the run as far as the time allows."""
        if not self.can_try or not self.can_gain:
            return None
        return self.trials.run(*overrides, steps=steps or self.trial_steps)

    def lost(self, *overrides: str, steps: int | None = None, fit: Fit = Fit.SAME) -> float:
        """Returns the share of the skill of a changed config that the run has lost in comparison with it."""
        if not self.can_try or not overrides:
            return 0.0
        return self.better(self.trial(*overrides, steps=steps), fit)

    def continued(self, *overrides: str) -> Outcome | None:
        """Trains the last weights for more steps."""
        if not self.can_try or not self.can_gain or self.last is None:
            return None
        steps = max(2 * self.steps_per_epoch, min(2 * self.num_steps, self.trials.num_steps))
        return self.trials.resume(self.last, *overrides, steps=min(steps, 2 * self.trials.num_steps))

    @cached_property
    def rate_of_change(self) -> float:
        """The median relative change of a layer per step, in the first half of the epochs; NaN if unknown."""
        rows = [row for row in self.health if row.epoch <= max(1, self.num_epochs // 2)]
        ratios = sorted(row.update_ratio for row in rows if math.isfinite(row.update_ratio))
        return ratios[len(ratios) // 2] if ratios else math.nan

    @cached_property
    def outputs(self) -> torch.Tensor | None:
        """The outputs of the best weights for some samples of the measured split; None if there are none."""
        module, split = self.best or self.last, self.experiment.splits[self.measured_on]
        if module is None or isinstance(split.inputs, OnDisk):
            return None
        rows = measured_rows(split, 256).to(split.targets.device)
        lengths = None if split.lengths is None else split.lengths[rows]
        copied = copy.deepcopy(module).eval()
        with torch.inference_mode():
            outputs: torch.Tensor = copied(*arguments_of(copied, split.network_inputs(rows), lengths))
            return outputs.cpu()

    def fix(self, overrides: Sequence[str] | None) -> tuple[str, ...]:
        """Returns overrides if they are valid for the config and its data, else none."""
        if not overrides or changed_config(self.experiment, overrides) is None:
            return ()
        return tuple(overrides)

    def reached(self, outcome: Outcome) -> str:
        """Describes an outcome in comparison with the run."""
        names = {"accuracy": "an accuracy", "balanced_accuracy": "a balanced accuracy", "r2": "an r2"}
        split = "val" if "val" in self.experiment.splits else "train"
        own = "none" if not math.isfinite(self.own.held) else f"{self.own.held:.3f}"
        return (
            f"{outcome.steps} steps reach {names[self.score_name]} of {outcome.held:.3f} on {split} (this run: {own})"
        )
