"""Fully connected models, which flatten their inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Relu
from nnzoo.config.base import Count, Items, Positive, Probability, Section
from nnzoo.config.init import Init
from nnzoo.config.model.base import Model, Output


class Layer(Section):
    """One hidden layer: linear, batch norm, activation, dropout. Null fields take the value of the model."""

    units: Count = Field(description="number of units")
    activation: Activation | None = Field(None, description="activation; null: the activation of the model")
    init: Init | None = Field(None, description="initializer; null: the top-level `init`")
    bias: bool | None = Field(None, description="whether the layer has a bias; null: as set in the model")
    batch_norm: bool | None = Field(
        None, description="batch normalization before the activation; null: as set in the model"
    )
    dropout: Probability | None = Field(None, description="dropout probability; null: as set in the model")


class Linear(Model):
    """A single layer: y = f(W x + b). Images and sequences are flattened.

    `kernel: rbf` computes random Fourier features first (Rahimi & Recht 2007). This approximates a kernel machine;
    the cost per sample does not grow with the number of samples.
    """

    name: Literal["linear"]
    kernel: Literal["none", "rbf"] = Field(
        "none", description="rbf: exp(-gamma |x - y|^2), approximated by random features"
    )
    n_components: Count = Field(
        256, description="number of random features; more features approximate the kernel better"
    )
    gamma: Positive | None = Field(None, description="inverse width of the kernel; null: 1 / number of inputs")
    output: Output = Field(Output(), description="the output layer: activation, initializer and bias")


class Perceptron(Model):
    """A linear unit with a step function (Rosenblatt 1958): one unit for two classes, else one per class.

    Inputs are flattened. The step is the sign of the output, which `loss: perceptron` and the predictions use. The
    defaults are the perceptron rule: `loss: perceptron`, `optimizer: {name: sgd, lr: 1.0}`, and a patience of 20
    epochs in `train.early_stopping`, because its loss fluctuates.
    """

    section_defaults = {  # noqa: RUF012
        "optimizer": {"name": "sgd", "lr": 1.0},
        "train": {"early_stopping": {"patience": 20}},
    }

    name: Literal["perceptron"]


class Mlp(Model):
    """A multilayer perceptron: hidden layers of linear, batch norm, activation, dropout. Inputs are flattened."""

    name: Literal["mlp"]
    hidden: Items[Count] | None = Field(
        None, description="number of units of each hidden layer; may be empty; null: [64, 32]"
    )
    layers: Items[Layer] | None = Field(
        None, description="the hidden layers with all their fields, instead of `hidden`"
    )
    activation: Activation = Field(Relu(), description="activation of the hidden layers")
    bias: bool = Field(True, description="whether hidden layers have a bias")
    batch_norm: bool = Field(False, description="batch normalization before the activation (Ioffe & Szegedy 2015)")
    dropout: Probability = Field(0.0, description="dropout probability of hidden units (Srivastava et al. 2014)")
    output: Output = Field(Output(), description="the output layer: activation, initializer and bias")
