"""Models. Input and output sizes are never written: they come from the data."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Identity, Relu
from nnzoo.config.base import ByName, Count, Items, Probability, Section
from nnzoo.config.init import Init

DEFAULT_HIDDEN = (64, 32)


class Output(Section):
    """The last layer; its number of units comes from the data and the loss."""

    activation: Activation = Field(Identity(name="identity"), description="identity: logits, what the losses like best")
    init: Init | None = Field(None, description="null: the model's")
    bias: bool = Field(True, description="whether the layer has biases")


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


class Model(Section):
    """What every model has."""

    layouts: ClassVar[frozenset[str]] = frozenset({"features", "sequence", "image"})

    freeze: str | Items[str] = Field(
        (),
        description="what is not trained: `backbone` (all but the last layer) or fnmatch patterns, such as `*.bias`",
    )


class Linear(Model):
    """One layer and no hidden one: y = f(W x + b). Images and sequences are flattened."""

    name: Literal["linear"]
    output: Output = Field(Output(), description="activation, initializer and bias of the layer")


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


class Custom(Model):
    """Your own nn.Module, handed to `nnzoo.train(config, model=...)` from Python; a file can't name it."""

    python_only = True
    layouts = frozenset({"features", "sequence", "image", "tokens"})

    name: Literal["custom"]


ModelSection = Annotated[Linear | Mlp | Custom, Field(discriminator="name"), ByName("a model")]
