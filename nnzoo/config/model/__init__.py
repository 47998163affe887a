"""Models. One file per family; the union lists them all. Input and output sizes follow from the data."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import Field

from nnzoo.config.base import ByName
from nnzoo.config.model.base import Model, Output
from nnzoo.config.model.cnn import Block, Cnn
from nnzoo.config.model.dense import Layer, Linear, Mlp, Perceptron
from nnzoo.config.model.images import AlexNet, CifarResNet, ImageNet, LeNet5, Vgg
from nnzoo.config.model.recurrent import Gru, Lstm, Recurrent, Recursive, Rnn, TreeLstm, TreeNet
from nnzoo.config.model.tabular import Tabular
from nnzoo.config.model.torchvision import Architecture, Torchvision

__all__ = [
    "DEFAULT_HIDDEN",
    "PRETRAINED",
    "AlexNet",
    "Architecture",
    "Auto",
    "Block",
    "CifarResNet",
    "Cnn",
    "Custom",
    "ImageNet",
    "Layer",
    "LeNet5",
    "Linear",
    "Mlp",
    "Model",
    "ModelSection",
    "Perceptron",
    "Recurrent",
    "Recursive",
    "Tabular",
    "Torchvision",
    "TreeLstm",
    "TreeNet",
    "Vgg",
    "choose",
    "embedding_size",
    "is_run_name",
    "output_of",
]

DEFAULT_HIDDEN = (64, 32)
PRETRAINED = ("model", "pretrained")
"""The key of a checkpoint: relative to the config file, absolute in a run, null in an artifact."""


def is_run_name(checkpoint: str) -> bool:
    """Returns whether `pretrained` may be the name of a run, or `latest`, rather than a path."""
    path = PurePath(checkpoint)
    return path.name == checkpoint and path.suffix not in (".safetensors", ".pt", ".pth")


class Auto(Model):
    """The network that fits the data: `tabular` for tables, `cnn` for images, `gru` for sequences, series and texts.

    It is `lstm` for language models, `recursive` for trees, and `mlp` for toy data. A run stores the chosen model.
    """

    layouts = frozenset({"features", "sequence", "image", "tokens", "tree"})

    name: Literal["auto"]


class Custom(Model):
    """A custom nn.Module, passed to `nnzoo.train(config, model=...)` from Python; not available in a file."""

    python_only = True
    layouts = frozenset({"features", "sequence", "image", "tokens", "tree"})

    name: Literal["custom"]


ModelSection = Annotated[
    Perceptron
    | Linear
    | Mlp
    | Tabular
    | Cnn
    | Rnn
    | Lstm
    | Gru
    | Recursive
    | TreeLstm
    | LeNet5
    | AlexNet
    | Vgg
    | CifarResNet
    | Torchvision
    | Auto
    | Custom,
    Field(discriminator="name"),
    ByName("a model"),
]


def output_of(net: Model) -> Output | None:
    """Returns the section of the output layer; None if the model has none."""
    found = getattr(net, "output", None)
    return found if isinstance(found, Output) else None


def embedding_size(num_tokens: int) -> int:
    """Returns the embedding size of `embedding: auto`: the rule of thumb 1.6 * num_tokens^0.56, at most 50."""
    return min(50, round(1.6 * math.pow(num_tokens, 0.56)))


def choose(net: Model, layout: str | None, num_tokens: int | None, per: str | None = "sample") -> Model:
    """Returns a model with each `auto` replaced, as far as the layout, the vocabulary and `per` are known."""
    update: dict[str, Any] = {}
    if isinstance(net, Mlp) and net.hidden is None and net.layers is None:
        update["hidden"] = DEFAULT_HIDDEN
    if isinstance(net, Recurrent) and net.pooling == "auto" and per is not None:
        update["pooling"] = "none" if per == "step" else "last"
    if isinstance(net, Cnn | Recurrent) and net.embedding == "auto":
        if layout == "tokens" and num_tokens:
            update["embedding"] = embedding_size(num_tokens)
        elif layout not in (None, "tokens"):
            update["embedding"] = None
    return net.model_copy(update=update) if update else net
