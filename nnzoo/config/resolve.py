"""A config with every `auto` replaced by its choice, as far as the facts reach."""

from __future__ import annotations

from nnzoo.config import data, model
from nnzoo.config.choices import resolved_loss
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.metrics import default_metrics, direction


def resolve(config: Config, facts: Facts) -> Config:
    """Replaces each `auto` but `device`'s. What the facts do not tell yet stays `auto`."""
    return config.model_copy(
        update={
            "data": _data(config, facts),
            "preprocess": _preprocess(config, facts),
            "model": model.choose(config.model, facts.layout, facts.num_tokens, facts.per),
            "loss": resolved_loss(config, facts) or config.loss,
            "train": _train(config, facts),
        }
    )


def _data(config: Config, facts: Facts) -> data.Source:
    source = config.data
    shares = {"val": facts.has_val, "test": facts.has_test}
    split = source.split.model_copy(update={name: 0.0 for name, there in shares.items() if there is False})
    return source.model_copy(update={"split": split, **facts.choices})


def _preprocess(config: Config, facts: Facts) -> object:
    update: dict[str, object] = {}
    known = facts.layout is not None and facts.task is not None
    if config.preprocess.normalize == "auto" and known:
        # One sample minus its own mean is nothing.
        numbers = facts.num_train != 1 and facts.layout not in ("tokens", "tree")
        update["normalize"] = facts.normalize if numbers else "none"
    if config.preprocess.scale_target == "auto" and known:
        update["scale_target"] = facts.scale_target
    return config.preprocess.model_copy(update=update)


def _train(config: Config, facts: Facts) -> object:
    train = config.train
    update: dict[str, object] = {}
    if train.metrics == "auto" and facts.task and facts.per:
        update["metrics"] = default_metrics(facts.task, facts.per)
    monitor = train.monitor
    if monitor == "auto" and facts.has_val is not None:
        monitor = "val/loss" if facts.has_val else "train/loss"
        update["monitor"] = monitor
    if train.mode == "auto" and monitor != "auto":
        update["mode"] = direction(monitor.split("/", 1)[1])
    return train.model_copy(update=update)
