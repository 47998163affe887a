"""Scores of a linear model on the data of an experiment, as a reference for networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnzoo.data import OnDisk, Preprocess, Split
from nnzoo.data.baseline import regression_scores
from nnzoo.data.fitting import fit_scale
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.logistic import fit_logistic, fit_ridge, scores_of

MAX_ROWS = 5_000
MAX_NUMBERS, MAX_MEASURED = 10_000_000, 200_000_000
"""The maximum number of entries that are read of train and of the measured split."""
CHEAP = 3e9
"""The number of operations of a fit that takes less than a second on one core."""
_FULL_PENALTY_ROWS = 1000
"""With fewer train samples the penalty is proportionally smaller, so that the four rows of a logic gate are learned."""
_PASSES = 600
"""Operations of a logistic fit per entry and class: 2 for each of about 300 products with the inputs."""
_TIE = 1e-6
"""Scores that differ less are a tie, and the most frequent class is predicted, as by the best line on XOR."""


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear model on a split.

    Attributes:
        scores: The scores, under the same names as `baseline`.
        rows: (M,) the positions of the measured samples.
        answers: (M,) predicted classes, or (M, K) predictions in the unit of the targets.
    """

    scores: dict[str, float]
    rows: Tensor
    answers: Tensor


def linear_scores(experiment: Experiment, measured: str, *, max_operations: float | None = None) -> dict[str, float]:
    """Returns the scores of `fit_linear`; empty if it can't be fitted."""
    fitted = fit_linear(experiment, measured, max_operations=max_operations)
    return {} if fitted is None else fitted.scores


def fit_linear(experiment: Experiment, measured: str, *, max_operations: float | None = None) -> LinearFit | None:
    """Fits a linear model to up to 5,000 train samples, and measures it.

    The model is a logistic or ridge regression in float64. Inputs are preprocessed, standardized and flattened; tokens
    are counted.

    Args:
        experiment: The experiment.
        measured: The split to measure.
        max_operations: The maximum number of operations of the fit; None for no limit.

    Returns:
        The fit. None if the data is multilabel or has targets per step, if the fitted samples have only one class, if
        inputs are not finite or not loaded into memory, or if the fit needs more operations.
    """
    if any(isinstance(experiment.splits[name].inputs, OnDisk) for name in ("train", measured)):
        return None
    if max_operations is not None and _operations(experiment) > max_operations:
        return None
    train, other = select_samples(experiment, "train"), select_samples(experiment, measured)
    if train is None or other is None:
        return None
    penalty = min(1.0, len(train.targets) / _FULL_PENALTY_ROWS)
    if experiment.dataset.task == "classification":
        return _fit_classes(train, other, len(experiment.dataset.classes), penalty)
    # Targets are scaled because squares of large values overflow.
    scale = Preprocess.fit(experiment.dataset, scale_target=True)
    weights = fit_ridge(train.inputs.to_dense(), scale.scale_targets(train.targets).double(), penalty=penalty)
    answers = scale.unscale_targets(scores_of(other.inputs.to_dense(), weights))
    return LinearFit(regression_scores(answers - other.targets, other.targets), other.rows, answers)


class Sample:
    """Samples of a split.

    Attributes:
        inputs: (M, D) float64, dense, or sparse for counts of tokens.
        targets: (M,) class indices, or (M, K) regression targets in their own unit.
        rows: (M,) positions in the split.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, rows: Tensor) -> None:
        self.inputs, self.targets, self.rows = inputs, targets, rows


def select_samples(experiment: Experiment, name: str) -> Sample | None:
    """Returns a fixed random part of a split; None if a linear model can't be fitted to it."""
    dataset, split = experiment.dataset, experiment.splits[name]
    if dataset.task == "multilabel" or dataset.splits[name].targets.ndim > 1 + (dataset.task == "regression"):
        return None
    if dataset.splits[name].inputs.is_meta and split.level is not None:
        return None  # each window is shifted by its own amount
    width = _width(experiment)
    num_train = min(MAX_ROWS, max(100, MAX_NUMBERS // width))
    rows = _rows(len(split), num_train if name == "train" else max(100, MAX_MEASURED // width))
    targets = dataset.splits[name].targets[rows]
    if dataset.layout == "tokens":
        return Sample(_counts(split, rows, width), targets, rows)
    inputs = _flat_inputs(experiment, name, rows, _rows(len(dataset.train), num_train))
    return Sample(inputs, targets, rows) if bool(inputs.isfinite().all()) else None


def _fit_classes(train: Sample, other: Sample, num_classes: int, penalty: float) -> LinearFit | None:
    counts = train.targets.bincount(minlength=num_classes)
    if int((counts > 0).sum()) < 2:
        return None
    scores = scores_of(other.inputs, fit_logistic(train.inputs, train.targets, num_classes, penalty=penalty))
    scores[:, counts.argmax()] += _TIE
    answers = scores.argmax(1)
    return LinearFit({"accuracy": float((answers == other.targets).double().mean())}, other.rows, answers)


def _operations(experiment: Experiment) -> float:
    """Estimates the number of operations of the fit."""
    width, num_rows = _width(experiment), len(experiment.splits["train"])
    num_rows = min(num_rows, MAX_ROWS, max(100, MAX_NUMBERS // width))
    if experiment.dataset.task != "classification":
        return 2.0 * num_rows * width * min(num_rows, width)
    steps = experiment.splits["train"].inputs.shape[1] if experiment.dataset.layout == "tokens" else width
    return float(_PASSES) * num_rows * steps * len(experiment.dataset.classes)


def _width(experiment: Experiment) -> int:
    """Returns the number of features D."""
    dataset = experiment.dataset
    width = dataset.num_tokens if dataset.layout == "tokens" else experiment.splits["train"].inputs[0].numel()
    return max(1, width)


def _rows(num_samples: int, most: int) -> Tensor:
    return torch.randperm(num_samples, generator=torch.Generator().manual_seed(0))[:most].sort().values


def _flat_inputs(experiment: Experiment, name: str, rows: Tensor, train: Tensor) -> Tensor:
    """Returns inputs (M, D), standardized by rows of train; images and principal components are not standardized.

    Raw features are used if they are still in memory, else preprocessed ones.
    """
    dataset = experiment.dataset
    if dataset.layout not in ("features", "sequence") or experiment.preprocess.mean is not None:
        return _read(experiment.splits[name], rows)
    splits = experiment.splits if dataset.train.inputs.is_meta else dataset.splits
    shift, scale = fit_scale(lambda: iter([_read(splits["train"], train)]), "standardize")
    return (_read(splits[name], rows) - shift) / scale


def _read(split: Split, rows: Tensor) -> Tensor:
    """Returns inputs as (M, D) float64 on the CPU."""
    return split.network_inputs(rows.to(split.targets.device)).flatten(1).double().cpu()


def _counts(split: Split, rows: Tensor, num_tokens: int) -> Tensor:
    """Returns the count of each token in each text, (M, V) sparse, without padding."""
    tokens = split.inputs.cpu()[rows]
    steps = torch.arange(tokens.shape[1])
    lengths = torch.full((len(rows),), tokens.shape[1]) if split.lengths is None else split.lengths.cpu()[rows]
    valid = steps < lengths.unsqueeze(1)
    places = torch.arange(len(rows)).unsqueeze(1).expand_as(tokens)[valid]
    ones = torch.ones(len(places), dtype=torch.float64)
    indices = torch.stack([places, tokens[valid]])
    return torch.sparse_coo_tensor(indices, ones, (len(rows), num_tokens), check_invariants=True).coalesce()
