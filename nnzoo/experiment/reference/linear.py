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
from nnzoo.training.measures.losses import Reads

MAX_ROWS = 5_000
MAX_CHEAP_ROWS = 50_000
"""More than `MAX_ROWS` train samples are used, up to this number, as long as the fit is cheap."""
_ROUGH = 1e-4
"""The tolerance of a fit to more than `MAX_ROWS` samples, that of scikit-learn. It takes a third of the time."""
MAX_NUMBERS, MAX_MEASURED = 10_000_000, 200_000_000
"""The maximum number of entries that are read of train and of the measured split."""
CHEAP = 3e9
"""The number of operations of a fit that takes about a second on one core."""
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
        answers: (M,) predicted classes, (M, K) labels 0 and 1, or (M, K) predictions in the unit of the targets.
        outputs: (M, K) float64: logits of classes, log odds of labels, or `answers` for a regression.
        reads: The meaning of `outputs`.
    """

    scores: dict[str, float]
    rows: Tensor
    answers: Tensor
    outputs: Tensor
    reads: Reads


def linear_scores(experiment: Experiment, measured: str, *, max_operations: float | None = None) -> dict[str, float]:
    """Returns the scores of `fit_linear`; empty if it can't be fitted."""
    fitted = fit_linear(experiment, measured, max_operations=max_operations)
    return {} if fitted is None else fitted.scores


def fit_linear(experiment: Experiment, measured: str, *, max_operations: float | None = None) -> LinearFit | None:
    """Fits a linear model to train samples, up to 5,000 or as many as are cheap (`CHEAP`), and measures it.

    The model is a logistic or ridge regression in float64, or one logistic regression for each label. Inputs are
    preprocessed, standardized and flattened; tokens are counted.

    Args:
        experiment: The experiment.
        measured: The split to measure.
        max_operations: The maximum number of operations of the fit; None for no limit.

    Returns:
        The fit. None if the data has targets per step or class probabilities, if the fitted samples have only one
        class, if inputs are not finite or not loaded into memory, or if the fit needs more operations.
    """
    if any(isinstance(experiment.splits[name].inputs, OnDisk) for name in ("train", measured)):
        return None
    if max_operations is not None and _operations(experiment) > max_operations:
        return None
    most = _num_rows(experiment)
    train, other = (select_samples(experiment, name, max_rows=most) for name in ("train", measured))
    if train is None or other is None:
        return None
    penalty = min(1.0, len(train.targets) / _FULL_PENALTY_ROWS)
    if experiment.dataset.task == "multilabel":
        return _fit_labels(train, other, penalty)
    if experiment.dataset.task == "classification":
        return _fit_classes(train, other, len(experiment.dataset.classes), penalty)
    # Targets are scaled because squares of large values overflow.
    scale = Preprocess.fit(experiment.dataset, scale_target=True)
    weights = fit_ridge(train.inputs.to_dense(), scale.scale_targets(train.targets).double(), penalty=penalty)
    answers = scale.unscale_targets(scores_of(other.inputs.to_dense(), weights))
    scores = regression_scores(answers - other.targets, other.targets)
    return LinearFit(scores, other.rows, answers, answers, "values")


class Sample:
    """Samples of a split.

    Attributes:
        inputs: (M, D) float64, dense, or sparse for counts of tokens.
        targets: (M,) class indices, (M, K) labels 0 and 1, or (M, K) regression targets in their own unit.
        rows: (M,) positions in the split.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, rows: Tensor) -> None:
        self.inputs, self.targets, self.rows = inputs, targets, rows


def select_samples(experiment: Experiment, name: str, *, max_rows: int = MAX_ROWS) -> Sample | None:
    """Returns a fixed random part of a split; None if a linear model can't be fitted to it.

    Args:
        experiment: The experiment.
        name: The split.
        max_rows: The maximum number of train samples; another split is measured on as many as fit into memory.
    """
    dataset, split = experiment.dataset, experiment.splits[name]
    if dataset.per != "sample" or dataset.splits[name].targets.ndim > 1 + (dataset.task != "classification"):
        return None
    if dataset.splits[name].inputs.is_meta and split.level is not None:
        return None  # each window is shifted by its own amount
    width = _width(experiment)
    num_train = min(max_rows, max(100, MAX_NUMBERS // width))
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
    scores = scores_of(other.inputs, _logistic(train, train.targets, num_classes, penalty))
    scores[:, counts.argmax()] += _TIE
    answers = scores.argmax(1)
    accuracy = float((answers == other.targets).double().mean())
    return LinearFit({"accuracy": accuracy}, other.rows, answers, scores, "logits")


def _logistic(train: Sample, labels: Tensor, num_classes: int, penalty: float) -> Tensor:
    accuracy = {"tolerance": _ROUGH} if len(labels) > MAX_ROWS else {}
    return fit_logistic(train.inputs, labels, num_classes, penalty=penalty, **accuracy)


def _fit_labels(train: Sample, other: Sample, penalty: float) -> LinearFit:
    columns = []
    for labels in (train.targets > 0.5).long().T:
        if bool((labels == labels[0]).all()):
            log_odds = torch.zeros(len(other.targets), dtype=torch.float64)
        else:
            scores = scores_of(other.inputs, _logistic(train, labels, 2, penalty))
            log_odds = scores[:, 1] - scores[:, 0]
        columns.append(log_odds + (_TIE if float(labels.double().mean()) > 0.5 else -_TIE))
    outputs = torch.stack(columns, dim=1)
    answers = (outputs > 0).long()
    accuracy = float((answers == (other.targets > 0.5)).double().mean())
    return LinearFit({"accuracy": accuracy}, other.rows, answers, outputs, "log_odds")


def _operations(experiment: Experiment) -> float:
    """Estimates the number of operations of a fit to up to `MAX_ROWS` samples."""
    num_rows = min(len(experiment.splits["train"]), MAX_ROWS, max(100, MAX_NUMBERS // _width(experiment)))
    return num_rows * _operations_per_row(experiment, num_rows)


def _operations_per_row(experiment: Experiment, num_rows: int) -> float:
    width, dataset = _width(experiment), experiment.dataset
    if dataset.task == "regression":
        return 2.0 * width * min(num_rows, width)
    steps = experiment.splits["train"].inputs.shape[1] if dataset.layout == "tokens" else width
    return float(_PASSES) * steps * len(dataset.classes) * (2 if dataset.task == "multilabel" else 1)


def _num_rows(experiment: Experiment) -> int:
    """Returns the maximum number of train samples of a fit."""
    affordable = CHEAP / max(1.0, _operations_per_row(experiment, MAX_CHEAP_ROWS))
    return max(MAX_ROWS, min(MAX_CHEAP_ROWS, int(affordable)))


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
