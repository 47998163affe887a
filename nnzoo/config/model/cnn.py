"""Convolutional networks, declared block by block."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Relu
from nnzoo.config.base import Count, Items, Natural, Probability, Section
from nnzoo.config.init import Init
from nnzoo.config.model.base import EMBEDDING, Embedding, Model, Output

PerAxis = Count | Items[Count]
"""One number for all axes, or one each: [height, width] of images, [steps] of sequences."""


class ConvBlock(Section):
    """Convolution, batch norm, activation, dropout."""

    out_channels: Count = Field(description="filters")
    kernel_size: PerAxis = Field(description="entries that a filter reads along each axis")
    stride: PerAxis = Field(1, description="steps from one position to the next")
    padding: Natural | Literal["same", "valid"] | Items[Natural] = Field(
        0, description="zeros at either end of each axis; same: keeps the size (with stride 1); valid: 0"
    )
    dilation: PerAxis = Field(1, description="steps from one entry that a filter reads to the next")
    groups: Count = Field(1, description="parts that the channels are divided into, each with filters of its own")
    bias: bool = Field(True, description="whether filters have biases")
    activation: Activation | None = Field(None, description="null: the model's")
    init: Init | None = Field(None, description="null: the model's; values: (filters, channels / groups, *kernel_size)")
    batch_norm: bool = Field(False, description="normalise each channel before the activation (Ioffe & Szegedy 2015)")
    dropout: Probability = Field(0.0, description="share of values silenced in training")


class PoolBlock(Section):
    """The largest value or the mean of each window, channel by channel."""

    kind: Literal["max", "avg"] = Field("max", description="the largest value or the mean (of padding too)")
    kernel_size: PerAxis = Field(description="size of the window along each axis")
    stride: PerAxis | None = Field(None, description="steps to the next window; null: side by side")
    padding: Natural | Items[Natural] = Field(0, description="added at either end, at most half of the window")


class Block(Section):
    """One block: `conv`, `pool` or `global_pool`."""

    sparse = True

    conv: ConvBlock | None = Field(None, description="a convolution and what follows it")
    pool: PoolBlock | None = Field(None, description="a pooling")
    global_pool: Literal["avg", "max"] | None = Field(
        None, description="one value a channel, whatever its size (Lin et al. 2014)"
    )


class Cnn(Model):
    """A convolutional network (LeCun et al. 1998), block by block, then a fully connected head.

    Two-dimensional on images, one-dimensional on sequences (features are channels) and on tokens (after an embedding).
    Padding of sequences never changes a result.
    """

    layouts = frozenset({"sequence", "image", "tokens"})

    name: Literal["cnn"]
    blocks: Items[Block] = Field(description="convolutions and poolings, from the input on", min_length=1)
    head: Items[Count] = Field((), description="units of each hidden layer after the blocks")
    activation: Activation = Field(Relu(), description="of convolutions and hidden layers that name none")
    dropout: Probability = Field(0.0, description="share of the head's hidden units silenced in training")
    embedding: Embedding = Field("auto", description=EMBEDDING)
    output: Output = Field(Output(), description="activation, initializer and bias of the last layer")
