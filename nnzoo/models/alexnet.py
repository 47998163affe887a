"""AlexNet, from torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from nnzoo.models.cnn import image_shape

_SMALLEST = 63
"""Height and width that leave one position after the last pooling."""


def alexnet(*, input_shape: Sequence[int], out_features: int, dropout: float = 0.5) -> nn.Module:
    """AlexNet on one tower (Krizhevsky 2014), as in torchvision: (N, C, H, W) -> (N, out_features).

    61,100,840 parameters for 3 channels and 1000 classes, whatever the size of the images: the 256 last maps are
    averaged to 6 x 6, which changes nothing at 224 x 224 and repeats the values of smaller maps.

    Deviations from the network of two towers (Krizhevsky et al. 2012): one tower with 64-192-384-256-256 filters, no
    local response normalisation.

    Args:
        input_shape: (C, H, W), at least 63 x 63.
        out_features: Output units.
        dropout: Share of the inputs of the first two fully connected layers silenced in training.

    Raises:
        UsageError: The input is no image, or too small.
    """
    from torchvision.models import AlexNet

    channels, _, _ = image_shape(input_shape, model="alexnet", smallest=_SMALLEST)
    net: Any = AlexNet(num_classes=out_features, dropout=dropout)
    if channels != 3:
        net.features[0] = nn.Conv2d(channels, 64, kernel_size=11, stride=4, padding=2)
    net.head = "classifier.6"
    return cast("nn.Module", net)
