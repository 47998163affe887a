"""The outputs and targets that a loss reads, and the probabilities in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nnzoo.data.reader import NO_TARGET
from nnzoo.trace.expression import Call, Equation, Expression, Var
from nnzoo.trace.record import StepRecord
from nnzoo.trace.stage import Group, Limits, index_of
from nnzoo.training.measures.losses import (
    BCELoss,
    ClassLoss,
    KLDivLoss,
    MultiMarginLoss,
    denominator,
)


class Outputs(NamedTuple):
    """The outputs that the loss reads.

    Attributes:
        values: (N, K) one row per sample, or per step of a sequence.
        targets: (N, K) values, probabilities or 0 and 1; or (N,) class indices.
        grads: (N, K) the derivative of the loss by each output.
        rows: The label of each row.
        divisor: What the sum of the losses is divided by.
    """

    values: Tensor
    targets: Tensor
    grads: Tensor
    rows: list[str]
    divisor: float

    def output(self, row: int, unit: int) -> Var:
        """Returns an output."""
        return Var(f"o{unit + 1}{index_of(self.rows[row])}", float(self.values[row, unit]))

    def target(self, row: int, unit: int) -> Var:
        """Returns a target; of class indices, 1 for the true class and 0 for the others."""
        value = float(self.targets[row, unit]) if self.targets.ndim > 1 else float(self.targets[row] == unit)
        return Var(f"t{unit + 1}{index_of(self.rows[row])}", value)

    def counted(self) -> list[int]:
        """Returns the rows that have a target."""
        if self.targets.ndim > 1:
            return list(range(len(self.values)))
        return [row for row in range(len(self.values)) if int(self.targets[row]) != NO_TARGET]


Term = Callable[[int, int], Expression]
"""Returns the contribution of an output, or the derivative by it, before the division."""


def outputs_of(record: StepRecord, loss: nn.Module, rows: list[str]) -> Outputs:
    """Returns the outputs of a step as (N, K), with their targets."""
    values, targets, grads = record.outputs, record.targets, record.output_grad
    summed = getattr(loss, "reduction", "mean") == "sum"
    if isinstance(loss, ClassLoss):
        divisor = 1.0 if summed else float(denominator(loss, targets))
        if isinstance(loss, MultiMarginLoss | KLDivLoss) and not summed:
            divisor = float(len(targets))
    else:
        divisor = 1.0 if summed else float(values.numel())
    if values.ndim == 3:
        values, grads = values.flatten(0, 1), grads.flatten(0, 1)
        targets = targets.flatten(0, 1)
    return Outputs(values, targets, grads, rows, divisor)


def targets_group(outputs: Outputs, classes: tuple[str, ...], limits: Limits) -> Group:
    """Returns the targets of the samples that are shown."""
    equations = []
    for row in outputs.counted()[: limits.rows]:
        for unit in range(min(outputs.values.shape[1], max(limits.units, 10))):
            target = outputs.target(row, unit)
            name = classes[unit] if len(classes) == outputs.values.shape[1] else ""
            equations.append(Equation(target.name, target.value, None, name))
    return Group("targets", equations)


def log(operand: Expression) -> Call:
    """Returns the logarithm of an expression."""
    return Call("log", [operand], math.log)


def _probability(outputs: Outputs, row: int, unit: int, value: float) -> Var:
    return Var(f"p{unit + 1}{index_of(outputs.rows[row])}", value)


def softmax(loss: nn.Module, outputs: Outputs, row: int, unit: int) -> Var:
    """Returns the probability that the loss computes for a class or label."""
    values = outputs.values[row]
    if getattr(loss, "reads", "") == "probabilities":
        if isinstance(loss, BCELoss) or sums_to_one(values):
            return outputs.output(row, unit)
        probabilities = values / values.sum()
    else:
        probabilities = values.sigmoid() if isinstance(loss, BCELoss) else values.softmax(0)
    return _probability(outputs, row, unit, float(probabilities[unit]))


def sums_to_one(values: Tensor) -> bool:
    """Returns whether values sum to 1."""
    return abs(float(values.sum()) - 1) < 1e-12


def mixed_targets(loss: nn.Module, outputs: Outputs) -> Tensor:
    """Returns (N, K) the factor of -log p of each class: the target, with label smoothing and class weights."""
    num_classes = outputs.values.shape[1]
    targets = outputs.targets
    if targets.ndim == 1:
        targets = torch.nn.functional.one_hot(targets.clamp_min(0), num_classes).double()
    smoothing = getattr(loss, "label_smoothing", 0.0)
    mixed = targets.double() * (1 - smoothing) + smoothing / num_classes
    weights = getattr(loss, "class_weights", None)
    return mixed if weights is None else mixed * weights
