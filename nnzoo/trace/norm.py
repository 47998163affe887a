"""The formulas of batch norm: statistics over the batch, scale and shift, and their derivatives."""

from __future__ import annotations

from typing import Any

from nnzoo.trace.expression import Equation, Expression, Frac, Neg, Num, Prod, Sum, Var, minus, sqrt, square
from nnzoo.trace.linked import LinkedLayer, limited
from nnzoo.trace.stage import Limits, Place


def moments(layer: LinkedLayer, number: int, channel: int) -> tuple[Var, Var, float]:
    """Returns mean and variance of a channel, and eps."""
    if (number, channel) in layer.moments:
        return layer.moments[number, channel]
    module: Any = layer.links[number].module
    name = layer.unit_name(channel)
    if module.training:
        inputs = layer.links[number - 1].values[:, channel]
        mean, variance = float(inputs.mean()), float(inputs.var(correction=0))
    else:
        mean, variance = float(module.running_mean[channel]), float(module.running_var[channel])
    found = Var(f"m_{name}", mean), Var(f"v_{name}", variance), float(module.eps)
    layer.moments[number, channel] = found
    return found


def statistics(layer: LinkedLayer, number: int, channel: int, limits: Limits) -> list[Equation]:
    """Returns the equations of mean and variance of a channel; none with those of earlier batches."""
    if not layer.links[number].module.training:
        return []
    mean, variance, _ = moments(layer, number, channel)
    places = layer.over_batch(number, channel)
    values = [layer.link(number - 1, *each) for each in places]
    total = limited([(v,) for v in values], limits.terms, lambda v: v, lambda left: sum(v.value for (v,) in left))
    squares = limited(
        [(v,) for v in values],
        limits.terms,
        lambda v: square(minus(v, mean)),
        lambda left: sum((v.value - mean.value) ** 2 for (v,) in left),
    )
    count = Num(len(values))
    return [
        Equation(mean.name, mean.value, Frac(total, count), "mean over the batch"),
        Equation(variance.name, variance.value, Frac(squares, count), "variance over the batch"),
    ]


def scale_and_shift(layer: LinkedLayer, number: int, channel: int) -> tuple[Var, Var]:
    before, name = layer.record.before, layer.module_name(number)
    unit = layer.unit_name(channel)
    return (
        Var(f"gamma_{unit}", float(before[f"{name}.weight"][channel])),
        Var(f"beta_{unit}", float(before[f"{name}.bias"][channel])),
    )


def standardised(layer: LinkedLayer, number: int, row: int, place: Place) -> Frac:
    mean, variance, eps = moments(layer, number, place[0])
    return Frac(minus(layer.link(number - 1, row, place), mean), sqrt(Sum([variance, Num(eps)])))


def normalised(layer: LinkedLayer, number: int, row: int, place: Place) -> Expression:
    gamma, beta = scale_and_shift(layer, number, place[0])
    return Sum([Prod([gamma, standardised(layer, number, row, place)]), beta])


def through_norm(
    layer: LinkedLayer, number: int, row: int, place: Place, limits: Limits
) -> tuple[list[Equation], Expression]:
    """Returns the derivative by an input of batch norm, which changes mean and variance of the whole batch."""
    gamma, _ = scale_and_shift(layer, number, place[0])
    _, variance, eps = moments(layer, number, place[0])
    spread = sqrt(Sum([variance, Num(eps)]))
    grad = layer.link_grad(number, row, place)
    if not layer.links[number].module.training:
        return [], Prod([grad, Frac(gamma, spread)])
    places, name = layer.over_batch(number, place[0]), layer.unit_name(place[0])
    grads = [(layer.link_grad(number, *each), standardised(layer, number, *each)) for each in places]
    first = limited(grads, limits.terms, lambda grad, _: grad, lambda left: sum(grad.value for grad, _ in left))
    second = limited(
        grads,
        limits.terms,
        lambda grad, unit: Prod([grad, unit]),
        lambda left: sum(grad.value * unit.evaluate() for grad, unit in left),
    )
    count = Num(len(places))
    means = [Var(f"g_{name}", first.evaluate() / len(places)), Var(f"q_{name}", second.evaluate() / len(places))]
    equations = (
        []
        if row or any(place[1:])
        else [
            Equation(means[0].name, means[0].value, Frac(first, count), "mean of dE/dn over the batch"),
            Equation(means[1].name, means[1].value, Frac(second, count), "mean of dE/dn times the normalised z"),
        ]
    )
    inner = Sum([grad, Neg(means[0]), Neg(Prod([standardised(layer, number, row, place), means[1]]))])
    return equations, Prod([Frac(gamma, spread), inner])


def learned(layer: LinkedLayer, number: int, unit: int, limits: Limits) -> list[Equation]:
    """Returns the derivatives by scale and shift of batch norm."""
    link, raw = layer.links[number], layer.record.raw_gradients
    equations = []
    if link.kind == "norm" and f"{layer.module_name(number)}.weight" in raw:
        for channel in layer.channels(number, unit):
            gamma, beta = scale_and_shift(layer, number, channel)
            places = layer.over_batch(number, channel)
            grads = [(layer.link_grad(number, *each), standardised(layer, number, *each)) for each in places]
            by_scale = limited(
                grads,
                limits.terms,
                lambda grad, unit: Prod([grad, unit]),
                lambda left: sum(grad.value * unit.evaluate() for grad, unit in left),
            )
            by_shift = limited(
                grads, limits.terms, lambda grad, _: grad, lambda left: sum(grad.value for grad, _ in left)
            )
            for var, key, formula in ((gamma, "weight", by_scale), (beta, "bias", by_shift)):
                value = float(raw[f"{layer.module_name(number)}.{key}"][channel])
                equations.append(Equation(f"dE/d{var.name}", value, formula))
    return equations
