"""Convolutional networks, defined block by block."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Relu
from nnzoo.config.base import Count, Items, Natural, Probability, Section
from nnzoo.config.init import Init
from nnzoo.config.model.base import EMBEDDING, Embedding, Model, Output

PerAxis = Count | Items[Count]
"""One number for all axes, or one per axis: [height, width] for images, [steps] for sequences."""


class ConvBlock(Section):
    """Convolution, batch norm, activation, dropout."""

    out_channels: Count = Field(description="number of output channels (filters)")
    kernel_size: PerAxis = Field(description="size of the kernel, per axis")
    stride: PerAxis = Field(1, description="stride of the convolution")
    padding: Natural | Literal["same", "valid"] | Items[Natural] = Field(
        0,
        description="zero padding on both sides of each axis; same: keep the size (needs stride 1); valid: no padding",
    )
    dilation: PerAxis = Field(1, description="spacing between kernel elements")
    groups: Count = Field(1, description="number of groups of channels that are convolved separately")
    bias: bool = Field(True, description="whether the convolution has a bias")
    activation: Activation | None = Field(None, description="activation; null: the activation of the model")
    init: Init | None = Field(
        None,
        description="initializer; null: the top-level `init`; shape of values: (out_channels, channels / groups, "
        "*kernel_size)",
    )
    batch_norm: bool = Field(False, description="batch normalization before the activation (Ioffe & Szegedy 2015)")
    dropout: Probability = Field(0.0, description="dropout probability")


class PoolBlock(Section):
    """Max or average pooling over windows of each channel."""

    kind: Literal["max", "avg"] = Field("max", description="max or average pooling; the average includes padding")
    kernel_size: PerAxis = Field(description="size of the window, per axis")
    stride: PerAxis | None = Field(None, description="stride of the window; null: kernel_size")
    padding: Natural | Items[Natural] = Field(
        0, description="padding on both sides of each axis, at most half the window"
    )


class Block(Section):
    """One block: `conv`, `pool` or `global_pool`."""

    sparse = True

    conv: ConvBlock | None = Field(None, description="convolution, batch norm, activation, dropout")
    pool: PoolBlock | None = Field(None, description="max or average pooling")
    global_pool: Literal["avg", "max"] | None = Field(
        None, description="global pooling: one value per channel (Lin et al. 2014)"
    )


class Cnn(Model):
    """A convolutional network (LeCun et al. 1998): blocks, then a fully connected head.

    Convolutions are two-dimensional on images, and one-dimensional on sequences (features are channels) and on tokens
    (after an embedding). Padding of variable-length sequences does not change the result.
    """

    layouts = frozenset({"sequence", "image", "tokens"})

    name: Literal["cnn"]
    blocks: Items[Block] = Field(description="convolution and pooling blocks, in order", min_length=1)
    head: Items[Count] = Field((), description="number of units of each hidden layer after the blocks")
    activation: Activation = Field(Relu(), description="default activation of convolutions, and activation of the head")
    dropout: Probability = Field(0.0, description="dropout probability of the hidden layers of the head")
    embedding: Embedding = Field("auto", description=EMBEDDING)
    output: Output = Field(Output(), description="the output layer: activation, initializer and bias")
