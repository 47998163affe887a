"""Parameters of estimators as a config and overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = (
    "data",
    "preprocess",
    "augment",
    "model",
    "init",
    "loss",
    "optimizer",
    "scheduler",
    "regularization",
    "train",
)
"""The sections of a config that are parameters of an estimator."""

DEFAULT_CONFIG: Mapping[str, Any] = {
    "model": "mlp",
    "train": {"epochs": 200, "early_stopping": {"patience": 10}},
}
"""The config of an estimator without one. Epochs and patience are those of scikit-learn's MLPClassifier."""

WITHOUT_RUN: Mapping[str, Any] = {
    "train.probes": False,
    "train.baselines": False,
    "train.log": [],
    "train.checkpoint": {"every_epochs": None, "every_steps": None, "every_minutes": None},
}
"""Overrides for a training whose run directory is deleted: they change no weight."""


def config_of(config: Any) -> Any:
    """Returns the config of an estimator: the given one, a dict without a model with an MLP, or the default."""
    if config is None:
        return dict(DEFAULT_CONFIG)
    if isinstance(config, Mapping) and not {"model", "extends"} & set(config):
        return {**config, "model": DEFAULT_CONFIG["model"]}
    return config


def overrides_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the sections in parameters as overrides with dotted keys, such as `optimizer.lr`.

    Args:
        parameters: Sections by name: a mapping, a list, or the name of their kind; None for those of the config.
    """
    overrides: dict[str, Any] = {}
    for section in SECTIONS:
        value = parameters.get(section)
        if isinstance(value, str):
            overrides[f"{section}.name"] = value
        elif isinstance(value, Mapping):
            overrides |= {f"{section}.{key}": each for key, each in value.items()}
        elif value is not None:
            overrides[section] = list(value) if isinstance(value, tuple) else value
    return overrides


def keys_below(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the keys of all sections that are mappings, with two underscores for each level: `optimizer__lr`."""
    found: dict[str, Any] = {}
    for section in SECTIONS:
        if isinstance(parameters.get(section), Mapping):
            found |= _flat(section, parameters[section])
    return found


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found[f"{prefix}__{key}"] = value
        if isinstance(value, Mapping):
            found |= _flat(f"{prefix}__{key}", value)
    return found


def with_key(section: Any, key: str, value: Any) -> dict[str, Any]:
    """Returns a section in which a key is set; a name becomes a mapping with that name.

    Args:
        section: A mapping, the name of its kind, or None.
        key: The key, with two underscores for each level: `early_stopping__patience`.
        value: The value.
    """
    found = {"name": section} if isinstance(section, str) else dict(section or {})
    first, separator, rest = key.partition("__")
    return {**found, first: with_key(found.get(first), rest, value) if separator else value}
