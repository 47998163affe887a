"""Colour operations of torchvision for a batch of images (N, 1 or 3, H, W) in [0, 1], with one factor per image."""

from __future__ import annotations

import torch
from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)
"""ITU-R BT.601, with the digits that torchvision uses."""


def jitter(images: Tensor, kind: int, factor: Tensor) -> Tensor:
    """Applies one of the four changes, with the numbering of torchvision's ColorJitter.

    Args:
        images: (N, 1 or 3, H, W).
        kind: 0 for brightness, 1 for contrast, 2 for saturation, 3 for hue. The last two do not change grey images.
        factor: (N, 1, 1, 1) the factor; for hue, the shift as a fraction of the colour wheel.
    """
    if kind == 0:
        return (images * factor).clamp(0, 1)
    if kind == 1:
        return _blend(images, grey(images).mean(dim=(2, 3), keepdim=True), factor)
    if images.shape[1] == 1:
        return images
    return _blend(images, grey(images), factor) if kind == 2 else shift_hue(images, factor)


def _blend(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * others).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """Returns the luma, (N, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    return sum(weight * images[:, index : index + 1] for index, weight in enumerate(_LUMA))  # type: ignore[return-value]


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotates the hue in the HSV cylinder, without changing value and saturation.

    A channel is v - (v - low) * max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6 with n = 5, 3, 1 for red, green, blue
    (Smith 1978).

    Args:
        images: (N, 3, H, W).
        turns: (N, 1, 1, 1) the rotation, as a fraction of a full turn.
    """
    red, green, blue = images.unbind(1)
    value, low = images.amax(1), images.amin(1)
    spread = value - low
    divisor = torch.where(spread > 0, spread, 1.0)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    turned = sixths + 6 * turns[:, 0]
    channels = []
    for n in (5, 3, 1):
        k = (n + turned) % 6
        channels.append(value - spread * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=1)
