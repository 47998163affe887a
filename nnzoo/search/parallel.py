"""Parallel coordinates: one axis per searched key and one for the result, one line per trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnzoo.config.yaml_writer import flow
from nnzoo.report.charts import Drawing
from nnzoo.report.escape import escape
from nnzoo.report.svg import PLOT, Axis
from nnzoo.search.records import Record
from nnzoo.search.space import Dimension, Values, text_of

SPACING, HEIGHT, TOP, SIDE = 170, 250, 34, 84
SHARE = 5
"""One trial in this many is among the best, which are drawn in color."""
STYLE = (
    "<style>.sweep .axis{stroke-width:1.2}.sweep .line{stroke-width:1.6}.sweep .rest{stroke:var(--soft);"
    "stroke-opacity:.4}.sweep text{paint-order:stroke;stroke:var(--page);stroke-width:4px}"
    ".sweep .first{stroke-width:3}.sweep .line:hover{stroke-width:4;stroke-opacity:1}</style>"
)


def parallel_coordinates(
    space: Mapping[str, Dimension], records: Sequence[Record], metric: str, mode: str, *, log_value: bool
) -> Drawing:
    """Returns the chart.

    Args:
        space: The searched keys.
        records: The trials with a finite result.
        metric: The name of the result.
        mode: Whether a lower or a higher result is better.
        log_value: Whether the axis of the result is logarithmic.
    """
    sign = 1 if mode == "min" else -1
    ranked = sorted(records, key=lambda each: (each.state != "completed", sign * (each.value or 0.0)))
    num_best = max(1, math.ceil(len(ranked) / SHARE))
    values = Axis([each.value or 0.0 for each in records], log=log_value)
    axes = [_axis(key, dimension, SIDE + i * SPACING) for i, (key, dimension) in enumerate(space.items())]
    end = SIDE + len(space) * SPACING
    axes.append(_frame(end, metric, values.ticks(5)))
    lines = []
    for rank in reversed(range(len(ranked))):
        each = ranked[rank]
        heights = [_height(dimension, each.values[key]) for key, dimension in space.items()]
        heights.append(values.at(each.value or 0.0))
        points = [f"{SIDE + i * SPACING} {_y(height):.1f}" for i, height in enumerate(heights)]
        style = "s1 first" if rank == 0 else "s0" if rank < num_best else "rest"
        dash = " dashed" if each.state == "pruned" else ""
        title = f"trial {each.number}: {metric} {each.value:.4g}; " + ", ".join(
            f"{key} {_short(value)}" for key, value in each.values.items()
        )
        path = f'd="M{"L".join(points)}"'
        lines.append(f'<path class="line {style}{dash}" {path}><title>{escape(title, 300)}</title></path>')
    width, height = end + SIDE, TOP + HEIGHT + 16
    drawn = (
        f'{STYLE}<svg class="sweep" viewBox="0 0 {width} {height}" style="min-width:{width * 0.8:.0f}px;max-width:'
        f'{width * 1.25:.0f}px">{"".join(lines)}{"".join(axes)}</svg>'
    )
    best = "the best trial" if num_best == 1 else f"the best trial; blue: the {num_best} best"
    caption = f"One line per trial with a result. Orange: {best}; grey: the others; dashed: pruned."
    return Drawing("Parallel coordinates", caption, drawn, f"{len(ranked)} trials over {', '.join(space)} and {metric}")


def _y(height: float) -> float:
    """Returns the position of a height from 0 to 1000."""
    return TOP + HEIGHT * (1 - height / PLOT)


def _height(dimension: Dimension, value: Any) -> float:
    if isinstance(dimension, Values):
        count = len(dimension.values)
        place = list(dimension.texts()).index(text_of(value))
        return PLOT * (place + 0.5) / count
    return _scale(dimension).at(value)


def _scale(dimension: Dimension) -> Axis:
    assert not isinstance(dimension, Values)
    return Axis(
        (dimension.low, dimension.high),
        log=dimension.kind in ("log", "logint"),
        whole=dimension.kind in ("int", "logint"),
    )


def _axis(key: str, dimension: Dimension, x: int) -> str:
    if isinstance(dimension, Values):
        texts = list(dimension.texts())
        return _frame(x, key, [(PLOT * (i + 0.5) / len(texts), text) for i, text in enumerate(texts)])
    return _frame(x, key, _scale(dimension).ticks(5))


def _frame(x: int, name: str, ticks: Sequence[tuple[float, str]]) -> str:
    """Returns an axis with its name and ticks."""
    parts = [
        f'<path class="axis" d="M{x} {TOP}V{TOP + HEIGHT}"/>',
        f'<text class="middle label" x="{x}" y="16">{escape(_end_of(name), 24)}</text>',
    ]
    for height, label in ticks:
        if -1 <= height <= PLOT + 1:
            y = _y(height)
            parts.append(f'<path class="axis" d="M{x - 4} {y:.1f}h4"/>')
            parts.append(f'<text class="end" x="{x - 7}" y="{y + 4:.1f}">{escape(label, 11)}</text>')
    return "".join(parts)


def _end_of(name: str) -> str:
    """Returns a key, without its first parts if it is long."""
    while len(name) > 24 and "." in name:
        name = name.partition(".")[2]
    return name


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else flow(value)
