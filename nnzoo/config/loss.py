"""Losses, with the names and fields of torch.nn.

They expect logits. If an output activation gives probabilities, their logarithm is used.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Items, NonNegative, Positive, Probability, Section


class Loss(Section):
    """Base class of all losses, with the properties that rules need."""

    name: str

    tasks: ClassVar[frozenset[str]]
    binary_units: ClassVar[int] = 1
    """Number of output units for two classes. For more classes, every loss has one unit per class."""
    reads: ClassVar[Literal["logits", "margins", "values"]]
    """The meaning of the outputs: logits of probabilities, signed margins, or values in the unit of the targets."""
    at_positions: ClassVar[bool] = False
    """Whether the loss can skip steps and nodes without a target."""

    reduction: Literal["mean", "sum"] = Field("mean", description="reduction over the samples of a batch")


class AutoLoss(Loss):
    """cross_entropy for classification, bce for multilabel, mse for regression, perceptron for the perceptron model."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"
    at_positions = True

    name: Literal["auto"] = "auto"


class WeightedLoss(Loss):
    """A loss with class weights."""

    class_weights: Literal["balanced"] | Items[Positive] | None = Field(
        None,
        description="one weight per class; balanced: n_samples / (n_classes * n_samples of the class), from the "
        "train split",
    )


class CrossEntropy(WeightedLoss):
    """-log p of the true class, p = softmax(outputs). Targets may be probabilities."""

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"
    at_positions = True

    name: Literal["cross_entropy"]
    label_smoothing: Probability = Field(
        0.0, description="fraction of the target that is spread evenly over all classes"
    )


class Nll(WeightedLoss):
    """Negative log-likelihood: -log p of the true class. Given logits, it is the same as cross_entropy."""

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"
    at_positions = True

    name: Literal["nll"]


class Focal(WeightedLoss):
    """-(1 - p)^gamma log p of the true class, p = softmax(outputs): easy samples get less weight (Lin et al. 2017)."""

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"
    at_positions = True

    name: Literal["focal"]
    gamma: NonNegative = Field(2.0, description="focusing parameter; 0: same as cross_entropy")


class KlDiv(Loss):
    """Kullback-Leibler divergence: sum_k t_k (log t_k - log p_k), p = softmax(outputs).

    Targets are probabilities or classes. `mean` divides by the number of samples, like `batchmean` in torch.
    """

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "logits"

    name: Literal["kl_div"]


class Bce(Loss):
    """Binary cross entropy: -(t log p + (1 - t) log(1 - p)), p = sigmoid(output).

    Two classes share one output unit; otherwise there is one unit per class or label.
    """

    tasks = frozenset({"classification", "multilabel"})
    reads = "logits"

    name: Literal["bce"]


class Hinge(Loss):
    """max(0, 1 - t * output), t = +1 or -1, as in a linear SVM. More than two classes: one-vs-rest."""

    tasks = frozenset({"classification"})
    reads = "margins"

    name: Literal["hinge"]


class MultiMargin(WeightedLoss):
    """sum_k max(0, margin - output_y + output_k)^p / K over all classes k except the true class y.

    The multiclass SVM of Weston & Watkins (1999). `mean` divides by the number of samples, not by their weights.
    """

    tasks = frozenset({"classification"})
    binary_units = 2
    reads = "margins"

    name: Literal["multi_margin"]
    p: Literal[1, 2] = Field(1, description="exponent of margin violations")
    margin: Positive = Field(1.0, description="margin between the true class and the others")


class Perceptron(Loss):
    """max(0, -t * output), t = +1 or -1: the perceptron rule (Rosenblatt 1958). More classes: one-vs-rest."""

    tasks = frozenset({"classification"})
    reads = "margins"

    name: Literal["perceptron"]


class Mse(Loss):
    """Mean squared error: (output - target)^2. Class targets are 0 and 1."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["mse"]


class L1(Loss):
    """Mean absolute error: |output - target|; also called `mae`. Class targets are 0 and 1."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["l1", "mae"]


class Huber(Loss):
    """0.5 e^2 for |e| < delta, delta * (|e| - 0.5 delta) otherwise, e = output - target (Huber 1964)."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["huber"]
    delta: Positive = Field(1.0, description="error at which the loss changes from quadratic to linear")


class SmoothL1(Loss):
    """0.5 e^2 / beta for |e| < beta, |e| - 0.5 beta otherwise, e = output - target (Girshick 2015)."""

    tasks = frozenset({"classification", "multilabel", "regression"})
    reads = "values"

    name: Literal["smooth_l1"]
    beta: Positive = Field(1.0, description="error at which the loss changes from quadratic to linear")


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
