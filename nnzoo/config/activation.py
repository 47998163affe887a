"""Activations, elementwise or over the last axis, with the names and fields of torch.nn."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Count, Positive, Real, Section


class Identity(Section):
    """f(x) = x: the layer stays linear."""

    name: Literal["identity"]


class Relu(Section):
    """f(x) = max(0, x)."""

    name: Literal["relu"] = "relu"


class LeakyRelu(Section):
    """f(x) = x for x > 0, negative_slope * x otherwise (Maas et al. 2013)."""

    name: Literal["leaky_relu"]
    negative_slope: Real = Field(0.01, description="slope for x < 0")


class Prelu(Section):
    """f(x) = x for x > 0, w * x otherwise, with w learned (He et al. 2015)."""

    name: Literal["prelu"]
    num_parameters: Count = Field(
        1, description="number of slopes: 1, or one per channel (the number of units of the layer)"
    )
    init: Real = Field(0.25, description="initial slope")


class Elu(Section):
    """f(x) = x for x > 0, alpha * (exp(x) - 1) otherwise (Clevert et al. 2015)."""

    name: Literal["elu"]
    alpha: Positive = Field(1.0, description="f(x) approaches -alpha for x -> -inf")


class Selu(Section):
    """ELU scaled so that zero mean and unit variance are a fixed point (Klambauer et al. 2017)."""

    name: Literal["selu"]


class Gelu(Section):
    """f(x) = x * Phi(x), where Phi is the cumulative distribution function of N(0, 1) (Hendrycks & Gimpel 2016)."""

    name: Literal["gelu"]
    approximate: Literal["none", "tanh"] = Field("none", description="tanh: use the tanh approximation")


class Silu(Section):
    """f(x) = x * sigmoid(x), also called swish."""

    name: Literal["silu"]


class Sigmoid(Section):
    """f(x) = 1 / (1 + exp(-x)), in (0, 1)."""

    name: Literal["sigmoid"]


class Tanh(Section):
    """f(x) = tanh(x), in (-1, 1)."""

    name: Literal["tanh"]


class Softplus(Section):
    """f(x) = log(1 + exp(beta * x)) / beta, a smooth ReLU."""

    name: Literal["softplus"]
    beta: Positive = Field(1.0, description="sharpness: the larger beta, the closer to ReLU")
    threshold: Positive = Field(20.0, description="the function is linear for beta * x > threshold")


class Hardtanh(Section):
    """f(x) = x clipped to [min_val, max_val]."""

    name: Literal["hardtanh"]
    min_val: Real = Field(-1.0, description="lowest value")
    max_val: Real = Field(1.0, description="highest value")


class Softmax(Section):
    """f(x)_i = exp(x_i) / sum_j exp(x_j) over the units: the outputs are probabilities that sum to 1."""

    name: Literal["softmax"]


class LogSoftmax(Section):
    """The logarithm of softmax, computed stably."""

    name: Literal["log_softmax"]


class Maxout(Section):
    """f(x)_i = the maximum of num_pieces linear functions with their own weights (Goodfellow et al. 2013)."""

    name: Literal["maxout"]
    num_pieces: Count = Field(2, description="linear functions per unit; multiplies the number of weights of the layer")


class Step(Section):
    """f(x) = 1 for x > 0, 0 otherwise (Rosenblatt 1958). Its gradient is 0, so only frozen layers can use it."""

    name: Literal["step"]


Activation = Annotated[
    Identity
    | Relu
    | LeakyRelu
    | Prelu
    | Elu
    | Selu
    | Gelu
    | Silu
    | Sigmoid
    | Tanh
    | Softplus
    | Hardtanh
    | Softmax
    | LogSoftmax
    | Maxout
    | Step,
    Field(discriminator="name"),
    ByName("an activation"),
]
