"""Resolves a config: replaces every `auto` by its value, where the facts about the data are known."""

from __future__ import annotations

from nnzoo.config import augment, data, model
from nnzoo.config.auto_model import with_auto_model
from nnzoo.config.baselines import choose_baselines
from nnzoo.config.choices import changed_features, resolved_loss
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.metrics import default_metrics, direction

SMALLEST_BATCH, LARGEST_BATCH = 32, 256
"""The batch sizes of `train.batch_size: auto`, for small data and for large tables."""


def resolve(config: Config, facts: Facts) -> Config:
    """Returns a config with each `auto` replaced, except `device` and those whose facts are not known yet."""
    config = with_auto_model(config, facts)
    return config.model_copy(
        update={
            "data": _data(config, facts),
            "preprocess": _preprocess(config, facts),
            "augment": tuple(_augmentation(each, config, facts) for each in config.augment),
            "model": model.choose(config.model, facts.layout, facts.num_tokens, facts.per),
            "loss": resolved_loss(config, facts) or config.loss,
            "train": _train(config, facts),
        }
    )


def _data(config: Config, facts: Facts) -> data.Source:
    source = config.data
    shares = {"val": facts.has_val, "test": facts.has_test}
    split = source.split.model_copy(update={name: 0.0 for name, there in shares.items() if there is False})
    update: dict[str, object] = {"split": split, **facts.choices}
    if isinstance(source, data.Series):
        update["difference"] = changed_features(config) is not None
    return source.model_copy(update=update)


def _preprocess(config: Config, facts: Facts) -> object:
    update: dict[str, object] = {}
    known = facts.layout is not None and facts.task is not None
    if config.preprocess.normalize == "auto" and known:
        # A single sample minus its mean is 0.
        numbers = facts.num_train != 1 and facts.layout not in ("tokens", "tree")
        update["normalize"] = facts.normalize if numbers else "none"
    if config.preprocess.scale_target == "auto" and known:
        update["scale_target"] = facts.scale_target
    return config.preprocess.model_copy(update=update)


def _augmentation(section: augment.Augmentation, config: Config, facts: Facts) -> augment.Augmentation:
    if not isinstance(section, augment.Noise) or section.clip is not None or facts.pixels is None:
        return section
    return section.model_copy(update={"clip": augment.are_pixels(config.preprocess, facts)})


def _train(config: Config, facts: Facts) -> object:
    train = config.train
    update: dict[str, object] = {}
    if train.metrics == "auto" and facts.task and facts.per:
        update["metrics"] = default_metrics(facts.task, facts.per)
    if train.batch_size == "auto" and (size := batch_size(config, facts)) is not None:
        update["batch_size"] = size
    monitor = train.monitor
    if monitor == "auto" and facts.has_val is not None:
        monitor = "val/loss" if facts.has_val else "train/loss"
        update["monitor"] = monitor
    if train.mode == "auto" and monitor != "auto":
        update["mode"] = direction(monitor.split("/", 1)[1])
    if train.baselines == "auto" and (baselines := choose_baselines(config, facts)) is not None:
        update["baselines"] = baselines
    return train.model_copy(update=update)


def batch_size(config: Config, facts: Facts) -> int | None:
    """Returns the batch size of `auto`; None if it depends on what is not known yet.

    On large tables, batches of 256 rows are as accurate as 32, and faster, unless the number of epochs limits training,
    as in the regression of networks that have no defaults of their own.

    Args:
        config: The config.
        facts: The facts about the data.
    """
    source, net = config.data, config.model
    is_table = isinstance(source, data.Csv | data.Frame) and source.sequence_id is None
    if isinstance(net, model.Auto) or (isinstance(net, model.Tabular) and facts.num_train is None):
        return None
    if not isinstance(net, model.Tabular) and (not is_table or facts.task == "regression"):
        return SMALLEST_BATCH
    if facts.num_train is None or facts.task is None:
        return None
    one_percent = 1 << (max(1, facts.num_train // 100).bit_length() - 1)
    return min(max(one_percent, SMALLEST_BATCH), LARGEST_BATCH)
