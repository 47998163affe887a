"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from nnzoo.errors import UsageError
from nnzoo.models.blocks import Conv, ConvLayer
from nnzoo.models.cnn import image_shape
from nnzoo.models.initializers import Rule
from nnzoo.models.layers import Dense

_WIDTHS = (16, 32, 64)


class PaddedShortcut(nn.Module):
    """Option A of He et al. 2016, a shortcut without parameters: (N, C, H, W) -> (N, C + K, ceil(H / S), ceil(W / S)).

    Takes every S-th row and column of the input and appends K channels of zeros.

    Args:
        stride: S.
        new_channels: K.
    """

    def __init__(self, *, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = new_channels

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + K, ceil(H / S), ceil(W / S))."""
        return F.pad(inputs[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, new_channels={self.new_channels}"


class CifarResNet(nn.Module):
    """A residual network for CIFAR (He et al. 2016, section 4.2): (N, C, H, W) -> (N, out_features).

    A 3 x 3 convolution; three stages of n blocks of two convolutions with 16, 32 and 64 filters, where the second and
    the third stage halve the size; global average pooling; a linear layer. Shortcuts have no parameters. For 3 channels
    and ten classes depth 20 has 269,722 parameters and depth 110 has 1,727,962. Images can have any size.

    Args:
        depth: Number of layers with weights, 6 n + 2: 20, 32, 44, 56 and 110 in the paper.
        input_shape: (C, H, W).
        out_features: Output units.

    Raises:
        UsageError: The input is not an image, or the depth is not 6 n + 2.
    """

    head = "output"
    convolution_rule = Rule("kaiming_normal", {"mode": "fan_out", "nonlinearity": "relu"})
    """The meaning of `auto` for its convolutions (He et al. 2015, as in the paper)."""

    def __init__(self, *, depth: int, input_shape: Sequence[int], out_features: int) -> None:
        channels, _, _ = image_shape(input_shape, model=f"resnet{depth}")
        num_blocks, rest = divmod(depth - 2, 6)
        if num_blocks < 1 or rest:
            raise UsageError(f"is not 6 n + 2 (got {depth}; allowed 8, 14, 20, 26, 32, ...).", where="model.depth")
        super().__init__()
        first, second, third = _WIDTHS
        stem = ConvLayer(first, 3, padding=1, bias=False, batch_norm=True)
        self.stem = Conv(channels, stem, num_axes=2)
        self.stages = nn.Sequential(
            _stage(first, first, num_blocks), _stage(first, second, num_blocks), _stage(second, third, num_blocks)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.output = Dense(third, out_features)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_features)."""
        maps = self.stages(self.stem(inputs))  # (N, 64, ceil(H / 4), ceil(W / 4))
        outputs: Tensor = self.output(self.flatten(self.pool(maps)))
        return outputs


def _stage(in_channels: int, width: int, num_blocks: int) -> nn.Sequential:
    """Builds residual blocks; the first one changes the size if it changes the channels."""
    from torchvision.models.resnet import BasicBlock

    blocks = nn.Sequential(*(BasicBlock(width, width) for _ in range(num_blocks)))
    if in_channels != width:
        shortcut = PaddedShortcut(stride=2, new_channels=width - in_channels)
        blocks[0] = BasicBlock(in_channels, width, stride=2, downsample=shortcut)
    return blocks
