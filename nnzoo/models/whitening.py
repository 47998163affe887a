"""Whitening filters for the first convolution of a network for images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

MAX_IMAGES = 1000
MAX_PATCHES = 1_000_000
_CHUNK = 100
"""Number of images whose patches are in memory at the same time."""


@torch.no_grad()
def whitening_filters(
    images: Tensor, num_filters: int, kernel_size: Sequence[int], *, dilation: Sequence[int] = (1, 1), eps: float
) -> Tensor:
    """Returns filters whose outputs are uncorrelated on the patches of these images, and have the variance 1.

    The filters are v / sqrt(variance + eps) and its negative, for the principal components v of the patches in order of
    their variance (Page 2019; Jordan 2024b). The first of the two is the one whose product with 1, 1/2, 1/3, ... is
    positive, which also defines the sign of components that are symmetric. Of large images, only some of the patches
    are used.

    Args:
        images: (N, C, H, W), at least as large as a patch.
        num_filters: The number of filters, at most twice the number of values in a patch.
        kernel_size: The height and width of the kernel.
        dilation: The spacing of its elements along both axes.
        eps: Added to each variance, so that directions without variance are not amplified.

    Returns:
        (num_filters, C, *kernel_size) float32 on the CPU.
    """
    size, spacing = tuple(kernel_size), tuple(dilation)
    positions = math.prod(
        side - step * (length - 1) for side, length, step in zip(images.shape[2:], size, spacing, strict=True)
    )
    stride = max(1, math.ceil(math.sqrt(len(images) * positions / MAX_PATCHES)))
    num_values = images.shape[1] * math.prod(size)
    count, total = 0, torch.zeros(num_values, dtype=torch.float64)
    products = torch.zeros(num_values, num_values, dtype=torch.float64)
    for chunk in torch.split(images, _CHUNK):
        patches = functional.unfold(chunk.cpu().double(), size, dilation=spacing, stride=stride)  # (N, values, patches)
        rows = patches.transpose(1, 2).reshape(-1, num_values)
        count, total, products = count + len(rows), total + rows.sum(0), products + rows.T @ rows
    mean = total / count
    variances, components = torch.linalg.eigh(products / count - mean.outer(mean))
    components = components.T.flip(0)  # one row per component, the largest variance first
    signs = (components @ (1 / torch.arange(1, num_values + 1, dtype=torch.float64)) >= 0) * 2.0 - 1
    scaled = components * (signs / (variances.flip(0).clamp_min(0) + eps).sqrt()).unsqueeze(1)
    pairs = torch.stack([scaled, -scaled], dim=1).flatten(0, 1)  # (2 values, values)
    return pairs[:num_filters].reshape(num_filters, images.shape[1], *size).float()
