"""What a predictor reaches that ignores the inputs: the bar that every network has to clear."""

from __future__ import annotations

import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split

_FLOOR = 1e-4


def shares(split: Split, num_classes: int) -> Tensor:
    """(K,) float64: how often each class is the target; a split of one row of probabilities is that row."""
    if split.targets.is_floating_point() and len(split.targets) == 1:
        return split.targets[0].double()
    counts = split.class_indices().bincount(minlength=num_classes).double()
    return counts / counts.sum()


def baseline(dataset: Dataset, split: str) -> dict[str, float]:
    """Measure on a split what needs no network: the best constant of the training samples, or the naive forecast.

    Args:
        dataset: With targets in their own units, that is before `Preprocess.transform`.
        split: One of `dataset.splits`.

    Returns:
        classification: "accuracy" of the most frequent class (of probabilities, by the likeliest class; of trees, by
            the roots). With a target a step also "perplexity" of the frequencies of the classes, of which a ten
            thousandth is shared by all: none is impossible.
        multilabel: "accuracy" of the more frequent value of each label, mean over labels.
        regression: "mae", "mse", "rmse" and "r2" of the mean of each target, mean over targets. "r2" is at most 0; for
            a target that is constant on the split it is 1 if the prediction is exact, else 0. Of a series, of the
            forecast that everything stays as it is.
    """
    train, measured = dataset.answers("train"), dataset.answers(split)
    if dataset.task == "classification":
        actual, majority = measured.class_indices(), shares(train, len(dataset.classes)).argmax()
        found = {"accuracy": float((actual == majority).double().mean())}
        if dataset.per == "step":
            likely = shares(train, len(dataset.classes)) * (1 - _FLOOR) + _FLOOR / len(dataset.classes)
            found["perplexity"] = float((-likely.log()[actual]).mean().exp())
        return found
    if dataset.task == "multilabel":
        labels = (train.targets.double().mean(dim=0) > 0.5).float()  # (K,)
        return {"accuracy": float((measured.targets == labels).double().mean())}
    targets = measured.targets.double()
    guess = train.targets.double().mean(dim=0) if measured.naive is None else measured.naive.double()
    errors = targets - guess  # (N, M)
    mse = errors.square().mean(dim=0)  # (M,)
    # The rounding of its mean gives even a constant target a variance, so its range has to tell.
    constant = targets.amax(dim=0) == targets.amin(dim=0)
    r2 = torch.where(constant, (mse == 0).double(), 1 - mse / targets.var(dim=0, correction=0))
    return {
        "mae": float(errors.abs().mean()),
        "mse": float(mse.mean()),
        "rmse": float(mse.sqrt().mean()),
        "r2": float(r2.mean()),
    }
