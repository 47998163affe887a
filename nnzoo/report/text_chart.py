"""Renders curves as plain text, for a terminal."""

from __future__ import annotations

import math

from nnzoo.report.charts import Lines
from nnzoo.report.svg import PLOT, Axis

WIDTH, HEIGHT = 80, 16
SIGNS = ".*o+x#"
"""The signs of the curves, in order. Later curves are drawn over earlier ones."""
MARK = ":"


def text_lines(chart: Lines, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Returns a chart of curves as text, in ASCII and without colors.

    Args:
        chart: The curves.
        width: The number of columns.
        height: The number of rows of the plot, without axis and legend.
    """
    x_axis = Axis((x for xs, _ in chart.series.values() for x in xs), log=chart.log_x)
    y_axis = Axis((y for _, ys in chart.series.values() for y in ys), log=chart.log_y)
    ticks = {_row(position, height): label for position, label in y_axis.ticks(4) if -1 <= position <= PLOT + 1}
    left = max(map(len, ticks.values()), default=0)
    columns = width - left - 2
    grid = [[" "] * columns for _ in range(height)]
    for mark in chart.marks:
        position = x_axis.at(mark.x)
        if 0 <= position <= PLOT:
            for row in grid:
                row[_column(position, columns)] = MARK
    for sign, (xs, ys) in zip(SIGNS, chart.series.values(), strict=False):
        for x, y in zip(xs, ys, strict=True):
            position, level = x_axis.at(x), y_axis.at(y)
            if math.isfinite(position) and math.isfinite(level):
                grid[_row(level, height)][_column(position, columns)] = sign
    rows = [f"{ticks.get(index, ''):>{left}} |{''.join(row).rstrip()}" for index, row in enumerate(grid)]
    signs = [f"{sign} {name}" for sign, name in zip(SIGNS, chart.series, strict=False)]
    legend = "   ".join([*signs, *(f"{MARK} {mark.label}" for mark in chart.marks)])
    axis = [f"{'':>{left}} +{'-' * columns}", f"{'':>{left}}  {_labels(x_axis, columns, chart.x_label)}"]
    return "\n".join([chart.y_label, *(row.rstrip() for row in rows), *axis, legend])


def _row(position: float, height: int) -> int:
    """Returns the row of a position from 0 to 1000, counted from the top."""
    return height - 1 - min(height - 1, max(0, round(position / PLOT * (height - 1))))


def _column(position: float, columns: int) -> int:
    return min(columns - 1, max(0, round(position / PLOT * (columns - 1))))


def _labels(axis: Axis, columns: int, name: str) -> str:
    """Returns the labels of the ticks below the x axis, each starting below its tick, and the name at the end."""
    line = [" "] * columns
    end = columns - len(name)
    line[end:] = name
    free = 0
    for position, label in axis.ticks(8):
        start = _column(position, columns)
        if free <= start and start + len(label) < end:
            line[start : start + len(label)] = label
            free = start + len(label) + 1
    return "".join(line)
