"""The config of one experiment."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr, model_validator

from nnzoo.config.augment import AugmentSection
from nnzoo.config.base import ByName, Items, Section, Seed, members
from nnzoo.config.data import DataSection
from nnzoo.config.document import Entry
from nnzoo.config.init import Auto, Init
from nnzoo.config.loss import AutoLoss, LossSection
from nnzoo.config.model import Model, ModelSection
from nnzoo.config.optimizer import AdamW, OptimizerSection
from nnzoo.config.preprocess import Preprocessing
from nnzoo.config.scheduler import ConstantLr, SchedulerSection
from nnzoo.config.train import Regularization, Train


class Config(Section):
    """An experiment: data, network and training. Only `data` and `model` are required."""

    name: str = Field(
        "run",
        pattern=r"^\w[\w.-]{0,99}$",
        description="name of the run directory; default: the name of the config file",
    )
    seed: Seed = Field(0, description="seed of weights, shuffling, dropout and augmentation")
    data: DataSection = Field(description="data source")
    preprocess: Preprocessing = Field(Preprocessing(), description="preprocessing of inputs and targets")
    augment: Items[AugmentSection] = Field(
        (), description="random augmentations of the training batches, in this order"
    )
    model: ModelSection = Field(description="the network")
    init: Init = Field(Auto(), description="initializer of the parameters")
    loss: LossSection = Field(AutoLoss(), description="loss function")
    optimizer: OptimizerSection = Field(AdamW(), description="optimizer")
    scheduler: SchedulerSection = Field(ConstantLr(), description="learning-rate scheduler")
    regularization: Regularization = Field(Regularization(), description="penalties on the weights")
    train: Train = Field(Train(), description="the training loop")

    _origin: Entry | None = PrivateAttr(None)
    """The document that the config was read from, for file, line and column in messages."""

    @model_validator(mode="before")
    @classmethod
    def _suit_the_model(cls, values: Any) -> Any:
        """Fills in the defaults of other sections that the model brings."""
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for key, defaults in _suited(values.get("model")).items():
            given = values.get(key, {})
            section = {"name": given} if isinstance(given, str) else given
            if isinstance(section, dict) and section.get("name", defaults.get("name")) == defaults.get("name"):
                filled[key] = _filled(section, defaults)
        return filled


def _filled(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Returns a section with its defaults, those of sections inside it too."""
    inner = {
        key: _filled(value, defaults[key])
        for key, value in given.items()
        if isinstance(value, dict) and isinstance(defaults.get(key), dict)
    }
    return {**defaults, **given, **inner}


def _suited(model: Any) -> dict[str, dict[str, Any]]:
    name = model.get("name") if isinstance(model, dict) else model
    member = members(ModelSection).get(name) if isinstance(name, str) else None
    return member.suited if member is not None and issubclass(member, Model) else {}


_IMPLIED_NAMES = {
    key: item.default
    for key, field in Config.model_fields.items()
    for item in field.metadata
    if isinstance(item, ByName) and item.default is not None
}


def implied_name(key: str, root: Entry) -> str | None:
    """Returns the name of a top-level section of a document that gives none; None where a name is required."""
    model = root.child("model")
    suited = _suited(model.plain() if model else None)
    return suited.get(key, {}).get("name") or _IMPLIED_NAMES.get(key)
