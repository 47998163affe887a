"""The loss of the first step's batch as a function of one or two weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.trace.chain import stages_of
from nnzoo.trace.record import Recording, batch_loss, without_dropout
from nnzoo.trace.stage import Limits, Weight

POINTS = 41
COARSE_POINTS, COARSE_FROM = 15, 30_000_000
"""The loss of a large network or batch is computed at fewer points: parameters times inputs of the batch."""
CURVE_FACTOR = 3
"""How many times as many points the curve has."""
MAX_NAMED = 20_000
"""The symbols of weights are looked up in networks with up to this many parameters."""


@dataclass(frozen=True)
class Surface:
    """The loss over one or two weights. The other parameters are those before the first step.

    Attributes:
        weights: The weights.
        axes: The values of each weight.
        curve: The loss over the first weight.
        grid: (values of the second weight, values of the first weight) the loss; None for a single weight.
        path: (steps + 1, weights) the values of the weights before the first step and after each step.
        losses: The loss of the first step's batch at each of these points, where all parameters have moved.
        slope: The derivative of the loss by the first weight at the start.
    """

    weights: list[Weight]
    axes: list[Tensor]
    curve: Tensor
    grid: Tensor | None
    path: Tensor
    losses: list[float]
    slope: float

    def as_dict(self) -> dict[str, Any]:
        """Returns the surface as plain values."""
        return {
            "weights": [each.symbol for each in self.weights],
            "axes": [axis.tolist() for axis in self.axes],
            "curve": self.curve.tolist(),
            "grid": None if self.grid is None else self.grid.tolist(),
            "path": self.path.tolist(),
            "losses": self.losses,
            "slope": self.slope,
        }


def surface_of(recording: Recording) -> Surface:
    """Computes the loss around the path of the watched weights, without dropout."""
    assert recording.path is not None
    weights, path = recording.path.weights, torch.tensor(recording.path.points, dtype=torch.float64)
    state, first = recording.setup.state, recording.steps[0]
    parameters = dict(state.model.named_parameters())
    cost = first.inputs.numel() * sum(each.numel() for each in parameters.values())
    points = POINTS if cost < COARSE_FROM else COARSE_POINTS
    trained = {name: each.detach().clone() for name, each in parameters.items()}
    axes = [
        torch.linspace(*_range(path[:, number]), points if number else CURVE_FACTOR * points, dtype=torch.float64)
        for number in range(len(weights))
    ]

    def losses(weight: Weight, values: Tensor) -> list[float]:
        found, parameter = [], parameters[weight.parameter]
        for value in values.tolist():
            parameter[weight.index] = value
            found.append(float(batch_loss(state, first)))
        parameter[weight.index] = first.before[weight.parameter][weight.index]
        return found

    with without_dropout(state):
        for name, parameter in parameters.items():
            parameter.data.copy_(first.before[name])
        start = batch_loss(state, first)
        gradient = torch.autograd.grad(start, parameters[weights[0].parameter])[0]
        grid = None
        with torch.no_grad():
            curve = torch.tensor(losses(weights[0], axes[0]), dtype=torch.float64)
            if len(weights) == 2:
                across = torch.linspace(float(axes[0][0]), float(axes[0][-1]), points, dtype=torch.float64)
                rows, second = [], parameters[weights[1].parameter]
                for value in axes[1].tolist():
                    second[weights[1].index] = value
                    rows.append(losses(weights[0], across))
                grid = torch.tensor(rows, dtype=torch.float64)
        for name, parameter in parameters.items():
            parameter.data.copy_(trained[name])
    at_path = [float(start.detach()), *recording.path.losses]
    return Surface(weights, axes, curve, grid, path, at_path, float(gradient[weights[0].index]))


def _range(values: Tensor) -> tuple[float, float]:
    """Returns the range of an axis: the path with a margin, and at least a quarter of the weight on each side."""
    low, high = float(values.min()), float(values.max())
    margin = max(0.6 * (high - low), 0.25 * max(1.0, abs(low), abs(high)))
    return low - margin, high + margin


def find_weights(recording: Recording, names: str | None) -> list[Weight]:
    """Returns the weights over which the loss is drawn.

    Args:
        recording: The recorded first step.
        names: One or two weights, separated by a comma: symbols such as w5, or parameters with an index such as
            output.linear.weight[0,1]. None for the weight with the largest gradient, and that of another unit.

    Raises:
        UsageError: There is no such weight.
    """
    named = _named(recording)
    if names is None:
        return _steepest(recording, named)
    found = []
    for name in map(str.strip, re.split(r",(?![^\[]*\])", names)):
        chosen = named.get(name) or _by_index(recording, name)
        if chosen is None:
            parameters = ", ".join(
                f"{each}{list(gradient.shape)}" for each, gradient in recording.steps[0].raw_gradients.items()
            )
            symbols = ", ".join(list(named)[:6])
            raise UsageError(
                "there is no such trained weight. "
                + (f"Weights are {symbols}, ..., or " if symbols else "Weights are ")
                + f"a parameter with an index from 0, such as {_example(recording)}. The parameters are {parameters}.",
                where=f"--weights {name}",
            )
        found.append(chosen)
    if len({(each.parameter, each.index) for each in found}) < len(found) or len(found) > 2:
        raise UsageError("expected one weight, or two different ones.", where=f"--weights {names}")
    return found


def _example(recording: Recording) -> str:
    name, gradient = next(iter(recording.steps[0].raw_gradients.items()))
    return f"{name}[{','.join('0' * gradient.ndim)}]"


def _named(recording: Recording) -> dict[str, Weight]:
    """Returns the trained weights by their symbols; none for larger networks."""
    record, setup = recording.steps[0], recording.setup
    total = sum(each.numel() for each in record.before.values())
    if total > MAX_NAMED:
        return {}
    everything = Limits(units=total, maps=total, terms=2 * total, rows=len(record.rows), places=total)
    stages = stages_of(setup.state.model, record, setup.experiment.dataset.feature_names)
    return {weight.symbol: weight for stage in stages for weight in stage.weights(everything)}


def _steepest(recording: Recording, named: dict[str, Weight]) -> list[Weight]:
    """Returns the weight with the largest gradient, and the one with the largest gradient of another unit.

    Biases are chosen only if there is nothing else.
    """
    symbols = {(weight.parameter, weight.index): weight for weight in named.values()}
    # Per unit, the weight with the largest gradient and the next one.
    found: list[tuple[bool, int, float, Weight]] = []
    for name, gradient in recording.steps[0].raw_gradients.items():
        for unit, row in enumerate(gradient.abs().flatten(1) if gradient.ndim > 1 else gradient.abs()[:, None]):
            for rank, flat in enumerate(row.topk(min(2, len(row))).indices.tolist()):
                rest = torch.unravel_index(torch.tensor(flat), gradient.shape[1:]) if gradient.ndim > 1 else ()
                index = (unit, *(int(each) for each in rest))
                weight = symbols.get((name, index)) or Weight(f"{name}[{','.join(map(str, index))}]", name, index)
                found.append((gradient.ndim < 2, rank, -abs(float(gradient[index])), weight))
    chosen = [weight for *_, weight in sorted(found, key=lambda each: each[:3])[:2]]
    order = list(recording.steps[0].before)
    return sorted(chosen, key=lambda weight: (order.index(weight.parameter), weight.index))


def _by_index(recording: Recording, name: str) -> Weight | None:
    """Returns the weight of a parameter's name and index, such as output.linear.weight[0,1]."""
    parts = re.fullmatch(r"(.+)\[([\d, ]+)\]", name)
    gradient = recording.steps[0].raw_gradients.get(parts[1]) if parts else None
    if parts is None or gradient is None:
        return None
    index = tuple(int(each) for each in parts[2].split(",") if each.strip())
    fits = len(index) == gradient.ndim and all(i < size for i, size in zip(index, gradient.shape, strict=True))
    return Weight(name, parts[1], index) if fits else None
