"""Figures of a loss over two weights, with the paths of trainings on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.errors import UsageError
from nnzoo.lessons.functions.trained import Trained
from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Part
from nnzoo.report.panels import panel, panels
from nnzoo.report.surfaces import level_image, path_on

POINTS = 70
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
    restarts: bool = False,
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
        restarts: Whether each restart has a path, instead of the best one only.
    """
    names = list(result.variants if of is None else of)
    trained = Trained(result.variants)
    axes = [np.linspace(low[axis], high[axis], POINTS) for axis in (0, 1)]
    drawn = []
    for name in names[:1] if together else names:
        image = level_image(trained.loss_over(name, weight, axes[0], axes[1]))
        shown = names if together else [name]
        points = [each for one in shown for each in _points(trained, one, weight, restarts=restarts)]
        paths = [path_on(each, low, high, PATH_COLORS[i % len(PATH_COLORS)]) for i, each in enumerate(points)]
        drawn.append(panel("" if together else name, image, (low, high), (), paths, ("w1", "w2")))
    parts: list[Part] = [panels(title, drawn)]
    return parts


def _points(trained: Trained, variant: str, weight: str, *, restarts: bool) -> list[NDArray[Any]]:
    """Returns the path of the best restart, or those of all."""
    chosen = range(len(trained.variant(variant).replicas)) if restarts else [None]
    paths = [trained.path(variant, weight, each) for each in chosen]
    if paths[0].shape[1] != 2:
        size = paths[0].shape[1]
        raise UsageError(f"contour needs a parameter with two values (got {size}).", where="lesson: figures")
    return paths
