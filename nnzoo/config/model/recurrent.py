"""Networks for sequences and for trees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count, Probability
from nnzoo.config.model.base import EMBEDDING, Embedding, Model, Output


class Recurrent(Model):
    """Base class of all recurrent networks."""

    layouts = frozenset({"sequence", "image", "tokens"})

    hidden_size: Count = Field(64, description="number of units per layer and direction")
    num_layers: Count = Field(1, description="number of stacked layers", le=1000)
    bidirectional: bool = Field(False, description="bidirectional network (Schuster & Paliwal 1997)")
    dropout: Probability = Field(
        0.0, description="dropout probability between layers and before the output (Zaremba et al. 2014)"
    )
    embedding: Embedding = Field("auto", description=EMBEDDING)
    pooling: Literal["auto", "last", "mean", "max", "none"] = Field(
        "auto",
        description="how the states of all steps are pooled; none: one output per step; auto: none if every step has "
        "a target, else last",
    )
    output: Output = Field(Output(), description="the output layer: activation, initializer and bias")


class Rnn(Recurrent):
    """The network of Elman (1990): h_t = f(U x_t + W h_{t-1}). Images are read row by row; padding is ignored."""

    name: Literal["rnn"]
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="activation f")


class Lstm(Recurrent):
    """Long short-term memory with forget gates (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    Images are read row by row, and padding is ignored. With `init: auto` the forget gates start open, with bias 1
    (Jozefowicz et al. 2015).
    """

    name: Literal["lstm"]


class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014), with the reset gate after the matrix product, as in cuDNN.

    Images are read row by row, and padding is ignored.
    """

    name: Literal["gru"]


class TreeNet(Model):
    """Base class of all networks for trees. They have one output per node."""

    layouts = frozenset({"tree"})

    dropout: Probability = Field(
        0.0, description="dropout probability of the node states before the output; not applied between nodes"
    )


class Recursive(TreeNet):
    """The recursive network (Socher et al. 2011): h = tanh(W [h_left; h_right] + b); h of a leaf is its word vector.

    With `init: auto` the word vectors are initialized from N(0, 0.1^2).
    """

    name: Literal["recursive"]
    hidden_size: Count = Field(25, description="size of node states and word vectors")


class TreeLstm(TreeNet):
    """The binary tree-LSTM (Tai et al. 2015): one forget gate per child. Only leaves have words.

    With `init: auto` the word vectors are initialized from N(0, 0.1^2).
    """

    name: Literal["tree_lstm"]
    hidden_size: Count = Field(100, description="size of node states, cells and word vectors")
