"""Choices that follow from a config and its data: the loss that `auto` selects, and the number of output units."""

from __future__ import annotations

from nnzoo.config import data, loss, model, optimizer
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts


def has_momentum(chosen: optimizer.OptimizerSection) -> bool:
    """Returns whether an optimizer has momentum."""
    return hasattr(chosen, "betas") or bool(getattr(chosen, "momentum", 0))


def resolved_loss(config: Config, facts: Facts) -> loss.Loss | None:
    """Returns the loss, with `auto` replaced by the default of the task; None if the task is not known yet."""
    if not isinstance(config.loss, loss.AutoLoss):
        return config.loss
    reduction = config.loss.reduction
    if isinstance(config.model, model.Perceptron):
        return loss.Perceptron(name="perceptron", reduction=reduction)
    match facts.task:
        case "classification":
            return loss.CrossEntropy(name="cross_entropy", reduction=reduction)
        case "multilabel":
            return loss.Bce(name="bce", reduction=reduction)
        case "regression":
            return loss.Mse(name="mse", reduction=reduction)
    return None


def num_outputs(chosen: loss.Loss, facts: Facts) -> int | None:
    """Returns the number of output units: one per class, label or target; for two classes it depends on the loss.

    Returns None if it is not known yet.
    """
    if facts.task == "regression":
        return facts.num_targets
    if facts.task == "classification" and facts.num_classes == 2:
        return chosen.binary_units
    return facts.num_classes or None


def changed_features(config: Config) -> tuple[int, ...] | None:
    """Returns, per output of a series network, the index of the feature whose change it predicts.

    Returns None if the outputs are not changes.
    """
    source, steps = config.data, config.preprocess
    if not isinstance(source, data.Series) or source.difference is False or isinstance(config.model, model.Custom):
        return None
    columns = source.target_features
    return None if columns is None or steps.pca or steps.zca else columns * source.horizon
