"""The whole file: one config is one experiment."""

from __future__ import annotations

from pydantic import Field, PrivateAttr

from nnzoo.config.augment import AugmentSection
from nnzoo.config.base import Items, Section, Seed
from nnzoo.config.data import DataSection
from nnzoo.config.document import Entry
from nnzoo.config.init import Auto, Init
from nnzoo.config.loss import AutoLoss, LossSection
from nnzoo.config.model import ModelSection
from nnzoo.config.optimizer import AdamW, OptimizerSection
from nnzoo.config.preprocess import Preprocess
from nnzoo.config.scheduler import ConstantLr, SchedulerSection
from nnzoo.config.train import Regularization, Train


class Config(Section):
    """An experiment: data, network and training. Only `data` and `model` are required."""

    name: str = Field("run", pattern=r"^\w[\w.-]{0,99}$", description="of the run directory; default: the file's stem")
    seed: Seed = Field(0, description="of weights, shuffling, dropout and augmentation")
    data: DataSection = Field(description="where samples come from")
    preprocess: Preprocess = Field(Preprocess(), description="what is done to them first")
    augment: Items[AugmentSection] = Field((), description="what is changed at random in every batch of training")
    model: ModelSection = Field(description="the network")
    init: Init = Field(Auto(), description="how its parameters start")
    loss: LossSection = Field(AutoLoss(), description="what is minimised")
    optimizer: OptimizerSection = Field(AdamW(), description="how")
    scheduler: SchedulerSection = Field(ConstantLr(), description="how the learning rate moves")
    regularization: Regularization = Field(Regularization(), description="penalties on the weights")
    train: Train = Field(Train(), description="the training loop")

    _origin: Entry | None = PrivateAttr(None)
    """The document that it was read from: where messages find file, line and column."""
