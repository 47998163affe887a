"""What models share: the last layer, pretrained weights, the embedding of tokens."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Identity
from nnzoo.config.base import Count, Items, Section
from nnzoo.config.init import Init


class Output(Section):
    """The last layer. Its number of units follows from the data and the loss."""

    activation: Activation = Field(
        Identity(name="identity"), description="activation; identity gives logits, which the losses expect"
    )
    init: Init | None = Field(None, description="initializer; null: the top-level `init`")
    bias: bool = Field(True, description="whether the layer has a bias")


class Model(Section):
    """The base of all models."""

    layouts: ClassVar[frozenset[str]] = frozenset({"features", "sequence", "image"})
    suited: ClassVar[dict[str, dict[str, Any]]] = {}
    """Defaults of other sections that suit this model, by section. Those with a `name` are for that name alone."""

    pretrained: str | None = Field(
        None,
        min_length=1,
        description="start from these weights: a run directory, best.safetensors, last.safetensors, a run's name, "
        "or latest; inputs, classes and targets are matched by name, and new ones are initialized by `init`; or a "
        "state dict of another program (.pt, .pth)",
    )
    freeze: str | Items[str] = Field(
        (),
        description="parameters not to train: `backbone` (all but the last layer) or fnmatch patterns such as `*.bias`",
    )


Embedding = Literal["auto"] | Count | None
EMBEDDING = "size of token embeddings; auto: 1.6 * tokens^0.56, at most 50; null if inputs are not tokens"
