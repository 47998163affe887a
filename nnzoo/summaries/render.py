"""Renders the table with torchsummary, from a stand-in network that has the recorded rows.

torchsummary counts only `weight` and `bias`, counts shared layers several times, and fails on recurrent layers, integer
inputs and nested outputs. The stand-in avoids these cases, so the layout is that of torchsummary, with correct numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType

import torch
from torch import Tensor, nn

from nnzoo.summaries.compute import LayerRow


def render_table(layers: Iterable[LayerRow], input_shape: tuple[int, ...], batch_size: int) -> str:
    """Returns the table with its totals and sizes, which are per sample if `batch_size` is -1.

    A partly frozen layer has two rows, the trained part first, since torchsummary has one flag per row.
    """
    from torchsummary import summary

    net = _StandIn(part for layer in layers for part in _parts(layer))
    printed = io.StringIO()
    # The same code with its own `print`: redirecting stdout would also capture the output of other threads.
    render = FunctionType(
        summary.__code__, {**summary.__globals__, "print": partial(print, file=printed)}, argdefs=summary.__defaults__
    )
    # torchsummary draws a batch of two on the default device, the only real memory here: 2 * input_shape floats.
    with torch.random.fork_rng(devices=()), torch.device("cpu"):
        render(net, input_shape, batch_size=batch_size, device="cpu")
    return printed.getvalue().rstrip("\n")


class _StandInLayer(nn.Module):
    """A layer with tensors on the meta device, which have a shape but no memory."""

    def __init__(self, output_shape: tuple[int, ...], num_parameters: int, *, trainable: bool) -> None:
        super().__init__()
        # Also with size 0: torchsummary's total is a tensor only if some layer has a weight.
        self.weight = torch.empty(num_parameters, device="meta", requires_grad=trainable)
        self.output_shape = output_shape

    def forward(self, x: Tensor) -> Tensor | tuple[()]:  # noqa: ARG002
        return torch.empty(self.output_shape, device="meta") if self.output_shape else ()


class _StandIn(nn.Module):
    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            layer(x)
        return x


def _parts(layer: LayerRow) -> Iterator[nn.Module]:
    kind = type(layer.type, (_StandInLayer,), {})  # torchsummary prints the name of the class
    shape = (1, *layer.output_shape[1:]) if layer.output_shape else ()
    trained = layer.num_trainable_parameters
    frozen = layer.num_parameters - trained
    if trained or not frozen:
        yield kind(shape, trained, trainable=True)
    if frozen:
        yield kind(shape, frozen, trainable=False)
