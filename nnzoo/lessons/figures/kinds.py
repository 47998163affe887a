"""Draws a figure of a lesson by its kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError
from nnzoo.lessons.figures import charts, clouds, maps, networks, surfaces
from nnzoo.lessons.results import LessonResult
from nnzoo.lessons.schema import Figure, Language
from nnzoo.report.charts import Part

KINDS: dict[str, Callable[..., list[Part]]] = {
    "regions": maps.regions,
    "units": maps.units,
    "curves": charts.curves,
    "lines": charts.lines,
    "scatter": charts.scatter,
    "bars": charts.bars,
    "clouds": clouds.clouds,
    "strips": charts.strips,
    "histograms": charts.histograms,
    "heatmap": charts.heatmap,
    "images": maps.images,
    "network": networks.network,
    "contour": surfaces.contour,
    "table": charts.table,
}
"""The functions that draw a figure: they take the result of the lesson, the title, and the options of the figure."""


def draw(figure: Figure, result: LessonResult, language: Language) -> list[Part]:
    """Returns the parts of a figure.

    Raises:
        UsageError: An option does not exist, or a value can't be computed.
    """
    title = figure.zh if language == "zh" else figure.en
    function = KINDS[figure.kind]
    check_options(figure.kind, figure.options)
    return function(result, title, **figure.options)


def check_options(kind: str, options: dict[str, Any]) -> None:
    """Raises UsageError if a kind of figure does not have these options."""
    parameters = dict(list(inspect.signature(KINDS[kind]).parameters.items())[2:])
    for name in options:
        if name not in parameters:
            raise UsageError(
                f"{name} is not an option of {kind}.{did_you_mean(name, parameters)} ({', '.join(parameters)})",
                where="lesson: figures",
            )
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options:
            raise UsageError(f"{kind} needs {name}.", where="lesson: figures")
