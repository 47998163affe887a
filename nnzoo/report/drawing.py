"""Draws a network as SVG: unit by unit if it is small, else block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from nnzoo.report.drawing_blocks import draw_blocks
from nnzoo.report.drawing_units import Numbers, draw_units, unit_layers
from nnzoo.report.layer_names import counted
from nnzoo.report.network_blocks import Block, blocks_of
from nnzoo.summaries.collect import record


class NetworkDrawing(NamedTuple):
    """The drawing of a network.

    Attributes:
        svg: The `<svg>` element, which also is a complete file. It follows the light or dark mode of the reader.
        description: The network in words, for those who don't see the drawing.
        by_units: Whether each unit is drawn, with its weights.
    """

    svg: str
    description: str
    by_units: bool


def draw_network(
    module: nn.Module,
    input_shape: tuple[int, ...],
    *,
    name: str = "network",
    dtype: torch.dtype = torch.float32,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    numbers: Numbers | None = None,
) -> NetworkDrawing:
    """Draws a network: layers, shapes, parameters and connections. The network does not change.

    A fully connected network of up to 24 units per layer is drawn unit by unit. The color of an edge is the sign of its
    weight, its width the size; networks with up to 30 weights have the values on the edges. Other networks are drawn
    block by block: a block is a layer with what follows it, or a part of the network with equal layers. The connections
    of a custom module are not known; its blocks are in the order in which they are called.

    Args:
        module: The network.
        input_shape: The shape of one sample, without the batch axis.
        name: The name of the network.
        dtype: The type of the inputs; an integer type for tokens.
        inputs: The names of the inputs, if each has one.
        outputs: The names of the classes or targets.
        numbers: The numbers in a drawing unit by unit; None: the weights.

    Raises:
        UsageError: The network fails on such an input.
    """
    blocks = blocks_of(record(module, input_shape, dtype))
    layers = unit_layers(blocks, module)
    description = _description(name, input_shape, blocks)
    if layers:
        return NetworkDrawing(
            draw_units(layers, name, inputs, outputs, description, numbers or Numbers()), description, True
        )
    return NetworkDrawing(draw_blocks(blocks, name, input_shape, inputs, outputs, description), description, False)


def _description(name: str, input_shape: tuple[int, ...], blocks: Sequence[Block]) -> str:
    """Returns the blocks in words, one sentence per block."""
    shape = " × ".join(map(str, input_shape))
    total = sum(block.num_parameters for block in blocks)
    sentences = [f"{name} reads inputs of shape {shape} and has {counted(total, 'parameter')}."]
    for block in blocks:
        title = f"{block.repeat} × {block.title}" if block.repeat > 1 else block.title
        facts = [*block.details]
        if block.parts:
            facts.append(f"each with {'; '.join(part.title for part in block.parts)}")
        if block.num_shortcuts:
            some = "" if block.num_shortcuts == block.repeat else f" in {block.num_shortcuts} of them"
            facts.append(f"with a shortcut that adds the input{some}")
        facts += [f"output {' × '.join(map(str, block.shape))}"] * bool(block.shape)
        facts += [counted(block.num_parameters, "parameter")] * bool(block.num_parameters)
        sentences.append(f"{title}: {', '.join(facts)}." if facts else f"{title}.")
    return " ".join(sentences)
