"""Renders charts as static SVG, which work without JavaScript, in print, and in light and dark mode."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnzoo.report.charts import Bars, Curve, Heatmap, Lines, Scatter, png_of
from nnzoo.report.escape import escape

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 22, 44
PLOT = 1000
"""The inner coordinates of a plot run from 0 to 1000 on both axes, so that the script zooms by changing its viewBox."""
MAX_POINTS = 2000
MAX_CELLS = 40
"""A matrix with more rows or columns is drawn as one image."""
NUM_COLORS = 8


class Axis:
    """Maps values to the inner coordinates of a plot.

    Args:
        values: The values that must be visible; values that are not finite are ignored.
        log: Whether the axis is logarithmic.
        whole: Whether ticks are only at integers.
    """

    def __init__(self, values: Iterable[float], *, log: bool = False, whole: bool = False) -> None:
        finite = [v for v in map(float, values) if math.isfinite(v) and (v > 0 or not log)]
        low, high = (min(finite), max(finite)) if finite else (1.0, 10.0) if log else (0.0, 1.0)
        if log:
            low, high = math.log10(low), math.log10(high)
        if high - low <= 1e-12 * max(abs(low), abs(high)) or high == low:
            margin = 0.5 if log or whole else abs(low) * 0.1
            low, high = (low - margin, high + margin) if margin else (0.0, 1.0)
        self.low, self.high, self.log, self.whole = low, high, log, whole

    def padded(self) -> Axis:
        """Returns the axis with a margin of 4 % on both sides."""
        margin = (self.high - self.low) * 0.04
        self.low, self.high = self.low - margin, self.high + margin
        return self

    def at(self, value: float) -> float:
        """Returns the position of a value from 0 to 1000; NaN if it can't be drawn."""
        if not math.isfinite(value) or (self.log and value <= 0):
            return math.nan
        scaled = math.log10(value) if self.log else value
        return (scaled - self.low) / (self.high - self.low) * PLOT

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Returns about `count` positions from 0 to 1000 and their labels."""
        if self.log and self.high - self.low < 1.2:
            low, high = 10**self.low, 10**self.high
            step = nice_step((high - low) / count)
            values = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1) if i]
            return [(self.at(value), _tick(value)) for value in values]
        if self.log and self.high - self.low < 2.2:
            powers = range(math.floor(self.low), math.ceil(self.high) + 1)
            values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            inside = [value for value in values if -1e-9 <= self.at(value) <= PLOT + 1e-9]
            return [(self.at(value), _tick(value)) for value in inside]
        step = nice_step((self.high - self.low) / count)
        step = max(step, 1.0) if self.whole or (self.log and step > 0.4) else step
        numbers = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        scaled = [number * step for number in numbers]
        return [((v - self.low) / (self.high - self.low) * PLOT, _tick(10**v if self.log else v)) for v in scaled]


def nice_step(rough: float) -> float:
    """Returns 1, 2 or 5 times a power of ten, the smallest that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)


def lines(chart: Lines) -> str:
    """Renders curves."""
    all_curves = [*chart.series.values(), *chart.behind]
    all_x = [x for xs, _ in all_curves for x in xs] + [mark.x for mark in chart.marks]
    whole = all(float(x).is_integer() for x in all_x) and not chart.log_x
    x_axis = Axis(all_x, log=chart.log_x, whole=whole)
    y_axis = Axis((y for _, ys in all_curves for y in ys), log=chart.log_y).padded()
    grey = [f'<path class="line behind" d="{_path(curve, x_axis, y_axis)}"/>' for curve in chart.behind]
    marks = [
        f'<path class="mark m{i % 3}" d="M{x_axis.at(mark.x):.1f} 0V{PLOT}"/>' for i, mark in enumerate(chart.marks)
    ]
    curves = [
        f'<path class="line s{i % NUM_COLORS}{_dash(name)}{_lone(curve)}" d="{_path(curve, x_axis, y_axis)}"/>'
        for i, (name, curve) in enumerate(chart.series.items())
    ]
    return _frame(chart.title, chart.caption, chart.x_label, chart.y_label, x_axis, y_axis, [*grey, *marks, *curves])


def dot_style(group: int) -> str:
    """Returns the classes of a group's points. After `NUM_COLORS` groups, points are squares in the same colors."""
    return f"dots s{group % NUM_COLORS}{' square' if group // NUM_COLORS % 2 else ''}"


def scatter(chart: Scatter) -> str:
    """Renders points."""
    xs = [x for group, _ in chart.groups.values() for x in group]
    ys = [y for _, group in chart.groups.values() for y in group] + ([] if chart.level is None else [chart.level])
    both = [*xs, *ys]
    x_axis = Axis(both if chart.diagonal else xs).padded()
    y_axis = Axis(both if chart.diagonal else ys).padded()
    parts = [f'<path class="mark m0" d="M0 {PLOT}L{PLOT} 0"/>'] if chart.diagonal else []
    if chart.level is not None:
        parts.append(f'<path class="mark m0" d="M0 {PLOT - y_axis.at(chart.level):.1f}H{PLOT}"/>')
    for i, (group_x, group_y) in enumerate(chart.groups.values()):
        kept = _kept(len(group_x), MAX_POINTS)
        points = [(x_axis.at(float(group_x[j])), y_axis.at(float(group_y[j]))) for j in kept]
        dots = "".join(f"M{x:.1f} {PLOT - y:.1f}h0" for x, y in points if x == x and y == y)
        parts.append(f'<path class="{dot_style(i)}" d="{dots}"/>')
    return _frame(chart.title, chart.caption, chart.x_label, chart.y_label, x_axis, y_axis, parts)


def bars(chart: Bars) -> str:
    """Renders horizontal bars."""
    names, bar, gap = list(chart.series), 13, 7
    values = [float(v) for series in chart.series.values() for v in series]
    reach = [
        float(value) + sign * float(error)
        for name, errors in chart.errors.items()
        for value, error in zip(chart.series[name], errors, strict=True)
        for sign in (-1, 1)
    ]
    axis = Axis([0.0, *values, *(v for v in reach if math.isfinite(v))])
    left = min(190, 20 + 8 * max((len(str(label)) for label in chart.labels), default=0))
    scale = (WIDTH - left - 76) / PLOT
    group = bar * len(names) + gap
    parts, zero = [], left + axis.at(0.0) * scale
    for row, label in enumerate(chart.labels):
        top = 6 + row * group
        parts.append(f'<text class="end" x="{left - 6}" y="{top + group / 2}">{escape(label, left // 8 - 1)}</text>')
        for i, name in enumerate(names):
            value, y = float(chart.series[name][row]), top + i * bar
            if not math.isfinite(value):
                continue
            x = left + axis.at(value) * scale
            error = float(chart.errors[name][row]) if name in chart.errors else math.nan
            end = max(x, zero)
            parts.append(
                f'<rect class="s{i % NUM_COLORS}" x="{min(x, zero):.1f}" y="{y}" width="{max(abs(x - zero), 0.5):.1f}" '
                f'height="{bar - 2}"/>'
            )
            if math.isfinite(error):
                low, high = (left + axis.at(value + sign * error) * scale for sign in (-1, 1))
                parts.append(f'<path class="error" d="M{low:.1f} {y + 5.5}H{high:.1f}"/>')
                end = max(end, high)
            parts.append(f'<text x="{end + 4:.1f}" y="{y + 10}">{_tick(value)}</text>')
    height = 12 + group * len(chart.labels)
    return _svg(chart.title, chart.caption, height, [*parts, f'<path class="axis" d="M{zero:.1f} 0V{height}"/>'])


def heatmap(chart: Heatmap, links: Mapping[tuple[int, int], str]) -> str:
    """Renders a matrix.

    Args:
        chart: The matrix.
        links: The element of the page that each cell opens.
    """
    values = np.asarray(chart.values, dtype=np.float64).reshape(len(chart.row_labels), len(chart.column_labels))
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    rows, columns = values.shape
    if max(rows, columns) > MAX_CELLS:
        return _matrix_image(chart, values / largest)
    left = min(150, 36 + 8 * max((len(str(name)) for name in chart.row_labels), default=0))
    cell = min(64.0, (WIDTH - left - 6) / max(columns, 1))
    height_of_cell = min(cell, 30.0 if rows > 4 else 54.0)
    flat = max((len(str(name)) for name in chart.column_labels), default=0) * 7 <= cell
    top = 36 if flat else min(130, 36 + 8 * max(len(str(name)) for name in chart.column_labels))
    parts = _axis_names(chart.row_label, chart.column_label, left, top, rows * height_of_cell)
    for j, name in enumerate(chart.column_labels):
        x = left + (j + 0.5) * cell
        turned = "" if flat else f' transform="rotate(-90 {x:.1f} {top - 6})"'
        middle = "middle" if flat else "start"
        shift = 0 if flat else 4
        parts.append(f'<text class="{middle}" x="{x:.1f}" y="{top - 6 + shift}"{turned}>{escape(name, 11)}</text>')
    # Counts are shown where they fit. Among real numbers, a few short ones would only look arbitrary.
    fits = not chart.diverging or all(len(_tick(v)) * 6 <= cell for v in values.flat if v == v)
    for i, name in enumerate(chart.row_labels):
        y = top + i * height_of_cell
        limit = (left - 28) // 8
        parts.append(
            f'<text class="end" x="{left - 6}" y="{y + height_of_cell / 2 + 4:.1f}">{escape(name, limit)}</text>'
        )
        for j in range(columns):
            box = (left + j * cell, y, cell, height_of_cell)
            parts.append(_cell(chart, (i, j), values[i, j], largest, box, links.get((i, j)), fits))
    height = top + rows * height_of_cell + 6
    return _svg(chart.title, chart.caption, height, parts, role="group" if links else "img")


def _ends(labels: Sequence[str]) -> str:
    return f"{labels[0]} to {labels[-1]}" if len(labels) > 1 else labels[0]


def _axis_names(row_label: str, column_label: str, left: float, top: float, height: float) -> list[str]:
    """Returns the names of the rows and columns of a matrix: those of the rows beside it if there is room."""
    fits = len(row_label) * 7 <= height
    above = column_label if fits else f"{row_label} (down), {column_label} (across)"
    beside = escape(row_label, 60) if fits else ""
    return [
        f'<text class="label" x="{left if fits else 20}" y="14">{escape(above, 64)}</text>',
        f'<text class="label turned" transform="translate(8 {top + 2}) rotate(90)">{beside}</text>',
    ]


def _cell(
    chart: Heatmap,
    place: tuple[int, int],
    value: float,
    largest: float,
    box: tuple[float, float, float, float],
    link: str | None,
    fits: bool,
) -> str:
    x, y, width, height = box
    share = 0.0 if value != value else abs(value) / largest
    color = "s1" if chart.diverging and value < 0 else "s0"
    shown = _tick(value) if fits and value == value and value != 0 and len(_tick(value)) * 6 <= width else ""
    strong = " strong" if share > 0.55 else ""
    inside = (
        f'<rect class="cell {color}" x="{x:.1f}" y="{y:.1f}" width="{width - 1:.1f}" height="{height - 1:.1f}" '
        f'fill-opacity="{share * 0.9 + 0.04:.2f}"/>'
        f'<text class="middle{strong}" x="{x + width / 2:.1f}" y="{y + height / 2 + 4:.1f}">{shown}</text>'
    )
    if link is None:
        return inside
    names = f"{escape(chart.row_labels[place[0]], 60)}, {escape(chart.column_labels[place[1]], 60)}: {_tick(value)}"
    return f'<a href="#{link}" aria-label="{names}">{inside}<title>{names}</title></a>'


def _matrix_image(chart: Heatmap, shares: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> str:
    """Renders a large matrix as one image, transparent where it is 0, so that it fits light and dark."""
    rows, columns = shares.shape
    pixels = np.zeros((rows, columns, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((shares < 0)[..., None], (217, 119, 6), (37, 99, 235))
    pixels[..., 3] = np.nan_to_num(np.sqrt(np.abs(shares))) * 255
    width, height = WIDTH - 20.0, min(420.0, max(80.0, rows * (WIDTH - 20.0) / columns))
    data = base64.b64encode(png_of(pixels)).decode()
    ends, row_ends = _ends(chart.column_labels), _ends(chart.row_labels)
    parts = [
        *_axis_names(f"{chart.row_label}: {row_ends}", f"{chart.column_label}: {ends}", 20, 22, height),
        f'<rect class="back" x="20" y="22" width="{width}" height="{height:.1f}"/>',
        f'<image x="20" y="22" width="{width}" height="{height:.1f}" preserveAspectRatio="none" class="pixels" '
        f'href="data:image/png;base64,{data}"/>',
    ]
    return _svg(chart.title, chart.caption, height + 30, parts)


def _frame(
    title: str, caption: str, x_label: str, y_label: str, x_axis: Axis, y_axis: Axis, content: Sequence[str]
) -> str:
    """Returns a plot with axes, grid and labels."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    grid = []
    for position, label in x_axis.ticks(6):
        x = LEFT + position / PLOT * width
        grid.append(f'<path class="grid" d="M{x:.1f} {TOP}v{height}"/>')
        grid.append(f'<text class="middle" x="{x:.1f}" y="{TOP + height + 16}">{label}</text>')
    for position, label in y_axis.ticks(5):
        y = TOP + height - position / PLOT * height
        grid.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{width}"/>')
        grid.append(f'<text class="end" x="{LEFT - 5}" y="{y + 4:.1f}">{label}</text>')
    parts = [
        f'<g class="ticks">{"".join(grid)}</g>',
        f'<text class="label end" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}">{escape(x_label, 40)}</text>',
        f'<text class="label" x="{LEFT}" y="{TOP - 9}">{escape(y_label, 40)}</text>',
        f'<svg class="plot" x="{LEFT}" y="{TOP}" width="{width}" height="{height}" viewBox="0 0 {PLOT} {PLOT}" '
        f'preserveAspectRatio="none">{"".join(content)}</svg>',
    ]
    ranges = " ".join(
        f'data-{name}="{axis.low:.8g} {axis.high:.8g} {int(axis.log)}"' for name, axis in (("x", x_axis), ("y", y_axis))
    )
    return _svg(title, caption, HEIGHT, parts, attributes=f'class="frame" tabindex="0" {ranges}')


def _svg(
    title: str, caption: str, height: float, parts: Sequence[str], *, role: str = "img", attributes: str = ""
) -> str:
    label = escape(f"{title}. {caption}", 400)
    opening = f'<svg role="{role}" aria-label="{label}" viewBox="0 0 {WIDTH} {height:.0f}" {attributes}>'
    return f"{opening}{''.join(parts)}</svg>"


def _path(curve: Curve, x_axis: Axis, y_axis: Axis) -> str:
    """Returns the path of a curve, with gaps at values that can't be drawn; a lone point becomes a dot."""
    xs, ys = curve
    points = [(x_axis.at(float(xs[i])), y_axis.at(float(ys[i]))) for i in _kept(len(xs), MAX_POINTS)]
    path, pen, length = [], "M", 0
    for x, y in [*points, (math.nan, math.nan)]:
        if x != x or y != y:
            path += ["h0"] if length == 1 else []
            pen, length = "M", 0
        else:
            path.append(f"{pen}{x:.1f} {PLOT - y:.1f}")
            pen, length = "L", length + 1
    return "".join(path)


def _kept(count: int, limit: int) -> Sequence[int]:
    return range(count) if count <= limit else [round(i * (count - 1) / (limit - 1)) for i in range(limit)]


def _lone(curve: Curve) -> str:
    """A curve of one point is drawn as a dot."""
    return " dots" if len(curve[0]) == 1 else ""


def _dash(name: str) -> str:
    """Validation curves are dashed, so that they differ without color."""
    return " dashed" if name == "val" or name.startswith("val/") else ""


def _tick(value: float) -> str:
    if value != value:
        return ""
    if 1e4 <= abs(value) < 1e6:
        return f"{value:.6g}"
    return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.2g}"
