"""Networks over sequences, and over trees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count, Probability
from nnzoo.config.model.base import EMBEDDING, Embedding, Model, Output


class Recurrent(Model):
    """What every recurrent network has."""

    layouts = frozenset({"sequence", "image", "tokens"})

    hidden_size: Count = Field(64, description="units a layer and direction")
    num_layers: Count = Field(1, description="layers on top of each other", le=1000)
    bidirectional: bool = Field(False, description="read from the end too (Schuster & Paliwal 1997)")
    dropout: Probability = Field(
        0.0, description="share of what a layer passes up silenced in training (Zaremba et al. 2014)"
    )
    embedding: Embedding = Field("auto", description=EMBEDDING)
    pooling: Literal["auto", "last", "mean", "max", "none"] = Field(
        "auto",
        description="what the output reads of the states; none: an output at every step; auto: none where every step "
        "has a target, else last",
    )
    output: Output = Field(Output(), description="activation, initializer and bias of the last layer")


class Rnn(Recurrent):
    """Elman's network (1990): h_t = f(U x_t + W h_{t-1}). An image is read row by row; padding changes no result."""

    name: Literal["rnn"]
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="f")


class Lstm(Recurrent):
    """Long short-term memory with forget gates (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    An image is read row by row; padding changes no result. Forget gates start open under `init: auto`: bias 1
    (Jozefowicz et al. 2015).
    """

    name: Literal["lstm"]


class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014), the reset gate after the product, as in cuDNN.

    An image is read row by row; padding changes no result.
    """

    name: Literal["gru"]


class TreeNet(Model):
    """What every network over trees has. It gives an output for every node."""

    layouts = frozenset({"tree"})

    dropout: Probability = Field(
        0.0, description="share of a node's state silenced in training before the output, not on the way up"
    )


class Recursive(TreeNet):
    """The recursive network (Socher et al. 2011): h = tanh(W [h_left; h_right] + b), a leaf's h its word vector.

    Word vectors start as N(0, 0.1^2) under `init: auto`.
    """

    name: Literal["recursive"]
    hidden_size: Count = Field(25, description="size of a node's state, and of a word vector")


class TreeLstm(TreeNet):
    """The binary tree-LSTM (Tai et al. 2015): a forget gate for each child. Words stand at the leaves alone.

    Word vectors start as N(0, 0.1^2) under `init: auto`.
    """

    name: Literal["tree_lstm"]
    hidden_size: Count = Field(100, description="size of a node's state, of its cell, and of a word vector")
