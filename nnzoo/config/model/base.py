"""What models share: a last layer, a checkpoint to start from, a vector a token."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Identity
from nnzoo.config.base import Count, Items, Section
from nnzoo.config.init import Init


class Output(Section):
    """The last layer; its number of units comes from the data and the loss."""

    activation: Activation = Field(Identity(name="identity"), description="identity: logits, what the losses like best")
    init: Init | None = Field(None, description="null: the model's")
    bias: bool = Field(True, description="whether the layer has biases")


class Model(Section):
    """What every model has."""

    layouts: ClassVar[frozenset[str]] = frozenset({"features", "sequence", "image"})
    suited: ClassVar[dict[str, dict[str, Any]]] = {}
    """Defaults of other sections that suit this model, by section. Those with a `name` are for that name alone."""

    pretrained: str | None = Field(
        None,
        min_length=1,
        description="start from these weights: a run directory, best.safetensors, last.safetensors, a run's name, "
        "or latest; inputs, classes and targets are matched by name, and new ones start as `init` says; or a "
        "state dict of another program (.pt, .pth)",
    )
    freeze: str | Items[str] = Field(
        (),
        description="what is not trained: `backbone` (all but the last layer) or fnmatch patterns, such as `*.bias`",
    )


Embedding = Literal["auto"] | Count | None
EMBEDDING = "size of a token's vector; auto: 1.6 * tokens^0.56, at most 50; null where inputs are not tokens"
