"""Compares a trained network with the baseline and a linear model, and gives advice if it is not better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from nnzoo.config import model
from nnzoo.config.loss import WeightedLoss
from nnzoo.data.baseline import baseline, shares
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.linear import LinearFit
from nnzoo.experiment.reference.paired import chance_of
from nnzoo.numbers import number

NOTICEABLE = 1.05
"""An error counts as larger if it is more than this many times the other one."""
SIGNIFICANT = 0.01
"""The largest probability of a difference by chance."""
IMBALANCED = 2
"""Classes are imbalanced if the most frequent one has at least this many times the samples of the rarest."""
_MAX_NAMED = 3


@dataclass(frozen=True)
class _Score:
    """The score that is compared: the accuracy, or the error of a regression."""

    name: str
    network: float
    train: float | None

    @property
    def is_error(self) -> bool:
        return self.name != "accuracy"


def compare(
    experiment: Experiment,
    split: str,
    metrics: Mapping[str, float],
    matrix: Sequence[Sequence[int]],
    outputs: Tensor | None,
    linear: LinearFit | None,
) -> tuple[tuple[str, str], ...]:
    """Compares the best weights with the baseline and a linear model on one split.

    Args:
        experiment: The experiment.
        split: The measured split.
        metrics: The metrics of all splits, such as "test/accuracy".
        matrix: The confusion matrix of that split; empty if there is none.
        outputs: The outputs for that split, as returned by `Decoder.compact`; None to skip the linear model.
        linear: A linear model that was fitted and measured on that split; None if there is none.

    Returns:
        A topic and a message for each reference that the network does not beat.
    """
    score = _score(metrics, split, experiment.dataset.task, matrix)
    if score is None or not math.isfinite(score.network):
        return ()
    remarks = list(_compare_with_baseline(experiment, split, score, matrix))
    if linear is not None and outputs is not None:
        remarks += _compare_with_linear(experiment, split, score, linear, outputs)
    return tuple(remarks)


def _score(metrics: Mapping[str, float], split: str, task: str, matrix: Sequence[Sequence[int]]) -> _Score | None:
    names = ("rmse", "mae") if task == "regression" else ("accuracy",)
    for name in names:
        if f"{split}/{name}" in metrics:
            return _Score(name, metrics[f"{split}/{name}"], metrics.get(f"train/{name}"))
    if not matrix:
        return None
    correct, total = sum(row[index] for index, row in enumerate(matrix)), sum(map(sum, matrix))
    return _Score("accuracy", correct / total, None)


def _compare_with_baseline(
    experiment: Experiment, split: str, score: _Score, matrix: Sequence[Sequence[int]]
) -> Iterator[tuple[str, str]]:
    baseline_score = baseline(experiment.dataset, split).get(score.name)
    if baseline_score is None or (score.network < baseline_score if score.is_error else score.network > baseline_score):
        return
    shown = f"{split} {score.name} {number(score.network)}"
    if score.is_error:
        is_series = experiment.dataset.splits[split].naive is not None
        season = experiment.dataset.choices.get("season", 1)
        forecast = "the naive forecast (the last value)"
        if season != 1:
            forecast = f"the seasonal naive forecast (the value {season} rows before)"
        what = forecast if is_series else "predicting the mean"
        fix = "Set data.window to at least a season, try model: linear, or train longer." if is_series else _LEARN_MORE
        yield (
            "no better than the baseline",
            f"{shown} is not below {number(baseline_score)}, the baseline of {what}. {fix}",
        )
        return
    text = f"{shown} is not above the baseline {number(baseline_score)}"
    if experiment.dataset.task == "classification":
        counts = shares(experiment.dataset.measured_split("train"), len(experiment.dataset.classes))
        text += f", which always predicts '{experiment.dataset.classes[int(counts.argmax())]}'"
        never = [
            name for index, name in enumerate(experiment.dataset.classes) if matrix and _is_missed(matrix[index], index)
        ]
        if never and float(counts.max()) >= IMBALANCED * float(counts.min()):
            shown_names = ", ".join(f"'{name}'" for name in never[:_MAX_NAMED]) + (
                ", ..." if len(never) > _MAX_NAMED else ""
            )
            text += f", and no sample of {shown_names} is predicted correctly (recall 0)."
            yield "class balance", f"{text} {_rebalancing_advice(experiment)}"
            return
    yield "no better than the baseline", f"{text}. {_LEARN_MORE}"


_LEARN_MORE = "Train longer (train.epochs), change optimizer.lr, or use a larger network; `nnzoo doctor RUN` helps."


def _is_missed(row: Sequence[int], index: int) -> bool:
    """Returns whether there is a class with samples but a recall of 0."""
    return sum(row) > 0 and row[index] == 0


def _rebalancing_advice(experiment: Experiment) -> str:
    """Returns advice on how to improve the recall of rare classes."""
    loss, config = experiment.config.loss, experiment.config
    fixes = []
    if not isinstance(loss, WeightedLoss) or loss.class_weights is None:
        name = loss.name if isinstance(loss, WeightedLoss) else "cross_entropy"
        fixes.append(f"Set loss: {{name: {name}, class_weights: balanced}}.")
    if "balanced_accuracy" not in config.train.metrics:
        fixes.append("Measure train.metrics: [balanced_accuracy, average_precision].")
    has_threshold = len(experiment.dataset.classes) == 2 and experiment.decoder.reads != "margins"
    if has_threshold and experiment.dataset.per == "sample":
        fixes.append("`nnzoo predict RUN --threshold auto` changes the decision threshold.")
    return " ".join(fixes) or _LEARN_MORE


def _compare_with_linear(
    experiment: Experiment, split: str, score: _Score, linear: LinearFit, outputs: Tensor
) -> Iterator[tuple[str, str]]:
    other = linear.scores.get(score.name)
    if other is None or isinstance(experiment.config.model, model.Linear | model.Perceptron):
        return
    if not _matters(experiment, split, score, other) or _chance(experiment, split, linear, outputs) > SIGNIFICANT:
        return
    fits_train = score.train is not None and (score.train <= other if score.is_error else score.train >= other)
    fix = (
        "It overfits: regularize it (dropout, weight decay, a smaller network), or use model: linear."
        if fits_train
        else "It underfits: train longer, change optimizer.lr, or use model: linear."
    )
    scores = f"{split} {score.name} of {number(other)}, and the network {number(score.network)}"
    yield "worse than a linear model", f"a linear model has a {scores}. {fix}"


def _matters(experiment: Experiment, split: str, score: _Score, linear: float) -> bool:
    """Returns whether a linear model has a smaller error by 5 %, or a noticeable part of its accuracy more."""
    if score.is_error:
        return score.network > NOTICEABLE * linear
    floor = baseline(experiment.dataset, split)[score.name]
    return linear > floor and linear - score.network >= (NOTICEABLE - 1) * (linear - floor)


def _chance(experiment: Experiment, split: str, linear: LinearFit, outputs: Tensor) -> float:
    """Returns the probability that the network has larger errors than a linear model only by chance."""
    decoder, rows = experiment.decoder.on_cpu(), linear.rows
    if experiment.dataset.task == "classification":
        actual = decoder.target_labels(experiment.splits[split].truth.cpu()[rows])
        return chance_of((decoder.labels(outputs[rows]) != actual).int(), (linear.answers != actual).int())
    if experiment.dataset.task == "multilabel":
        actual = decoder.target_labels(experiment.splits[split].truth.cpu()[rows])
        found = (decoder.labels(outputs[rows]), linear.answers)
        return chance_of(*((each != actual).double().mean(1) for each in found))
    targets = experiment.dataset.splits[split].targets.cpu()[rows].double()
    scale = targets.std(0, correction=0).clamp_min(1e-300)
    network, other = (
        ((each.double() - targets) / scale).square().mean(1) for each in (decoder.values(outputs[rows]), linear.answers)
    )
    return chance_of(network, other)
