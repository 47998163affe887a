"""The drawing of a small feedforward network, unit by unit, with its weights on the edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from nnzoo.models.activations import Maxout
from nnzoo.report.escape import escape
from nnzoo.report.layer_names import counted
from nnzoo.report.network_blocks import Block
from nnzoo.report.network_svg import frame, path, text, wrapped

MAX_UNITS, MAX_EDGES, MAX_LAYERS = 24, 640, 6
"""The largest number of units per layer, of edges and of layers that are drawn one by one."""
MAX_WEIGHTS, MAX_TARGETS = 30, 5
"""The largest number of edges, and of units per layer, for which the weights are written on the edges."""
_TOP, _BOTTOM, _SIDE = 112, 46, 150


@dataclass(frozen=True)
class UnitLayer:
    """A fully connected layer.

    Attributes:
        name: The name of the module.
        weights: The weights of each unit, one per input.
        biases: The bias of each unit; empty if it has none.
        details: What follows: batch norm, activation, dropout.
        num_parameters: The number of parameters of the layer and what follows.
    """

    name: str
    weights: Sequence[Sequence[float]]
    biases: Sequence[float]
    details: tuple[str, ...]
    num_parameters: int


def unit_layers(blocks: Sequence[Block], module: nn.Module) -> tuple[UnitLayer, ...]:
    """Returns the layers of a network that can be drawn unit by unit; empty if it can't.

    It can if it consists of fully connected layers, with up to `MAX_UNITS` inputs and units per layer and up to
    `MAX_EDGES` weights.
    """
    if any(block.kind != "linear" or block.repeat > 1 or "called more than once" in block.details for block in blocks):
        return ()
    if any(isinstance(part, Maxout) for part in module.modules()):
        return ()
    if len(blocks) > MAX_LAYERS:
        return ()
    layers = []
    width = 0
    for block in blocks:
        layer = module.get_submodule(block.name)
        assert isinstance(layer, nn.Linear)
        if width not in (0, layer.in_features) or max(layer.in_features, layer.out_features) > MAX_UNITS:
            return ()
        width = layer.out_features
        weights = layer.weight.detach().cpu().double().tolist()
        biases = [] if layer.bias is None else layer.bias.detach().cpu().double().tolist()
        layers.append(UnitLayer(block.name, weights, biases, block.details, block.num_parameters))
    edges = sum(len(layer.weights) * len(layer.weights[0]) for layer in layers)
    return tuple(layers) if edges <= MAX_EDGES else ()


@dataclass(frozen=True)
class Numbers:
    """The numbers in a drawing.

    Attributes:
        values: What is written into the circles: one number per input, then one per unit of each layer; empty: nothing.
        digits: The number of significant digits; 0 for two decimals.
        noun: What is on the edges.
    """

    values: Sequence[Sequence[float]] = ()
    digits: int = 0
    noun: str = "weight"

    def text(self, value: float) -> str:
        """Returns a number as text."""
        return f"{value:.{self.digits}g}".replace("-", "−") if self.digits else number(value)


def draw_units(
    layers: Sequence[UnitLayer],
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    description: str,
    numbers: Numbers,
) -> str:
    """Returns the drawing as SVG.

    Args:
        layers: The layers from the inputs to the outputs.
        name: The name of the network.
        inputs: The names of the inputs; numbered if there are none.
        outputs: The names of the output units; numbered if there are none.
        description: The description for screen readers.
        numbers: The numbers in the drawing.
    """
    sizes = [len(layers[0].weights[0]), *(len(layer.weights) for layer in layers)]
    num_edges = sum(a * b for a, b in pairwise(sizes))
    written = num_edges <= MAX_WEIGHTS and max(sizes[1:]) <= MAX_TARGETS
    spacing = (94.0 if numbers.values else 84.0) if written else max(27.0, min(64.0, 460 / max(sizes)))
    radius = (22.0 if numbers.values else 17.0) if written else min(15.0, spacing * 0.38)
    column = 230.0 if written else 190.0
    width = max(2 * _SIDE + column * len(layers), 480)
    height = _TOP + spacing * max(sizes) + _BOTTOM
    left = (width - column * len(layers)) / 2
    # Texts on edges need the same distance everywhere. Otherwise small layers spread out.
    gaps = [spacing if written else min(64.0, spacing * max(sizes) / size) for size in sizes]
    middle = _TOP + spacing * max(sizes) / 2
    places = [
        [(left + column * number, middle + gap * (unit - (size - 1) / 2)) for unit in range(size)]
        for number, (size, gap) in enumerate(zip(sizes, gaps, strict=True))
    ]
    absolute = [abs(w) for layer in layers for row in layer.weights for w in row if math.isfinite(w)]
    largest = max(absolute, default=0.0)
    total = sum(layer.num_parameters for layer in layers)
    body = [text(20, 28, name, style="head"), text(20, 47, counted(total, "parameter"), style="soft")]
    body += [_edges(layer, places[n], places[n + 1], largest) for n, layer in enumerate(layers)]
    for number, column_places in enumerate(places):
        body.append(_heading(column_places[0][0], sizes[number], layers[number - 1] if number else None))
        biases = layers[number - 1].biases if number else ()
        shown = numbers if written else None
        body += [_unit(x, y, radius, number, biases[i : i + 1], shown) for i, (x, y) in enumerate(column_places)]
    if written:
        body += [_weights(layer, places[n], places[n + 1], numbers) for n, layer in enumerate(layers)]
        body += [_values(*pair, numbers) for pair in zip(places, numbers.values, strict=False)]
    body += [_label(x - radius - 8, y, inputs, i, "end", "input") for i, (x, y) in enumerate(places[0])]
    body += [_label(x + radius + 8, y, outputs, i, "start", "output") for i, (x, y) in enumerate(places[-1])]
    body.append(_legend(width / 2, height - 18, largest, numbers))
    return frame(width, height, f"The network {name}, unit by unit", description, body)


def number(value: float) -> str:
    """Returns a weight with two decimals, or with three significant digits if that says more."""
    shown = f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.2g}"
    return shown.replace("-", "−")


def _edges(
    layer: UnitLayer, sources: Sequence[tuple[float, float]], targets: Sequence[tuple[float, float]], largest: float
) -> str:
    """Returns one line per weight, the large ones on top of the small ones."""
    lines = []
    for j, (x2, y2) in enumerate(targets):
        for i, (x1, y1) in enumerate(sources):
            weight = layer.weights[j][i]
            share = abs(weight) / largest if largest and math.isfinite(weight) else 0.0
            color = "negative" if weight < 0 else "positive"
            lines.append(
                (
                    share,
                    f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="var(--nn-{color})" '
                    f'stroke-width="{0.5 + 4 * share:.2f}" stroke-opacity="{0.25 + 0.65 * share:.2f}">'
                    f"<title>{i + 1} to {j + 1}: {weight:.6g}</title></line>",
                )
            )
    return "".join(line for _, line in sorted(lines, key=lambda pair: pair[0]))


def _weights(
    layer: UnitLayer,
    sources: Sequence[tuple[float, float]],
    targets: Sequence[tuple[float, float]],
    numbers: Numbers,
) -> str:
    """Returns the weights as texts. At 1 / (n + 1) of the way to n units, all texts have the same distance."""
    share = 1 / (len(targets) + 1)
    return "".join(
        text(
            x1 + share * (x2 - x1) + 4,
            y1 + share * (y2 - y1) + 4,
            numbers.text(layer.weights[j][i]),
            style="value",
            anchor="middle",
        )
        for j, (x2, y2) in enumerate(targets)
        for i, (x1, y1) in enumerate(sources)
    )


def _values(places: Sequence[tuple[float, float]], values: Sequence[float], numbers: Numbers) -> str:
    """Returns the values of inputs or units as texts in their circles."""
    return "".join(
        text(x, y + 4, numbers.text(value), style="value", anchor="middle")
        for (x, y), value in zip(places, values, strict=True)
    )


def _unit(x: float, y: float, radius: float, layer: int, bias: Sequence[float], numbers: Numbers | None) -> str:
    title = f"<title>bias {bias[0]:.6g}</title>" if bias else ""
    color = "linear" if layer else "line"
    circle = (
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="var(--nn-box)" stroke="var(--nn-{color})" '
        f'stroke-width="1.8">{title}</circle>'
    )
    if not bias or numbers is None:
        return circle
    return circle + text(x, y + radius + 14, f"b = {numbers.text(bias[0])}", style="value", anchor="middle")


def _label(x: float, y: float, names: Sequence[str], index: int, anchor: str, noun: str) -> str:
    shown = names[index] if index < len(names) else f"{noun} {index + 1}"
    return text(x, y + 4.5, shown, anchor=anchor, limit=17)


def _heading(x: float, size: int, layer: UnitLayer | None) -> str:
    """Returns the texts above a layer, three lines at most."""
    if layer is None:
        return text(x, 70, "inputs", style="strong", anchor="middle") + text(x, 87, size, style="soft", anchor="middle")
    name = layer.name.removesuffix(".linear")
    what = wrapped([counted(size, "unit"), *layer.details], 30, ", ")
    lines = [what[0], f"{counted(layer.num_parameters, 'parameter')}"] if len(what) == 1 else what[:2]
    shown = [text(x, 70, name, style="strong", anchor="middle", limit=24)]
    shown += [text(x, 87 + 15 * i, line, style="soft", anchor="middle", limit=32) for i, line in enumerate(lines)]
    return "".join(shown)


def _legend(x: float, y: float, largest: float, numbers: Numbers) -> str:
    return "".join(
        [
            path(f"M{x - 190:g} {y - 4:g}h28", color="positive", width=4),
            text(x - 156, y, f"positive {numbers.noun}", style="soft"),
            path(f"M{x - 50:g} {y - 4:g}h28", color="negative", width=4),
            text(x - 16, y, f"negative {numbers.noun}", style="soft"),
            text(x + 92 + 6 * (len(numbers.noun) - 6), y, f"widest: {escape(numbers.text(largest))}", style="soft"),
        ]
    )
