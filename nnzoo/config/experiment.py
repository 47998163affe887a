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
    model: ModelSection = Field(description="the model")
    init: Init = Field(Auto(), description="initializer of the parameters")
    loss: LossSection = Field(AutoLoss(), description="loss function")
    optimizer: OptimizerSection = Field(AdamW(), description="optimizer")
    scheduler: SchedulerSection = Field(ConstantLr(), description="learning-rate scheduler")
    regularization: Regularization = Field(Regularization(), description="penalties on the weights")
    train: Train = Field(Train(), description="the training loop")

    _origin: Entry | None = PrivateAttr(None)
    """The parsed document that the config was read from, for file, line and column in messages."""

    @model_validator(mode="before")
    @classmethod
    def _apply_model_defaults(cls, values: Any) -> Any:
        """Fills in the defaults of other sections that the model sets, such as the optimizer of a perceptron."""
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for key, defaults in _section_defaults(values.get("model")).items():
            given = values.get(key, {})
            section = {"name": given} if isinstance(given, str) else given
            if isinstance(section, dict) and section.get("name", defaults.get("name")) == defaults.get("name"):
                filled[key] = _with_defaults(section, defaults)
        return filled


def _with_defaults(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Returns a section with its defaults filled in, nested sections included."""
    inner = {
        key: _with_defaults(value, defaults[key])
        for key, value in given.items()
        if isinstance(value, dict) and isinstance(defaults.get(key), dict)
    }
    return {**defaults, **given, **inner}


def _section_defaults(model: Any) -> dict[str, dict[str, Any]]:
    name = model.get("name") if isinstance(model, dict) else model
    member = members(ModelSection).get(name) if isinstance(name, str) else None
    return member.section_defaults if member is not None and issubclass(member, Model) else {}


_IMPLIED_NAMES = {
    key: item.default
    for key, field in Config.model_fields.items()
    for item in field.metadata
    if isinstance(item, ByName) and item.default is not None
}


def implied_name(key: str, root: Entry) -> str | None:
    """Returns the default name of a top-level section; None if it has to be given."""
    model = root.child("model")
    section_defaults = _section_defaults(model.plain() if model else None)
    return section_defaults.get(key, {}).get("name") or _IMPLIED_NAMES.get(key)
