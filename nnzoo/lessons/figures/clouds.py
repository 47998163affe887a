"""Points in square maps side by side, all with the same scale on both axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Part
from nnzoo.report.panels import panel, panels

MAX_POINTS = 300
COLOR = "#2166ac"


def clouds(result: LessonResult, title: str, *, values: Mapping[str, str]) -> list[Part]:
    """Draws rows (x, y) as points, one map per name. All maps have the same scale, so that spreads can be compared.

    Args:
        result: The result of the lesson.
        title: The title.
        values: Expressions of rows by the titles of the maps.
    """
    found = {
        name: np.asarray(result.evaluate(text), float).reshape(-1, 2)[:MAX_POINTS] for name, text in values.items()
    }
    everything = np.concatenate(list(found.values()))
    low, high = float(everything.min()), float(everything.max())
    span = max(high - low, 1e-9)
    low, high = low - 0.05 * span, high + 0.05 * span
    drawn = [
        panel(
            name,
            "",
            ((low, low), (high, high)),
            [(float(x), float(y), COLOR, False) for x, y in (rows - low) / (high - low)],
        )
        for name, rows in found.items()
    ]
    return [panels(title, drawn)]
