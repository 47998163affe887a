"""The VGG networks from torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from nnzoo.models.alexnet import AveragedTo
from nnzoo.models.cnn import image_shape

_SMALLEST = 32
"""Minimum height and width: one position is left after five poolings."""


def vgg(
    *,
    depth: int,
    input_shape: Sequence[int],
    out_features: int,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> nn.Module:
    """VGG (Simonyan & Zisserman 2015, nets A, B, D and E), as in torchvision: (N, C, H, W) -> (N, out_features).

    138,357,544 parameters at depth 16 for 3 channels and 1000 classes, for images of any size: the last 512 maps are
    average-pooled to 7 x 7. At 224 x 224 this changes nothing; smaller maps are enlarged by repeating their values: at
    32 x 32 the single value is repeated 49 times.

    Deviations: batch norm, invented after the paper, is optional. Parameters have PyTorch's default initialisation.

    Args:
        depth: Number of layers with weights: 11, 13, 16 or 19.
        input_shape: (C, H, W), at least 32 x 32.
        out_features: Output units.
        batch_norm: Whether to normalise after each convolution, before the activation.
        dropout: Probability, in training, that an output of the first two fully connected layers is zeroed.

    Raises:
        UsageError: The input is not an image, or is too small.
    """
    from torchvision import models

    name = f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"
    channels, _, _ = image_shape(input_shape, model=name, smallest=_SMALLEST)
    net: Any = models.get_model(name, num_classes=out_features, dropout=dropout, init_weights=False)
    if channels != 3:
        net.features[0] = nn.Conv2d(channels, 64, kernel_size=3, padding=1)
    net.avgpool = AveragedTo(7)
    net.head = "classifier.6"
    return cast("nn.Module", net)
