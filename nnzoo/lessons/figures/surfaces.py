"""Figures of a loss over two weights, with the paths of trainings on it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.errors import UsageError
from nnzoo.lessons.figures.panels import at, panel, panels
from nnzoo.lessons.functions.trained import Trained
from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Part, png_of

POINTS = 70
NUM_LEVELS = 14
PATH_COLORS = ("#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#be185d")


def contour(
    result: LessonResult,
    title: str,
    *,
    of: Sequence[str] | None = None,
    weight: str,
    low: Sequence[float],
    high: Sequence[float],
    together: bool = False,
) -> list[Part]:
    """Draws the train loss over the two values of a parameter, and the path of each variant.

    The other parameters have their trained values. The colors are levels of the logarithm of the loss.

    Args:
        result: The result of the lesson.
        title: The title.
        of: The variants; by default, all.
        weight: The name of a parameter with two values.
        low: The smallest value of both axes.
        high: The largest value of both axes.
        together: Whether all paths are in one map, that of the first variant.
    """
    names = list(result.variants if of is None else of)
    trained = Trained(result.variants)
    axes = [np.linspace(low[axis], high[axis], POINTS) for axis in (0, 1)]
    drawn = []
    for name in names[:1] if together else names:
        image = _image(trained.loss_over(name, weight, axes[0], axes[1]))
        shown = names if together else [name]
        paths = [
            _path(trained.path(each, weight), low, high, PATH_COLORS[i % len(PATH_COLORS)])
            for i, each in enumerate(shown)
        ]
        drawn.append(panel("" if together else name, image, (low, high), (), paths))
    parts: list[Part] = [panels(title, drawn)]
    return parts


def _image(values: NDArray[Any]) -> str:
    """Returns the levels of a surface as the address of an image, rows from the top; darker is lower."""
    finite = np.where(np.isfinite(values), values, np.nan)
    smallest = float(np.nanmin(finite))
    scaled = np.log(finite - smallest + 1e-3 * max(float(np.nanmax(finite)) - smallest, 1e-12))
    span = float(np.nanmax(scaled) - np.nanmin(scaled)) or 1.0
    share = np.floor((scaled - np.nanmin(scaled)) / span * NUM_LEVELS) / NUM_LEVELS
    share = np.nan_to_num(share, nan=1.0)[::-1, :, None]
    dark, light = np.array([33, 102, 172], float), np.array([247, 250, 253], float)
    png = png_of(np.round(dark + share * (light - dark)).astype(np.uint8))
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _path(points: NDArray[Any], low: Sequence[float], high: Sequence[float], color: str) -> str:
    if points.shape[1] != 2:
        raise UsageError(f"contour needs a parameter with two values (got {points.shape[1]}).", where="lesson: figures")
    span = np.asarray(high, float) - np.asarray(low, float)
    places = (points - np.asarray(low, float)) / span
    # Points outside of the map are clipped near its edge, where the path leaves the map.
    places = np.clip(np.nan_to_num(places, nan=2.0, posinf=2.0, neginf=-1.0), -0.04, 1.04)
    spots = [at(float(x), float(y)) for x, y in places]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{color}"/>' for x, y in spots[:120])
    first = spots[0]
    return (
        f'<path d="M{line}" fill="none" stroke="{color}" stroke-width="1.6"/>{dots}'
        f'<circle cx="{first[0]:.1f}" cy="{first[1]:.1f}" r="5" fill="none" stroke="#000" stroke-width="1.6"/>'
    )
