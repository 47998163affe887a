"""Short trainings that show what a different setting would have learned from the same start."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import torch
from torch import nn

from nnzoo import log
from nnzoo.builders import build_settings
from nnzoo.config import Config, check_facts, load_config, resolve
from nnzoo.config.model import output_of
from nnzoo.data import OnDisk, Split
from nnzoo.doctor.step_cost import StepCost
from nnzoo.errors import DivergedError, NnzooError
from nnzoo.experiment.prepare import Experiment, assemble, prepare
from nnzoo.experiment.train.start import start_again
from nnzoo.models import set_train_mode
from nnzoo.models.parameters import load_weights
from nnzoo.training.batches.order import boundaries, for_model, smallest_batch
from nnzoo.training.evaluate import evaluate
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.processes.group import SINGLE_PROCESS
from nnzoo.training.settings import Settings
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState, rng_state, set_rng_state

MAX_TRAIN, MAX_HELD = 512, 1000
"""The maximum number of samples of train and of val on which a trial is measured."""
MAX_NUMBERS = 4_000_000
"""The maximum number of entries of their inputs."""
LADDER = (20, 30, 50, 80, 120, 200, 300, 500, 800, 1200, 2000, 3000, 5000)
"""The possible numbers of steps."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""When a trial is measured, as a share of its steps; the best of these counts, as in a run."""
MAX_READ_AGAIN = 20_000
"""The largest number of rows of a table that is read again for a change of the preprocessing."""
TOO_SLOW = 0.2
"""Trials are skipped if a step is estimated to take more CPU seconds than this."""


@dataclass(frozen=True)
class Outcome:
    """What a network has learned.

    Attributes:
        loss: The loss on the measured train samples, without penalties and dropout; infinite if it is not finite.
        train: The score on them: accuracy or r2; for rare classes, the mean recall.
        held: The score on the measured val samples, or on the train samples if there is no val split.
        held_loss: The loss on those samples.
        steps: The number of optimizer steps.
        diverged_at: The step in which the loss was not finite; 0 if it always was.
    """

    loss: float
    train: float
    held: float
    held_loss: float
    steps: int
    diverged_at: int = 0


class Trials:
    """Trains copies of the network of an experiment for a few steps, each with a change of the config.

    Args:
        experiment: The experiment; all of its data must be in memory.
        score: The metric of `Outcome`: "accuracy", "balanced_accuracy" or "r2".
        seconds: The estimated CPU time that one trial may take.
        limit: The estimated CPU time of all trials after which no further one is run.
    """

    def __init__(self, experiment: Experiment, score: str, *, seconds: float, limit: float = math.inf) -> None:
        self.experiment = replace(experiment, settings=_for_trials(experiment.settings))
        self.score = score
        self.seconds = seconds
        self.limit = limit
        self._spent = 0.0
        self._known: dict[tuple[tuple[str, ...], int, int], Outcome | None] = {}

    @property
    def are_possible(self) -> bool:
        """Whether the network of the config can be trained here in a short time."""
        inputs = self.experiment.splits["train"].inputs
        is_known = self.experiment.config.model.name != "custom" and not isinstance(inputs, OnDisk)
        return is_known and self.experiment.config.optimizer.name != "lbfgs" and self.num_steps > 0

    @property
    def num_steps(self) -> int:
        """The largest number of steps of a trial; 0 if the network is too slow."""
        seconds = self._seconds_per_step
        fitting = [each for each in LADDER if each * seconds <= self.seconds]
        return 0 if seconds > TOO_SLOW else max(fitting, default=LADDER[0])

    def variant(self, overrides: Sequence[str]) -> Experiment | None:
        """Returns the experiment with a changed config; None if the config is invalid or needs data that is gone."""
        experiment = self.experiment
        if not overrides:
            return experiment
        config = changed_config(experiment, overrides)
        if config is None:
            return None
        if not _changes_data(config, experiment.config):
            settings = replace(build_settings(config), augment=experiment.settings.augment)
            return replace(experiment, config=config, settings=_for_trials(settings))
        with quiet():
            try:
                raw = experiment.dataset.train.inputs
                is_gone = not isinstance(raw, OnDisk) and raw.is_meta
                if is_gone and (experiment.dataset.layout != "features" or len(raw) > MAX_READ_AGAIN):
                    return None
                if is_gone or config.data != experiment.config.data:
                    built = prepare(config)
                else:
                    built = assemble(config, experiment.facts, experiment.dataset, experiment.device)
            except NnzooError:
                return None
        return replace(built, settings=_for_trials(built.settings))

    def run(self, *overrides: str, steps: int, seed: int | None = None) -> Outcome | None:
        """Trains from the untrained weights of a seed and returns the best of four measurements.

        Args:
            overrides: The changes of the config.
            steps: The number of optimizer steps.
            seed: The seed of the weights; None for that of the config.

        Returns:
            The outcome; None if the changed config is invalid.
        """
        key = (overrides, steps, self.experiment.config.seed if seed is None else seed)
        if key not in self._known:
            if self._spent > self.limit:
                return None
            self._spent += steps * self._seconds_per_step
            self._known[key] = self._train(overrides, steps, key[2])
        return self._known[key]

    def _train(self, overrides: tuple[str, ...], steps: int, seed: int) -> Outcome | None:
        experiment = self.variant(overrides)
        if experiment is None:
            return None
        with quiet(), kept_random_state():
            try:
                state = start_again(experiment, None, None, seed)
                return train(experiment, state, steps, self.score)
            except (NnzooError, RuntimeError):  # the changed network does not fit
                return None

    def resume(self, module: nn.Module, *overrides: str, steps: int) -> Outcome | None:
        """Trains a copy of a trained network for more steps, with a new optimizer."""
        experiment = self.variant(overrides)
        if experiment is None:
            return None
        with quiet(), kept_random_state():
            try:
                state = start_again(experiment, None, None, experiment.config.seed, restored=True)
                load_weights(state.model, module.state_dict())
                return train(experiment, state, steps, self.score)
            except (NnzooError, RuntimeError):
                return None

    def measure(self, module: nn.Module) -> Outcome:
        """Measures a network on the same samples as the trials."""
        return measure(self.experiment, copy.deepcopy(module), self.score, 0)

    @cached_property
    def _seconds_per_step(self) -> float:
        """The estimated CPU time of a training step; infinite if there can be none."""
        with quiet(), kept_random_state(), StepCost() as cost:
            try:
                state = start_again(self.experiment, None, None, self.experiment.config.seed)
                cost.clear()
                for _ in _steps(self.experiment, state, 1):
                    pass
            except DivergedError:
                pass
            except (NnzooError, RuntimeError):
                return math.inf
        seconds: float = cost.seconds
        return seconds


def _for_trials(settings: Settings) -> Settings:
    return replace(settings, metrics=(), probes=False, group=SINGLE_PROCESS)


def _changes_data(config: Config, before: Config) -> bool:
    """Returns whether the inputs, the encoded targets, the loss or the meaning of the outputs differ."""
    parts = [(each.data, each.preprocess, each.loss, each.augment, output_of(each.model)) for each in (config, before)]
    return parts[0] != parts[1]


def changed_config(experiment: Experiment, overrides: Sequence[str]) -> Config | None:
    """Returns the resolved config with overrides; None if the result is invalid for the data."""
    try:
        config = load_config(experiment.config, overrides)
        if config.data != experiment.config.data:
            return config
        check_facts(config, experiment.facts)
    except NnzooError:
        return None
    return resolve(config, experiment.facts)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the messages of trials."""
    with log.recording(quiet=True):
        yield


@contextlib.contextmanager
def kept_random_state() -> Iterator[None]:
    """Restores the global random states at the end."""
    before = rng_state()
    try:
        yield
    finally:
        set_rng_state(before)


def train(experiment: Experiment, state: TrainState, steps: int, score: str) -> Outcome:
    """Trains a network in place and returns the best of four measurements by the held-out loss."""
    marks = {max(1, round(share * steps)) for share in SHARES}
    best: Outcome | None = None
    step = 0
    try:
        for step in _steps(experiment, state, steps):
            if step in marks:
                found = measure(experiment, state.model, score, step)
                if best is None or found.held_loss < best.held_loss:
                    best = found
                set_train_mode(state.model)
    except DivergedError:
        if best is None or best.steps < steps // 2:
            return Outcome(math.inf, -math.inf, -math.inf, math.inf, step, diverged_at=step + 1)
        return replace(best, diverged_at=step + 1)
    assert best is not None
    return best


def _steps(experiment: Experiment, state: TrainState, steps: int) -> Iterator[int]:
    """Takes steps in the order of the training loop, and yields the number of steps after each."""
    settings, split = experiment.settings, for_model(state.model, experiment.splits["train"])
    learner = SingleLearner(state)
    min_size = smallest_batch(state.model, settings.group)
    batches = boundaries(len(split), settings.batch_size or len(split), min_size=min_size)
    done = 0
    while done < steps:
        learner.unfreeze()
        set_train_mode(state.model)
        with learner.read_batches(split, batches, settings) as reader:
            for _ in range(-(-len(batches) // settings.accumulate)):
                learner.train_step(list(islice(reader, settings.accumulate)), settings)
                state.schedule.after_step()
                done += 1
                yield done
                if done == steps:
                    return
        state.schedule.after_epoch(state.train_loss.result())
        state.start_sums()
        state.epoch += 1


def measured_rows(split: Split, most: int) -> torch.Tensor:
    """Returns fixed positions from all parts of a split."""
    count = max(1, min(most, len(split), MAX_NUMBERS // max(1, split.inputs[0].numel())))
    return torch.arange(count) * len(split) // count


def measure(experiment: Experiment, module: nn.Module, score: str, steps: int) -> Outcome:
    """Measures a network, which stays in evaluation mode, on fixed samples of train and val."""
    values = {}
    for name, most in (("train", MAX_TRAIN), ("val", MAX_HELD)):
        if name in experiment.splits:
            split = experiment.splits[name]
            part = split.take(measured_rows(split, most).to(split.targets.device))
            sums = MetricSums((score,), experiment.decoder)
            found = evaluate(module, experiment.loss, part, sums, batch_size=len(part))
            loss, value = found.metrics["loss"], found.metrics[score]
            values[name] = (
                loss if math.isfinite(loss) else math.inf,
                value if math.isfinite(value) else -math.inf,
            )
    loss, own = values["train"]
    held_loss, held = values.get("val", values["train"])
    return Outcome(loss, own, held, held_loss, steps)
