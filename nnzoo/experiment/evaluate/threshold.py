"""The decision threshold for two classes: the second is predicted if its probability is at least the threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.experiment.evaluate.training_data import read_training_data
from nnzoo.experiment.load import TrainedModel

Criterion = Literal["f1", "accuracy", "balanced_accuracy"]
CRITERIA: tuple[Criterion, ...] = ("f1", "accuracy", "balanced_accuracy")
_OPTION = "--threshold"


@dataclass(frozen=True)
class Threshold:
    """A decision threshold.

    Attributes:
        value: The second class is predicted if its probability is at least this.
        positive: The name of the second class.
        chosen_by: The metric that the threshold maximizes on val; None if the user set the value.
        score: The value of that metric on val.
        score_at_half: The value of that metric on val with a threshold of 0.5.
    """

    value: float
    positive: str
    chosen_by: Criterion | None = None
    score: float | None = None
    score_at_half: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return dict(vars(self))

    def describe(self) -> str:
        """Returns the threshold as one line of text."""
        line = f"threshold {self.value:.6g}: '{self.positive}' is predicted if its probability is at least that"
        if self.chosen_by is None:
            return line
        return f"{line}; {self.chosen_by} on val is {self.score:.4f}, and {self.score_at_half:.4f} with 0.5"


def parse_threshold(text: str) -> float | Criterion:
    """Reads a number from 0 to 1, `auto`, or `auto:METRIC`.

    Raises:
        UsageError: The text has none of these forms.
    """
    name, colon, criterion = text.partition(":")
    if name == "auto":
        for known in CRITERIA:
            if criterion == known or not colon:
                return known
        raise UsageError(f"expected auto:METRIC with one of {', '.join(CRITERIA)} (got '{text}').", where=_OPTION)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"expected a probability from 0 to 1, or auto (got '{text}').", where=_OPTION)
    return value


def with_threshold(trained: TrainedModel, choice: float | Criterion) -> tuple[TrainedModel, Threshold]:
    """Returns a trained network with a decision threshold.

    Args:
        trained: A classifier for two classes that predicts probabilities.
        choice: The threshold, or the metric to maximize on the val split of the training data. If several thresholds
            are equally good, the one closest to 0.5 is chosen.

    Raises:
        UsageError: There are not exactly two classes, no probabilities, or no val split to choose the threshold on.
        DataError: The training data can't be read.
    """
    decoder = trained.decoder
    if decoder.task != "classification" or decoder.num_classes != 2 or decoder.per == "step":
        what = f"{decoder.num_classes} classes" if decoder.task == "classification" else decoder.task
        what = "a class per step" if decoder.per == "step" else what
        raise UsageError(
            f"a threshold needs a classifier for two classes (got {what}). Leave the threshold out.", where=_OPTION
        )
    if decoder.reads == "margins":
        raise UsageError(
            f"a threshold applies to probabilities, and a network trained with {trained.config.loss.name} does not "
            "predict any. Train with cross_entropy or bce.",
            where=_OPTION,
        )
    positive = trained.classes[1]
    threshold = Threshold(choice, positive) if isinstance(choice, float) else _maximize(trained, choice, positive)
    return replace(trained, decoder=replace(decoder, cutoff=threshold.value)), threshold


def _maximize(trained: TrainedModel, criterion: Criterion, positive: str) -> Threshold:
    """Returns the threshold that maximizes a metric on val."""
    if trained.members:
        raise UsageError(
            "the averaged networks of a cross-validation have no common val split to choose the threshold on. Use a "
            "number.",
            where=_OPTION,
        )
    dataset = read_training_data(trained, fix="Set --threshold to a number, or name the run directory.")
    if "val" not in dataset.splits:
        raise UsageError("there is no val split to choose the threshold on. Use a number.", where=_OPTION)
    split = dataset.splits["val"]
    outputs = trained.outputs_of(split.inputs, split.lengths, compact=True)
    shares = trained.decoder.on_cpu().probabilities(outputs)[:, 1].float()
    is_positive = dataset.measured_split("val").class_indices() == 1
    if bool((is_positive == is_positive[0]).all()):
        raise UsageError(
            "the threshold can't be chosen, since val has samples of only one class. Use a number.", where=_OPTION
        )
    candidates = _candidates(shares)
    scores = _scores(shares, is_positive, torch.cat([candidates, torch.tensor([0.5])]), criterion)
    best = candidates[scores[:-1] == scores[:-1].max()]
    value = float(best[(best - 0.5).abs().argmin()])
    return Threshold(value, positive, criterion, float(scores[:-1].max()), float(scores[-1]))


def _candidates(shares: Tensor) -> Tensor:
    """Returns float32 thresholds, halfway between neighbours, that split (N,) probabilities in all possible ways."""
    distinct = shares.sort().values
    distinct = distinct[distinct.diff(prepend=distinct[:1] - 1) > 0]
    halfway = (distinct[:-1] + distinct[1:]) / 2
    between = torch.where(halfway > distinct[:-1], halfway, distinct[1:])
    return torch.cat([distinct[:1], between, (distinct[-1:] + 1) / 2])


def _scores(shares: Tensor, is_positive: Tensor, thresholds: Tensor, criterion: Criterion) -> Tensor:
    """Returns the metric at each of M thresholds, (M,) float64."""
    order = shares.sort()
    at_least = len(shares) - torch.searchsorted(order.values, thresholds)  # predicted positive
    hits = torch.nn.functional.pad(is_positive[order.indices].flip(0).cumsum(0), (1, 0))[at_least].double()
    num_positive = int(is_positive.sum())
    false_positives = at_least - hits
    if criterion == "f1":
        return 2 * hits / (at_least + num_positive)
    rejected = len(shares) - num_positive - false_positives
    if criterion == "accuracy":
        return (hits + rejected) / len(shares)
    return (hits / num_positive + rejected / (len(shares) - num_positive)) / 2
