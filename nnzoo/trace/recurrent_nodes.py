"""The nodes of a recurrent layer in each step, its weights, and their symbols."""

from __future__ import annotations

from typing import Any

import torch

from nnzoo.models.unrolled import GATES
from nnzoo.trace.expression import Var
from nnzoo.trace.record import StepRecord
from nnzoo.trace.stage import Limits, Place, Stage, Weight, index_of
from nnzoo.trace.unroll import Nodes, unrolled


class RecurrentNodes(Stage):
    """The nodes and weights of a recurrent layer, with their symbols. Its outputs have the places (unit, step).

    Args:
        name: The module in the network, such as recurrent.0.
        letter: The start of the symbols of its states.
        record: The step.
        source: The stage before, with the places (feature, step).
        depth: The layer in the module, from 0.
        number: The layer in the network, from 0.
        count: The number of layers in the network.
    """

    def __init__(
        self, name: str, letter: str, record: StepRecord, source: Stage, depth: int, *, number: int, count: int
    ) -> None:
        module: Any = record.modules[name].module
        self.module = module
        self.directions: list[Nodes] = unrolled(record, name)[depth]
        values, grads = (torch.cat([nodes["h"][part] for nodes in self.directions], 1) for part in (0, 1))
        shown = f"{name}.l{depth}" if module.num_layers > 1 else name
        super().__init__(shown, letter, source.rows, values, grads, source)
        self.record, self.module_name, self.depth = record, name, depth
        self.suffix = str(number + 1) if count > 1 else ""
        self.gates = GATES[type(self.module)]
        self.hidden_size: int = module.hidden_size
        self.num_steps = values.shape[2]

    def split(self, unit: int) -> tuple[int, int]:
        """Returns the direction and the unit in it."""
        return divmod(unit, self.hidden_size)

    def label(self, unit: int) -> str:
        """Returns the number of a unit: 1, or 2.1 in the second layer, or r1 in the backward direction."""
        direction, own = self.split(unit)
        return f"{self.letter[1:]}{'r' * direction}{own + 1}"

    def symbol(self, row: int, place: Place) -> str:
        return self.node_symbol("h", row, place)

    def node_symbol(self, node: str, row: int, place: Place) -> str:
        """Returns the name of a node, such as c1[3] or z_f1[3]."""
        name = f"z_h{self.label(place[0])}" if node == "z" else f"{node}{self.label(place[0])}"
        return f"{name}{index_of(self.rows[row], place[1:])}"

    def node(self, node: str, row: int, place: Place) -> Var:
        """Returns a node."""
        direction, own = self.split(place[0])
        value = float(self.directions[direction][node][0][row, own, place[1]])
        return Var(self.node_symbol(node, row, place), value)

    def node_grad(self, node: str, row: int, place: Place) -> Var:
        """Returns the derivative of the loss by a node."""
        direction, own = self.split(place[0])
        value = float(self.directions[direction][node][1][row, own, place[1]])
        return Var(f"dE/d{self.node_symbol(node, row, place)}", value)

    def parameter(self, key: str, direction: int) -> str:
        """Returns the name of a parameter, such as recurrent.0.weight_ih_l0."""
        return f"{self.module_name}.{key}_l{self.depth}{'_reverse' * direction}"

    def weight(self, kind: str, gate: str, unit: int, column: int | None) -> tuple[Weight, Var]:
        """Returns a weight of U or W, or a bias if there is no column.

        Args:
            kind: U for the inputs, W for the states before.
            gate: The gate; empty for a plain recurrent layer.
            unit: The unit, in both directions.
            column: The index of the input or of the state before.
        """
        direction, own = self.split(unit)
        side = "ih" if kind == "U" else "hh"
        key = f"bias_{side}" if column is None else f"weight_{side}"
        name = self.parameter(key, direction)
        row = self.gates.index(gate) * self.hidden_size + own
        index: Place = (row,) if column is None else (row, column)
        letter = f"b{kind}" if column is None else kind
        where = f"{own + 1}" if column is None else f"{own + 1},{column + 1}"
        tag = f"{gate}{self.suffix}{'r' * direction}"
        symbol = f"{letter}{f'_{tag}' if tag else ''}[{where}]"
        return Weight(symbol, name, index), Var(symbol, float(self.record.before[name][index]))

    def earlier(self, unit: int, step: int, shift: int = 1) -> int | None:
        """Returns the step before, in the direction of a unit; a negative shift gives the step after."""
        found = step + shift if self.split(unit)[0] else step - shift
        return found if 0 <= found < self.num_steps else None

    def shown_steps(self, unit: int, limits: Limits) -> list[int]:
        """Returns the steps that are shown, in the direction of a unit: all, or the first and the last ones."""
        steps = list(range(self.num_steps))
        if len(steps) > 2 * limits.places:
            steps = [*steps[: limits.places], *steps[-limits.places :]]
        return steps[::-1] if self.split(unit)[0] else steps
