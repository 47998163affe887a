"""Optimizers, with the names, fields and defaults of torch.optim; lbfgs uses a line search by default."""

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
BACKBONE_LR = (
    "learning rate of all layers except the output layer, usually smaller for pretrained weights; the scheduler scales "
    "both; null: lr"
)


class Sgd(Section):
    """w <- w - lr * v, v <- momentum * v + (1 - dampening) * gradient (Robbins & Monro 1951; Polyak 1964)."""

    name: Literal["sgd"]
    lr: NonNegative = Field(1e-3, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    momentum: NonNegative = Field(0.0, description="momentum factor")
    dampening: Real = Field(
        0.0, description="dampening of momentum; if equal to momentum, v is an exponential moving average of gradients"
    )
    nesterov: bool = Field(
        False, description="Nesterov momentum (Sutskever et al. 2013); needs momentum > 0 and dampening 0"
    )
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )


class Adam(Section):
    """Steps scaled by running averages of the gradient and its square (Kingma & Ba 2015)."""

    name: Literal["adam"]
    lr: NonNegative = Field(1e-3, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    betas: Betas = Field(
        (0.9, 0.999), description="decay rates of the running averages of the gradient and of its square"
    )
    eps: NonNegative = Field(1e-8, description="added to the denominator for numerical stability")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )
    amsgrad: bool = Field(False, description="use the maximum of all second moments so far (Reddi et al. 2018)")


class AdamW(Section):
    """Adam with decoupled weight decay: it acts on the weights, not on the gradient (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: NonNegative = Field(1e-3, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    betas: Betas = Field(
        (0.9, 0.999), description="decay rates of the running averages of the gradient and of its square"
    )
    eps: NonNegative = Field(1e-8, description="added to the denominator for numerical stability")
    weight_decay: NonNegative = Field(0.01, description="w <- w - lr * weight_decay * w at every step")
    amsgrad: bool = Field(False, description="use the maximum of all second moments so far (Reddi et al. 2018)")


class RmsProp(Section):
    """Steps scaled by a running average of the squared gradient (Hinton 2012)."""

    name: Literal["rmsprop"]
    lr: NonNegative = Field(1e-2, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    alpha: Probability = Field(0.99, description="decay rate of the running average")
    eps: NonNegative = Field(1e-8, description="added to the denominator for numerical stability")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )
    momentum: NonNegative = Field(0.0, description="momentum factor")
    centered: bool = Field(False, description="normalize by an estimate of the variance of the gradient")


class Adagrad(Section):
    """Steps scaled by the sum of all squared gradients so far (Duchi et al. 2011)."""

    name: Literal["adagrad"]
    lr: NonNegative = Field(1e-2, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    lr_decay: NonNegative = Field(0.0, description="the learning rate of a step is lr / (1 + step * lr_decay)")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )
    initial_accumulator_value: NonNegative = Field(0.0, description="initial value of the sum of squares")
    eps: Positive = Field(1e-10, description="added to the denominator for numerical stability")


class Adadelta(Section):
    """Steps scaled by running averages of squared steps over squared gradients (Zeiler 2012)."""

    name: Literal["adadelta"]
    lr: NonNegative = Field(1.0, description="scaling factor of the step; 1 in the paper")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    rho: Probability = Field(0.9, description="decay rates of the running averages of the gradient and of its square")
    eps: Positive = Field(1e-6, description="small constant added to both averages, so that the first step is not 0")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )


class Adamax(Section):
    """Adam based on the infinity norm: a decaying maximum replaces the average of squares (Kingma & Ba 2015)."""

    name: Literal["adamax"]
    lr: NonNegative = Field(2e-3, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    betas: Betas = Field((0.9, 0.999), description="decay rates of the running average and of the maximum")
    eps: Positive = Field(1e-8, description="added to the absolute value of the gradient")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )


class NAdam(Section):
    """Adam with Nesterov momentum (Dozat 2016)."""

    name: Literal["nadam"]
    lr: NonNegative = Field(2e-3, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    betas: Betas = Field(
        (0.9, 0.999), description="decay rates of the running averages of the gradient and of its square"
    )
    eps: NonNegative = Field(1e-8, description="added to the denominator for numerical stability")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )
    momentum_decay: NonNegative = Field(4e-3, description="decay of the momentum schedule")
    decoupled_weight_decay: bool = Field(False, description="use decoupled weight decay, as in adamw")


class RAdam(Section):
    """Rectified Adam: plain momentum until the variance of the second moment is tractable (Liu et al. 2020)."""

    name: Literal["radam"]
    lr: NonNegative = Field(1e-3, description="learning rate")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    betas: Betas = Field(
        (0.9, 0.999), description="decay rates of the running averages of the gradient and of its square"
    )
    eps: NonNegative = Field(1e-8, description="added to the denominator for numerical stability")
    weight_decay: NonNegative = Field(
        0.0, description="weight decay (L2 penalty): weight_decay * w is added to the gradient"
    )
    decoupled_weight_decay: bool = Field(False, description="use decoupled weight decay, as in adamw")


class Rprop(Section):
    """Resilient backpropagation: one step size per weight, adapted by the sign of the gradient; for `batch_size: full`.

    Riedmiller & Braun 1993.
    """

    name: Literal["rprop"]
    lr: NonNegative = Field(1e-2, description="initial step size of every weight")
    backbone_lr: Positive | None = Field(None, description=BACKBONE_LR)
    etas: Two = Field(
        (0.5, 1.2), description="factors of the step size if the sign of the gradient changes, and if it stays the same"
    )
    step_sizes: Two = Field((1e-6, 50.0), description="smallest and largest step size")


class Muon(Section):
    """Momentum with orthogonalized updates for hidden weights, and AdamW for all other parameters (Jordan 2024).

    The hidden weights are those of linear, recurrent and convolutional layers, except for the last layer. Their update
    is lr * 0.2 sqrt(max(rows, columns)) U V^T, for a momentum U S V^T. This has the size of an update of AdamW (Liu et
    al. 2025), so a learning rate that suits adamw is a good start.
    """

    name: Literal["muon"]
    lr: NonNegative = Field(1e-3, description="learning rate of all parameters")
    momentum: Probability = Field(0.95, description="decay rate of the running average of a hidden weight's gradient")
    nesterov: bool = Field(True, description="Nesterov momentum: the average is taken one step ahead")
    weight_decay: NonNegative = Field(0.01, description="w <- w - lr * weight_decay * w at every step, as in adamw")
    betas: Betas = Field((0.9, 0.999), description="decay rates of AdamW, for all other parameters")
    eps: NonNegative = Field(1e-8, description="added to the denominator of AdamW for numerical stability")


class Lbfgs(Section):
    """Limited-memory BFGS, a quasi-Newton method (Liu & Nocedal 1989); for small networks and `batch_size: full`.

    A step evaluates its batch up to max_eval times, with the same dropout masks each time. `regularization.l2` is part
    of the objective function.
    """

    name: Literal["lbfgs"]
    lr: NonNegative = Field(1.0, description="step length; with line_search_fn, the length of the first trial step")
    max_iter: Count = Field(20, description="maximum number of iterations per step")
    max_eval: Count | None = Field(
        None, description="maximum number of function evaluations per step; null: 1.25 * max_iter"
    )
    tolerance_grad: NonNegative = Field(
        1e-7, description="a step ends when no element of the gradient exceeds this value"
    )
    tolerance_change: NonNegative = Field(
        1e-9, description="a step ends when the loss or all weights change by less than this value"
    )
    history_size: Count = Field(100, description="number of past updates to keep")
    line_search_fn: Literal["strong_wolfe"] | None = Field(
        "strong_wolfe", description="line search; null (the default in torch): steps of length lr, which may diverge"
    )


OptimizerSection = Annotated[
    Sgd | Adam | AdamW | RmsProp | Adagrad | Adadelta | Adamax | NAdam | RAdam | Rprop | Muon | Lbfgs,
    Field(discriminator="name"),
    ByName("an optimizer", default="adamw"),
]
