"""Maps of a loss over two weights: levels as colors, and the paths of trainings on them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.report.charts import png_of
from nnzoo.report.panels import at

NUM_LEVELS = 14
MAX_DOTS = 120


def level_image(values: NDArray[Any]) -> str:
    """Returns the levels of a surface as the address of an image; darker is lower.

    The levels are those of the logarithm of the height above the lowest value, so that flat valleys have some, too.

    Args:
        values: (rows from the bottom, columns) the values.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    smallest = float(np.nanmin(finite))
    scaled = np.log(finite - smallest + 1e-3 * max(float(np.nanmax(finite)) - smallest, 1e-12))
    span = float(np.nanmax(scaled) - np.nanmin(scaled)) or 1.0
    share = np.floor((scaled - np.nanmin(scaled)) / span * NUM_LEVELS) / NUM_LEVELS
    share = np.nan_to_num(share, nan=1.0)[::-1, :, None]
    dark, light = np.array([33, 102, 172], float), np.array([247, 250, 253], float)
    png = png_of(np.round(dark + share * (light - dark)).astype(np.uint8))
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def path_on(points: NDArray[Any], low: Sequence[float], high: Sequence[float], color: str) -> str:
    """Returns a path over a map as SVG, with a ring at its start and a dot after each of the first steps.

    Args:
        points: (steps, 2) the two weights.
        low: The smallest value of both axes.
        high: The largest value of both axes.
        color: The color of the path.
    """
    span = np.asarray(high, float) - np.asarray(low, float)
    places = (points - np.asarray(low, float)) / span
    # The map clips the path at its edge. Points far outside of it only have to be numbers of a usual size.
    places = np.clip(np.nan_to_num(places, nan=9.0, posinf=9.0, neginf=-9.0), -9, 9)
    spots = [at(float(x), float(y)) for x, y in places]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{color}"/>' for x, y in spots[:MAX_DOTS])
    first = spots[0]
    return (
        f'<path d="M{line}" fill="none" stroke="{color}" stroke-width="1.6"/>{dots}'
        f'<circle cx="{first[0]:.1f}" cy="{first[1]:.1f}" r="5" fill="none" stroke="#000" stroke-width="1.6"/>'
    )
