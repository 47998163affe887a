"""The stages of a network: inputs, layers with their units, and how their numbers are named."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from nnzoo.trace.expression import Equation, Expression, Sum, Var

Place = tuple[int, ...]
"""The index of a value of a sample: (unit,), or (channel, row, column) or (channel, step)."""


@dataclass(frozen=True)
class Limits:
    """How much of a step is shown.

    Attributes:
        units: Units or filters per layer.
        terms: Terms per sum, and weights per unit.
        rows: Samples of a batch in the forward pass.
        places: Positions of a feature map, or steps of a sequence.
        layer: The only layer that is shown; None for all.
        unit: The only unit of each layer that is shown, from 1; None for the first ones.
    """

    units: int = 8
    terms: int = 8
    rows: int = 2
    places: int = 4
    layer: str | None = None
    unit: int | None = None

    def shown_units(self, count: int) -> list[int]:
        """Returns the units of a layer that are shown, from 0."""
        if self.unit is not None:
            return [self.unit - 1] if self.unit <= count else []
        return list(range(min(count, self.units)))

    def shows(self, layer: str) -> bool:
        """Returns whether a layer is shown."""
        return self.layer is None or layer == self.layer or layer.startswith(f"{self.layer}.")


@dataclass(frozen=True)
class Group:
    """Equations with a common heading.

    Attributes:
        title: The heading: the layer, and what it computes.
        equations: The equations, in the order in which they are computed.
        note: What is left out; may be empty.
    """

    title: str
    equations: list[Equation] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Weight:
    """One number of a parameter.

    Attributes:
        symbol: The name in formulas, such as w5.
        parameter: The name of the parameter, such as output.linear.weight.
        index: The index in it.
    """

    symbol: str
    parameter: str
    index: Place


def index_of(row: str, place: Sequence[int] = ()) -> str:
    """Returns the index behind a symbol: [2] for sample 2, [1,3] for row 1 and column 3, [2;1,3] for both."""
    parts = [row] * bool(row) + [",".join(str(each + 1) for each in place)] * bool(place)
    return f"[{';'.join(parts)}]" if parts else ""


def short_sum(terms: Sequence[Expression], limit: int) -> Sum:
    """Returns a sum of which at most `limit` terms are shown."""
    if len(terms) <= limit + 1:
        return Sum(list(terms))
    rest = math.fsum(term.evaluate() for term in terms[limit:])
    return Sum(list(terms[:limit]), len(terms) - limit, rest)


class Stage(ABC):
    """A part of the network whose outputs are the inputs of the next part.

    Attributes:
        name: The name of the layer in the network.
        letter: The start of the symbols of its outputs.
        rows: The label of each sample of the batch; empty labels for a single sample.
        values: (N, *place) the outputs.
        grads: (N, *place) the derivative of the loss by each output.
        source: The stage whose outputs are the inputs; None for the inputs of the network.
    """

    def __init__(
        self, name: str, letter: str, rows: list[str], values: Tensor, grads: Tensor, source: Stage | None
    ) -> None:
        self.name, self.letter, self.rows = name, letter, rows
        self.values, self.grads, self.source = values, grads, source

    @property
    def before(self) -> Stage:
        """The stage before this one."""
        assert self.source is not None
        return self.source

    def symbol(self, row: int, place: Place) -> str:
        """Returns the name of an output."""
        return f"{self.letter}{place[0] + 1}{index_of(self.rows[row], place[1:])}"

    def output(self, row: int, place: Place) -> Var:
        """Returns an output."""
        return Var(self.symbol(row, place), float(self.values[(row, *place)]))

    def grad(self, row: int, place: Place) -> Var:
        """Returns the derivative of the loss by an output."""
        return Var(f"dE/d{self.symbol(row, place)}", float(self.grads[(row, *place)]))

    def place(self, flat: int) -> Place:
        """Returns the place of an output in the flattened outputs of a sample."""
        place = []
        for size in reversed(self.values.shape[1:]):
            flat, rest = divmod(flat, size)
            place.append(rest)
        return tuple(reversed(place))

    def shown_rows(self, limits: Limits) -> list[int]:
        """Returns the samples that are shown."""
        return list(range(min(len(self.rows), limits.rows)))

    @abstractmethod
    def forward(self, limits: Limits) -> Group:
        """Returns the equations of the outputs."""

    @abstractmethod
    def pull(self, row: int, place: Place, limit: int) -> Expression:
        """Returns the derivative of the loss by an input, from the derivatives by the outputs."""

    @abstractmethod
    def backward(self, limits: Limits, after: Stage | None) -> Group:
        """Returns the equations of the derivatives of this stage.

        Args:
            limits: What is shown.
            after: The next stage; None for the last one, whose derivatives come from the loss.
        """

    @abstractmethod
    def weights(self, limits: Limits) -> list[Weight]:
        """Returns the weights whose update is shown."""

    def incoming(self, row: int, place: Place, after: Stage | None, limit: int) -> list[Equation]:
        """Returns the equation of the derivative by an output; the loss gives that of the last stage."""
        if after is None:
            return []
        grad = self.grad(row, place)
        return [Equation(grad.name, grad.value, after.pull(row, place, limit))]


class Inputs(Stage):
    """The inputs of the network.

    Args:
        rows: The label of each sample.
        values: (N, *place).
        names: The names of the features, if there are any.
        steps_first: Whether places are (step, feature).
    """

    def __init__(
        self, rows: list[str], values: Tensor, names: Sequence[str] = (), *, steps_first: bool = False
    ) -> None:
        super().__init__("inputs", "x", rows, values, values, None)
        self.names = names
        self.steps_first = steps_first

    def symbol(self, row: int, place: Place) -> str:
        return super().symbol(row, (place[1], place[0]) if self.steps_first else place)

    def forward(self, limits: Limits) -> Group:
        equations = []
        total = self.values[0].numel()
        shown = min(total, limits.terms if total > 16 else total)
        for row in self.shown_rows(limits):
            for flat in range(shown):
                var = self.output(row, self.place(flat))
                remark = self.names[flat] if self.values.ndim == 2 and flat < len(self.names) else ""
                equations.append(Equation(var.name, var.value, None, remark))
        left = [f"{total - shown} more inputs per sample"] * (total > shown)
        more = len(self.rows) - len(self.shown_rows(limits))
        left += [f"{more} more sample{'s' * (more > 1)}"] * (more > 0)
        return Group("inputs", equations, ", ".join(left))

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        raise NotImplementedError

    def backward(self, limits: Limits, after: Stage | None) -> Group:  # noqa: ARG002
        return Group("inputs")

    def weights(self, limits: Limits) -> list[Weight]:  # noqa: ARG002
        return []
