"""All that is known about a config or a run, computed when a rule asks for it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn

from nnzoo.config import Config
from nnzoo.data import Dataset, OnDisk
from nnzoo.data.baseline import baseline, shares
from nnzoo.doctor import network
from nnzoo.doctor.samples import select_examined
from nnzoo.doctor.trials import Outcome, Trials, changed_config, kept_random_state, measured_rows, quiet
from nnzoo.experiment.prepare import Experiment, steps_per_epoch
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.experiment.train.start import build_network
from nnzoo.run.health import HealthRow
from nnzoo.run.history import History
from nnzoo.training.batches.order import arguments_of

TRIAL_SECONDS = 0.5
"""CPU seconds of one trial over the full length."""
SCAN_STEPS = 60
"""Steps of each trial of the scan over learning rates."""
RARE = 5
"""If the largest class has this many times the samples of the smallest, the mean recall is compared."""
SAME_FIT = 0.02
"""A change of the config that fits the train samples worse than this is not a cure of poor training."""
LOST = 0.1
"""A share of the possible gain over the baseline that a healthy run does not lose."""


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
        seconds: The CPU seconds of one short training over the full length.
        limit: The CPU seconds of all of them together; further ones are skipped.
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
        """The score of the best constant prediction on the samples of `Outcome.held`."""
        if self.score_name == "r2":
            return 0.0
        if self.score_name == "balanced_accuracy":
            return 1 / len(self.dataset.classes)
        return baseline(self.dataset, "val" if "val" in self.dataset.splits else "train")["accuracy"]

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
        return max(1, min(self.num_steps or SCAN_STEPS, self.trials.num_steps))

    def better(self, outcome: Outcome | None, *, fits: bool = True) -> float:
        """Returns the share of the possible gain that the run has lost in comparison with an outcome.

        It is 0 unless the outcome is clearly better on held-out samples and, with `fits`, also on train.
        """
        if outcome is None or not math.isfinite(outcome.held_loss):
            return 0.0
        own = self.own
        if not math.isfinite(own.held):
            return 1.0 if outcome.held > self.floor + self.noise(self.floor) else 0.0
        gain = outcome.held - max(self.floor, min(own.held, self.floor))
        reached = max(own.held, self.floor)
        better = outcome.held - reached
        if (
            better <= self.noise(reached)
            or outcome.held <= self.floor
            or (fits and outcome.train < own.train - SAME_FIT)
        ):
            return 0.0
        return better / gain

    @cached_property
    def can_gain(self) -> bool:
        """Whether a perfect score would be clearly better than that of the run."""
        own = self.own
        if not math.isfinite(own.held) or self.floor >= 1:
            return True
        return (1 - own.held) / (1 - self.floor) >= LOST

    def noise(self, score: float) -> float:
        """Returns the difference of two scores that may be due to the choice of the held-out samples."""
        if "val" not in self.experiment.splits:
            return 0.02
        if self.score_name == "r2":
            return 0.05
        score = min(max(score, 0.05), 0.95)
        count = len(measured_rows(self.experiment.splits["val"], 1000))
        return max(0.02, 1.5 * math.sqrt(2 * score * (1 - score) / count))

    def trial(self, *overrides: str, steps: int | None = None) -> Outcome | None:
        """Trains a changed config from the start, over the length of the run as far as the time allows."""
        if not self.can_try or not self.can_gain:
            return None
        return self.trials.run(*overrides, steps=steps or self.trial_steps)

    def lost(self, *overrides: str, steps: int | None = None) -> float:
        """Returns the share of the possible gain that the run has lost in comparison with a changed config."""
        if not self.can_try or not overrides:
            return 0.0
        return self.better(self.trial(*overrides, steps=steps))

    @cached_property
    def scan(self) -> dict[float, Outcome]:
        """The outcomes of a few steps with factors of the learning rate, from 1e-3 to 1e3, and beyond if needed."""
        from nnzoo.doctor.remedies import with_rate

        if not self.can_try or not self.can_gain or not self.config.optimizer.lr:
            return {}
        steps = min(SCAN_STEPS, max(20, self.trials.num_steps // 3))
        found: dict[float, Outcome] = {}

        def measure(power: int) -> None:
            factor = 10.0**power
            changes = with_rate(self.config, self.config.optimizer.lr * factor) if power else ()
            outcome = self.trials.run(*changes, steps=steps)
            if outcome is not None:
                found[factor] = outcome

        for power in range(-3, 4):
            measure(power)
        for power in (4, 5, 6):
            if found and self.best_factor_of(found) >= 10.0 ** (power - 1):
                measure(power)
        for power in (-4, -5, -6):
            if found and self.best_factor_of(found) <= 10.0 ** (power + 1) * 1.01:
                measure(power)
        return found

    @staticmethod
    def best_factor_of(scan: dict[float, Outcome]) -> float:
        """Returns the factor of the learning rate with the lowest loss."""
        return min(scan, key=lambda factor: scan[factor].loss)

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
