"""The network for tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Relu
from nnzoo.config.base import INTEGER, Count, Items, Positive, Probability
from nnzoo.config.model.base import Model, Output


class Tabular(Model):
    """A network for tables: embeddings of numbers, then an MLP; an ensemble of K networks that share most weights.

    Numbers get piecewise-linear or periodic embeddings (Gorishniy et al. 2022); categories and booleans are read as 0
    and 1. The K networks share all weights except a scale per feature and the output layer (TabM, Gorishniy et al.
    2025). They are trained with the mean of their losses, and their outputs are averaged for predictions. The bins of
    piecewise-linear embeddings are fitted on the train rows and saved with the weights. The defaults are
    `optimizer: {name: adamw, lr: 2e-3}`, 100 epochs, and a patience of 10 epochs in `train.early_stopping`.
    """

    layouts = frozenset({"features"})
    section_defaults = {  # noqa: RUF012
        "optimizer": {"name": "adamw", "lr": 2e-3},
        "train": {"epochs": 100, "early_stopping": {"patience": 10}},
    }

    name: Literal["tabular"]
    numbers: Literal["piecewise_linear", "periodic"] | None = Field(
        "piecewise_linear",
        description="embedding of numbers. piecewise_linear: the share of each bin that lies below the value; "
        "periodic: cosines and sines of learned frequencies; null: none",
    )
    embedding_size: Annotated[int, Field(ge=1, le=1024), INTEGER] = Field(
        8, description="number of values that a number is embedded in"
    )
    bins: Annotated[int, Field(ge=2, le=4096), INTEGER] = Field(
        64, description="number of bins of a number; for periodic, twice the number of its frequencies"
    )
    sigma: Positive = Field(0.5, description="standard deviation of the initial frequencies of periodic")
    hidden: Items[Count] = Field((128, 128), description="number of units of each hidden layer", min_length=1)
    activation: Activation = Field(Relu(), description="activation of the hidden layers")
    dropout: Probability = Field(0.1, description="dropout probability of hidden units")
    ensemble: Annotated[int, Field(ge=1, le=1024), INTEGER] = Field(
        8, description="K, the number of networks that share most weights; 1: a single network"
    )
    output: Output = Field(Output(), description="the output layer: activation, initializer and bias")
