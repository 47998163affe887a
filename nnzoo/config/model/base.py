"""Base classes of models: the output layer, pretrained weights, token embeddings."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Identity
from nnzoo.config.base import Count, Items, Natural, Section
from nnzoo.config.init import Init


class Output(Section):
    """The output layer. Its number of units follows from the data and the loss."""

    activation: Activation = Field(
        Identity(name="identity"), description="output activation; identity gives logits, which the losses expect"
    )
    init: Init | None = Field(None, description="initializer; null: the top-level `init`")
    bias: bool = Field(True, description="whether the layer has a bias")


class Model(Section):
    """Base class of all models."""

    layouts: ClassVar[frozenset[str]] = frozenset({"features", "sequence", "image"})
    section_defaults: ClassVar[dict[str, dict[str, Any]]] = {}
    """Defaults of other sections for this model. Defaults with a `name` apply only to that name."""

    pretrained: str | None = Field(
        None,
        min_length=1,
        description="pretrained weights to start from: a run directory, best.safetensors, last.safetensors, zoo:NAME "
        "(`nnzoo list zoo`), the name of a run, or latest. Inputs, classes and targets are matched by name; new ones "
        "are initialized by `init`. Or a state dict saved with torch.save (.pt, .pth)",
    )
    freeze: str | Items[str] = Field(
        (),
        description="parameters to freeze: `backbone` (all except the output layer), `batch_norm` (scale and shift of "
        "batch norms, whose running statistics then stay the same too) or fnmatch patterns such as `*.bias`",
    )
    freeze_epochs: Natural | Items[Natural | None] | None = Field(
        None,
        description="number of epochs for which `freeze` applies (`backbone` if it is empty); then these parameters "
        "are trained, too. A list has one number per pattern, with null for the whole training. null: the whole "
        "training",
    )

    @property
    def frozen(self) -> tuple[str, ...]:
        """The patterns of frozen parameters: `freeze`, or `backbone` if only `freeze_epochs` is set."""
        given = (self.freeze,) if isinstance(self.freeze, str) else self.freeze
        return given or (("backbone",) if self.freeze_epochs is not None else ())

    @property
    def frozen_epochs(self) -> tuple[int | None, ...]:
        """For each pattern in `frozen`, the number of epochs for which it applies; None for the whole training."""
        epochs = self.freeze_epochs
        return epochs if isinstance(epochs, tuple) else (epochs,) * len(self.frozen)


Embedding = Literal["auto"] | Count | None
EMBEDDING = (
    "size of token embeddings; auto: 1.6 * vocabulary size^0.56, at most 50; null: no embedding (not for tokens)"
)
