"""Measures how training images are drawn, so that a drawing on the page resembles them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_INK = 0.25
"""The share of the contrast from which a pixel counts as drawn."""
_PLAIN_BORDER = 0.75
"""Images are drawings if at least this share of their border has the color of the background."""


def ink_of(images: NDArray[np.float64]) -> dict[str, Any] | None:
    """Returns the colors, the size, the place and the thickness of the strokes of images.

    Args:
        images: (N, C, H, W).

    Returns:
        None if the images have no plain background, as photos.
    """
    gray = images.mean(1)
    border = np.concatenate([gray[:, 0], gray[:, -1], gray[:, :, 0], gray[:, :, -1]], axis=1)
    background = float(np.median(border))
    low, high = float(gray.min()), float(gray.max())
    contrast = max(high - background, background - low)
    if not contrast or np.mean(np.abs(border - background) < _INK * contrast) < _PLAIN_BORDER:
        return None
    sign = 1.0 if high - background >= background - low else -1.0
    share = (sign * (gray - background) / contrast).clip(0, 1)
    share = share[(share > _INK).any(axis=(1, 2))]
    peak = float(np.median(share.max(axis=(1, 2))))
    drawn = share > _INK * peak
    boxes = np.array([_box(each) for each in drawn])  # (N, 4): top, bottom, left, right
    middles = np.stack([boxes[:, 2:].mean(1), boxes[:, :2].mean(1)], axis=1)
    masses = np.stack([_center(share, axis=2), _center(share, axis=1)], axis=1)
    by_mass = bool(masses.std(0).sum() < middles.std(0).sum())
    x, y = (masses if by_mass else middles).mean(0).tolist()
    down, right = np.gradient(share, axis=(1, 2))
    edges = np.hypot(down, right).sum(axis=(1, 2))
    # A stroke of length L and width w covers w L, and its two edges have a total variation of 2 L.
    thickness = 2 * np.median(share.sum(axis=(1, 2)) / peak / (edges / peak).clip(1e-9))
    return {
        "background": background,
        "ink": background + sign * contrast * peak,
        "height": float(np.quantile(boxes[:, 1] - boxes[:, 0], 0.75)),
        "width": float(np.quantile(boxes[:, 3] - boxes[:, 2], 0.9)),
        "x": x,
        "y": y,
        "byMass": by_mass,
        "thickness": float(np.clip(thickness, 1.0, max(1.0, gray.shape[1] / 4))),
    }


def _box(drawn: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        return 0, drawn.shape[0], 0, drawn.shape[1]
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def _center(share: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Returns the center of mass of each image along an axis, (N,), in pixels from the edge."""
    along = share.sum(axis=3 - axis)
    places = np.arange(along.shape[1]) + 0.5
    center: NDArray[np.float64] = (along * places).sum(1) / along.sum(1).clip(1e-9)
    return center
