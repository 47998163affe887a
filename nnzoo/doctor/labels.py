"""Finds labels that contradict those of similar samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnzoo.doctor.duplicates import name_of
from nnzoo.doctor.finding import MAX_NAMED
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.linear import Sample, select_samples
from nnzoo.experiment.reference.logistic import fit_logistic, scores_of

FOLDS = 4
MAX_ROWS, MAX_OPERATIONS = 1500, 1e9
LEAST_ROWS = 200
"""With fewer samples, a model is too often wrong where it is most certain."""
NEIGHBOURS = 15
SKILL = 0.35
"""The share of the distance from the baseline to a perfect accuracy that a model must reach to judge labels."""
GOOD = 0.9
"""A model with this accuracy judges labels well, so no other one is fitted."""
LEAST_NOISE = 0.07
"""The share of contradicted labels among the certain samples that is reported."""
EVENNESS, STRICT_EVENNESS, WEAK_MODEL = 0.36, 0.55, 0.72
"""The share among the certain samples is at least this part of that among the others. Below 0.3, the classes overlap. A
model with an accuracy below `WEAK_MODEL` is less certain where it should be, so its threshold is higher."""
SURE_SHARE = 0.5
"""The share of the samples of which a model is most certain."""


@dataclass(frozen=True)
class Noise:
    """Labels that are probably wrong.

    Attributes:
        share: The estimated share of wrong labels.
        sure: The share of labels that differ from the prediction, among the samples of which the model is most certain.
        rest: That share among the other samples.
        accuracy: The cross-validated accuracy of the model.
        num_sure: The number of samples of which the model is most certain.
        samples: The names of some samples with the label and the prediction.
    """

    share: float
    sure: float
    rest: float
    accuracy: float
    num_sure: int
    samples: tuple[str, ...]


def measure(experiment: Experiment) -> Noise | None:
    """Measures how often labels contradict predictions by a model that was fitted to the other samples.

    Where classes overlap, predictions are wrong where the model is uncertain. Wrong labels are also found where it is
    certain. The model is a logistic regression or nearest neighbours, whichever predicts better.

    Returns:
        The measurement; None if it does not apply, or if no model predicts well enough.
    """
    dataset = experiment.dataset
    if dataset.task != "classification" or dataset.per != "sample" or "train" not in experiment.splits:
        return None
    sample = select_samples(experiment, "train")
    if sample is None or len(sample.targets) < LEAST_ROWS or sample.targets.ndim != 1:
        return None
    sample = _limited(sample, len(dataset.classes))
    labels, num_classes = sample.targets, len(dataset.classes)
    counts = labels.bincount(minlength=num_classes)
    if int((counts >= FOLDS).sum()) < 2:
        return None
    shares = None if sample.inputs.is_sparse else _nearest(sample.inputs, labels, num_classes)
    if shares is None or _accuracy(shares, labels) < GOOD:
        other = _logistic(sample, num_classes)
        shares = other if shares is None or _accuracy(other, labels) > _accuracy(shares, labels) else shares
    predicted = shares.argmax(1)
    accuracy, floor = _accuracy(shares, labels), float(counts.max()) / len(labels)
    if accuracy - floor < SKILL * (1 - floor):
        return None
    order = shares.amax(1).argsort(descending=True, stable=True)
    cut = int(len(order) * SURE_SHARE)
    wrong = (predicted != labels)[order]
    sure, rest = float(wrong[:cut].double().mean()), float(wrong[cut:].double().mean())
    rows = [int(index) for index in order[:cut] if predicted[index] != labels[index]][:MAX_NAMED]
    names = tuple(
        f"{name_of('train', int(sample.rows[row]), dataset)}: {dataset.classes[int(labels[row])]}, or "
        f"{dataset.classes[int(predicted[row])]}?"
        for row in rows
    )
    return Noise(sure, sure, rest, accuracy, max(cut, 1), names)


def noise(experiment: Experiment) -> Noise | None:
    """Returns the measurement if many labels are probably wrong."""
    found = measure(experiment)
    if found is None or found.sure < LEAST_NOISE:
        return None
    least = EVENNESS if found.accuracy >= WEAK_MODEL else STRICT_EVENNESS
    deviation = math.sqrt(found.sure * (1 - found.sure) / found.num_sure)
    return found if found.sure - deviation >= least * found.rest else None


def _accuracy(shares: Tensor, labels: Tensor) -> float:
    return float((shares.argmax(1) == labels).double().mean())


def _limited(sample: Sample, num_classes: int) -> Sample:
    """Returns as many random samples as can be fitted in about a second."""
    width = max(1, sample.inputs.shape[1] if not sample.inputs.is_sparse else 50)
    most = int(min(MAX_ROWS, max(LEAST_ROWS, MAX_OPERATIONS / (600 * width * max(num_classes, 2)))))
    if len(sample.targets) <= most:
        return sample
    kept = torch.randperm(len(sample.targets), generator=torch.Generator().manual_seed(0))[:most].sort().values
    return Sample(sample.inputs.index_select(0, kept), sample.targets[kept], sample.rows[kept])


def _logistic(sample: Sample, num_classes: int) -> Tensor:
    """Returns cross-validated class probabilities (N, K) of a logistic regression."""
    labels = sample.targets
    folds = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1)) % FOLDS
    shares = torch.zeros(len(labels), num_classes, dtype=torch.float64)
    for fold in range(FOLDS):
        train, other = (folds != fold).nonzero().flatten(), (folds == fold).nonzero().flatten()
        if int((labels[train].bincount(minlength=num_classes) > 0).sum()) < 2:
            continue
        inputs = sample.inputs.index_select(0, train)
        weights = fit_logistic(inputs, labels[train], num_classes, penalty=1.0)
        shares[other] = scores_of(sample.inputs.index_select(0, other), weights).softmax(1)
    return shares


def _nearest(inputs: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Returns class shares (N, K) among the nearest other samples."""
    distances = torch.cdist(inputs.float(), inputs.float())
    distances.fill_diagonal_(torch.inf)
    found = distances.topk(min(NEIGHBOURS, len(labels) - 1), largest=False).indices
    return torch.nn.functional.one_hot(labels[found], num_classes).double().mean(1)
