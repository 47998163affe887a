"""The function of a network with one or two inputs: decision regions or a curve, and a map of each hidden unit."""

from __future__ import annotations

import base64

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.report.charts import Curve, Drawing, Images, Lines, Part, Picture, Scatter
from nnzoo.report.escape import escape
from nnzoo.report.inside.network import Found, Network
from nnzoo.report.inside.pictures import CLASSES, class_map, diverging
from nnzoo.report.network_svg import COLORS

GRID, UNIT_GRID, CURVE = 80, 24, 200
"""Points per axis of the decision map, of the maps of units, and of the curve."""
MAX_POINTS, MAX_UNITS, MAX_CURVES = 300, 64, 8


def function_parts(network: Network) -> Found:
    """Returns the function of a network with one or two inputs on the range of its training data."""
    dataset = network.dataset
    if dataset.layout != "features" or dataset.input_shape not in ((1,), (2,)) or dataset.per != "sample":
        return "Decision regions and curves are for networks with one or two numbers as inputs."
    raw = network.run.raw_inputs("train")
    if raw is None:
        return "Decision regions need the raw inputs, which are no longer in memory."
    raw = torch.as_tensor(raw[:]).double()
    low, high = raw.amin(0), raw.amax(0)
    margin = 0.1 * (high - low).clamp_min(1e-9)
    low, high = low - margin, high + margin
    return _curve(network, low, high) if len(low) == 1 else _regions(network, low, high)


def grid(low: Tensor, high: Tensor, points: int) -> Tensor:
    """Returns the points of a grid over two inputs, (points * points, 2) float64, row by row from the top."""
    x = torch.linspace(float(low[0]), float(high[0]), points, dtype=torch.float64)
    y = torch.linspace(float(high[1]), float(low[1]), points, dtype=torch.float64)
    return torch.stack([x.repeat(points), y.repeat_interleave(points)], dim=1)


def values_at(network: Network, raw: Tensor) -> tuple[Tensor, bool]:
    """Returns probabilities, predicted classes as 0 and 1, or values, for raw inputs; and whether these are classes."""
    outputs = network.outputs(network.experiment.preprocess(raw))
    decoder = network.decoder
    if decoder.task == "regression":
        return decoder.values(outputs), False
    try:
        return decoder.probabilities(outputs).double(), decoder.task == "classification"
    except UsageError:  # a margin loss gives no probabilities
        labels = decoder.labels(outputs)
        if decoder.task == "multilabel":
            return labels.double(), False
        return torch.nn.functional.one_hot(labels, decoder.num_classes).double(), True


def _curve(network: Network, low: Tensor, high: Tensor) -> list[Part]:
    x = torch.linspace(float(low), float(high), CURVE, dtype=torch.float64).unsqueeze(1)
    values, _ = values_at(network, x)
    names = network.dataset.feature_names
    x_label = names[0] if names else "input"
    parts: list[Part] = []
    raw = network.run.raw_inputs(network.run.split)
    if network.decoder.task == "regression":
        targets = network.dataset.target_names
        for i, name in enumerate(targets):
            groups: dict[str, Curve] = {}
            if raw is not None:
                truth = network.split.truth[:MAX_POINTS, i].tolist()
                groups[f"{network.run.split} samples"] = (torch.as_tensor(raw[:MAX_POINTS]).flatten().tolist(), truth)
            groups["network"] = (x.flatten().tolist(), values[:, i].tolist())
            caption = "The output of the network over its input, and the samples that it was measured on."
            parts.append(Scatter("The fitted curve", caption, x_label, name, groups))
    else:
        curves = {name: (x.flatten().tolist(), values[:, i].tolist()) for i, name in enumerate(network.dataset.classes)}
        caption = "The probability of each class over the input."
        parts.append(Lines("The fitted curve", caption, x_label, "probability", curves))
    for block in network.blocks[:-1][:3]:
        found = network.activations(network.experiment.preprocess(x), [block.last or block.name])
        units = next(iter(found.values()), x).flatten(1)
        shown = {
            f"unit {i + 1}": (x.flatten().tolist(), units[:, i].tolist())
            for i in range(min(units.shape[1], MAX_CURVES))
        }
        what = "The first 8 units" if units.shape[1] > MAX_CURVES else "Each unit"
        caption = f"{what} of {units.shape[1]}: the output layer adds these curves, each with its weight."
        parts.append(
            Lines(f"Hidden units of {block.name.removesuffix('.linear')}", caption, x_label, "activation", shown)
        )
    return parts


def _regions(network: Network, low: Tensor, high: Tensor) -> list[Part]:
    values, are_classes = values_at(network, grid(low, high, GRID))
    parts: list[Part] = []
    if are_classes:
        image = class_map(values.reshape(GRID, GRID, -1).numpy())
        parts.append(_decision_map(network, image, low, high))
    else:
        names = network.dataset.target_names or network.dataset.classes
        items = [
            Picture(diverging(values[:, i].reshape(GRID, GRID)), f"{name} over both inputs", name)
            for i, name in enumerate(names[:MAX_UNITS])
        ]
        caption = (
            "The output over both inputs: blue is positive, orange is negative. The first input runs to the right."
        )
        parts.append(Images("The output over both inputs", caption, items, size=320))
    return [*parts, *_unit_maps(network, low, high)]


def _unit_maps(network: Network, low: Tensor, high: Tensor) -> list[Part]:
    """Returns the activation of every hidden unit over both inputs."""
    inputs = network.experiment.preprocess(grid(low, high, UNIT_GRID))
    parts: list[Part] = []
    for block in network.blocks[:-1]:
        name = block.name.removesuffix(".linear")
        units = next(iter(network.activations(inputs, [block.last or block.name]).values()), inputs).flatten(1)
        items = [
            Picture(
                diverging(units[:, i].reshape(UNIT_GRID, UNIT_GRID)),
                f"{name}, unit {i + 1}: from {units[:, i].min():.3g} to {units[:, i].max():.3g}",
                f"unit {i + 1}",
            )
            for i in range(min(units.shape[1], MAX_UNITS))
        ]
        caption = (
            "The activation of each hidden unit over both inputs, in the directions of the decision map: white is 0, "
            "blue is positive, orange is negative. Each map has its own scale."
        )
        parts.append(Images(f"Hidden units of {name}", caption, items))
    return parts


def _decision_map(network: Network, image: bytes, low: Tensor, high: Tensor) -> Drawing:
    """Returns the map with the samples of the measured split on it."""
    size, left, top = 420, 62, 34
    names = network.input_names or network.dataset.feature_names or ("first input", "second input")
    data = base64.b64encode(image).decode()
    body = [
        f'<image x="{left}" y="{top}" width="{size}" height="{size}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>'
    ]
    raw = network.run.raw_inputs(network.run.split)
    num_wrong = num_shown = 0
    if raw is not None:
        points = torch.as_tensor(raw[:MAX_POINTS]).double()
        num_shown = len(points)
        place = ((points - low) / (high - low)).tolist()
        rows = slice(0, MAX_POINTS)
        truth = network.true_labels(network.split, rows).tolist()
        predicted = network.decoder.labels(network.outputs(network.inputs(network.split, rows))).tolist()
        for (x, y), label, guess in zip(place, truth, predicted, strict=True):
            num_wrong += int(label != guess)
            color = "#{:02x}{:02x}{:02x}".format(*CLASSES[label % len(CLASSES)])
            wrong = label != guess
            edge = 'r="4.5" stroke="#000" stroke-width="1.8"' if wrong else 'r="3.4" stroke="#fff" stroke-width="0.8"'
            body.append(
                f'<circle cx="{left + x * size:.1f}" cy="{top + (1 - y) * size:.1f}" '
                f'fill="{color}" {edge}><title>{escape(network.class_name(label))}</title></circle>'
            )
    for share in (0.0, 0.5, 1.0):
        x, y = low + share * (high - low)
        body.append(_text(left + share * size, top + size + 18, f"{x:.3g}", ("start", "middle", "end")[int(2 * share)]))
        body.append(_text(left - 6, top + (1 - share) * size + (12, 4, -2)[2 - int(2 * share)], f"{y:.3g}", "end"))
    body.append(_text(left + size / 2, top + size + 38, names[0], "middle"))
    body.append(_text(left, top - 12, f"↑ {names[1]}", "start"))
    for i, name in enumerate(network.dataset.classes[:12]):
        color = "#{:02x}{:02x}{:02x}".format(*CLASSES[i % len(CLASSES)])
        body.append(f'<circle cx="{left + size + 24}" cy="{top + 12 + 22 * i}" r="6" fill="{color}"/>')
        body.append(_text(left + size + 38, top + 17 + 22 * i, name, "start"))
    ink, dark = COLORS["ink"]
    style = (
        f"<style>.nn-map text{{font:13px system-ui,sans-serif;fill:{ink}}}"
        f"@media screen and (prefers-color-scheme:dark){{.nn-map text{{fill:{dark}}}}}</style>"
    )
    width, height = left + size + 170, top + size + 50
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nn-map" style="width:{width}px;max-width:100%" '
        f'viewBox="0 0 {width} {height}">{style}{"".join(body)}</svg>'
    )
    caption = (
        "The predicted class over both inputs; paler where the network is less certain. "
        f"Points are {num_shown} samples of {network.run.split} in the color of their true class; a black ring is a "
        f"wrong prediction ({num_wrong})."
    )
    return Drawing("Decision regions", caption, svg, f"{caption} Inputs: {names[0]} and {names[1]}.")


def _text(x: float, y: float, value: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(value, 22)}</text>'
