"""Builds plain PyTorch objects from config sections."""

from nnzoo.builders.augment import build_augment
from nnzoo.builders.data import build_dataset, build_preprocess, facts_of
from nnzoo.builders.model import (
    NetworkShape,
    after_preprocess,
    build_model,
    network_shape,
    one_hot_of,
    with_known_model,
)
from nnzoo.builders.parameters import build_rule, frozen_epochs, plan_model, prepare_model
from nnzoo.builders.training import (
    build_average,
    build_decoder,
    build_loss,
    build_optimizer,
    build_scaler,
    build_schedule,
    build_settings,
    build_unfreezing,
    choose_device,
    move_to_device,
    output_scale,
)

__all__ = [
    "NetworkShape",
    "after_preprocess",
    "build_augment",
    "build_average",
    "build_dataset",
    "build_decoder",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_preprocess",
    "build_rule",
    "build_scaler",
    "build_schedule",
    "build_settings",
    "build_unfreezing",
    "choose_device",
    "facts_of",
    "frozen_epochs",
    "move_to_device",
    "network_shape",
    "one_hot_of",
    "output_scale",
    "plan_model",
    "prepare_model",
    "with_known_model",
]
