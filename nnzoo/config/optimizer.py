"""Optimizers: torch.optim's names, fields and defaults. `lr` is the learning rate, `weight_decay` torch's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nnzoo.config.base import ByName, NonNegative, Positive, Probability, Real, Section
from nnzoo.config.base import Items as _Items


def _check_two(betas: tuple[float, ...]) -> tuple[float, ...]:
    if len(betas) != 2:
        raise ValueError(f"expected two numbers, got {len(betas)}")
    return betas


Betas = Annotated[_Items[Probability], AfterValidator(_check_two)]


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


OptimizerSection = Annotated[
    Sgd | Adam | AdamW | RmsProp | Adagrad,
    Field(discriminator="name"),
    ByName("an optimizer", default="adamw"),
]
