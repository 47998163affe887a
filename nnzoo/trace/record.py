"""Runs the training loop for a few steps, and records every value and gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.data import Split
from nnzoo.experiment.prepare import steps_per_epoch
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.trace.setup import Setup
from nnzoo.training.batches.order import Batch, epoch_order
from nnzoo.training.loop import fit
from nnzoo.training.progress import Progress
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState

MAX_DETAILED = 10
"""Of longer traces, only the first and the last step are shown in full."""
State = dict[str, dict[str, Tensor | float]]
"""The optimizer's state of each parameter, by the names of both."""


@dataclass
class Recorded:
    """One module in a step. If gradients are accumulated, the batches of the step are concatenated.

    Attributes:
        module: The module.
        inputs: (N, *) its inputs.
        outputs: (N, *) its outputs.
        grad: (N, *) the derivative of the loss by each output; None if no gradient reached it.
    """

    module: nn.Module
    inputs: Tensor
    outputs: Tensor
    grad: Tensor | None


@dataclass
class StepRecord:
    """Everything that a training step computed, in float64.

    Attributes:
        number: The number of the step, from 1.
        epoch: The epoch, from 1.
        rows: The samples of the batch, by their index in the train split.
        num_batches: The number of batches whose gradients were accumulated.
        lr: The learning rate.
        loss: The loss that was minimised, without penalties.
        loss_after: The loss of the same batch after the step, in evaluation mode.
        inputs: (N, *) the inputs of the network.
        lengths: (N,) valid steps of sequences; None if all are valid.
        targets: (N, *) the encoded targets.
        outputs: (N, *) the outputs of the network.
        output_grad: (N, *) the derivative of the loss by each output.
        modules: The modules without children, by name, in the order in which they ran.
        before: The parameters before the step.
        after: The parameters after the step.
        raw_gradients: The derivatives of the loss, without penalties and clipping, of the trained parameters.
        gradients: The gradients that the optimizer used.
        state_before: The optimizer's state before the step.
        state_after: The optimizer's state after the step.
        options: The optimizer's settings in this step, such as `lr` and `betas`.
    """

    number: int
    epoch: int
    rows: list[int]
    num_batches: int
    lr: float
    loss: float
    loss_after: float
    inputs: Tensor
    lengths: Tensor | None
    targets: Tensor
    outputs: Tensor
    output_grad: Tensor
    modules: dict[str, Recorded]
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    raw_gradients: dict[str, Tensor]
    gradients: dict[str, Tensor]
    state_before: State
    state_after: State
    options: dict[str, Any]


@dataclass
class Recording:
    """The traced steps of a training.

    Attributes:
        setup: The training.
        steps: The steps that are shown in full.
        losses: The loss and the learning rate of every step.
        path: The parameters before each step and after the last one; empty unless they are kept.
    """

    setup: Setup
    steps: list[StepRecord] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)
    path: list[dict[str, Tensor]] = field(default_factory=list)


class EndOfTrace(StopRequest):
    """Ends training after the last step of a trace, as a signal would."""

    def end(self) -> None:
        """Lets training end after the current step."""
        self.signal_number = 0


class _Capture:
    """Hooks that collect the inputs, outputs and gradients of a step."""

    def __init__(self, state: TrainState) -> None:
        self.calls: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self.grads: dict[str, list[Tensor]] = {}
        self.losses: list[tuple[Tensor, Tensor, Tensor]] = []
        self.output_grads: list[Tensor] = []
        self.raw: dict[str, Tensor] = {}
        self.modules = {name: each for name, each in state.model.named_modules() if not any(each.children())}
        self.handles = [each.register_forward_hook(self._note(name)) for name, each in self.modules.items()]
        self.handles.append(state.loss.register_forward_hook(self._note_loss))
        for name, parameter in state.model.named_parameters():
            if parameter.requires_grad:
                register: Any = parameter.register_hook  # has no type hints
                self.handles.append(register(self._add(name)))

    def _note(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Any) -> None:  # noqa: ARG001
            tensor = output[0] if isinstance(output, tuple) else output
            number = len(self.calls.setdefault(name, []))
            self.calls[name].append((arguments[0].detach(), tensor.detach()))
            grads = self.grads.setdefault(name, [])
            grads.append(torch.zeros_like(tensor) if tensor.is_floating_point() else tensor)
            if tensor.requires_grad:
                register: Any = tensor.register_hook
                register(lambda grad: grads.__setitem__(number, grad.detach()))

        return hook

    def _note_loss(self, module: nn.Module, arguments: tuple[Tensor, ...], value: Tensor) -> None:  # noqa: ARG002
        outputs, targets = arguments
        self.losses.append((outputs.detach(), targets.detach(), value.detach()))
        if outputs.requires_grad:
            register: Any = outputs.register_hook
            register(lambda grad: self.output_grads.append(grad.detach()))

    def _add(self, name: str) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            self.raw[name] = self.raw[name] + grad if name in self.raw else grad.detach().clone()

        return hook

    def close(self) -> None:
        """Removes the hooks."""
        for handle in self.handles:
            handle.remove()

    def recorded(self) -> dict[str, Recorded]:
        """Returns the modules of the step, in the order in which they ran."""
        return {
            name: Recorded(
                self.modules[name],
                torch.cat([inputs for inputs, _ in calls]),
                torch.cat([outputs for _, outputs in calls]),
                torch.cat(self.grads[name]),
            )
            for name, calls in self.calls.items()
        }


class TracingLearner(SingleLearner):
    """Trains one network with the usual training step, and records what happens in it.

    Args:
        recording: The steps so far, which are added to.
        num_steps: The number of steps after which training ends.
        stop: Ends training.
        keeps_path: Whether the parameters before each step are kept.
    """

    def __init__(self, recording: Recording, num_steps: int, stop: EndOfTrace, *, keeps_path: bool) -> None:
        super().__init__(recording.setup.state)
        self.recording = recording
        self.num_steps = num_steps
        self.stop = stop
        self.keeps_path = keeps_path
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
        if self.keeps_path:
            recording.path.append(weights_of(self.state))
        if self.num_steps <= MAX_DETAILED or number in (1, self.num_steps):
            recording.steps.append(self._recorded_step(batches, settings, rows))
            recording.losses.append((recording.steps[-1].loss, recording.steps[-1].lr))
        else:
            lr, sums = self.state.schedule.lr, self._sums()
            super().train_step(batches, settings)
            recording.losses.append((self._loss_since(sums), lr))
        if number >= self.num_steps:
            self.stop.end()

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
        capture = _Capture(state)
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


def weights_of(state: TrainState) -> dict[str, Tensor]:
    """Returns a copy of the parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in state.model.named_parameters()}


def state_of_optimizer(state: TrainState) -> State:
    """Returns a copy of the optimizer's state of each parameter."""
    names = {id(parameter): name for name, parameter in state.model.named_parameters()}
    return {
        names[id(parameter)]: {
            key: value.detach().clone() if isinstance(value, Tensor) else value for key, value in values.items()
        }
        for parameter, values in state.optimizer.state.items()
    }


@torch.no_grad()
def loss_on(state: TrainState, record: StepRecord) -> float:
    """Returns the loss of the batch of a step with the current weights, in evaluation mode."""
    modes = {module: module.training for module in state.model.modules()}
    state.model.eval()
    forward = state.forward or state.model
    arguments = [record.inputs] if record.lengths is None else [record.inputs, record.lengths]
    value = float(state.loss(forward(*arguments), record.targets))
    for module, mode in modes.items():
        module.training = mode
    return value


def record_steps(setup: Setup, num_steps: int, *, keeps_path: bool) -> Recording:
    """Trains for some steps and returns what happened in them. Training may end earlier, as `nnzoo train` would.

    Raises:
        DivergedError: The loss is not finite.
    """
    recording, experiment = Recording(setup), setup.experiment
    settings, stop = experiment.settings, EndOfTrace()
    most = settings.epochs * steps_per_epoch(experiment, setup.state.model)
    fit(
        TracingLearner(recording, min(num_steps, most), stop, keeps_path=keeps_path),
        experiment.splits,
        settings,
        save=lambda state: None,  # noqa: ARG005
        progress=Progress(settings.epochs, quiet=True),
        stop=stop,
    )
    if keeps_path:
        recording.path.append(recording.steps[-1].after)
    return recording


def trace_steps(build: Callable[[], Setup], num_steps: int, *, keeps_path: bool = False) -> Recording:
    """Builds a training and records its first steps. No other training runs at the same time in this process.

    Args:
        build: Builds the training.
        num_steps: The number of steps.
        keeps_path: Whether the parameters before each step are kept.
    """
    with log.recording(quiet=True), one_at_a_time():
        return record_steps(build(), num_steps, keeps_path=keeps_path)
