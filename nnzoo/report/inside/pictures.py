"""Images of numbers: weights, activations and samples as PNG files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.report.charts import png_of

NEGATIVE, ZERO, POSITIVE = (194, 80, 10), (247, 247, 247), (33, 102, 172)
CLASSES = ((37, 99, 235), (217, 119, 6), (5, 150, 105), (147, 51, 234), (220, 38, 38), (8, 145, 178), (190, 24, 93))
"""The colors of classes in a decision map; further classes repeat them."""

Pixels = NDArray[np.uint8]


def diverging(values: Tensor, largest: float | None = None) -> bytes:
    """Returns numbers (H, W) as an image: 0 is white, positive is blue, negative is orange.

    Args:
        values: The numbers. NaN is white.
        largest: The absolute value of the full colors; by default, that of the largest number.
    """
    numbers = np.nan_to_num(values.detach().cpu().double().numpy(), posinf=0.0, neginf=0.0)
    scale = float(np.abs(numbers).max()) if largest is None else largest
    share = np.clip(numbers / scale if scale else numbers, -1, 1)[..., None]
    zero = np.array(ZERO, float)
    toward = np.where(share < 0, np.array(NEGATIVE, float), np.array(POSITIVE, float))
    return png_of(np.round(zero + np.abs(share) * (toward - zero)).astype(np.uint8))


def gray(values: Tensor) -> bytes:
    """Returns numbers (H, W) as an image: the smallest is black, the largest is white."""
    return png_of(_stretched(values.detach().cpu().double().numpy()))


def sample_image(values: Tensor) -> bytes:
    """Returns a sample (C, H, W) as an image: in color if it has three channels, else the mean of the channels."""
    numbers = values.detach().cpu().double().numpy()
    if len(numbers) == 3:
        return png_of(_stretched(numbers.transpose(1, 2, 0)))
    return png_of(_stretched(numbers.mean(0)))


def grid_of(values: Tensor) -> Tensor:
    """Returns a vector (F,) as a grid of about equal sides; the last places are NaN."""
    width = math.ceil(math.sqrt(len(values)))
    height = math.ceil(len(values) / width)
    padded = values.new_full((height * width,), math.nan)
    padded[: len(values)] = values
    return padded.reshape(height, width)


def class_map(probabilities: NDArray[Any]) -> bytes:
    """Returns the classes of a grid as an image: the color of the likeliest class, paler if it is less likely.

    Args:
        probabilities: (H, W, K), rows from the top.
    """
    best = probabilities.argmax(-1)
    num_classes = probabilities.shape[-1]
    colors = np.array([CLASSES[i % len(CLASSES)] for i in range(num_classes)], float)[best]
    # From 1 / K, undecided, to 1, certain.
    sure = (probabilities.max(-1) - 1 / num_classes) / (1 - 1 / num_classes)
    share = (0.12 + 0.53 * np.clip(np.nan_to_num(sure), 0, 1))[..., None]
    return png_of(np.round(255 + share * (colors - 255)).astype(np.uint8))


def _stretched(numbers: NDArray[Any]) -> Pixels:
    numbers = np.nan_to_num(numbers, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    scaled: Pixels = np.round((numbers - low) / (high - low or 1.0) * 255).astype(np.uint8)
    return scaled
