"""Figures of numbers: curves, points, bars, histograms, matrices and tables.

Options that hold values are expressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnzoo.errors import UsageError
from nnzoo.lessons.results import LessonResult
from nnzoo.lessons.results import shown as text_of
from nnzoo.report.charts import Bars, Curve, Heatmap, Lines, Mark, Part, Scatter, TableOf

MAX_POINTS = 2000


def curves(
    result: LessonResult,
    title: str,
    *,
    of: Sequence[str] | None = None,
    column: str | Sequence[str],
    log_y: bool = False,
    log_x: bool = False,
    mark: Mapping[str, Any] | None = None,
    up_to: float | None = None,
    restarts: bool = False,
    by: str = "epoch",
) -> list[Part]:
    """Draws columns of metrics.csv over the epochs, one curve per variant and column.

    Args:
        result: The result of the lesson.
        title: The title.
        of: The variants; by default, all.
        column: The column, or several.
        log_y: Whether the y axis is logarithmic.
        log_x: Whether the x axis is logarithmic.
        mark: Vertical lines: epochs as expressions by their labels.
        up_to: Larger values are left out.
        restarts: Whether each restart has a curve, instead of the best one only.
        by: The column of the x axis: epoch or step.
    """
    names = list(result.variants) if of is None else list(of)
    wanted = [column] if isinstance(column, str) else list(column)
    series: dict[str, Curve] = {}
    for name in names:
        variant = result.variants[name]
        for each in wanted:
            label = name if len(wanted) == 1 else each if len(names) == 1 else f"{name}, {each}"
            for index, replica in enumerate(variant.replicas if restarts else [variant.replica]):
                if not replica.history.rows:
                    continue
                values = np.array(replica.history[each])
                epochs = np.array(replica.history[by])
                if up_to is not None:
                    values = np.where(values > up_to, np.nan, values)
                numbered = label if not restarts else f"{label} {index + 1}"
                series[numbered] = (epochs.tolist(), values.tolist())
    marks = [Mark(float(result.evaluate(at)), label) for label, at in (mark or {}).items()]
    label = wanted[0] if len(wanted) == 1 else wanted[0].partition("/")[2] or "value"
    return [Lines(title, "", by, label, series, marks, log_x=log_x, log_y=log_y)]


def lines(
    result: LessonResult,
    title: str,
    *,
    x: str,
    y: Mapping[str, str],
    x_label: str = "x",
    y_label: str = "y",
    mark: Mapping[str, Any] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> list[Part]:
    """Draws curves: the y values of each name over common x values."""
    xs = _numbers(result.evaluate(x))
    series: dict[str, Curve] = {}
    for name, text in y.items():
        ys = _numbers(result.evaluate(text))
        if len(ys) > len(xs):
            raise UsageError(f"'{name}' has {len(ys)} values for {len(xs)} of x.", where="lesson: figures")
        series[name] = (xs[: len(ys)], ys)
    marks = [Mark(float(result.evaluate(at)), label) for label, at in (mark or {}).items()]
    return [Lines(title, "", x_label, y_label, series, marks, log_x=log_x, log_y=log_y)]


def scatter(
    result: LessonResult,
    title: str,
    *,
    groups: Mapping[str, str],
    x_label: str = "x1",
    y_label: str = "x2",
    diagonal: bool = False,
    level: float | None = None,
) -> list[Part]:
    """Draws points: each group is an expression of rows (x, y)."""
    found: dict[str, Curve] = {}
    for name, text in groups.items():
        rows = np.asarray(result.evaluate(text), float).reshape(-1, 2)
        rows = rows[:: max(1, -(-len(rows) // MAX_POINTS))]
        found[name] = (rows[:, 0].tolist(), rows[:, 1].tolist())
    return [Scatter(title, "", x_label, y_label, found, diagonal=diagonal, level=level)]


def bars(
    result: LessonResult,
    title: str,
    *,
    labels: Sequence[str] | str,
    values: Mapping[str, str],
    value_label: str = "",
) -> list[Part]:
    """Draws horizontal bars: the values of each name, one per label."""
    names = [str(each) for each in (result.evaluate(labels) if isinstance(labels, str) else labels)]
    series = {name: _numbers(result.evaluate(text)) for name, text in values.items()}
    return [Bars(title, "", names, series, value_label)]


def strips(
    result: LessonResult,
    title: str,
    *,
    values: Mapping[str, str],
    x_label: str = "train/loss",
) -> list[Part]:
    """Draws numbers as points, one line per name, such as the final loss of each restart."""
    groups: dict[str, Curve] = {}
    for row, (name, text) in enumerate(values.items()):
        numbers = [each for each in _numbers(result.evaluate(text)) if np.isfinite(each)]
        groups[name] = (numbers, [float(len(values) - row)] * len(numbers))
    return [Scatter(title, "", x_label, "row", groups)]


def histograms(
    result: LessonResult,
    title: str,
    *,
    values: Mapping[str, str],
    bins: int = 40,
    low: float | None = None,
    high: float | None = None,
    x_label: str = "value",
) -> list[Part]:
    """Draws the distribution of the numbers of each name as a curve of shares over common bins."""
    found = {name: np.asarray(result.evaluate(text), float).ravel() for name, text in values.items()}
    finite = [each[np.isfinite(each)] for each in found.values()]
    ends = (
        min(float(each.min()) for each in finite) if low is None else low,
        max(float(each.max()) for each in finite) if high is None else high,
    )
    series: dict[str, Curve] = {}
    for name, numbers in zip(found, finite, strict=True):
        counts, edges = np.histogram(np.clip(numbers, *ends), bins=int(bins), range=ends)
        series[name] = (((edges[1:] + edges[:-1]) / 2).tolist(), (counts / max(1, len(numbers))).tolist())
    return [Lines(title, "", x_label, "share", series)]


def heatmap(
    result: LessonResult,
    title: str,
    *,
    values: str,
    rows: Sequence[str] | str,
    columns: Sequence[str] | str,
    row_label: str = "",
    column_label: str = "",
    diverging: bool = False,
) -> list[Part]:
    """Draws a matrix of colored cells with its numbers."""
    matrix = np.asarray(result.evaluate(values), float)
    row_names, column_names = (
        [text_of(each) for each in (result.evaluate(names) if isinstance(names, str) else names)]
        for names in (rows, columns)
    )
    return [Heatmap(title, "", matrix.tolist(), row_names, column_names, row_label, column_label, diverging)]


def table(
    result: LessonResult, title: str, *, header: Sequence[str], rows: Sequence[Sequence[Any]] | str
) -> list[Part]:
    """Shows a table. The first cell of a row is a text, the others are expressions; or `rows` is one expression."""
    if isinstance(rows, str):
        found = [[_cell(cell) for cell in row] for row in result.evaluate(rows)]
    else:
        found = [[str(row[0]), *(_cell(result.evaluate(cell)) for cell in row[1:])] for row in rows]
    return [TableOf(title, "", list(header), found)]


def _cell(value: Any) -> str | float | int:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return text_of(value)
    return value


def _numbers(values: Any) -> list[float]:
    return [float(each) for each in np.asarray(values, float).ravel()]
