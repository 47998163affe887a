"""The learning curves of a run, and the health of its layers over the epochs."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Curve, Heatmap, Lines, Mark, Part, Section, Text

HEALTH = "health.csv"
MEASURES = {
    "dead": ("Dead units", "The share of ReLU units that were 0 for all sampled inputs.", False),
    "saturated": ("Saturated values", "The share of values near the limits of sigmoid or tanh.", False),
    "gradient_norm": ("Gradient norm", "The norm of the gradient of a layer's weights.", True),
    "update_ratio": ("Update-to-weight ratio", "The change of the weights in a step; about 1e-3 is usual.", True),
    "activation_mean": ("Activation mean", "The mean of a layer's outputs.", False),
    "activation_variance": ("Activation variance", "The variance of a layer's outputs.", True),
}
"""The title, the caption, and whether the axis is logarithmic."""
SHARES = ("dead", "saturated")
MAX_LAYERS = 8
LOG_RATIO = 50
"""Losses that span a larger factor have a logarithmic axis."""


def curves_section(run: RunWithData) -> Section:
    """Returns the loss and each metric over the epochs, and the learning rate."""
    history = run.history
    if not history.rows:
        reason = "No epoch was finished, so there are no curves."
        if "folds" in run.result:
            reason = "Each fold has its own curves, on its page."
        return Section("curves", "Learning curves", [Text(reason)])
    epochs = history["epoch"]
    marks = _marks(run, epochs[-1])
    names = dict.fromkeys(key.partition("/")[2] for key in history if "/" in key)
    parts: list[Part] = []
    for name in names:
        series = {key: (epochs, history[key]) for key in (f"train/{name}", f"val/{name}") if key in history}
        values = [value for _, ys in series.values() for value in ys if math.isfinite(value)]
        log_y = name == "loss" and bool(values) and min(values) > 0 and max(values) > LOG_RATIO * min(values)
        caption = "During an epoch on train, in training mode; at its end on val." if len(series) > 1 else ""
        parts.append(Lines(name, caption, "epoch", name, series, marks, log_y=log_y))
    rates = history["lr"]
    log_rate = min(rates) > 0 and max(rates) > LOG_RATIO * min(rates)
    caption = "At the end of each epoch."
    parts.append(Lines("Learning rate", caption, "epoch", "lr", {"lr": (epochs, rates)}, log_y=log_rate))
    return Section("curves", "Learning curves", parts)


def _marks(run: RunWithData, last: float) -> list[Mark]:
    best = run.result["best_epoch"]
    marks = [Mark(best, f"best epoch: {best}")] if best else []
    if run.result["status"] == "early_stopped":
        marks.append(Mark(last, f"early stop: {last:.0f}"))
    return marks


def health_section(run: RunWithData) -> Section | None:
    """Returns the health of the layers over the epochs; None if the run has no health.csv."""
    rows = _read(run.folder / HEALTH)
    if not rows:
        return None
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    parts: list[Part] = []
    for column, (title, caption, log_y) in MEASURES.items():
        by_layer = {
            layer: [(float(row["epoch"]), _number(row.get(column))) for row in rows if row["layer"] == layer]
            for layer in layers
        }
        series: dict[str, Curve] = {
            layer: ([x for x, _ in points], [y for _, y in points])
            for layer, points in by_layer.items()
            if any(math.isfinite(y) for _, y in points)
        }
        if series and column in SHARES and not any(y for _, ys in series.values() for y in ys if math.isfinite(y)):
            parts.append(Text(f"{title}: none, in all layers and all sampled epochs."))
        elif len(series) > MAX_LAYERS:
            parts.append(_by_layer(title, caption, series, log=log_y))
        elif series:
            positive = all(y > 0 for _, ys in series.values() for y in ys if math.isfinite(y))
            parts.append(Lines(title, caption, "epoch", title.lower(), series, log_y=log_y and positive))
    return Section("health", "Health of the layers", parts) if parts else None


def _by_layer(title: str, caption: str, series: Mapping[str, Curve], *, log: bool) -> Heatmap:
    """Returns the same as a matrix, if there are too many layers for curves."""
    epochs = sorted({x for xs, _ in series.values() for x in xs})
    values = []
    for xs, ys in series.values():
        by_epoch = dict(zip(xs, ys, strict=True))
        numbers = [by_epoch.get(epoch, math.nan) for epoch in epochs]
        values.append([math.log10(v) if v > 0 else math.nan for v in numbers] if log else numbers)
    if log:
        lowest = min((v for row in values for v in row if math.isfinite(v)), default=0.0)
        values = [[v - lowest for v in row] for row in values]
        caption = f"{caption} Powers of ten above {10**lowest:.1e}."
    labels = [f"{epoch:.0f}" for epoch in epochs]
    return Heatmap(title, caption, values, list(series), labels, "layer", "epoch", diverging=not log)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if row.get("layer")]
    except OSError:
        return []


def _number(cell: str | None) -> float:
    return float(cell) if cell else math.nan
