"""AlexNet from torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nnzoo.models.cnn import image_shape

_SMALLEST = 63
"""Minimum height and width: one position is left after the last pooling."""


class AveragedTo(nn.Module):
    """`nn.AdaptiveAvgPool2d` with a gradient that is also deterministic on CUDA: (N, C, H, W) -> (N, C, size, size).

    Output i is the mean of the entries from floor(i H / size) to ceil((i + 1) H / size), along both axes.

    Args:
        size: Height and width of the outputs.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def extra_repr(self) -> str:
        return f"size={self.size}"

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, size, size)."""
        outputs = inputs
        for axis in (2, 3):
            length = inputs.shape[axis]
            if length != self.size:
                bounds = [(i * length // self.size, -(-(i + 1) * length // self.size)) for i in range(self.size)]
                outputs = torch.stack([outputs.narrow(axis, a, b - a).mean(axis) for a, b in bounds], axis)
        return outputs


def alexnet(*, input_shape: Sequence[int], out_features: int, dropout: float = 0.5) -> nn.Module:
    """AlexNet with a single tower (Krizhevsky 2014), as in torchvision: (N, C, H, W) -> (N, out_features).

    61,100,840 parameters for 3 channels and 1000 classes, for images of any size: the last 256 maps are average-pooled
    to 6 x 6. At 224 x 224 this changes nothing; smaller maps are enlarged by repeating their values.

    Deviations from the network with two towers (Krizhevsky et al. 2012): one tower with 64-192-384-256-256 filters, no
    local response normalisation.

    Args:
        input_shape: (C, H, W), at least 63 x 63.
        out_features: Output units.
        dropout: Probability, in training, that an input of the first two fully connected layers is zeroed.

    Raises:
        UsageError: The input is not an image, or is too small.
    """
    from torchvision.models import AlexNet

    channels, _, _ = image_shape(input_shape, model="alexnet", smallest=_SMALLEST)
    net: Any = AlexNet(num_classes=out_features, dropout=dropout)
    if channels != 3:
        net.features[0] = nn.Conv2d(channels, 64, kernel_size=11, stride=4, padding=2)
    net.avgpool = AveragedTo(6)
    net.head = "classifier.6"
    return cast("nn.Module", net)
