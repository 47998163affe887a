"""Layers whose units compute a weighted sum, and what follows it: batch norm, an activation, dropout."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.models import Maxout
from nnzoo.trace import activations
from nnzoo.trace.expression import Call, Equation, Expression, Frac, Neg, Num, Prod, Sum, Var, exp, minus, sqrt, square
from nnzoo.trace.record import Recorded, StepRecord
from nnzoo.trace.stage import Group, Limits, Place, Stage, Weight, index_of

PREFIXES = {"linear": "z", "norm": "n", "activation": "a", "dropout": "d"}


@dataclass(frozen=True)
class Link:
    """One computation of a layer.

    Attributes:
        kind: linear, norm, activation or dropout.
        module: The module.
        values: (N, channels, *) its outputs.
        grads: (N, channels, *) the derivative of the loss by its outputs.
    """

    kind: str
    module: nn.Module
    values: Tensor
    grads: Tensor


class Layer(Stage):
    """A layer of units, each with weights and a bias.

    Args:
        name: The layer in the network, such as hidden.0.
        letter: The start of the symbols of its units.
        rows: The label of each sample.
        record: The step.
        links: What the layer computes, in order; the first is the weighted sum.
        source: The stage before.
        first_weight: The number of the first weight and of the first bias; None to name weights by unit and index.
    """

    def __init__(
        self,
        name: str,
        letter: str,
        rows: list[str],
        record: StepRecord,
        links: Sequence[tuple[str, Recorded]],
        source: Stage,
        first_weight: tuple[int, int] | None,
    ) -> None:
        shaped = [self._shape(each, len(rows)) for _, each in links]
        self.links = [Link(kind, each.module, *tensors) for (kind, each), tensors in zip(links, shaped, strict=True)]
        last = self.links[-1]
        super().__init__(name, letter, rows, last.values, last.grads, source)
        self.record = record
        self.first_weight = first_weight
        self.linear_name = next(key for key, each in record.modules.items() if each is links[0][1])
        self.weight = record.before[f"{self.linear_name}.weight"]
        self.bias = record.before.get(f"{self.linear_name}.bias")
        found = [link.module for link in self.links if isinstance(link.module, Maxout)]
        self.pieces = found[0].num_pieces if found else 1

    @staticmethod
    def _shape(recorded: Recorded, num_rows: int) -> tuple[Tensor, Tensor]:
        """Returns outputs and gradients with one row per label: (N, T, units) of a sequence becomes (N * T, units)."""
        grad = torch.zeros_like(recorded.outputs) if recorded.grad is None else recorded.grad
        if len(recorded.outputs) == num_rows:
            return recorded.outputs, grad
        return recorded.outputs.flatten(0, 1), grad.flatten(0, 1)

    # How the weighted sum is connected ------------------------------------------------------------------------------

    @abstractmethod
    def fan_in(self, channel: int, position: Place) -> list[tuple[Place, Place]]:
        """Returns the index of each weight of a sum, and the place of the input that it is multiplied with."""

    @abstractmethod
    def fan_out(self, place: Place) -> list[tuple[Place, Place]]:
        """Returns the index of each weight that an input is multiplied with, and the place of the sum."""

    @abstractmethod
    def uses(self, weight: Place) -> list[tuple[Place, Place]]:
        """Returns the places of the sums that a weight is part of, and the places of the inputs."""

    def source_place(self, place: Place) -> Place:
        """Returns the place of an input in the outputs of the stage before."""
        return place

    # Symbols --------------------------------------------------------------------------------------------------------

    def link_symbol(self, number: int, row: int, place: Place) -> str:
        """Returns the name of the output of a link."""
        if number == len(self.links) - 1:
            return self.symbol(row, place)
        kind = self.links[number].kind
        unit, piece = divmod(place[0], self.pieces if kind in ("linear", "norm") else 1)
        number_of_piece = str(piece + 1) if self.pieces > 1 and kind in ("linear", "norm") else ""
        return f"{PREFIXES[kind]}{number_of_piece}_{self.letter}{unit + 1}{index_of(self.rows[row], place[1:])}"

    def link(self, number: int, row: int, place: Place) -> Var:
        """Returns the output of a link."""
        return Var(self.link_symbol(number, row, place), float(self.links[number].values[(row, *place)]))

    def link_grad(self, number: int, row: int, place: Place) -> Var:
        """Returns the derivative of the loss by the output of a link."""
        value = float(self.links[number].grads[(row, *place)])
        return Var(f"dE/d{self.link_symbol(number, row, place)}", value)

    def unit_name(self, channel: int) -> str:
        """Returns the unit and, for maxout, the piece of a weighted sum: h1, or h1,2."""
        unit, piece = divmod(channel, self.pieces)
        return f"{self.letter}{unit + 1}" + (f",{piece + 1}" if self.pieces > 1 else "")

    def weight_symbol(self, index: Place) -> str:
        """Returns the name of a weight: w5 in small networks, else the unit and the index of its input."""
        if self.first_weight is not None:
            return f"w{self.first_weight[0] + index[0] * self.weight.shape[1] + index[1]}"
        return f"w_{self.unit_name(index[0])}{index_of('', index[1:])}"

    def bias_symbol(self, channel: int) -> str:
        """Returns the name of a bias."""
        return f"b_{self.unit_name(channel)}" if self.first_weight is None else f"b{self.first_weight[1] + channel}"

    def weight_of(self, index: Place) -> Var:
        """Returns a weight before the step."""
        return Var(self.weight_symbol(index), float(self.weight[index]))

    # Forward --------------------------------------------------------------------------------------------------------

    def positions(self, limits: Limits) -> list[Place]:
        """Returns the positions of the feature map that are shown; a single empty one for dense layers."""
        ranges = [range(size) for size in self.values.shape[2:]]
        return list(product(*ranges))[: limits.places]

    def forward(self, limits: Limits) -> Group:
        equations: list[Equation] = []
        units = limits.shown_units(self.values.shape[1])
        for row in self.shown_rows(limits):
            for unit in units:
                for position in self.positions(limits):
                    for number in range(len(self.links)):
                        equations += self._forward_of(number, row, (unit, *position), limits)
        return Group(self.title(), equations, self.left_out(limits))

    def title(self) -> str:
        """Returns the heading of the layer."""
        found = [link.module for link in self.links if link.kind == "activation"]
        return f"{self.name}: {activations.rule(found[0])}" if found else self.name

    def left_out(self, limits: Limits) -> str:
        """Returns how many samples, units and positions are not shown."""
        count, rows = self.values.shape[1], len(self.rows)
        positions = math.prod(self.values.shape[2:])
        parts = []
        if (more := count - len(limits.shown_units(count))) > 0:
            parts.append(f"{more} more unit{'s' * (more > 1)}")
        if (more := positions - len(self.positions(limits))) > 0:
            parts.append(f"{more} more position{'s' * (more > 1)} per unit")
        if (more := rows - len(self.shown_rows(limits))) > 0:
            parts.append(f"{more} more sample{'s' * (more > 1)}")
        return ", ".join(parts)

    def channels(self, number: int, unit: int) -> list[int]:
        """Returns the channels of a link that belong to a unit: several for the pieces of maxout."""
        if self.links[number].kind not in ("linear", "norm") or self.pieces == 1:
            return [unit]
        return [unit * self.pieces + piece for piece in range(self.pieces)]

    def _forward_of(self, number: int, row: int, place: Place, limits: Limits) -> list[Equation]:
        link = self.links[number]
        equations = []
        for channel in self.channels(number, place[0]):
            at = (channel, *place[1:])
            result = self.link(number, row, at)
            match link.kind:
                case "linear":
                    formula: Expression = self._weighted_sum(row, at, limits.terms)
                case "norm":
                    equations += self._statistics(number, row, channel, limits)
                    formula = self._normalised(number, row, at)
                case "dropout":
                    formula = Prod([self.link(number - 1, row, at), self._mask(number, row, at)])
                case _:
                    formula = self._activated(number, row, at, limits.terms)
            equations.append(Equation(result.name, result.value, formula))
        return equations

    def _weighted_sum(self, row: int, place: Place, limit: int) -> Expression:
        pairs = self.fan_in(place[0], place[1:])

        def term(index: Place, at: Place) -> Expression:
            return Prod([self.weight_of(index), self.before.output(row, at)])

        def rest(others: list[tuple[Place, Place]]) -> float:
            return _dot(self.weight, [index for index, _ in others], self.before.values[row], [at for _, at in others])

        shown = limited(pairs, limit, term, rest)
        if self.bias is None:
            return shown
        bias = Var(self.bias_symbol(place[0]), float(self.bias[place[0]]))
        return Sum([*shown.terms, bias], shown.hidden, shown.rest)

    def _activated(self, number: int, row: int, place: Place, limit: int) -> Expression:
        link = self.links[number]
        if isinstance(link.module, Maxout):
            pieces = [self.link(number - 1, row, (each, *place[1:])) for each in self.channels(0, place[0])]
            return Call("max", pieces, max)
        own = self.link(number - 1, row, place)
        if activations.is_softmax(link.module):
            others = [self.link(number - 1, row, (each, *place[1:])) for each in range(link.values.shape[1])]
            total = limited(
                [(each,) for each in others], limit, exp, lambda left: sum(math.exp(v.value) for (v,) in left)
            )
            if isinstance(link.module, nn.LogSoftmax):
                return minus(own, Call("log", [total], math.log))
            return Frac(exp(own), total)
        return activations.formula(link.module, own, self._slope(number, place[0]))

    def _slope(self, number: int, channel: int) -> Var | None:
        """Returns the slope of PReLU before the step."""
        module = self.links[number].module
        if not isinstance(module, nn.PReLU):
            return None
        slopes = self.record.before[f"{self.module_name(number)}.weight"]
        index = channel if len(slopes) > 1 else 0
        return Var(f"s_{self.letter}{channel + 1}" if len(slopes) > 1 else "s", float(slopes[index]))

    def module_name(self, number: int) -> str:
        """Returns the name of the module of a link in the network."""
        module = self.links[number].module
        return next(key for key, each in self.record.modules.items() if each.module is module)

    def _mask(self, number: int, row: int, place: Place) -> Num:
        """Returns the factor of dropout: 0, or 1 / (1 - p)."""
        before, after = (float(self.links[each].values[(row, *place)]) for each in (number - 1, number))
        module = self.links[number].module
        assert isinstance(module, nn.Dropout)
        if before == 0:
            # The mask shows only in the gradient.
            first, second = (float(self.links[each].grads[(row, *place)]) for each in (number - 1, number))
            return Num(first / second if second else 1 / (1 - module.p))
        return Num(0.0 if after == 0 else 1 / (1 - module.p))

    # Batch norm -----------------------------------------------------------------------------------------------------

    def _over_batch(self, number: int, channel: int) -> list[tuple[int, Place]]:
        """Returns every row and place of a channel, over which batch norm computes its statistics."""
        ranges = [range(size) for size in self.links[number].values.shape[2:]]
        return [(row, (channel, *position)) for row in range(len(self.rows)) for position in product(*ranges)]

    def _norm_of(self, number: int, channel: int) -> tuple[Var, Var, float]:
        """Returns mean and variance of a channel, and eps."""
        module: Any = self.links[number].module
        name = self.unit_name(channel)
        if module.training:
            inputs = self.links[number - 1].values[:, channel]
            mean, variance = float(inputs.mean()), float(inputs.var(correction=0))
        else:
            mean, variance = float(module.running_mean[channel]), float(module.running_var[channel])
        return Var(f"m_{name}", mean), Var(f"v_{name}", variance), module.eps

    def _statistics(self, number: int, row: int, channel: int, limits: Limits) -> list[Equation]:
        """Returns the equations of mean and variance, once per channel."""
        if row or not self.links[number].module.training:
            return []
        mean, variance, _ = self._norm_of(number, channel)
        places = self._over_batch(number, channel)
        values = [self.link(number - 1, *each) for each in places]
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

    def _scale_and_shift(self, number: int, channel: int) -> tuple[Var, Var]:
        before, name = self.record.before, self.module_name(number)
        unit = self.unit_name(channel)
        return (
            Var(f"gamma_{unit}", float(before[f"{name}.weight"][channel])),
            Var(f"beta_{unit}", float(before[f"{name}.bias"][channel])),
        )

    def _standardised(self, number: int, row: int, place: Place) -> Frac:
        mean, variance, eps = self._norm_of(number, place[0])
        return Frac(minus(self.link(number - 1, row, place), mean), sqrt(Sum([variance, Num(eps)])))

    def _normalised(self, number: int, row: int, place: Place) -> Expression:
        gamma, beta = self._scale_and_shift(number, place[0])
        return Sum([Prod([gamma, self._standardised(number, row, place)]), beta])

    def _through_norm(self, number: int, row: int, place: Place, limits: Limits) -> tuple[list[Equation], Expression]:
        """Returns the derivative by an input of batch norm, which changes mean and variance of the whole batch."""
        gamma, _ = self._scale_and_shift(number, place[0])
        _, variance, eps = self._norm_of(number, place[0])
        spread = sqrt(Sum([variance, Num(eps)]))
        grad = self.link_grad(number, row, place)
        if not self.links[number].module.training:
            return [], Prod([grad, Frac(gamma, spread)])
        places, name = self._over_batch(number, place[0]), self.unit_name(place[0])
        grads = [(self.link_grad(number, *each), self._standardised(number, *each)) for each in places]
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
        inner = Sum([grad, Neg(means[0]), Neg(Prod([self._standardised(number, row, place), means[1]]))])
        return equations, Prod([Frac(gamma, spread), inner])

    # Backward -------------------------------------------------------------------------------------------------------

    def backward(self, limits: Limits, after: Stage | None) -> Group:
        equations: list[Equation] = []
        units = limits.shown_units(self.values.shape[1])
        for unit in units:
            for row in self.shown_rows(limits):
                for position in self.positions(limits):
                    place = (unit, *position)
                    equations += self.incoming(row, place, after, limits.terms)
                    for number in range(len(self.links) - 1, 0, -1):
                        equations += self._backward_of(number, row, place, limits)
            for number in range(len(self.links) - 1, 0, -1):
                equations += self._learned(number, unit, limits)
            for channel in self.channels(0, unit):
                equations += self._weight_gradients(channel, limits)
        note = self.left_out(limits)
        more = math.prod(self.weight.shape[1:]) - limits.terms - 1
        note = f"{note}, {more} more weights per unit".removeprefix(", ") if more > 0 else note
        return Group(self.title(), equations, note)

    def _backward_of(self, number: int, row: int, place: Place, limits: Limits) -> list[Equation]:
        """Returns the derivatives by the inputs of a link that belong to a unit."""
        link, equations = self.links[number], []
        if link.kind == "activation" and activations.is_softmax(link.module):
            return self._through_softmax(number, row, place, limits)
        for channel in self.channels(number - 1, place[0]):
            at = (channel, *place[1:])
            below = self.link_grad(number - 1, row, at)
            if link.kind == "norm":
                steps, formula = self._through_norm(number, row, at, limits)
                equations += [*steps, Equation(below.name, below.value, formula)]
                continue
            factor = self.factor(number, row, at)
            grad = self.link_grad(number, row, place)
            equations += [
                Equation(factor.name, factor.value, self._factor_formula(number, row, at)),
                Equation(below.name, below.value, Prod([grad, factor])),
            ]
        return equations

    def factor(self, number: int, row: int, place: Place) -> Var:
        """Returns the derivative of the output of an activation or of dropout by its own input."""
        link = self.links[number]
        unit = (place[0] // self.pieces, *place[1:]) if isinstance(link.module, Maxout) else place
        name = f"d{self.link_symbol(number, row, unit)}/d{self.link_symbol(number - 1, row, place)}"
        return Var(name, self._factor_formula(number, row, place).evaluate())

    def _factor_formula(self, number: int, row: int, place: Place) -> Expression:
        link, own = self.links[number], self.link(number - 1, row, place)
        if link.kind == "dropout":
            return self._mask(number, row, place)
        if isinstance(link.module, Maxout):
            unit = (place[0] // self.pieces, *place[1:])
            pieces = [
                float(self.links[number - 1].values[(row, each, *place[1:])]) for each in self.channels(0, unit[0])
            ]
            return Num((own.value == max(pieces)) / pieces.count(max(pieces)))
        output = self.link(number, row, place)
        return activations.derivative(link.module, own, output, self._slope(number, place[0]))

    def _through_softmax(self, number: int, row: int, place: Place, limits: Limits) -> list[Equation]:
        """Every output of a softmax depends on every input, so the derivatives are summed over the outputs."""
        module, terms, equations = self.links[number].module, [], []
        for other in range(self.values.shape[1]):
            at = (other, *place[1:])
            output, own = self.link(number, row, at), self.link(number, row, place)
            is_own = Num(float(other == place[0]))
            name = f"d{output.name}/d{self.link_symbol(number - 1, row, place)}"
            formula: Expression = (
                minus(is_own, exp(own)) if isinstance(module, nn.LogSoftmax) else Prod([output, minus(is_own, own)])
            )
            factor = Var(name, formula.evaluate())
            if other < limits.terms:
                equations.append(Equation(name, factor.value, formula))
            terms.append((self.link_grad(number, row, at), factor))
        below = self.link_grad(number - 1, row, place)
        total = limited(
            terms,
            limits.terms,
            lambda grad, factor: Prod([grad, factor]),
            lambda left: sum(g.value * f.value for g, f in left),
        )
        return [*equations, Equation(below.name, below.value, total)]

    def _learned(self, number: int, unit: int, limits: Limits) -> list[Equation]:
        """Returns the derivatives by scale and shift of batch norm, and by the slope of PReLU."""
        link, raw = self.links[number], self.record.raw_gradients
        equations = []
        if link.kind == "norm" and f"{self.module_name(number)}.weight" in raw:
            for channel in self.channels(number, unit):
                gamma, beta = self._scale_and_shift(number, channel)
                places = self._over_batch(number, channel)
                grads = [(self.link_grad(number, *each), self._standardised(number, *each)) for each in places]
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
                    value = float(raw[f"{self.module_name(number)}.{key}"][channel])
                    equations.append(Equation(f"dE/d{var.name}", value, formula))
        return equations

    def _weight_gradients(self, channel: int, limits: Limits) -> list[Equation]:
        equations, raw = [], self.record.raw_gradients
        name = f"{self.linear_name}.weight"
        for index in self.shown_weights(channel, limits) if name in raw else []:
            value = float(raw[name][index])
            equations.append(Equation(f"dE/d{self.weight_symbol(index)}", value, self._chain(index, limits.terms)))
        name = f"{self.linear_name}.bias"
        if name in raw:
            symbol, value = self.bias_symbol(channel), float(raw[name][channel])
            places = self._over_batch(0, channel)
            grads = [(self.link_grad(0, *each),) for each in places]
            formula: Expression = limited(
                grads, limits.terms, lambda grad: grad, lambda left: sum(grad.value for (grad,) in left)
            )
            if len(grads) == 1 and (chain := self._factors(0, (channel,))):
                formula = Prod([*chain, Var(f"d{self.link_symbol(0, 0, (channel,))}/d{symbol}", 1.0)])
            equations.append(Equation(f"dE/d{symbol}", value, formula))
        return equations

    def _factors(self, row: int, place: Place) -> list[Expression]:
        """Returns the factors of dE/dz for a dense unit: dE/dh * dh/dz; empty if it is not a plain product."""
        if any(link.kind == "norm" or activations.is_softmax(link.module) for link in self.links) or self.pieces > 1:
            return []
        factors: list[Expression] = [self.grad(row, place)]
        return factors + [self.factor(number, row, place) for number in range(len(self.links) - 1, 0, -1)]

    def _chain(self, index: Place, limit: int) -> Expression:
        """Returns the derivative by a weight: a product for one use of it, else a sum over samples and positions."""
        uses = [(row, at, source) for row in range(len(self.rows)) for at, source in self.uses(index)]
        if len(uses) == 1 and (chain := self._factors(0, uses[0][1])):
            row, at, source = uses[0]
            inputs = self.before.output(row, source)
            return Prod([*chain, Var(f"d{self.link_symbol(0, row, at)}/d{self.weight_symbol(index)}", inputs.value)])

        def term(row: int, at: Place, source: Place) -> Expression:
            return Prod([self.link_grad(0, row, at), self.before.output(row, source)])

        def rest(others: list[tuple[int, Place, Place]]) -> float:
            return _dot(
                self.links[0].grads,
                [(row, *at) for row, at, _ in others],
                self.before.values,
                [(row, *source) for row, _, source in others],
            )

        return limited(uses, limit, term, rest)

    def shown_weights(self, channel: int, limits: Limits) -> list[Place]:
        """Returns the indices of the weights of a unit that are shown."""
        ranges = [range(size) for size in self.weight.shape[1:]]
        shown = limits.terms + 1 if math.prod(self.weight.shape[1:]) <= limits.terms + 1 else limits.terms
        return [(channel, *index) for index in product(*ranges)][:shown]

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        pairs = self.fan_out(place)

        def term(index: Place, at: Place) -> Expression:
            return Prod([self.link_grad(0, row, at), self.weight_of(index)])

        def rest(others: list[tuple[Place, Place]]) -> float:
            return _dot(self.weight, [index for index, _ in others], self.links[0].grads[row], [at for _, at in others])

        return limited(pairs, limit, term, rest)

    def weights(self, limits: Limits) -> list[Weight]:
        found, raw = [], self.record.raw_gradients
        for unit in limits.shown_units(self.values.shape[1]):
            for channel in self.channels(0, unit):
                name = f"{self.linear_name}.weight"
                if name in raw:
                    found += [
                        Weight(self.weight_symbol(index), name, index) for index in self.shown_weights(channel, limits)
                    ]
                name = f"{self.linear_name}.bias"
                if name in raw:
                    found.append(Weight(self.bias_symbol(channel), name, (channel,)))
            for number, link in enumerate(self.links):
                name = f"{self.module_name(number)}.weight"
                if link.kind == "norm" and name in raw:
                    for channel in self.channels(number, unit):
                        gamma, beta = self._scale_and_shift(number, channel)
                        found += [Weight(gamma.name, name, (channel,))]
                        found += [Weight(beta.name, f"{self.module_name(number)}.bias", (channel,))]
        return found


class DenseLayer(Layer):
    """A fully connected layer. Its inputs are the flattened outputs of the stage before."""

    def fan_in(self, channel: int, position: Place) -> list[tuple[Place, Place]]:  # noqa: ARG002
        return [((channel, i), self.before.place(i)) for i in range(self.weight.shape[1])]

    def fan_out(self, place: Place) -> list[tuple[Place, Place]]:
        flat = 0
        for size, index in zip(self.before.values.shape[1:], place, strict=True):
            flat = flat * size + index
        return [((channel, flat), (channel,)) for channel in range(self.weight.shape[0])]

    def uses(self, weight: Place) -> list[tuple[Place, Place]]:
        return [((weight[0],), self.before.place(weight[1]))]


def limited(items: Sequence[Any], limit: int, term: Callable[..., Expression], rest: Callable[[Any], float]) -> Sum:
    """Returns the sum of `term(*item)`, of which at most `limit` are shown, or one more if only that would be left.

    Args:
        items: The arguments of each term.
        limit: The number of terms.
        term: Builds a term.
        rest: Computes the sum over the other items.
    """
    if len(items) <= limit + 1:
        return Sum([term(*item) for item in items])
    return Sum([term(*item) for item in items[:limit]], len(items) - limit, float(rest(items[limit:])))


def _dot(first: Tensor, first_at: Sequence[Place], second: Tensor, second_at: Sequence[Place]) -> float:
    """Returns the sum of the products of elements of two tensors."""
    left = first[tuple(torch.tensor(list(axis)) for axis in zip(*first_at, strict=True))]
    right = second[tuple(torch.tensor(list(axis)) for axis in zip(*second_at, strict=True))]
    return float(left @ right)
