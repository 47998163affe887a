"""Optimizers: torch.optim's names, fields and defaults, but for the line search of lbfgs.

`lr` is the learning rate, `weight_decay` torch's own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nnzoo.config.base import ByName, Count, NonNegative, Positive, Probability, Real, Section
from nnzoo.config.base import Items as _Items


def _check_two(numbers: tuple[float, ...]) -> tuple[float, ...]:
    if len(numbers) != 2:
        raise ValueError(f"expected two numbers, got {len(numbers)}")
    return numbers


Betas = Annotated[_Items[Probability], AfterValidator(_check_two)]
Two = Annotated[_Items[Positive], AfterValidator(_check_two)]


class Sgd(Section):
    """w <- w - lr * v, v <- momentum * v + (1 - dampening) * gradient (Robbins & Monro 1951; Polyak 1964)."""

    name: Literal["sgd"]
    lr: NonNegative = Field(1e-3, description="learning rate")
    momentum: NonNegative = Field(0.0, description="share of the last step that is kept")
    dampening: Real = Field(0.0, description="with dampening = momentum the step is an exponential average")
    nesterov: bool = Field(False, description="look ahead (Sutskever et al. 2013); needs momentum, no dampening")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")


class Adam(Section):
    """Steps scaled by running averages of the gradient and its square (Kingma & Ba 2015)."""

    name: Literal["adam"]
    lr: NonNegative = Field(1e-3, description="learning rate")
    betas: Betas = Field((0.9, 0.999), description="decay of the two averages")
    eps: NonNegative = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")
    amsgrad: bool = Field(False, description="keep the maximum of the second average (Reddi et al. 2018)")


class AdamW(Section):
    """Adam whose weight decay acts on the weights and not on the gradient (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: NonNegative = Field(1e-3, description="learning rate")
    betas: Betas = Field((0.9, 0.999), description="decay of the two averages")
    eps: NonNegative = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegative = Field(0.01, description="w <- w - lr * weight_decay * w at every step")
    amsgrad: bool = Field(False, description="keep the maximum of the second average (Reddi et al. 2018)")


class RmsProp(Section):
    """Steps scaled by a running average of the squared gradient (Hinton 2012)."""

    name: Literal["rmsprop"]
    lr: NonNegative = Field(1e-2, description="learning rate")
    alpha: Probability = Field(0.99, description="decay of the average")
    eps: NonNegative = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")
    momentum: NonNegative = Field(0.0, description="share of the last step that is kept")
    centered: bool = Field(False, description="scale by the variance of the gradient")


class Adagrad(Section):
    """Steps scaled by the sum of all squared gradients so far (Duchi et al. 2011)."""

    name: Literal["adagrad"]
    lr: NonNegative = Field(1e-2, description="learning rate")
    lr_decay: NonNegative = Field(0.0, description="lr / (1 + step * lr_decay)")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")
    initial_accumulator_value: NonNegative = Field(0.0, description="where the sum starts")
    eps: Positive = Field(1e-10, description="added to the denominator")


class Adadelta(Section):
    """Steps scaled by running averages of squared steps over squared gradients (Zeiler 2012)."""

    name: Literal["adadelta"]
    lr: NonNegative = Field(1.0, description="learning rate; 1 in the paper")
    rho: Probability = Field(0.9, description="decay of the two averages")
    eps: Positive = Field(1e-6, description="added to both averages: the first step would be 0 without it")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")


class Adamax(Section):
    """Adam with a decaying maximum in place of the average of squares (Kingma & Ba 2015, section 7.1)."""

    name: Literal["adamax"]
    lr: NonNegative = Field(2e-3, description="learning rate")
    betas: Betas = Field((0.9, 0.999), description="decay of the average and of the maximum")
    eps: Positive = Field(1e-8, description="added to the size of the gradient")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")


class NAdam(Section):
    """Adam that looks ahead, as Nesterov's momentum does (Dozat 2016)."""

    name: Literal["nadam"]
    lr: NonNegative = Field(2e-3, description="learning rate")
    betas: Betas = Field((0.9, 0.999), description="decay of the two averages")
    eps: NonNegative = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")
    momentum_decay: NonNegative = Field(4e-3, description="how fast the first average comes to its full length")
    decoupled_weight_decay: bool = Field(False, description="weight decay acts on the weights, as in adamw")


class RAdam(Section):
    """Adam that takes plain momentum steps until its second average can be relied on (Liu et al. 2020)."""

    name: Literal["radam"]
    lr: NonNegative = Field(1e-3, description="learning rate")
    betas: Betas = Field((0.9, 0.999), description="decay of the two averages")
    eps: NonNegative = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegative = Field(0.0, description="added to the gradient: weight_decay * w")
    decoupled_weight_decay: bool = Field(False, description="weight decay acts on the weights, as in adamw")


class Rprop(Section):
    """Each weight's own step, by the sign of its gradient alone (Riedmiller & Braun 1993); for `batch_size: full`."""

    name: Literal["rprop"]
    lr: NonNegative = Field(1e-2, description="the first step of every weight; no factor of later ones")
    etas: Two = Field((0.5, 1.2), description="factors of a step when the sign changed, and when it stayed")
    step_sizes: Two = Field((1e-6, 50.0), description="smallest and largest step")


class Lbfgs(Section):
    """Quasi-Newton steps from the last gradients (Liu & Nocedal 1989); for small nets and `batch_size: full`.

    A step evaluates its batch up to max_eval times, each time with the same dropout masks. L2 is part of what it
    minimises.
    """

    name: Literal["lbfgs"]
    lr: NonNegative = Field(1.0, description="length of a step; of the first try with line_search_fn")
    max_iter: Count = Field(20, description="iterations a step")
    max_eval: Count | None = Field(None, description="evaluations a step; null: 1.25 * max_iter")
    tolerance_grad: NonNegative = Field(1e-7, description="a step ends when no gradient is larger")
    tolerance_change: NonNegative = Field(1e-9, description="a step ends when loss and weights change less")
    history_size: Count = Field(100, description="gradients that are kept")
    line_search_fn: Literal["strong_wolfe"] | None = Field(
        "strong_wolfe", description="how a step's length is found; null (torch's default): lr, which may diverge"
    )


OptimizerSection = Annotated[
    Sgd | Adam | AdamW | RmsProp | Adagrad | Adadelta | Adamax | NAdam | RAdam | Rprop | Lbfgs,
    Field(discriminator="name"),
    ByName("an optimizer", default="adamw"),
]
