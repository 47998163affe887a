"""The activations of a network for one sample: feature maps layer by layer, or the hidden state over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnzoo.data.text.text_reader import TextReader
from nnzoo.report.charts import Heatmap, Images, Part, Picture
from nnzoo.report.inside.network import Found, Network
from nnzoo.report.inside.pictures import diverging, gray, grid_of, sample_image

MAX_MAPS, MAX_LAYERS, MAX_UNITS, MAX_STEPS = 16, 12, 64, 200
MAX_SIDE = 64
"""Larger feature maps are reduced to this height and width."""


def feature_map_parts(network: Network) -> Found:
    """Returns the first image of the measured split, and what each layer makes of it."""
    inputs = network.inputs(network.split, slice(0, 1))
    if inputs.ndim != 4:
        return "Feature maps are for images."
    names = {block.last or block.name: block for block in network.blocks if block.kind != "own" and block.name}
    found = network.activations(inputs, list(names))
    what = _sample_name(network)
    items = [Picture(sample_image(_reduced(inputs[0])), f"the sample, {what}", what)]
    parts: list[Part] = [Images("A sample, layer by layer", _caption(network), items, size=96)]
    vectors: list[Picture] = []
    layers = [(names[name], maps[0]) for name, maps in found.items()]
    for block, maps in layers[: MAX_LAYERS - 1] + layers[max(MAX_LAYERS - 1, len(layers) - 1) :]:
        shape = " × ".join(map(str, maps.shape))
        title = f"{block.title}: {shape}"
        if maps.ndim == 3 and max(maps.shape[1:]) > 1:
            shown = _reduced(maps[:MAX_MAPS])
            items = [Picture(gray(each), f"map {i + 1} of {block.name}", f"{i + 1}") for i, each in enumerate(shown)]
            note = f"The first {MAX_MAPS} of {len(maps)} maps. " if len(maps) > MAX_MAPS else ""
            parts.append(
                Images(title, f"{note}White is the largest value of a map, black the smallest.", items, size=64)
            )
        elif maps.ndim != 2 and maps.numel() <= MAX_SIDE**2:
            low, high = float(maps.min()), float(maps.max())
            alt = f"the {maps.numel()} values of {block.name}, row by row, from {low:.3g} to {high:.3g}"
            label = f"{block.name.removesuffix('.linear')}, {maps.numel()} values: {low:.3g} to {high:.3g}"
            vectors.append(Picture(diverging(grid_of(maps.flatten())), alt, label))
    if vectors:
        caption = "One square per unit, row by row. White is 0, blue is positive, orange is negative."
        parts.append(Images("The units of layers without maps", caption, vectors, size=110))
    return parts


def _caption(network: Network) -> str:
    return (
        f"The first sample of {network.run.split}, as the network reads it. Below are the outputs of each layer for it."
    )


def _sample_name(network: Network) -> str:
    """Returns the true and the predicted class of the first sample."""
    decoder, rows = network.decoder, slice(0, 1)
    if decoder.task != "classification" or decoder.per != "sample":
        return "sample 1"
    predicted = decoder.labels(network.outputs(network.inputs(network.split, rows)))
    truth = network.true_labels(network.split, rows)
    return f"{network.class_name(int(truth[0]))}, predicted {network.class_name(int(predicted[0]))}"


def _reduced(maps: Tensor) -> Tensor:
    """Returns maps (C, H, W) with at most `MAX_SIDE` rows and columns, by averages."""
    height, width = maps.shape[1:]
    scale = max(height, width) / MAX_SIDE
    if scale <= 1:
        return maps
    size = (max(1, round(height / scale)), max(1, round(width / scale)))
    return torch.nn.functional.adaptive_avg_pool2d(maps.cpu().float(), size)


def hidden_state_parts(network: Network) -> Found:
    """Returns the states of the last recurrent layer over the steps of the first sample of the measured split."""
    layers = [name for name, module in network.module.named_modules() if isinstance(module, nn.RNNBase)]
    if not layers:
        return "The hidden state over time is for recurrent networks."
    inputs, lengths = network.inputs(network.split, slice(0, 1)), network.lengths(network.split, slice(0, 1))
    states = hidden_states(network, layers[-1], inputs, lengths)
    num_steps, size = states.shape
    shown = states[:MAX_STEPS, :MAX_UNITS].T  # (H, T)
    some = [f"the first {MAX_UNITS} of {size} units"] * (size > MAX_UNITS)
    some += [f"the first {MAX_STEPS} of {num_steps} steps"] * (num_steps > MAX_STEPS)
    note = f" Shown are {' and '.join(some)}." if some else ""
    caption = (
        f"The state of each unit of {layers[-1]} after each step of the first sample of {network.run.split}: blue is "
        f"positive, orange is negative.{note}"
    )
    columns = _step_names(network, inputs, shown.shape[1])
    rows = [str(i + 1) for i in range(len(shown))]
    return [Heatmap("Hidden state over time", caption, shown.tolist(), rows, columns, "unit", "step", diverging=True)]


def hidden_states(network: Network, layer: str, inputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns the states of a recurrent layer for one sample: (T, H), without the steps past its end."""
    states = network.activations(inputs, [layer], lengths)[layer][0]
    return states if lengths is None else states[: int(lengths[0])]


def _step_names(network: Network, inputs: Tensor, count: int) -> list[str]:
    """Returns the number of each step, with its token if the inputs are texts."""
    reader = network.dataset.reader
    if isinstance(reader, TextReader) and not inputs.is_floating_point():
        symbols = reader.vocabulary.symbols
        first = len(reader.vocabulary) - len(symbols)  # padding and the unknown token come first
        tokens = inputs[0, :count].tolist()
        return [f"{i + 1}: {symbols[t - first] if t >= first else '?'}" for i, t in enumerate(tokens)]
    return [str(i + 1) for i in range(count)]
