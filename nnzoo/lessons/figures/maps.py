"""Figures of what a network computes over two inputs, and of images."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nnzoo.lessons.functions.trained import Moment, Trained
from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Images, Part, Picture
from nnzoo.report.inside.network import Network
from nnzoo.report.inside.pictures import CLASSES, class_map, diverging, gray
from nnzoo.report.inside.regions import GRID, UNIT_GRID, grid, values_at
from nnzoo.report.panels import panel, panels

MAX_POINTS, MAX_UNITS = 300, 32


def regions(
    result: LessonResult,
    title: str,
    *,
    of: Sequence[str] | None = None,
    margin: float = 0.1,
    points: bool = True,
    at: Moment = "best",
) -> list[Part]:
    """Draws the decision regions of variants with two inputs side by side, with the train samples on them.

    Args:
        result: The result of the lesson.
        title: The title.
        of: The variants; by default, all.
        margin: The margin around the samples, as a share of their range.
        points: Whether the samples are drawn.
        at: The weights: start, best, last, or those after a number of steps.
    """
    drawn = []
    for name in result.variants if of is None else of:
        network = Trained(result.variants).network(name, at)
        low, high = _range(network, margin)
        values, are_classes = values_at(network, grid(low, high, GRID))
        if are_classes:
            image = class_map(values.reshape(GRID, GRID, -1).numpy())
        else:
            image = diverging(values[:, 0].reshape(GRID, GRID))
        dots = _dots(network, low, high) if points else []
        first, second = network.input_names or ("x1", "x2")
        data = base64.b64encode(image).decode()
        drawn.append(
            panel(name, f"data:image/png;base64,{data}", (low.tolist(), high.tolist()), dots, labels=(first, second))
        )
    return [panels(title, drawn)]


def _range(network: Network, margin: float) -> tuple[Tensor, Tensor]:
    raw = torch.as_tensor(network.dataset.train.inputs[:]).double()
    low, high = raw.amin(0), raw.amax(0)
    extra = margin * (high - low).clamp_min(1e-9)
    return low - extra, high + extra


def _dots(network: Network, low: Tensor, high: Tensor) -> list[tuple[float, float, str, bool]]:
    """Returns the position of each train sample from 0 to 1, its color, and whether its prediction is wrong."""
    rows = slice(0, MAX_POINTS)
    split = network.experiment.splits["train"]
    place = ((torch.as_tensor(network.dataset.train.inputs[rows]).double() - low) / (high - low)).tolist()
    if network.decoder.task == "regression":
        return [(x, y, "#1f2328", False) for x, y in place]
    truth = network.true_labels(split, rows).tolist()
    predicted = network.decoder.labels(network.outputs(network.inputs(split, rows))).tolist()
    colors = ["#{:02x}{:02x}{:02x}".format(*CLASSES[label % len(CLASSES)]) for label in truth]
    return [
        (x, y, color, label != guess)
        for (x, y), color, label, guess in zip(place, colors, truth, predicted, strict=True)
    ]


def units(result: LessonResult, title: str, *, of: str, margin: float = 0.1) -> list[Part]:
    """Draws the activation of each hidden unit of a variant over its two inputs: blue is positive, orange negative."""
    network = result.variants[of].network
    low, high = _range(network, margin)
    inputs = network.experiment.preprocess(grid(low, high, UNIT_GRID))
    parts: list[Part] = []
    for block in network.blocks[:-1]:
        name = block.last or block.name
        found = network.activations(inputs, [name])[name].flatten(1)
        items = [
            Picture(
                diverging(found[:, i].reshape(UNIT_GRID, UNIT_GRID)),
                f"unit {i + 1}: from {found[:, i].min():.3g} to {found[:, i].max():.3g}",
                str(i + 1),
            )
            for i in range(min(found.shape[1], MAX_UNITS))
        ]
        parts.append(Images(title if not parts else "", "", items, size=110))
    return parts


def images(
    result: LessonResult,
    title: str,
    *,
    values: str,
    labels: Sequence[str] | str | None = None,
    size: int = 96,
    signed: bool = True,
    common: bool = False,
) -> list[Part]:
    """Draws numbers (K, H, W), or (H, W), as K images.

    Args:
        result: The result of the lesson.
        title: The title.
        values: An expression.
        labels: The text below each image: a list, or an expression of one.
        size: The width of an image on the page in pixels.
        signed: Whether 0 is white, blue is positive and orange is negative; otherwise the smallest number is black.
        common: Whether all images have the same scale.
    """
    found = torch.as_tensor(np.asarray(result.evaluate(values), float))
    found = found if found.ndim == 3 else found[None]
    names = result.evaluate(labels) if isinstance(labels, str) else labels
    names = [str(each) for each in names] if names is not None else [str(i + 1) for i in range(len(found))]
    scale = float(found.abs().max()) if common else None
    items = [
        Picture(
            diverging(each, scale) if signed else gray(each), f"{name}: from {each.min():.3g} to {each.max():.3g}", name
        )
        for each, name in zip(found, names, strict=True)
    ]
    return [Images(title, "", items, size=int(size))]
