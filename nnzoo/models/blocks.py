"""The blocks of a convolutional network, their output shapes, and how they treat sequences of different lengths."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.activations import Maxout

Size = TypeVar("Size", int, Tensor)
PerAxis = int | Sequence[int]
"""One number for all axes, or one per axis: (height, width) of images, (steps,) of sequences."""

_CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
_NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
_POOLS: dict[str, dict[int, type[nn.Module]]] = {
    "max": {1: nn.MaxPool1d, 2: nn.MaxPool2d},
    "avg": {1: nn.AvgPool1d, 2: nn.AvgPool2d},
}
_FILLERS = {"max": -math.inf, "avg": 0.0}
"""The value that pooling reads beyond the end of a sequence: the same as in its own padding."""


def output_size(size: Size, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Size:
    """Returns the number of positions of a window along one axis: floor((W - D (K - 1) - 1 + 2 P) / S) + 1.

    Without dilation this is floor((W - K + 2 P) / S) + 1. It is zero or less if the window does not fit.

    Args:
        size: W, the length of the axis; a number or a tensor of lengths.
        kernel_size: K, the number of entries in the window.
        stride: S, the distance from one position to the next.
        padding: P, the zeros added at each end.
        dilation: D, the distance from one entry of the window to the next.
    """
    return (size - dilation * (kernel_size - 1) - 1 + 2 * padding) // stride + 1


@dataclass(frozen=True)
class Window:
    """A sliding window: one number per axis, or padding "same", which keeps the size."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | Literal["same"]
    dilation: tuple[int, ...]

    def positions(self, axis: int, size: Size) -> Size:
        """Returns the number of positions of the window along an axis of length `size`."""
        if self.padding == "same":
            return size
        return output_size(
            size,
            self.kernel_size[axis],
            stride=self.stride[axis],
            padding=self.padding[axis],
            dilation=self.dilation[axis],
        )

    def output_shape(self, channels: int, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the output shape (channels, *sizes) for an input (C, *sizes).

        Raises:
            UsageError: The window is larger than the input along some axis.
        """
        sizes = input_shape[1:]
        outputs = tuple(self.positions(axis, size) for axis, size in enumerate(sizes))
        if min(outputs) < 1:
            largest = tuple(
                (size + 2 * padding - 1) // dilation + 1
                for size, padding, dilation in zip(
                    sizes, cast("tuple[int, ...]", self.padding), self.dilation, strict=True
                )
            )
            dilated = f" with dilation {_shown(self.dilation)}" if max(self.dilation) > 1 else ""
            raise UsageError(
                f"the window is larger than its input (got kernel_size {_shown(self.kernel_size)}{dilated} on an input "
                f"of shape {input_shape}; allowed up to {_shown(largest)}). Use a smaller kernel_size, more padding, "
                "or smaller strides in the layers before it."
            )
        return (channels, *outputs)


@dataclass(frozen=True)
class ConvLayer:
    """A convolution with its batch norm, activation and dropout.

    Attributes:
        out_channels: Number of filters.
        kernel_size: Size of a filter along each axis.
        stride: Distance from one position to the next.
        padding: Zeros added at each end of each axis; "same" keeps the size (with stride 1), "valid" is 0.
        dilation: Distance from one entry of a filter to the next.
        groups: Number of groups that the channels are divided into, each with its own filters.
        bias: Whether each filter has a bias.
        activation: Applied to (N, out_channels, *sizes); each layer needs its own module. `Maxout` receives
            `out_channels` channels per piece.
        batch_norm: Whether to normalise each channel over batch and positions, before the activation.
        dropout: Probability, in training, that a value is zeroed; single values are dropped, not whole channels.
    """

    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PerAxis | Literal["same", "valid"] = 0
    dilation: PerAxis = 1
    groups: int = 1
    bias: bool = True
    activation: nn.Module | None = field(default_factory=nn.ReLU)
    batch_norm: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class PoolLayer:
    """Max or average pooling, applied to each channel.

    Attributes:
        kind: Maximum or average. The average includes the zeros of the padding, as in PyTorch.
        kernel_size: Size of the window along each axis.
        stride: Distance from one position to the next; None for `kernel_size`.
        padding: Entries added at each end of each axis, at most half of the window.
    """

    kind: Literal["max", "avg"]
    kernel_size: PerAxis
    stride: PerAxis | None = None
    padding: PerAxis = 0


@dataclass(frozen=True)
class GlobalPool:
    """Global max or average pooling of each channel (Lin et al. 2014): sizes become 1."""

    kind: Literal["max", "avg"] = "avg"


Layer = ConvLayer | PoolLayer | GlobalPool
NAMES: dict[type[Layer], str] = {ConvLayer: "conv", PoolLayer: "pool", GlobalPool: "global_pool"}


class Block(nn.Sequential):
    """A sequence of modules that ignores the padding of sequences: (N, C, *sizes) -> (N, C', *sizes').

    With lengths, the result of a sequence does not depend on its padding: values beyond its end are replaced by the
    padding value of the first module. A sequence that is shorter than the window is padded to the size of the window.

    Args:
        parts: The modules, by name.
        window: The window of the first module.
        filler: The value that the first module reads beyond the end of a sequence.
    """

    def __init__(self, parts: OrderedDict[str, nn.Module], *, window: Window, filler: float = 0.0) -> None:
        super().__init__(parts)
        self.window = window
        self.filler = filler

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, C, *sizes), or (N, C, T) with (N,) valid steps -> (N, C', *sizes')."""
        outputs = inputs
        if lengths is not None:
            outputs, lengths = fill_padding(inputs, lengths, self.filler), self.output_lengths(lengths)
        for name, part in self.named_children():
            outputs = part(outputs) if lengths is None or name != "norm" else _normalized(part, outputs, lengths)
        return outputs

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """(N,) valid steps of the inputs -> (N,) valid steps of the outputs."""
        return self.window.positions(0, lengths).clamp(min=1)


class Conv(Block):
    """Convolution, then optional batch norm, activation and dropout: (N, C, *sizes) -> (N, C', *sizes').

    The order is that of `Dense`. The modules are named `conv`, `norm`, `activation` and `dropout`. Like most libraries,
    this computes the cross-correlation: filters are not flipped.

    Args:
        in_channels: C.
        layer: The settings of the convolution and what follows it.
        num_axes: Number of axes that the filters slide along: 1 or 2.

    Raises:
        UsageError: The settings are invalid for a convolution.
    """

    def __init__(self, in_channels: int, layer: ConvLayer, *, num_axes: int) -> None:
        window = _conv_window(in_channels, layer, num_axes)
        num_channels = layer.out_channels * (layer.activation.num_pieces if isinstance(layer.activation, Maxout) else 1)
        convolution = _CONVOLUTIONS[num_axes](
            in_channels,
            num_channels,
            window.kernel_size,
            stride=window.stride,
            padding=window.padding,
            dilation=window.dilation,
            groups=layer.groups,
            bias=layer.bias,
        )
        parts = OrderedDict(conv=convolution)
        if layer.batch_norm:
            parts["norm"] = _NORMS[num_axes](num_channels)
        if layer.activation is not None:
            parts["activation"] = layer.activation
        if layer.dropout:
            parts["dropout"] = nn.Dropout(layer.dropout)
        super().__init__(parts, window=window)


class GlobalPooling(nn.Module):
    """One value per channel: (N, C, *sizes) -> (N, C, 1) or (N, C, 1, 1).

    Values that are tied for the maximum share its gradient. PyTorch's adaptive pooling is not used because the gradient
    of its maximum is not deterministic on CUDA.

    Args:
        kind: Maximum or average.
    """

    def __init__(self, kind: Literal["max", "avg"]) -> None:
        super().__init__()
        self.kind = kind

    def extra_repr(self) -> str:
        return f"kind={self.kind}"

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, C, *sizes), or (N, C, T) with (N,) valid steps -> one value per channel."""
        axes = tuple(range(2, inputs.ndim))
        values = inputs if lengths is None else fill_padding(inputs, lengths, _FILLERS[self.kind])
        if self.kind == "max":
            return values.amax(axes, keepdim=True)
        if lengths is None:
            return values.mean(axes, keepdim=True)
        return values.sum(axes, keepdim=True) / lengths.reshape(-1, 1, 1)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """(N,) valid steps of the inputs -> (N,) ones."""
        return torch.ones_like(lengths)


def build_block(layer: Layer, shape: tuple[int, ...]) -> tuple[Block | GlobalPooling, tuple[int, ...]]:
    """Builds the module of a layer for an input of `shape`, and returns it with its output shape."""
    channels, num_axes = shape[0], len(shape) - 1
    match layer:
        case ConvLayer():
            # Checked before the weights are allocated: those of a far too large window may not fit in memory.
            outputs = _conv_window(channels, layer, num_axes).output_shape(layer.out_channels, shape)
            return Conv(channels, layer, num_axes=num_axes), outputs
        case PoolLayer():
            window = _pool_window(layer, num_axes)
            pool = _POOLS[layer.kind][num_axes](window.kernel_size, stride=window.stride, padding=window.padding)
            block = Block(OrderedDict(pool=pool), window=window, filler=_FILLERS[layer.kind])
            return block, window.output_shape(channels, shape)
        case GlobalPool():
            return GlobalPooling(layer.kind), (channels, *[1] * num_axes)


def _conv_window(in_channels: int, layer: ConvLayer, num_axes: int) -> Window:
    """Checks the settings of a convolution and returns its window."""
    stride = _per_axis("stride", layer.stride, num_axes)
    if layer.padding == "same" and max(stride) > 1:
        message = (
            f"same keeps the size, so it needs stride 1 (got stride {_shown(stride)}). Write the padding as a number."
        )
        raise UsageError(message, where="padding")
    _per_axis("out_channels", layer.out_channels, 1)
    shared = math.gcd(in_channels, layer.out_channels)
    if layer.groups < 1 or shared % layer.groups:
        allowed = ", ".join(str(groups) for groups in range(1, shared + 1) if shared % groups == 0)
        raise UsageError(
            f"must divide input and output channels (got {layer.groups} with {in_channels} input channels and "
            f"{layer.out_channels} output channels; allowed {allowed}). Change groups or out_channels.",
            where="groups",
        )
    padding = 0 if layer.padding == "valid" else layer.padding
    return Window(
        _per_axis("kernel_size", layer.kernel_size, num_axes),
        stride,
        "same" if padding == "same" else _per_axis("padding", padding, num_axes, at_least=0),
        _per_axis("dilation", layer.dilation, num_axes),
    )


def _pool_window(layer: PoolLayer, num_axes: int) -> Window:
    """Checks the settings of a pooling layer and returns its window."""
    kernel_size = _per_axis("kernel_size", layer.kernel_size, num_axes)
    padding = _per_axis("padding", layer.padding, num_axes, at_least=0)
    if any(pad > size // 2 for pad, size in zip(padding, kernel_size, strict=True)):
        raise UsageError(
            f"is more than half of the window (got {_shown(padding)} with kernel_size {_shown(kernel_size)}; allowed "
            f"up to {_shown(tuple(size // 2 for size in kernel_size))}). Use less padding.",
            where="padding",
        )
    stride = kernel_size if layer.stride is None else _per_axis("stride", layer.stride, num_axes)
    return Window(kernel_size, stride, padding, dilation=(1,) * num_axes)


def _per_axis(name: str, value: PerAxis, num_axes: int, *, at_least: int = 1) -> tuple[int, ...]:
    sizes = (value,) * num_axes if isinstance(value, int) else tuple(value)
    if len(sizes) != num_axes or min(sizes) < at_least:
        or_several = f", or {num_axes} of them" if num_axes > 1 else ""
        raise UsageError(f"is invalid (got {value}; allowed an integer >= {at_least}{or_several}).", where=name)
    return sizes


def _shown(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else str(sizes)


def padding_mask(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Returns an (N, T) mask of the steps of (N, T) or (N, C, T) that lie beyond the end of their sequence."""
    return torch.arange(inputs.shape[-1], device=inputs.device) >= lengths.unsqueeze(1)


def fill_padding(inputs: Tensor, lengths: Tensor, filler: float = 0.0) -> Tensor:
    """Replaces the values of (N, C, T) beyond the end of each sequence by `filler`."""
    return inputs.masked_fill(padding_mask(inputs, lengths).unsqueeze(1), filler)


def _normalized(norm: nn.Module, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Applies batch norm to the valid steps of (N, C, T). In training, counting them synchronises with the device."""
    if not norm.training:
        return cast("Tensor", norm(inputs))
    steps = inputs.transpose(1, 2)  # (N, T, C)
    valid = ~padding_mask(inputs, lengths)  # (N, T)
    outputs = torch.zeros_like(steps)
    outputs[valid] = norm(steps[valid])
    return outputs.transpose(1, 2)
