"""The words for metrics: what they measure, for which task, and which direction is better. Computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["min", "max"]
MetricName = Literal[
    "accuracy",
    "top5_accuracy",
    "precision",
    "recall",
    "f1",
    "auroc",
    "perplexity",
    "mae",
    "mape",
    "mse",
    "rmse",
    "r2",
]


@dataclass(frozen=True)
class Metric:
    """What is known of a metric without any data.

    Attributes:
        mode: Whether less or more is better.
        tasks: Where it can be measured.
        meaning: One line for `nnzoo list metrics`.
    """

    mode: Mode
    tasks: frozenset[str]
    meaning: str


_LABELS = frozenset({"classification", "multilabel"})
_CLASSES = frozenset({"classification"})
_VALUES = frozenset({"regression"})

METRICS: dict[str, Metric] = {
    "accuracy": Metric("max", _LABELS, "share of right answers; of right labels where a sample has several"),
    "top5_accuracy": Metric("max", _CLASSES, "share of samples whose class is among the five likeliest"),
    "precision": Metric(
        "max", _LABELS, "right among those called positive; the second of two classes, else the mean over all"
    ),
    "recall": Metric("max", _LABELS, "found among the positives; the second of two classes, else the mean over all"),
    "f1": Metric("max", _LABELS, "harmonic mean of precision and recall, class by class, then as they are averaged"),
    "auroc": Metric(
        "max",
        _LABELS,
        "area under the ROC curve: a positive's chance to score above a negative; mean over all, each against the rest",
    ),
    "perplexity": Metric("min", _CLASSES, "exp of the mean cross entropy: 1 is perfect, guessing among K gives K"),
    "mae": Metric("min", _VALUES, "mean |prediction - target|, in the target's own unit"),
    "mape": Metric("min", _VALUES, "mean |prediction - target| / |target|: 0.1 is off by a tenth"),
    "mse": Metric("min", _VALUES, "mean (prediction - target)^2, in the target's own unit"),
    "rmse": Metric("min", _VALUES, "square root of mse, in the target's own unit"),
    "r2": Metric("max", _VALUES, "1 - squared error / squared distance from the mean: 1 is perfect, 0 is the mean's"),
}

DEFAULT_METRICS: dict[str, tuple[MetricName, ...]] = {
    "classification": ("accuracy",),
    "multilabel": ("accuracy", "f1"),
    "regression": ("mae", "rmse", "r2"),
}


def default_metrics(task: str, per: str | None) -> tuple[MetricName, ...]:
    """What `metrics: auto` means."""
    return ("accuracy", "perplexity") if per == "step" else DEFAULT_METRICS[task]


def direction(name: str) -> Mode:
    """Whether less ("min") or more ("max") is better of a metric, or of "loss"."""
    return "min" if name == "loss" else METRICS[name].mode
