"""Draws a figure of a lesson by its kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError
from nnzoo.lessons.figures import charts, circuits, clouds, maps, networks, surfaces, trees
from nnzoo.lessons.results import LessonResult
from nnzoo.lessons.schema import Figure, Language
from nnzoo.report.charts import Part, Slides

NUM_SLIDES = 9

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
    "circuit": circuits.circuit,
    "contour": surfaces.contour,
    "table": charts.table,
    "trees": trees.trees,
    "live": networks.live,
}
"""The functions that draw a figure: they take the result of the lesson, the title, and the options of the figure."""


def draw(figure: Figure, result: LessonResult, language: Language) -> list[Part]:
    """Returns the parts of a figure.

    Raises:
        UsageError: An option does not exist, or a value can't be computed.
    """
    title = figure.zh if language == "zh" else figure.en
    options = {name: value for name, value in figure.options.items() if name != "slider"}
    function, slider = KINDS[figure.kind], figure.options.get("slider")
    check_options(figure.kind, figure.options)
    if slider is None:
        return function(result, title, **options)
    chosen = options.get("of", list(result.variants))
    names = [chosen] if isinstance(chosen, str) else chosen
    if slider == "variants":
        is_list = "Sequence" in str(inspect.signature(function).parameters["of"].annotation)
        changes: dict[str, dict[str, Any]] = {name: {"of": [name] if is_list else name} for name in names}
    else:
        changes = {f"step {step}": {"at": step} for step in _steps(result, names)}
    return [Slides(title, {name: function(result, name, **{**options, **each}) for name, each in changes.items()})]


def _steps(result: LessonResult, names: Sequence[str]) -> list[int]:
    """Returns a few steps whose weights were kept, closer together at the start, where more happens."""
    kept = sorted({step for name in names for step, _ in result.variants[name].replica.path})
    wanted = [0, *np.geomspace(1, max(kept[-1], 1), NUM_SLIDES - 1)]
    return sorted({min(kept, key=lambda step: abs(step - each)) for each in wanted})


def check_options(kind: str, options: dict[str, Any]) -> None:
    """Raises UsageError if a kind of figure does not have these options."""
    parameters = dict(list(inspect.signature(KINDS[kind]).parameters.items())[2:])
    slider = options.get("slider")
    needed = {"variants": "of", "steps": "at"}
    if slider is not None and needed.get(slider) not in parameters:
        able = [each for each in needed if needed[each] in parameters]
        raise UsageError(f"slider of {kind} must be {' or '.join(able)} (got {slider}).", where="lesson: figures")
    for name in options:
        if name != "slider" and name not in parameters:
            raise UsageError(
                f"{name} is not an option of {kind}.{did_you_mean(name, parameters)} ({', '.join(parameters)})",
                where="lesson: figures",
            )
    for name, parameter in parameters.items():
        is_set = name in options or (name == "of" and slider == "variants")
        if parameter.default is parameter.empty and not is_set:
            raise UsageError(f"{kind} needs {name}.", where="lesson: figures")
