"""Runs the training loop for a few steps, and records every value and gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch

from nnzoo import log
from nnzoo.data import Split
from nnzoo.experiment.prepare import steps_per_epoch
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.trace.capture import Capture
from nnzoo.trace.record import (
    Recording,
    StepRecord,
    Watch,
    WeightPath,
    batch_loss,
    loss_on,
    state_of_optimizer,
    weights_of,
    without_dropout,
)
from nnzoo.trace.setup import Setup
from nnzoo.training.batches.order import Batch, epoch_order
from nnzoo.training.loop import fit
from nnzoo.training.progress import Progress
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner

MAX_DETAILED = 10
"""Of longer traces, only the first and the last step are shown in full."""


class EndOfTrace(StopRequest):
    """Ends training after the last step of a trace, as a signal would."""

    def end(self) -> None:
        """Lets training end after the current step."""
        self.signal_number = 0


class TracingLearner(SingleLearner):
    """Trains one network with the usual training step, and records what happens in it.

    Args:
        recording: The steps so far, which are added to.
        num_steps: The number of steps after which training ends.
        stop: Ends training.
        watch: Chooses the weights whose path is kept; None for none.
    """

    def __init__(self, recording: Recording, num_steps: int, stop: EndOfTrace, watch: Watch | None) -> None:
        super().__init__(recording.setup.state)
        self.recording = recording
        self.num_steps = num_steps
        self.stop = stop
        self.watch = watch
        self._rows: Iterator[list[int]] = iter(())

    @contextlib.contextmanager
    def read_batches(
        self, split: Split, ends: Sequence[tuple[int, int]], settings: Settings
    ) -> Iterator[Iterator[Batch]]:
        order = torch.arange(len(split))
        if settings.batch_size:
            order = epoch_order(len(split), seed=settings.seed, epoch=self.state.epoch, device=split.targets.device)
        self._rows = iter([order[start:end].tolist() for start, end in ends])
        with super().read_batches(split, ends, settings) as batches:
            yield batches

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        recording = self.recording
        rows = [row for _ in batches for row in next(self._rows)]
        number = len(recording.losses) + 1
        if self.num_steps <= MAX_DETAILED or number in (1, self.num_steps):
            recording.steps.append(self._recorded_step(batches, settings, rows))
            recording.losses.append((recording.steps[-1].loss, recording.steps[-1].lr))
        else:
            lr, sums = self.state.schedule.lr, self._sums()
            super().train_step(batches, settings)
            recording.losses.append((self._loss_since(sums), lr))
        if self.watch is not None:
            self._follow(self.watch)
        if number >= self.num_steps:
            self.stop.end()

    def _follow(self, watch: Watch) -> None:
        """Adds the watched weights after a step to their path."""
        recording, first = self.recording, self.recording.steps[0]
        if recording.path is None:
            weights = watch(recording)
            start = [float(first.before[each.parameter][each.index]) for each in weights]
            recording.path = WeightPath(weights, [start])
        named = dict(self.state.model.named_parameters())
        recording.path.points.append(
            [float(named[each.parameter].detach()[each.index]) for each in recording.path.weights]
        )
        with torch.no_grad(), without_dropout(self.state):
            recording.path.losses.append(float(batch_loss(self.state, first)))

    def _sums(self) -> tuple[float, float]:
        return float(self.state.train_loss.total), float(self.state.train_loss.weight)

    def _loss_since(self, before: tuple[float, float]) -> float:
        """Returns the loss of the batches that were added to the sums of the epoch."""
        total, weight = (now - earlier for now, earlier in zip(self._sums(), before, strict=True))
        return total if self.state.train_loss.summed else total / weight

    def _recorded_step(self, batches: Sequence[Batch], settings: Settings, rows: list[int]) -> StepRecord:
        """Takes a step and returns everything that happened in it."""
        state = self.state
        before, state_before, lr, sums = weights_of(state), state_of_optimizer(state), state.schedule.lr, self._sums()
        options = {key: value for key, value in state.optimizer.param_groups[0].items() if key != "params"}
        capture = Capture(state)
        try:
            super().train_step(batches, settings)
        finally:
            capture.close()
        lengths = [batch[1] for batch in batches if len(batch) == 3]
        named = state.model.named_parameters()
        record = StepRecord(
            number=state.step + 1,
            epoch=state.epoch + 1,
            rows=rows,
            num_batches=len(batches),
            lr=lr,
            loss=float(capture.losses[0][2]) if len(batches) == 1 else self._loss_since(sums),
            loss_after=float("nan"),
            inputs=torch.cat([batch[0] for batch in batches]),
            lengths=torch.cat(lengths) if lengths else None,
            targets=torch.cat([targets for _, targets, _ in capture.losses]),
            outputs=torch.cat([outputs for outputs, _, _ in capture.losses]),
            output_grad=torch.cat(capture.output_grads),
            modules=capture.recorded(),
            before=before,
            after=weights_of(state),
            raw_gradients=capture.raw,
            gradients={name: each.grad.detach().clone() for name, each in named if each.grad is not None},
            state_before=state_before,
            state_after=state_of_optimizer(state),
            options=options,
        )
        record.loss_after = loss_on(state, record)
        return record


def record_steps(setup: Setup, num_steps: int, watch: Watch | None = None) -> Recording:
    """Trains for some steps and returns what happened in them. Training may end earlier, as `nnzoo train` would.

    Raises:
        DivergedError: The loss is not finite.
    """
    recording, experiment = Recording(setup), setup.experiment
    settings, stop = experiment.settings, EndOfTrace()
    most = settings.epochs * steps_per_epoch(experiment, setup.state.model)
    fit(
        TracingLearner(recording, min(num_steps, most), stop, watch),
        experiment.splits,
        settings,
        save=lambda state: None,  # noqa: ARG005
        progress=Progress(settings.epochs, quiet=True),
        stop=stop,
    )
    return recording


def trace_steps(build: Callable[[], Setup], num_steps: int, watch: Watch | None = None) -> Recording:
    """Builds a training and records its first steps. No other training runs at the same time in this process.

    Args:
        build: Builds the training.
        num_steps: The number of steps.
        watch: Chooses the weights whose path is kept; None for none.
    """
    with log.recording(quiet=True), one_at_a_time():
        return record_steps(build(), num_steps, watch)
