"""The decision threshold of two classes: how likely the second one has to be to be predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.experiment.evaluate.located import read_training_data
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
        chosen_by: The metric that is the highest on val with it; None if the value was given.
        score: That metric on val.
        score_at_half: The same with a threshold of 0.5.
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
        """Returns one line for a person."""
        line = f"threshold {self.value:.6g}: '{self.positive}' is predicted if its probability is at least that"
        if self.chosen_by is None:
            return line
        return f"{line}; {self.chosen_by} on val is {self.score:.4f}, and {self.score_at_half:.4f} with 0.5"


def parse_threshold(said: str) -> float | Criterion:
    """Reads a number from 0 to 1, `auto`, or `auto:METRIC`.

    Raises:
        UsageError: It is neither.
    """
    name, colon, criterion = said.partition(":")
    if name == "auto":
        for known in CRITERIA:
            if criterion == known or not colon:
                return known
        raise UsageError(f"expected auto:METRIC with one of {', '.join(CRITERIA)} (got '{said}').", where=_OPTION)
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"expected a probability from 0 to 1, or auto (got '{said}').", where=_OPTION)
    return value


def with_threshold(trained: TrainedModel, said: float | Criterion) -> tuple[TrainedModel, Threshold]:
    """Returns a trained network that decides by a threshold.

    Args:
        trained: Tells two classes apart, with probabilities.
        said: The threshold, or the metric that is to be the highest on the val split of the training data. Of several
            best thresholds the one closest to 0.5 is chosen.

    Raises:
        UsageError: There are more or fewer than two classes, no probabilities, or no val split to choose on.
        DataError: The training data is not there to choose on.
    """
    decoder = trained.decoder
    if decoder.task != "classification" or decoder.num_classes != 2 or decoder.per == "step":
        what = f"{decoder.num_classes} classes" if decoder.task == "classification" else decoder.task
        what = "a class per step" if decoder.per == "step" else what
        raise UsageError(f"a threshold is for two classes (this network is for {what}). Leave it out.", where=_OPTION)
    if decoder.reads == "margins":
        raise UsageError(
            f"a threshold is a probability, and {trained.config.loss.name} gives none. Train with cross_entropy "
            "or bce.",
            where=_OPTION,
        )
    positive = trained.classes[1]
    threshold = Threshold(said, positive) if isinstance(said, float) else _chosen(trained, said, positive)
    return replace(trained, decoder=replace(decoder, cutoff=threshold.value)), threshold


def _chosen(trained: TrainedModel, criterion: Criterion, positive: str) -> Threshold:
    """The threshold that is best on val."""
    dataset = read_training_data(trained, fix="Give --threshold a number, or name the run directory.")
    if "val" not in dataset.splits:
        raise UsageError("there is no val split to choose it on. Give a number.", where=_OPTION)
    split = dataset.splits["val"]
    outputs = trained.outputs_of(split.inputs, split.lengths, kept=True)
    shares = trained.decoder.on_cpu().probabilities(outputs)[:, 1].float()
    is_positive = dataset.measured_split("val").class_indices() == 1
    if bool((is_positive == is_positive[0]).all()):
        raise UsageError(
            "the val split has samples of one class only, so it can't be chosen. Give a number.", where=_OPTION
        )
    candidates = _candidates(shares)
    scores = _scores(shares, is_positive, torch.cat([candidates, torch.tensor([0.5])]), criterion)
    best = candidates[scores[:-1] == scores[:-1].max()]
    value = float(best[(best - 0.5).abs().argmin()])
    return Threshold(value, positive, criterion, float(scores[:-1].max()), float(scores[-1]))


def _candidates(shares: Tensor) -> Tensor:
    """Float32 numbers that divide (N,) probabilities in every way, halfway between neighbours."""
    distinct = shares.sort().values
    distinct = distinct[distinct.diff(prepend=distinct[:1] - 1) > 0]
    halfway = (distinct[:-1] + distinct[1:]) / 2
    between = torch.where(halfway > distinct[:-1], halfway, distinct[1:])
    return torch.cat([distinct[:1], between, (distinct[-1:] + 1) / 2])


def _scores(shares: Tensor, is_positive: Tensor, thresholds: Tensor, criterion: Criterion) -> Tensor:
    """(M,) float64, the metric with each threshold."""
    order = shares.sort()
    at_least = len(shares) - torch.searchsorted(order.values, thresholds)  # predicted positive
    hits = torch.nn.functional.pad(is_positive[order.indices].flip(0).cumsum(0), (1, 0))[at_least].double()
    num_positive = int(is_positive.sum())
    false = at_least - hits
    if criterion == "f1":
        return 2 * hits / (at_least + num_positive)
    rejected = len(shares) - num_positive - false
    if criterion == "accuracy":
        return (hits + rejected) / len(shares)
    return (hits / num_positive + rejected / (len(shares) - num_positive)) / 2
