"""Layers as a chain of computations: a weighted sum, then batch norm, an activation and dropout, with their symbols."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.models import Maxout
from nnzoo.trace.expression import Expression, Sum, Var
from nnzoo.trace.record import Recorded, StepRecord
from nnzoo.trace.stage import Limits, Place, Stage, index_of

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


class LinkedLayer(Stage):
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
        self.moments: dict[tuple[int, int], tuple[Var, Var, float]] = {}
        self.first_weight = first_weight
        self.linear_name = next(key for key, each in record.modules.items() if each is links[0][1])
        self.weight = record.before[f"{self.linear_name}.weight"]
        self.bias = record.before.get(f"{self.linear_name}.bias")
        found = [link.module for link in self.links if isinstance(link.module, Maxout)]
        self.pieces = found[0].num_pieces if found else 1

    @staticmethod
    def _shape(recorded: Recorded, num_rows: int) -> tuple[Tensor, Tensor]:
        """Returns outputs and gradients with one row per label: (N, T, units) of a sequence becomes (N * T, units)."""
        if len(recorded.outputs) == num_rows:
            return recorded.outputs, recorded.grad
        return recorded.outputs.flatten(0, 1), recorded.grad.flatten(0, 1)

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

    def positions(self, limits: Limits) -> list[Place]:
        """Returns the positions of the feature map that are shown; a single empty one for dense layers."""
        ranges = [range(size) for size in self.values.shape[2:]]
        return list(product(*ranges))[: limits.places]

    def channels(self, number: int, unit: int) -> list[int]:
        """Returns the channels of a link that belong to a unit: several for the pieces of maxout."""
        if self.links[number].kind not in ("linear", "norm") or self.pieces == 1:
            return [unit]
        return [unit * self.pieces + piece for piece in range(self.pieces)]

    def module_name(self, number: int) -> str:
        """Returns the name of the module of a link in the network."""
        module = self.links[number].module
        return next(key for key, each in self.record.modules.items() if each.module is module)

    def over_batch(self, number: int, channel: int) -> list[tuple[int, Place]]:
        """Returns every row and place of a channel, over which batch norm computes its statistics."""
        ranges = [range(size) for size in self.links[number].values.shape[2:]]
        return [(row, (channel, *position)) for row in range(len(self.rows)) for position in product(*ranges)]


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


def dot(first: Tensor, first_at: Sequence[Place], second: Tensor, second_at: Sequence[Place]) -> float:
    """Returns the sum of the products of elements of two tensors."""
    left = first[tuple(torch.tensor(list(axis)) for axis in zip(*first_at, strict=True))]
    right = second[tuple(torch.tensor(list(axis)) for axis in zip(*second_at, strict=True))]
    return float(left @ right)
