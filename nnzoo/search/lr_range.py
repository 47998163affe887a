"""The learning-rate range test: trains a new network for some steps with a learning rate that rises exponentially."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nnzoo import log
from nnzoo.config import Config, ConfigLike, load_config
from nnzoo.config.load import problems_of
from nnzoo.errors import DivergedError, InterruptedRunError, UsageError
from nnzoo.experiment.prepare import Experiment, prepare, steps_per_epoch
from nnzoo.experiment.pretrained.pretrained import with_checkpoint
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.restarts import BatchedRestarts, choose_training
from nnzoo.experiment.train.run import deterministic
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.search.lr_curve import has_diverged
from nnzoo.search.lr_result import LrRange
from nnzoo.training.batches.order import Batch
from nnzoo.training.checkpoints import CheckpointTimer
from nnzoo.training.learner import Learner
from nnzoo.training.loop import train_epoch
from nnzoo.training.optimization.schedules import Schedule
from nnzoo.training.processes.torchrun import is_distributed
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner

MIN_LR, MAX_LR = 1e-6, 100.0
STEPS_PER_DECADE = 25
SAMPLES_PER_STEP = 32
"""Smaller batches get more steps, up to `MAX_FACTOR` times as many, since their losses are noisier."""
MAX_FACTOR = 4
LONGER, CLEAR_DROP = 4, 0.25
"""A loss that falls by a smaller share is tested again with `LONGER` times as many steps: learning takes longer."""


class ExponentialRise(Schedule):
    """Raises the learning rate by the same factor after each step. Parameter groups keep their proportions.

    Args:
        optimizer: The optimizer, with the learning rates of the config.
        start: The first learning rate.
        factor: The factor from one step to the next.
    """

    def __init__(self, optimizer: Any, start: float, factor: float) -> None:
        super().__init__(optimizer, "constant")
        self.first, self.factor = start, factor
        self._set()

    def after_step(self) -> None:
        self.num_steps += 1
        self._set()

    def _set(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.first * self.factor**self.num_steps
        self._scale()


class EndOfTest(StopRequest):
    """Ends the test after the current step, as a signal ends training."""

    def end(self) -> None:
        """Ends the test after the current step."""
        self.signal_number = self.signal_number or 0


class _RangeLearner:
    """Records the loss of each step of a learner. It is mixed into the learners of training, whose steps it takes."""

    num_steps: int
    stop: EndOfTest
    losses: list[float]

    def follow(self, num_steps: int, stop: EndOfTest) -> None:
        """Starts the recording."""
        self.num_steps, self.stop, self.losses = num_steps, stop, []

    def add(self, loss: float) -> None:
        """Adds the loss of a step, and ends the test if it is the last one."""
        self.losses.append(loss)
        if len(self.losses) >= self.num_steps or has_diverged(self.losses):
            self.stop.end()


class SingleRange(SingleLearner, _RangeLearner):
    """Trains one network in a range test."""

    def unfreeze(self) -> bool:
        # The test is about the first epoch of training, even if it needs several passes over the data.
        return self.state.epoch == 0 and super().unfreeze()

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        self.state.start_sums()
        try:
            super().train_step(batches, settings)
        except DivergedError:
            self.add(math.inf)
            return
        total, weight = float(self.state.train_loss.total), float(self.state.train_loss.weight)
        self.add(total / weight if weight else math.nan)


class ReplicaRange(ReplicaLearner, _RangeLearner):
    """Trains K networks in a range test. The loss of a step is the median over them."""

    def unfreeze(self) -> bool:
        return self.state.epoch == 0 and super().unfreeze()

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        sums = self.state.train_loss
        sums.total, sums.weight = 0.0, 0.0
        super().train_step(batches, settings)
        losses = torch.as_tensor(sums.total) / torch.as_tensor(sums.weight)  # (K,)
        self.add(statistics.median(value if math.isfinite(value) else math.inf for value in losses.tolist()))


def find_lr(
    config: ConfigLike,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    min_lr: float = MIN_LR,
    max_lr: float = MAX_LR,
    num_steps: int | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    device: str | None = None,
) -> LrRange:
    """Runs a learning-rate range test (Smith 2017) and suggests a learning rate. Nothing is written.

    A new network is trained with the training step of `nnzoo train`: the same batches, augmentation, loss, precision,
    clipping and optimizer. Only the scheduler is replaced. The learning rate rises exponentially from step to step, and
    the test ends early when the loss diverges.

    Args:
        config: A path, the name of a shipped config, a run directory, a dict, or a config.
        overrides: `{"train.batch_size": 64}`, or strings such as `train.batch_size=64`.
        min_lr: The learning rate of the first step.
        max_lr: The learning rate of the last step.
        num_steps: The number of steps, at least 2; by default, 25 per factor of 10, up to 4 times as many for small
            batches, and again 4 times as many if the loss falls little.
        runs_dir: The folder in which the name of `model.pretrained` is looked up.
        device: As in `nnzoo.train`.

    Raises:
        ConfigError: The config can't be used, or its optimizer or model has no learning rate that a test could find.
        DataError: The data is missing or does not fit.
        UsageError: The range is empty, there are fewer than two steps, or there are several processes.
        DivergedError: The loss of the first step is not finite.
    """
    if not 0 < min_lr < max_lr < math.inf:
        raise UsageError(f"expected 0 < min < max, got {min_lr:g} and {max_lr:g}.", where="--min, --max")
    if num_steps is not None and num_steps < 2:
        raise UsageError(f"expected at least 2 steps, got {num_steps}.", where="num_steps")
    if is_distributed():
        raise UsageError("a range test runs in one process. Start it without torchrun.", where="lr-find")
    with contextlib.ExitStack() as stack:
        stack.enter_context(log.recording(quiet=True))
        stack.enter_context(one_at_a_time())
        loaded = load_config(config, overrides)
        if device is not None:
            loaded = load_config(loaded, {"train.device": device})
        check_testable(loaded)
        used = load_config(loaded, {"scheduler": "constant", "train.folds": None, "train.probes": False})
        stack.enter_context(deterministic(used))
        stack.enter_context(use_threads(threads_of_data(used)))
        experiment = prepare(with_checkpoint(used, Path(runs_dir)))
        if num_steps is not None:
            return _test(loaded, experiment, min_lr, max_lr, num_steps)
        num_steps = default_steps(experiment.settings, len(experiment.splits["train"]), min_lr, max_lr)
        found = _test(loaded, experiment, min_lr, max_lr, num_steps)
        if found.reading.drop < CLEAR_DROP * found.reading.start and len(found.losses) > num_steps // 2:
            return _test(loaded, experiment, min_lr, max_lr, LONGER * num_steps)
        return found


def _test(config: Config, experiment: Experiment, min_lr: float, max_lr: float, num_steps: int) -> LrRange:
    """Runs a range test with a number of steps.

    Raises:
        DivergedError: The loss of the first step is not finite.
    """
    with contextlib.ExitStack() as stack:
        learner, num_epoch_steps, num_networks = _build(experiment, stack)
        factor = (max_lr / min_lr) ** (1 / (num_steps - 1))
        learner.state.schedule = ExponentialRise(learner.state.optimizer, min_lr, factor)
        losses = _run(learner, experiment, num_steps)
    if not math.isfinite(losses[0]):
        raise DivergedError(
            f"the loss of the first step is {losses[0]}, with the initial weights. Are inputs or targets very large? "
            "preprocess.normalize and preprocess.scale_target scale them."
        )
    restarts, num_samples = config.train.restarts, len(experiment.splits["train"])
    return LrRange(
        config=config,
        rates=[min_lr * factor**step for step in range(len(losses))],
        losses=losses,
        num_steps=num_steps,
        batch_size=min(experiment.settings.batch_size or num_samples, num_samples),
        num_samples=num_samples,
        steps_per_epoch=num_epoch_steps,
        num_networks=num_networks,
        notes=(f"Only the first of the {restarts} restarts was tested.",) if restarts > num_networks else (),
    )


def check_testable(config: Config) -> None:
    """Checks that the training of a config depends on its learning rate.

    Raises:
        ConfigError: It does not.
    """
    optimizer, model = config.optimizer, config.model
    problem = None
    if optimizer.name == "lbfgs":
        message = "lbfgs chooses the length of its steps itself, so a range test finds nothing. Keep `lr: 1`."
        problem = (("optimizer", "name"), message)
    elif optimizer.name == "rprop":
        message = "rprop adapts a step size per weight, and lr is only its first value, so a range test finds nothing."
        problem = (("optimizer", "name"), message)
    elif model.name == "perceptron":
        message = "the perceptron rule has no learning rate to find: it only scales the weights. Keep `lr: 1`."
        problem = (("model", "name"), message)
    if problem is not None:
        raise problems_of(config, [problem])


def default_steps(settings: Settings, num_samples: int, min_lr: float, max_lr: float) -> int:
    """Returns the number of steps: more of them for small batches, whose losses are noisier.

    A batch of all samples has no noise from sampling.
    """
    batch_size = settings.batch_size * settings.accumulate
    is_full = not settings.batch_size or batch_size >= num_samples
    factor = 1.0 if is_full else min(MAX_FACTOR, max(1.0, SAMPLES_PER_STEP / batch_size))
    return max(2, round(STEPS_PER_DECADE * factor * math.log10(max_lr / min_lr))) + 1


def _build(experiment: Experiment, stack: contextlib.ExitStack) -> tuple[SingleRange | ReplicaRange, int, int]:
    """Returns the learner of new networks, the number of steps per epoch, and the number of networks."""
    state, _, num_threads = build_state(experiment, None, show=lambda _: None)
    stack.enter_context(use_threads(num_threads))
    if not any(parameter.requires_grad for parameter in state.model.parameters()):
        raise UsageError("all parameters are frozen, so there is nothing to train.", where="model.freeze")
    count = steps_per_epoch(experiment, state.model)
    training = choose_training(experiment, state, partial(start_again, experiment, None, None))
    if isinstance(training, BatchedRestarts):
        return ReplicaRange(training.replicas), count, training.count
    return SingleRange(state), count, 1


def _run(learner: SingleRange | ReplicaRange, experiment: Experiment, num_steps: int) -> list[float]:
    """Trains until the last step of the test, or until the loss diverges, and returns the loss of each step."""
    settings, state, stop = experiment.settings, learner.state, EndOfTest()
    timer: CheckpointTimer[Any] = CheckpointTimer(settings, lambda _: None)
    learner.follow(num_steps, stop)
    any_learner: Learner[Any] = learner
    with stop:
        while stop.signal_number is None:
            train_epoch(
                any_learner,
                experiment.splits["train"],
                settings,
                checkpoints=timer,
                progress=Progress(1, quiet=True),
                stop=stop,
                start=0.0,
            )
            state.epoch += 1
            state.batch = 0
    if stop.signal_number:
        raise InterruptedRunError("interrupted; nothing was written.", signal_number=stop.signal_number, result={})
    return learner.losses
