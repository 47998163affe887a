"""Models that flatten their inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Relu
from nnzoo.config.base import Count, Items, Positive, Probability, Section
from nnzoo.config.init import Init
from nnzoo.config.model.base import Model, Output


class Layer(Section):
    """One hidden layer: linear, batch norm, activation, dropout. What it leaves out is taken from the model."""

    units: Count = Field(description="number of units")
    activation: Activation | None = Field(None, description="null: the model's")
    init: Init | None = Field(None, description="null: the model's")
    bias: bool | None = Field(None, description="whether the layer has biases; null: the model's")
    batch_norm: bool | None = Field(
        None, description="normalise over the batch before the activation; null: the model's"
    )
    dropout: Probability | None = Field(None, description="share of units silenced in training; null: the model's")


class Linear(Model):
    """One layer and no hidden one: y = f(W x + b). Images and sequences are flattened.

    `kernel: rbf` puts random Fourier features before it (Rahimi & Recht 2007): a kernel machine whose cost does not
    grow with the number of samples.
    """

    name: Literal["linear"]
    kernel: Literal["none", "rbf"] = Field("none", description="rbf: exp(-gamma |x - y|^2), by random features")
    n_components: Count = Field(256, description="random features of the kernel; more follow it closer")
    gamma: Positive | None = Field(None, description="how fast the kernel falls; null: 1 / number of inputs")
    output: Output = Field(Output(), description="activation, initializer and bias of the layer")


class Perceptron(Model):
    """A linear unit with a step (Rosenblatt 1958): one unit for two classes, else one per class. Inputs are flattened.

    The step is the sign of the output, which `loss: perceptron` and the predictions read. Its defaults are the
    perceptron rule: `loss: perceptron`, `optimizer: {name: sgd, lr: 1.0}`, and a patience of 20 epochs in
    `train.early_stopping`, since its loss goes up and down on the way.
    """

    suited = {  # noqa: RUF012
        "optimizer": {"name": "sgd", "lr": 1.0},
        "train": {"early_stopping": {"patience": 20}},
    }

    name: Literal["perceptron"]


class Mlp(Model):
    """A feedforward network; each hidden layer is linear, batch norm, activation, dropout. Inputs are flattened."""

    name: Literal["mlp"]
    hidden: Items[Count] | None = Field(None, description="units of each hidden layer, may be empty; null: [64, 32]")
    layers: Items[Layer] | None = Field(None, description="the hidden layers one by one, in place of `hidden`")
    activation: Activation = Field(Relu(), description="of the hidden layers")
    bias: bool = Field(True, description="whether hidden layers have biases")
    batch_norm: bool = Field(False, description="normalise over the batch before the activation (Ioffe & Szegedy 2015)")
    dropout: Probability = Field(0.0, description="share of hidden units silenced in training (Srivastava et al. 2014)")
    output: Output = Field(Output(), description="activation, initializer and bias of the last layer")
