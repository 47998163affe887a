"""Layers whose units compute a weighted sum, and what follows it: batch norm, an activation, dropout."""

from __future__ import annotations

import math
from itertools import product

from torch import nn

from nnzoo.models import Maxout
from nnzoo.trace import activations, norm
from nnzoo.trace.expression import Call, Equation, Expression, Frac, Num, Prod, Sum, Var, exp, minus
from nnzoo.trace.linked import LinkedLayer, dot, limited
from nnzoo.trace.stage import Group, Limits, Place, Weight


class Layer(LinkedLayer):
    """A layer of units, each with weights and a bias. Its arguments are those of `LinkedLayer`."""

    def forward(self, limits: Limits) -> Group:
        equations: list[Equation] = []
        units = self.shown_units(limits)
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
        if (more := count - len(self.shown_units(limits))) > 0:
            parts.append(f"{more} more unit{'s' * (more > 1)}")
        if (more := positions - len(self.positions(limits))) > 0:
            parts.append(f"{more} more position{'s' * (more > 1)} per unit")
        if (more := rows - len(self.shown_rows(limits))) > 0:
            parts.append(f"{more} more sample{'s' * (more > 1)}")
        return ", ".join(parts)

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
                    if not row and not any(place[1:]):
                        equations += norm.statistics(self, number, channel, limits)
                    formula = norm.normalised(self, number, row, at)
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
            return dot(self.weight, [index for index, _ in others], self.before.values[row], [at for _, at in others])

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
        return Var(f"s_{self.letter}{channel + 1 if len(slopes) > 1 else ''}", float(slopes[index]))

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

    # Backward ------------------------------------------------------------------------------------------------------

    def backward(self, limits: Limits) -> Group:
        equations: list[Equation] = []
        units = self.shown_units(limits)
        for unit in units:
            for row in self.shown_rows(limits):
                for position in self.positions(limits):
                    place = (unit, *position)
                    equations += self.incoming(row, place, limits.terms)
                    for number in range(len(self.links) - 1, 0, -1):
                        equations += self._backward_of(number, row, place, limits)
            for number in range(len(self.links) - 1, 0, -1):
                equations += norm.learned(self, number, unit, limits)
                equations += self._slope_gradient(number, unit, limits)
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
                steps, formula = norm.through_norm(self, number, row, at, limits)
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

    def _slope_gradient(self, number: int, unit: int, limits: Limits) -> list[Equation]:
        """Returns the derivative by the slope of PReLU, with the first unit if all units share it."""
        slope = self._slope(number, unit)
        if slope is None or f"{self.module_name(number)}.weight" not in self.record.raw_gradients:
            return []
        raw = self.record.raw_gradients[f"{self.module_name(number)}.weight"]
        if len(raw) == 1 and unit != self.shown_units(limits)[0]:
            return []
        channels = [unit] if len(raw) > 1 else range(self.values.shape[1])
        pairs = [
            (self.link_grad(number, *at), self.link(number - 1, *at))
            for channel in channels
            for at in self.over_batch(number, channel)
        ]
        formula = limited(
            [(grad, z) for grad, z in pairs if z.value <= 0],
            limits.terms,
            lambda grad, z: Prod([grad, z]),
            lambda left: sum(grad.value * z.value for grad, z in left),
        )
        value = float(raw[unit if len(raw) > 1 else 0])
        return [Equation(f"dE/d{slope.name}", value, formula, "the sum over all z <= 0")]

    def _weight_gradients(self, channel: int, limits: Limits) -> list[Equation]:
        equations, raw = [], self.record.raw_gradients
        name = f"{self.linear_name}.weight"
        for index in self.shown_weights(channel, limits) if name in raw else []:
            value = float(raw[name][index])
            equations.append(Equation(f"dE/d{self.weight_symbol(index)}", value, self._chain(index, limits.terms)))
        name = f"{self.linear_name}.bias"
        if name in raw:
            symbol, value = self.bias_symbol(channel), float(raw[name][channel])
            places = self.over_batch(0, channel)
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
            return dot(
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
            return dot(self.weight, [index for index, _ in others], self.links[0].grads[row], [at for _, at in others])

        return limited(pairs, limit, term, rest)

    def weights(self, limits: Limits) -> list[Weight]:
        found, raw = [], self.record.raw_gradients
        for unit in self.shown_units(limits):
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
                slope = self._slope(number, unit)
                is_first = unit == self.shown_units(limits)[0]
                if slope is not None and name in raw and (len(raw[name]) > 1 or is_first):
                    found.append(Weight(slope.name, name, (unit if len(raw[name]) > 1 else 0,)))
                if link.kind == "norm" and name in raw:
                    for channel in self.channels(number, unit):
                        gamma, beta = norm.scale_and_shift(self, number, channel)
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
