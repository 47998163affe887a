"""Figures of circuits: nodes with a value, connected by lines, once per row of a truth table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnzoo.errors import UsageError
from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Part
from nnzoo.report.escape import escape
from nnzoo.report.panels import WIDTH, panels

RADIUS, TOP, ROW, SIDE, BEND = 14, 44, 62, 34, 9
ON, OFF = "#2f6fc4", "#8b949e"
"""The colors of values above 0 and of other values."""

Place = tuple[float, float]


def circuit(
    result: LessonResult, title: str, *, nodes: Mapping[str, str], wires: Mapping[str, Sequence[str]]
) -> list[Part]:
    """Draws a circuit once per row of its truth table. Nodes and lines with a value above 0 are blue.

    Args:
        result: The result of the lesson.
        title: The title.
        nodes: The values of each node, one per row, as an expression by the name of the node.
        wires: The nodes that each gate reads, by its name; nodes that are not in it are inputs. A node that is read
            twice has two lines.
    """
    values = {name: np.asarray(result.evaluate(text), float).ravel() for name, text in nodes.items()}
    places = _places(values, wires)
    inputs = [name for name in values if name not in wires]
    drawn = []
    for row in range(min(len(each) for each in values.values())):
        now = {name: float(each[row]) for name, each in values.items()}
        heading = ", ".join(f"{name} = {now[name]:g}" for name in inputs)
        drawn.append(_circuit(heading, now, places, wires))
    parts: list[Part] = [panels(title, drawn)]
    return parts


def _places(nodes: Mapping[str, Any], wires: Mapping[str, Sequence[str]]) -> dict[str, Place]:
    """Returns the position of each node: each gate is in the column behind the last node that it reads."""
    column: dict[str, int] = {}
    for name in nodes:
        for source in wires.get(name, ()):
            if source not in column:
                raise UsageError(f"{name} reads '{source}', which is not a node before it.", where="lesson: figures")
        column[name] = max((column[source] + 1 for source in wires.get(name, ())), default=0)
    columns = [[name for name in nodes if column[name] == index] for index in range(max(column.values()) + 1)]
    middle = TOP + ROW * max(map(len, columns)) / 2
    step = (WIDTH - 2 * SIDE) / max(1, len(columns) - 1)
    return {
        name: (SIDE + index * step, middle + ROW * (row - (len(names) - 1) / 2))
        for index, names in enumerate(columns)
        for row, name in enumerate(names)
    }


def _circuit(
    heading: str, values: Mapping[str, float], places: Mapping[str, Place], wires: Mapping[str, Sequence[str]]
) -> str:
    ys = [y for _, y in places.values()]
    middle, height = (min(ys) + max(ys)) / 2, max(ys) + ROW / 2 + 6
    body = [f'<text x="6" y="17" font-weight="600">{escape(heading, 40)}</text>']
    for name, sources in wires.items():
        for index, source in enumerate(sources):
            bend = BEND * (2 * index - 1) if sources.count(source) > 1 else 0
            body.append(_wire(places[source], places[name], bend, values[source]))
    for name, (x, y) in places.items():
        is_on = values[name] > 0
        label = y + RADIUS + 16 if y > middle else y - RADIUS - 6
        body.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" fill="{ON if is_on else "#ffffff"}" '
            f'stroke="{ON if is_on else OFF}" stroke-width="1.8"/>'
            f'<text x="{x:g}" y="{y + 5:g}" text-anchor="middle" style="fill:{"#ffffff" if is_on else "#1f2328"}">'
            f"{values[name]:g}</text>"
            f'<text x="{x:g}" y="{label:g}" text-anchor="middle">{escape(name, 12)}</text>'
        )
    box = f'viewBox="0 0 {WIDTH} {height:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" class="nn-panel" {box}>{"".join(body)}</svg>'


def _wire(start: Place, end: Place, bend: float, value: float) -> str:
    (x1, y1), (x2, y2) = start, end
    color, width = (ON, 2.6) if value > 0 else (OFF, 1.2)
    curve = f"M{x1:g} {y1:g}Q{(x1 + x2) / 2 + bend:g} {(y1 + y2) / 2 - bend:g} {x2:g} {y2:g}"
    return f'<path d="{curve}" fill="none" stroke="{color}" stroke-width="{width}"/>'
