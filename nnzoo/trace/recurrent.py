"""Recurrent layers, step by step, with the sum over the steps of the derivatives by their shared weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from nnzoo.trace.activations import logistic
from nnzoo.trace.expression import Call, Equation, Expression, Num, Prod, Sum, Var, minus, square
from nnzoo.trace.linked import limited
from nnzoo.trace.recurrent_nodes import RecurrentNodes
from nnzoo.trace.stage import Group, Limits, Place, Weight

RULES = {
    nn.RNN: "h[t] = f(U x[t] + W h[t-1])",
    nn.LSTM: "c[t] = f[t] c[t-1] + i[t] g[t], h[t] = o[t] tanh(c[t])",
    nn.GRU: "h[t] = (1 - u[t]) n[t] + u[t] h[t-1]",
}


class Use(NamedTuple):
    """A node that is computed from another one.

    Attributes:
        node: The node.
        shift: The number of steps later.
        factor: The derivative of the node by the other one.
    """

    node: str
    shift: int
    factor: Expression


class RecurrentLayer(RecurrentNodes):
    """One recurrent layer, in one or both directions. Its outputs have the places (unit, step)."""

    def shown_units(self, limits: Limits) -> list[int]:
        return limits.shown_units(self.values.shape[1], have_maps=True)

    def forward(self, limits: Limits) -> Group:
        equations = []
        for row in self.shown_rows(limits):
            for step, unit in self._in_order(limits):
                for node in self.directions[0]:
                    result = self.node(node, row, (unit, step))
                    equations.append(Equation(result.name, result.value, self._formula(node, row, unit, step, limits)))
        return Group(self.title(), equations, self.left_out(limits))

    def _in_order(self, limits: Limits) -> list[tuple[int, int]]:
        """Returns the steps and units that are shown, in the order in which they are computed."""
        found = []
        for direction in range(len(self.directions)):
            units = [unit for unit in self.shown_units(limits) if self.split(unit)[0] == direction]
            steps = self.shown_steps(units[0], limits) if units else []
            found += [(step, unit) for step in steps for unit in units]
        return found

    def title(self) -> str:
        """Returns the heading of the layer."""
        return f"{self.name}: {RULES[type(self.module)]}"

    def left_out(self, limits: Limits) -> str:
        """Returns how many samples, units and steps are not shown."""
        parts = []
        for count, shown, name in (
            (self.values.shape[1], len(self.shown_units(limits)), "unit"),
            (self.num_steps, len(self.shown_steps(0, limits)), "step"),
            (len(self.rows), len(self.shown_rows(limits)), "sample"),
        ):
            more = count - shown
            parts += [f"{more} more {name}{'s' * (more > 1)}"] * (more > 0)
        return ", ".join(parts)

    def _weighted(self, gate: str, kinds: str, row: int, unit: int, step: int, limits: Limits) -> Sum:
        """Returns U x[t] and W h[t-1], or one of them, with their biases."""
        pairs: list[tuple[Expression, Expression | None]] = []
        before, direction = self.earlier(unit, step), self.split(unit)[0]
        for kind in kinds:
            if kind == "U":
                count = self.before.values.shape[1]
                pairs += [
                    (self.weight("U", gate, unit, j)[1], self.before.output(row, (j, step))) for j in range(count)
                ]
            elif before is not None:
                first = direction * self.hidden_size
                pairs += [
                    (self.weight("W", gate, unit, k)[1], self.output(row, (first + k, before)))
                    for k in range(self.hidden_size)
                ]
            if self.module.bias:
                pairs.append((self.weight(kind, gate, unit, None)[1], None))

        def term(weight: Expression, value: Expression | None) -> Expression:
            return weight if value is None else Prod([weight, value])

        return limited(pairs, 2 * limits.terms, term, lambda left: math.fsum(term(*each).evaluate() for each in left))

    def _formula(self, node: str, row: int, unit: int, step: int, limits: Limits) -> Expression:
        place, before = (unit, step), self.earlier(unit, step)

        def own(name: str) -> Var:
            return self.node(name, row, place)

        if node == "z":
            return self._weighted("", "UW", row, unit, step, limits)
        if node in ("z_i", "z_f", "z_g", "z_o", "z_r", "z_u"):
            return self._weighted(node[2:], "UW", row, unit, step, limits)
        if node == "m":
            return self._weighted("n", "W", row, unit, step, limits)
        if node == "z_n":
            found = self._weighted("n", "U", row, unit, step, limits)
            return Sum([*found.terms, Prod([own("r"), own("m")])], found.hidden, found.rest)
        if node in ("i", "f", "o", "r", "u"):
            return logistic(own(f"z_{node}"))
        if node in ("g", "n"):
            return _tanh(own(f"z_{node}"))
        if node == "c":
            new = Prod([own("i"), own("g")])
            return new if before is None else Sum([Prod([own("f"), self.node("c", row, (unit, before))]), new])
        if isinstance(self.module, nn.LSTM):
            return Prod([own("o"), _tanh(own("c"))])
        if isinstance(self.module, nn.GRU):
            new = Prod([minus(Num(1), own("u")), own("n")])
            return new if before is None else Sum([new, Prod([own("u"), self.output(row, (unit, before))])])
        return _tanh(own("z")) if self.module.nonlinearity == "tanh" else Call("max", [Num(0), own("z")], max)

    def backward(self, limits: Limits) -> Group:
        equations = []
        for row in self.shown_rows(limits):
            for step, unit in reversed(self._in_order(limits)):
                for node in reversed(self.directions[0]):
                    grad = self.node_grad(node, row, (unit, step))
                    formula = self._derivative(node, row, unit, step, limits)
                    equations.append(Equation(grad.name, grad.value, formula))
        for unit in self.shown_units(limits):
            equations += self._weight_gradients(unit, limits)
        return Group(self.title(), equations, self.left_out(limits))

    def _uses(self, node: str, row: int, unit: int, step: int) -> list[Use]:
        """Returns the nodes that are computed from a node of the same unit."""

        def own(name: str, at: int = step) -> Var:
            return self.node(name, row, (unit, at))

        before, later = self.earlier(unit, step), self.earlier(unit, step, -1)
        if node == "z":
            value = own("z").value
            is_tanh = self.module.nonlinearity == "tanh"
            return [Use("h", 0, minus(Num(1), square(own("h"))) if is_tanh else Num(float(value > 0)))]
        if node in ("z_g", "z_n"):
            return [Use(node[2:], 0, minus(Num(1), square(own(node[2:]))))]
        if node.startswith("z_"):
            gate = own(node[2:])
            return [Use(node[2:], 0, Prod([gate, minus(Num(1), gate)]))]
        zero = Num(0.0)
        found: dict[str, Callable[[], list[Use]]] = {
            "i": lambda: [Use("c", 0, own("g"))],
            "f": lambda: [Use("c", 0, zero if before is None else own("c", before))],
            "g": lambda: [Use("c", 0, own("i"))],
            "o": lambda: [Use("h", 0, _tanh(own("c")))],
            "c": lambda: [
                Use("h", 0, Prod([own("o"), minus(Num(1), square(_tanh(own("c"))))])),
                *([] if later is None else [Use("c", 1, own("f", later))]),
            ],
            "r": lambda: [Use("z_n", 0, own("m"))],
            "m": lambda: [Use("z_n", 0, own("r"))],
            "n": lambda: [Use("h", 0, minus(Num(1), own("u")))],
            "u": lambda: [
                Use("h", 0, minus(zero if before is None else own("h", before), own("n"))),
            ],
            "h": lambda: (
                [Use("h", 1, own("u", later))] if later is not None and isinstance(self.module, nn.GRU) else []
            ),
        }
        return found[node]()

    def _derivative(self, node: str, row: int, unit: int, step: int, limits: Limits) -> Expression:
        later = self.earlier(unit, step, -1)
        terms: list[Expression] = []
        if node == "h":
            assert self.after is not None
            above = self.after.pull(row, (unit, step), limits.terms)
            terms += [above] if not isinstance(above, Sum) or above.terms else []
        for use in self._uses(node, row, unit, step):
            at = step if use.shift == 0 else later
            assert at is not None
            terms.append(Prod([self.node_grad(use.node, row, (unit, at)), use.factor]))
        if node != "h" or later is None:
            return Sum(terms)
        direction, own = self.split(unit)
        pairs = [
            (self.node_grad(target, row, (other, later)), self.weight("W", gate, other, own)[1])
            for gate, target in zip(self.gates, self._targets("W"), strict=True)
            for other in range(direction * self.hidden_size, (direction + 1) * self.hidden_size)
        ]
        through_time = limited(
            pairs,
            limits.terms,
            lambda grad, weight: Prod([grad, weight]),
            lambda left: math.fsum(grad.value * weight.value for grad, weight in left),
        )
        return Sum([*terms, *through_time.terms], through_time.hidden, through_time.rest)

    def _targets(self, kind: str) -> list[str]:
        """Returns the node that U x[t] or W h[t-1] of each gate is added to."""
        if isinstance(self.module, nn.GRU):
            return ["z_r", "z_u", "m" if kind == "W" else "z_n"]
        return [f"z_{gate}" if gate else "z" for gate in self.gates]

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        pairs = [
            (self.node_grad(target, row, (unit, place[1])), self.weight("U", gate, unit, place[0])[1])
            for gate, target in zip(self.gates, self._targets("U"), strict=True)
            for unit in range(self.values.shape[1])
        ]
        return limited(
            pairs,
            limit,
            lambda grad, weight: Prod([grad, weight]),
            lambda left: math.fsum(grad.value * weight.value for grad, weight in left),
        )

    def _shown_weights(self, unit: int, limits: Limits) -> list[tuple[str, str, int | None]]:
        """Returns the kind, the gate and the column of the weights of a unit that are shown and trained."""
        found: list[tuple[str, str, int | None]] = []
        for gate in self.gates:
            for kind, count in (("U", self.before.values.shape[1]), ("W", self.hidden_size)):
                columns: list[int | None] = [*range(min(count, limits.terms // 2))]
                found += [(kind, gate, column) for column in [*columns, *([None] if self.module.bias else [])]]
        return [each for each in found if self.weight(each[0], each[1], unit, each[2])[0].parameter in self.trained]

    @property
    def trained(self) -> dict[str, Tensor]:
        """The derivatives by the trained parameters."""
        return self.record.raw_gradients

    def _weight_gradients(self, unit: int, limits: Limits) -> list[Equation]:
        equations = []
        for kind, gate, column in self._shown_weights(unit, limits):
            weight, _ = self.weight(kind, gate, unit, column)
            target = self._targets(kind)[self.gates.index(gate)]
            pairs: list[tuple[Var, Var | None]] = []
            for row in range(len(self.rows)):
                for step in range(self.num_steps):
                    grad, before = self.node_grad(target, row, (unit, step)), self.earlier(unit, step)
                    if column is None:
                        pairs.append((grad, None))
                    elif kind == "U":
                        pairs.append((grad, self.before.output(row, (column, step))))
                    elif before is not None:
                        first = self.split(unit)[0] * self.hidden_size
                        pairs.append((grad, self.output(row, (first + column, before))))
            formula = limited(
                pairs,
                limits.terms,
                lambda grad, value: grad if value is None else Prod([grad, value]),
                lambda left: math.fsum(grad.value * (1.0 if value is None else value.value) for grad, value in left),
            )
            value = float(self.trained[weight.parameter][weight.index])
            equations.append(Equation(f"dE/d{weight.symbol}", value, formula, "the sum over the steps"))
        return equations

    def weights(self, limits: Limits) -> list[Weight]:
        return [
            self.weight(kind, gate, unit, column)[0]
            for unit in self.shown_units(limits)
            for kind, gate, column in self._shown_weights(unit, limits)
        ]


def _tanh(operand: Expression) -> Call:
    return Call("tanh", [operand], math.tanh)
