"""The formulas of the losses and of their derivatives by the outputs of the network."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from nnzoo.trace.activations import logistic
from nnzoo.trace.expression import Call, Equation, Expression, Frac, Neg, Num, Pow, Prod, Sum, Var, exp, minus, square
from nnzoo.trace.linked import limited
from nnzoo.trace.outputs import Outputs, Term, log, mixed_targets, softmax, sums_to_one
from nnzoo.trace.stage import Group, Limits, index_of
from nnzoo.training.measures.losses import (
    BCELoss,
    ClassLoss,
    CrossEntropyLoss,
    FocalLoss,
    HingeLoss,
    KLDivLoss,
    MultiMarginLoss,
    PerceptronLoss,
)

RULES: dict[type[nn.Module], str] = {
    nn.MSELoss: "mse: (o - t)^2, averaged over all outputs",
    nn.L1Loss: "l1: |o - t|, averaged over all outputs",
    nn.HuberLoss: "huber: (o - t)^2 / 2 for small errors, linear for large ones, averaged over all outputs",
    nn.SmoothL1Loss: "smooth_l1: (o - t)^2 / (2 beta) for small errors, linear for large ones, averaged over outputs",
    BCELoss: "bce: -log p if the target is 1, -log(1 - p) if it is 0, averaged over all outputs",
    CrossEntropyLoss: "cross entropy: -log p of the true class, averaged over the samples",
    KLDivLoss: "Kullback-Leibler divergence from the outputs to the target, averaged over the samples",
    FocalLoss: "focal loss: -(1 - p)^gamma log p of the true class, averaged over the samples",
    HingeLoss: "hinge: max(0, 1 - o) if the target is 1, max(0, 1 + o) if it is 0, averaged over all outputs",
    PerceptronLoss: "perceptron: the distance to the right side of 0, averaged over all outputs",
    MultiMarginLoss: "multi-class margin: how far other classes come too close to the true class",
}


def loss_group(loss: nn.Module, outputs: Outputs, value: float, limits: Limits) -> Group:
    """Returns the equations of the loss and of its derivatives by the outputs.

    Args:
        loss: The loss.
        outputs: The outputs of the step.
        value: The loss that the step computed.
        limits: What is shown.
    """
    equations: list[Equation] = []
    rows = outputs.counted()
    shown_rows = rows[: limits.rows]
    num_units = outputs.values.shape[1]
    units = list(range(min(num_units, max(limits.units, 10))))
    if isinstance(loss, BCELoss | ClassLoss) and not isinstance(loss, MultiMarginLoss):
        for row in shown_rows:
            equations += _probabilities(loss, outputs, row, units, limits.terms)
    parts, term, slope = _terms(loss, outputs)
    places = [(row, unit) for row in rows for unit in parts(row)]
    total = limited(places, limits.terms, term, lambda left: math.fsum(term(*each).evaluate() for each in left))
    equations.append(Equation("E", value, _divided(total, outputs.divisor), ""))
    for row in shown_rows:
        for unit in units:
            output = outputs.output(row, unit)
            formula = _divided(slope(row, unit), outputs.divisor) if slope is not None else None
            remark = "" if slope is not None else "by automatic differentiation"
            equations.append(Equation(f"dE/d{output.name}", float(outputs.grads[row, unit]), formula, remark))
    more_rows, more_units = len(rows) - len(shown_rows), num_units - len(units)
    note = [f"{more_rows} more sample{'s' * (more_rows > 1)}"] * (more_rows > 0)
    note += [f"{more_units} more output{'s' * (more_units > 1)}"] * (more_units > 0)
    return Group(RULES.get(type(loss), type(loss).__name__), equations, ", ".join(note))


def _divided(formula: Expression, divisor: float) -> Expression:
    return formula if divisor == 1 else Frac(formula, Num(divisor))


def _all_units(outputs: Outputs) -> Callable[[int], list[int]]:
    units = list(range(outputs.values.shape[1]))
    return lambda row: units  # noqa: ARG005


def _terms(loss: nn.Module, outputs: Outputs) -> tuple[Callable[[int], list[int]], Term, Term | None]:
    """Returns the units of a row that contribute to the loss, their contributions, and the derivatives."""
    every = _all_units(outputs)
    match loss:
        case nn.MSELoss():
            return every, lambda r, k: square(_error(outputs, r, k)), lambda r, k: Prod([Num(2), _error(outputs, r, k)])
        case nn.L1Loss():
            return (
                every,
                lambda r, k: Call("abs", [_error(outputs, r, k)], abs),
                lambda r, k: Call("sign", [_error(outputs, r, k)], lambda e: (e > 0) - (e < 0)),
            )
        case nn.HuberLoss():
            return every, *_robust(outputs, loss.delta, loss.delta)
        case nn.SmoothL1Loss():
            return every, *_robust(outputs, loss.beta, 1.0)
        case BCELoss():
            return every, *_binary(loss, outputs)
        case HingeLoss() | PerceptronLoss():
            return every, *_margin(outputs, 1.0 if isinstance(loss, HingeLoss) else 0.0)
        case MultiMarginLoss():
            return _multi_margin(loss, outputs)
        case FocalLoss():
            return _focal(loss, outputs)
        case ClassLoss():
            return _cross_entropy(loss, outputs)
    return every, lambda r, k: outputs.output(r, k), None


def _error(outputs: Outputs, row: int, unit: int) -> Sum:
    return minus(outputs.output(row, unit), outputs.target(row, unit))


def _robust(outputs: Outputs, bound: float, slope: float) -> tuple[Term, Term]:
    """Returns Huber's loss: quadratic below the bound, with the given slope above it."""

    def term(row: int, unit: int) -> Expression:
        error = _error(outputs, row, unit)
        if abs(error.evaluate()) < bound:
            half = Frac(square(error), Num(2))
            return half if bound == slope else Prod([Num(slope / bound), half])
        return Prod([Num(slope), minus(Call("abs", [error], abs), Num(bound / 2))])

    def derivative(row: int, unit: int) -> Expression:
        error = _error(outputs, row, unit)
        if abs(error.evaluate()) < bound:
            return error if bound == slope else Prod([Num(slope / bound), error])
        return Prod([Num(slope), Call("sign", [error], lambda e: (e > 0) - (e < 0))])

    return term, derivative


def _probabilities(loss: nn.Module, outputs: Outputs, row: int, units: list[int], limit: int) -> list[Equation]:
    """Returns the equations of the probabilities; empty if the outputs are probabilities already."""
    is_probability = getattr(loss, "reads", "") == "probabilities"
    if is_probability and (isinstance(loss, BCELoss) or sums_to_one(outputs.values[row])):
        return []
    equations = []
    for unit in units:
        output = outputs.output(row, unit)
        formula: Expression = logistic(output)
        others = [(outputs.output(row, k),) for k in range(outputs.values.shape[1])]
        if is_probability:
            formula = Frac(output, limited(others, limit, lambda o: o, lambda left: sum(o.value for (o,) in left)))
        elif not isinstance(loss, BCELoss):
            formula = Frac(
                exp(output), limited(others, limit, exp, lambda left: sum(math.exp(o.value) for (o,) in left))
            )
        probability = softmax(loss, outputs, row, unit)
        equations.append(Equation(probability.name, probability.value, formula))
    return equations


def _binary(loss: BCELoss, outputs: Outputs) -> tuple[Term, Term]:
    def term(row: int, unit: int) -> Expression:
        p, t = softmax(loss, outputs, row, unit), outputs.target(row, unit)
        if t.value in (0.0, 1.0):
            return Neg(log(p if t.value else minus(Num(1), p)))
        return Sum([Neg(Prod([t, log(p)])), Neg(Prod([minus(Num(1), t), log(minus(Num(1), p))]))])

    def derivative(row: int, unit: int) -> Expression:
        p, t = softmax(loss, outputs, row, unit), outputs.target(row, unit)
        return Frac(minus(p, t), Prod([p, minus(Num(1), p)])) if loss.reads == "probabilities" else minus(p, t)

    return term, derivative


def _margin(outputs: Outputs, margin: float) -> tuple[Term, Term]:
    """Returns the hinge loss, with margin 1, or the perceptron loss, with margin 0."""

    def side(output: Var, sign: int) -> Expression:
        inner = output if sign > 0 else Neg(output)
        return Call("max", [Num(0), Sum([Num(margin), inner]) if margin else inner], max)

    def slope(value: float, sign: int) -> float:
        # The perceptron loss has the derivative step(o) - t, also at 0.
        violated = margin + sign * value > 0 or (not margin and sign < 0 and value == 0)
        return float(sign * violated)

    def term(row: int, unit: int) -> Expression:
        o, t = outputs.output(row, unit), outputs.target(row, unit)
        if t.value in (0.0, 1.0):
            return side(o, -1 if t.value else 1)
        return Sum([Prod([t, side(o, -1)]), Prod([minus(Num(1), t), side(o, 1)])])

    def derivative(row: int, unit: int) -> Expression:
        o, t = outputs.output(row, unit), outputs.target(row, unit)
        if t.value in (0.0, 1.0):
            return Num(slope(o.value, -1 if t.value else 1))
        return Sum([Prod([t, Num(slope(o.value, -1))]), Prod([minus(Num(1), t), Num(slope(o.value, 1))])])

    return term, derivative


def _cross_entropy(loss: ClassLoss, outputs: Outputs) -> tuple[Callable[[int], list[int]], Term, Term]:
    mixed = mixed_targets(loss, outputs)
    is_plain = getattr(loss, "label_smoothing", 0.0) == 0 and getattr(loss, "class_weights", None) is None
    is_divergence = isinstance(loss, KLDivLoss) and outputs.targets.ndim > 1

    def factor(row: int, unit: int) -> Var:
        value = float(mixed[row, unit])
        return Var(f"{'t' if is_plain else 'q'}{unit + 1}{index_of(outputs.rows[row])}", value)

    def parts(row: int) -> list[int]:
        return [unit for unit in range(mixed.shape[1]) if mixed[row, unit]]

    def term(row: int, unit: int) -> Expression:
        t, p = factor(row, unit), softmax(loss, outputs, row, unit)
        if is_divergence:
            return Prod([t, minus(log(t), log(p))])
        return Neg(log(p)) if t.value == 1 else Neg(Prod([t, log(p)]))

    def derivative(row: int, unit: int) -> Expression:
        t, p = factor(row, unit), softmax(loss, outputs, row, unit)
        total = float(mixed[row].sum())
        # The factors sum to 1 without class weights.
        by_logit = minus(p if abs(total - 1) < 1e-12 else Prod([Num(total), p]), t)
        return _by_output(loss, outputs, row, unit, by_logit)

    return parts, term, derivative


def _by_output(loss: ClassLoss, outputs: Outputs, row: int, unit: int, by_logit: Expression) -> Expression:
    """Returns the derivative by an output: of probabilities, the logits are their logarithms, with derivative 1 / o."""
    return Frac(by_logit, outputs.output(row, unit)) if loss.reads == "probabilities" else by_logit


def _focal(loss: FocalLoss, outputs: Outputs) -> tuple[Callable[[int], list[int]], Term, Term]:
    mixed, gamma = mixed_targets(loss, outputs), Num(loss.gamma)

    def parts(row: int) -> list[int]:
        return [unit for unit in range(mixed.shape[1]) if mixed[row, unit]]

    def scaled(row: int, unit: int, formula: Expression) -> Expression:
        value = float(mixed[row, unit])
        return formula if value == 1 else Prod([Var(f"q{unit + 1}{index_of(outputs.rows[row])}", value), formula])

    def term(row: int, unit: int) -> Expression:
        p = softmax(loss, outputs, row, unit)
        return Neg(scaled(row, unit, Prod([Pow(minus(Num(1), p), gamma), log(p)])))

    def derivative(row: int, unit: int) -> Expression:
        own, terms = softmax(loss, outputs, row, unit), []
        for other in parts(row):
            p = softmax(loss, outputs, row, other)
            inner = minus(Prod([gamma, p, log(p)]), minus(Num(1), p))
            by_logit = Prod([Pow(minus(Num(1), p), Num(loss.gamma - 1)), inner, minus(Num(float(other == unit)), own)])
            terms.append(scaled(row, other, by_logit))
        return _by_output(loss, outputs, row, unit, Sum(terms))

    return parts, term, derivative


def _multi_margin(loss: MultiMarginLoss, outputs: Outputs) -> tuple[Callable[[int], list[int]], Term, Term | None]:
    num_classes = outputs.values.shape[1]

    def parts(row: int) -> list[int]:
        return [unit for unit in range(num_classes) if unit != int(outputs.targets[row])]

    def share(row: int) -> float:
        weight = 1.0 if loss.class_weights is None else float(loss.class_weights[int(outputs.targets[row])])
        return weight / num_classes

    def violation(row: int, unit: int) -> Expression:
        true = outputs.output(row, int(outputs.targets[row]))
        return Call("max", [Num(0), Sum([Num(loss.margin), Neg(true), outputs.output(row, unit)])], max)

    def term(row: int, unit: int) -> Expression:
        found = violation(row, unit)
        return Prod([Num(share(row)), found if loss.p == 1 else square(found)])

    def slope(row: int, unit: int) -> Expression:
        found = violation(row, unit)
        return Num(float(found.evaluate() > 0)) if loss.p == 1 else Prod([Num(2), found])

    def derivative(row: int, unit: int) -> Expression:
        if unit != int(outputs.targets[row]):
            return Prod([Num(share(row)), slope(row, unit)])
        return Neg(Prod([Num(share(row)), Sum([slope(row, other) for other in parts(row)])]))

    if outputs.targets.ndim > 1:
        return _all_units(outputs), *_expected_margin(loss, outputs)
    return parts, term, derivative


def _expected_margin(loss: MultiMarginLoss, outputs: Outputs) -> tuple[Term, Term | None]:
    """Returns the expected margin loss of targets that are probabilities, class by class."""
    mixed, num_classes = mixed_targets(loss, outputs), outputs.values.shape[1]

    def term(row: int, unit: int) -> Expression:
        weight = Var(f"q{unit + 1}{index_of(outputs.rows[row])}", float(mixed[row, unit]))
        own, parts = outputs.output(row, unit), []
        for other in range(num_classes):
            if other != unit:
                inner = Sum([Num(loss.margin), Neg(own), outputs.output(row, other)])
                found = Call("max", [Num(0), inner], max)
                parts.append(found if loss.p == 1 else square(found))
        return Frac(Prod([weight, Sum(parts)]), Num(num_classes))

    return term, None
