"""What a trace records: the values and gradients of each step, and the path of some weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.trace.setup import Setup
from nnzoo.trace.stage import Weight
from nnzoo.training.state import TrainState

State = dict[str, dict[str, Tensor | float]]
"""The optimizer's state of each parameter, by the names of both."""


@dataclass
class Recorded:
    """One module in a step. If gradients are accumulated, the batches of the step are concatenated.

    Attributes:
        module: The module.
        inputs: (N, *) its inputs.
        outputs: (N, *) its outputs.
        grad: (N, *) the derivative of the loss by each output; NaN if training did not compute it, since all parameters
            that it is needed for are frozen.
    """

    module: nn.Module
    inputs: Tensor
    outputs: Tensor
    grad: Tensor


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
        unrolled: The numbers of recurrent modules step by step, once they have been computed.
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
    unrolled: dict[str, Any] = field(default_factory=dict)


@dataclass
class Recording:
    """The traced steps of a training.

    Attributes:
        setup: The training.
        steps: The steps that are shown in full.
        losses: The loss and the learning rate of every step.
        path: The watched weights along the steps; None if none are watched.
    """

    setup: Setup
    steps: list[StepRecord] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)
    path: WeightPath | None = None


@dataclass
class WeightPath:
    """Some weights along the steps.

    Attributes:
        weights: The weights.
        points: Their values before the first step and after each step.
        losses: The loss of the first step's batch after each step, without dropout.
    """

    weights: list[Weight]
    points: list[list[float]]
    losses: list[float] = field(default_factory=list)


Watch = Callable[[Recording], list[Weight]]
"""Chooses the weights that are watched, after the first step."""


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
    value = float(batch_loss(state, record))
    for module, mode in modes.items():
        module.training = mode
    return value


def batch_loss(state: TrainState, record: StepRecord) -> Tensor:
    """Returns the loss of the batch of a step with the current weights."""
    forward = state.forward or state.model
    arguments = [record.inputs] if record.lengths is None else [record.inputs, record.lengths]
    loss: Tensor = state.loss(forward(*arguments), record.targets)
    return loss


@contextlib.contextmanager
def without_dropout(state: TrainState) -> Iterator[None]:
    """A context manager in which the loss is that of training, but not random. Nothing is changed by computing it.

    Batch norm uses the statistics of the batch, as in training, and its running statistics are restored.
    """
    modes = {module: module.training for module in state.model.modules()}
    buffers = {name: each.detach().clone() for name, each in state.model.named_buffers()}
    for module in modes:
        module.training = not isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for name, each in state.model.named_buffers():
                each.copy_(buffers[name])
