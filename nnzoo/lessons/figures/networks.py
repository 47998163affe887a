"""Figures of the network itself, with its weights."""

from __future__ import annotations

from collections.abc import Sequence

from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Drawing, Part
from nnzoo.report.drawing import draw_network


def network(result: LessonResult, title: str, *, of: str | Sequence[str]) -> list[Part]:
    """Draws variants: unit by unit with the weights on the edges if they are small, else block by block."""
    parts: list[Part] = []
    for name in [of] if isinstance(of, str) else of:
        found = result.variants[name].network
        outputs = found.dataset.classes or found.dataset.target_names
        head_size = found.experiment.num_outputs
        drawn = draw_network(
            found.module,
            found.input_shape,
            name=name if name in result.lesson.vary else result.lesson.name,
            dtype=found.dtype,
            inputs=found.input_names,
            outputs=outputs if len(outputs) == head_size else (),
        )
        parts.append(Drawing(title if not parts else "", "", drawn.svg, drawn.description))
    return parts
