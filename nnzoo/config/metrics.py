"""Names of the metrics, with their description, their tasks, and whether lower or higher is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Mode = Literal["min", "max"]
MetricName = Literal[
    "accuracy",
    "balanced_accuracy",
    "top5_accuracy",
    "precision",
    "recall",
    "f1",
    "auroc",
    "average_precision",
    "perplexity",
    "mae",
    "mape",
    "mse",
    "rmse",
    "r2",
]


@dataclass(frozen=True)
class Metric:
    """The properties of a metric.

    Attributes:
        mode: Whether a lower or a higher value is better.
        tasks: The tasks that it applies to.
        meaning: Its description in `nnzoo list metrics`.
    """

    mode: Mode
    tasks: frozenset[str]
    meaning: str


_LABELS = frozenset({"classification", "multilabel"})
_CLASSES = frozenset({"classification"})
_VALUES = frozenset({"regression"})

METRICS: dict[str, Metric] = {
    "accuracy": Metric("max", _LABELS, "fraction of correct predictions; for multilabel, of correct labels"),
    "balanced_accuracy": Metric(
        "max", _CLASSES, "mean recall over classes: rare classes count as much as frequent ones"
    ),
    "top5_accuracy": Metric("max", _CLASSES, "fraction of samples whose class is among the five most probable"),
    "precision": Metric(
        "max",
        _LABELS,
        "fraction of correct predictions among all predictions of a class; for two classes that of the second class, "
        "else the mean over classes",
    ),
    "recall": Metric(
        "max",
        _LABELS,
        "fraction of the samples of a class that are predicted as that class; for two classes that of the second "
        "class, else the mean over classes",
    ),
    "f1": Metric(
        "max",
        _LABELS,
        "harmonic mean of precision and recall; for two classes that of the second class, else the mean over classes",
    ),
    "auroc": Metric(
        "max",
        _LABELS,
        "area under the ROC curve; for more than two classes the mean over classes, one-vs-rest",
    ),
    "average_precision": Metric(
        "max",
        _LABELS,
        "area under the precision-recall curve, as a step function; for two classes that of the second class, else the "
        "mean over classes, one-vs-rest",
    ),
    "perplexity": Metric(
        "min", _CLASSES, "exp of the mean cross entropy; 1 is perfect, uniform guessing among K classes gives K"
    ),
    "mae": Metric("min", _VALUES, "mean absolute error, in the unit of the target"),
    "mape": Metric(
        "min", _VALUES, "mean absolute percentage error: mean |prediction - target| / |target|, as a fraction"
    ),
    "mse": Metric("min", _VALUES, "mean squared error, in the squared unit of the target"),
    "rmse": Metric("min", _VALUES, "root mean squared error, in the unit of the target"),
    "r2": Metric("max", _VALUES, "coefficient of determination; 1 is perfect, 0 is as good as predicting the mean"),
}

DEFAULT_METRICS: dict[str, tuple[MetricName, ...]] = {
    "classification": ("accuracy",),
    "multilabel": ("accuracy", "f1"),
    "regression": ("mae", "rmse", "r2"),
}


def default_metrics(task: str, per: str | None) -> tuple[MetricName, ...]:
    """Returns the metrics that `metrics: auto` selects."""
    return ("accuracy", "perplexity") if per == "step" else DEFAULT_METRICS[task]


def direction(name: str) -> Mode:
    """Returns whether a lower ("min") or a higher ("max") value of a metric, or of "loss", is better."""
    return "min" if name == "loss" else METRICS[name].mode


SPLITS = ("test", "val", "train")
"""The splits in the order in which they are preferred for comparisons."""


def is_metric(key: str) -> bool:
    """Returns whether a text is a metric of a split, such as "test/accuracy" or "val/loss"."""
    split, _, name = key.partition("/")
    return split in SPLITS and (name == "loss" or name in METRICS)


def main_metric(keys: Iterable[str]) -> str:
    """Returns the metric that runs are compared by: the first one on test, else on val, else on train.

    The loss is returned only if the split has no other metric.

    Args:
        keys: Metrics with their splits, such as "test/accuracy", in the order of the config; at least one.
    """
    return min(keys, key=lambda key: (SPLITS.index(key.partition("/")[0]), key.endswith("/loss")))
