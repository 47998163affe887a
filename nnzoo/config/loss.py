"""Losses: torch's own names and fields. They read logits, or the log of what an activation made probabilities."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Items, NonNegative, Positive, Probability, Section


class Loss(Section):
    """What every loss has, and what is known of it without any data."""

    name: str

    tasks: ClassVar[frozenset[str]]
    binary_units: ClassVar[int] = 1
    """Output units for two classes; with more, every loss has one unit a class."""
    reads: ClassVar[Literal["logits", "margins", "values"]]
    """What output units mean to the loss: logits of probabilities, signed margins, or the targets' own values."""
    at_positions: ClassVar[bool] = False
    """Whether it can leave out the steps and nodes that have no target."""

    reduction: Literal["mean", "sum"] = Field("mean", description="over the samples of a batch")


class AutoLoss(Loss):
    """cross_entropy for classes, bce for several labels a sample, mse for regression."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"
    at_positions = True

    name: Literal["auto"] = "auto"


class WeightedLoss(Loss):
    """A loss in which classes may weigh differently."""

    class_weights: Literal["balanced"] | Items[Positive] | None = Field(
        None, description="a weight a class; balanced: samples / (classes * samples of the class), on the train split"
    )


class CrossEntropy(WeightedLoss):
    """-log p of the true class, p = softmax(outputs): maximum likelihood. Targets may be probabilities."""

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"
    at_positions = True

    name: Literal["cross_entropy"]
    label_smoothing: Probability = Field(0.0, description="share of the target spread over all classes")


class Nll(WeightedLoss):
    """-log p of the true class, for outputs that are log-probabilities: cross_entropy where they are logits."""

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"
    at_positions = True

    name: Literal["nll"]


class Focal(WeightedLoss):
    """-(1 - p)^gamma log p of the true class, p = softmax(outputs): easy samples count less (Lin et al. 2017)."""

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"
    at_positions = True

    name: Literal["focal"]
    gamma: NonNegative = Field(2.0, description="how much less; 0: cross_entropy")


class KlDiv(Loss):
    """sum_k t_k (log t_k - log p_k), p = softmax(outputs): cross_entropy less the entropy of the targets.

    Targets are probabilities or classes. `mean` is over the samples, as torch's `batchmean`.
    """

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"

    name: Literal["kl_div"]


class Bce(Loss):
    """-(t log p + (1 - t) log(1 - p)), p = sigmoid(output): one unit for two classes, one a class or label for more."""

    tasks = frozenset({"classification", "multilabel"})
    reads = "logits"

    name: Literal["bce"]


class Hinge(Loss):
    """max(0, 1 - t * output), t = +1 or -1: the linear SVM's. More than two classes: one against the rest."""

    tasks = frozenset({"classification"})
    reads = "margins"

    name: Literal["hinge"]


class MultiMargin(WeightedLoss):
    """sum_k max(0, margin - output_y + output_k)^p / K over the classes k other than the true one, y.

    The multiclass support vector machine of Weston & Watkins (1999). `mean` divides by the samples, not their weights.
    """

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "margins"

    name: Literal["multi_margin"]
    p: Literal[1, 2] = Field(1, description="power of a violation")
    margin: Positive = Field(1.0, description="how far the true class must lie above the others")


class Perceptron(Loss):
    """max(0, -t * output), t = +1 or -1: Rosenblatt's rule (1958). More than two classes: one against the rest."""

    tasks = frozenset({"classification"})
    reads = "margins"

    name: Literal["perceptron"]


class Mse(Loss):
    """(output - target)^2. Classes are regressed as 0 and 1."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["mse"]


class L1(Loss):
    """|output - target|. `mae` for short. Classes are regressed as 0 and 1."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["l1", "mae"]


class Huber(Loss):
    """0.5 e^2 for |e| < delta, delta * (|e| - 0.5 delta) else, e = output - target (Huber 1964)."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["huber"]
    delta: Positive = Field(1.0, description="where the square turns into a line")


class SmoothL1(Loss):
    """0.5 e^2 / beta for |e| < beta, |e| - 0.5 beta else, e = output - target (Girshick 2015)."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["smooth_l1"]
    beta: Positive = Field(1.0, description="where the square turns into a line")


LossSection = Annotated[
    AutoLoss
    | CrossEntropy
    | Nll
    | Bce
    | Hinge
    | MultiMargin
    | Perceptron
    | KlDiv
    | Focal
    | Mse
    | L1
    | Huber
    | SmoothL1,
    Field(discriminator="name"),
    ByName("a loss", default="auto"),
]
