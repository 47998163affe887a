"""The formulas of an update: penalties, clipping, and the step of the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from nnzoo.trace.expression import (
    Call,
    Equation,
    Expression,
    Frac,
    Neg,
    Num,
    Prod,
    Sum,
    Var,
    sqrt,
)
from nnzoo.trace.optimizers import FORMULAS, Update
from nnzoo.trace.record import StepRecord
from nnzoo.trace.stage import Group, Weight

CLIP_EPS = 1e-6
"""torch divides by the norm of the gradients plus this number."""


@dataclass(frozen=True)
class Penalties:
    """What the training loop does to gradients and weights besides the optimizer.

    Attributes:
        l1: The coefficient of sum |w|, a proximal step after the optimizer.
        l2: The coefficient of sum w^2, whose derivative is added to the gradient.
        clip_grad_norm: The largest norm of all gradients together; None for no limit.
        penalised: The names of the parameters that L1 and L2 apply to.
    """

    l1: float
    l2: float
    clip_grad_norm: float | None
    penalised: frozenset[str]


def clipping_group(record: StepRecord, penalties: Penalties) -> tuple[Group | None, Var | None]:
    """Returns the equations of gradient clipping, and the factor of all gradients; None without clipping."""
    if penalties.clip_grad_norm is None:
        return None, None
    squares = math.fsum(float((_with_l2(record, name, penalties)).square().sum()) for name in record.raw_gradients)
    total = Var("G", squares)
    norm = Var("norm", math.sqrt(squares))
    limit = Var("clip_grad_norm", penalties.clip_grad_norm)
    factor = Call("min", [Num(1), Frac(limit, Sum([norm, Num(CLIP_EPS)]))], min)
    equations = [
        Equation("G", squares, None, "sum of the squares of all gradients"),
        Equation("norm", norm.value, sqrt(total)),
        Equation("c", factor.evaluate(), factor, "factor of all gradients"),
    ]
    return Group("gradient clipping", equations), Var("c", factor.evaluate())


def _with_l2(record: StepRecord, name: str, penalties: Penalties) -> Tensor:
    raw = record.raw_gradients[name]
    is_penalised = penalties.l2 and name in penalties.penalised
    return raw + 2 * penalties.l2 * record.before[name] if is_penalised else raw


def update_of(
    weight: Weight, record: StepRecord, optimizer: str, penalties: Penalties, factor: Var | None
) -> list[Equation]:
    """Returns the equations from the derivative of the loss by a weight to its new value.

    Args:
        weight: The weight.
        record: The step.
        optimizer: The name of the optimizer.
        penalties: The penalties and the limit of the gradients.
        factor: The factor of all gradients, if they are clipped.
    """
    name, index = weight.parameter, weight.index
    gradient = Var(f"dE/d{weight.symbol}", float(record.raw_gradients[name][index]))
    update = Update(weight, record, gradient)
    is_penalised = name in penalties.penalised
    formula: Expression = gradient
    remarks = []
    if penalties.l2 and is_penalised:
        formula = Sum([gradient, Prod([Num(2), Var("l2", penalties.l2), update.w])])
        remarks.append("L2 penalty")
    if factor is not None:
        formula = Prod([formula, factor])
        remarks.append("clipping")
    if formula is not gradient:
        value = float(record.gradients[name][index])
        update.g = update.add(f"k_{weight.symbol}", formula, f"gradient with {' and '.join(remarks)}", value)
    after = float(record.after[name][index])
    result = FORMULAS[optimizer](update)
    if penalties.l1 and is_penalised:
        moved = update.add(f"u_{weight.symbol}", result)
        threshold = Prod([Var("lr", record.lr), Var("l1", penalties.l1)])
        size = Call("max", [Num(0), Sum([Call("abs", [moved], abs), Neg(threshold)])], max)
        result = Prod([Call("sign", [moved], lambda u: (u > 0) - (u < 0)), size])
        update.add(f"{weight.symbol}+", result, "L1 penalty: smaller by lr * l1", after)
    else:
        update.add(f"{weight.symbol}+", result, "", after)
    return update.equations
