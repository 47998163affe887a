"""Baselines: the scores of predictors that ignore the inputs, which every network should beat."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split

_SMOOTHING = 1e-4


def shares(split: Split, num_classes: int) -> Tensor:
    """Returns the frequency of each class, (K,) float64. If the targets are one row of probabilities, returns it."""
    if split.targets.is_floating_point() and len(split.targets) == 1:
        return split.targets[0].double()
    counts = split.class_indices().bincount(minlength=num_classes).double()
    return counts / counts.sum()


def baseline(dataset: Dataset, split: str) -> dict[str, float]:
    """Scores the best constant prediction, fitted on the training samples, or the naive forecast, on a split.

    Args:
        dataset: The dataset before `Preprocess.transform`, with targets in their original units.
        split: One of `dataset.splits`.

    Returns:
        classification: "accuracy" of the most frequent class (for probabilities, of the most probable class; for trees,
            of the roots). With one target per step, also "perplexity" of the class frequencies, mixed with a uniform
            distribution of weight 1e-4 so that no class has probability 0.
        multilabel: "accuracy" of the more frequent value of each label, mean over labels.
        regression: The scores of `regression_scores` for the mean of each target, or, for a series, for the naive
            forecast: the value one season before if train has a season (`series.season.find_season`), else the last
            value.
    """
    train, measured = dataset.measured_split("train"), dataset.measured_split(split)
    if dataset.task == "classification":
        actual, majority = measured.class_indices(), shares(train, len(dataset.classes)).argmax()
        scores = {"accuracy": float((actual == majority).double().mean())}
        if dataset.per == "step":
            smoothed = shares(train, len(dataset.classes)) * (1 - _SMOOTHING) + _SMOOTHING / len(dataset.classes)
            scores["perplexity"] = float((-smoothed.log()[actual]).mean().exp())
        return scores
    if dataset.task == "multilabel":
        labels = (train.targets.double().mean(dim=0) > 0.5).float()  # (K,)
        return {"accuracy": float((measured.targets == labels).double().mean())}
    targets = measured.targets.double()
    forecast = train.targets.double().mean(dim=0) if measured.naive is None else measured.naive.double()
    return regression_scores(targets - forecast, targets)


def regression_scores(errors: Tensor, targets: Tensor) -> dict[str, float]:
    """Returns "mae", "mse", "rmse" and "r2", each averaged over the targets.

    "r2" is NaN for a single sample. If all targets are equal, it is 1 for exact predictions and 0 otherwise.

    Args:
        errors: (N, M) float64.
        targets: (N, M) float64.
    """
    # Scales the largest error to 1, so that squares neither overflow nor underflow.
    unit = errors.abs().amax(dim=0)  # (M,)
    unit = torch.where((unit > 0) & unit.isfinite(), unit, 1.0)
    mse = (errors / unit).square().mean(dim=0)
    # The range, not the variance: the rounded mean gives even equal targets a variance above 0.
    constant = targets.amax(dim=0) == targets.amin(dim=0)
    spread = ((targets - targets.mean(dim=0)) / unit).square().mean(dim=0)
    r2 = torch.where(constant, (mse == 0).double(), 1 - mse / spread)
    return {
        "mae": float(((errors.abs() / unit).mean(dim=0) * unit).mean()),
        "mse": float((mse * unit * unit).mean()),
        "rmse": float((mse.sqrt() * unit).mean()),
        "r2": float(r2.mean()) if len(targets) > 1 else math.nan,
    }
