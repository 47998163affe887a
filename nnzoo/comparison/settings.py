"""The settings of runs: which keys of their configs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nnzoo.config.base import Section, dump
from nnzoo.config.data import PATH_FIELDS
from nnzoo.config.experiment import Config

WITHOUT_EFFECT = ("name", "train.device", "train.num_threads", "train.checkpoint", "train.probes", "train.log")
"""Keys that do not change what is trained."""
SEED = "seed"


class Setting(NamedTuple):
    """The value of a config key.

    Attributes:
        value: The value as plain data.
        is_default: Whether it is the default of its section.
    """

    value: Any
    is_default: bool


def settings(config: Config) -> dict[str, Setting]:
    """Returns the values of a config by dotted key."""
    return dict(_settings(config, ""))


def _settings(section: Section, prefix: str) -> Iterator[tuple[str, Setting]]:
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", Setting(dump(value), not field.is_required() and value == field.default)


def same_training(config: Config) -> str:
    """Returns a text that is the same for configs that differ only in their seed and in keys without effect.

    Paths are left out, since the checksums of the data say whether the data is the same.
    """
    kept = {
        key: setting.value
        for key, setting in settings(config).items()
        if key != SEED and not is_without_effect(key) and not is_path(key)
    }
    return repr(sorted(kept.items()))


def is_without_effect(key: str) -> bool:
    """Returns whether a key does not change what is trained."""
    return any(key == each or key.startswith(f"{each}.") for each in WITHOUT_EFFECT)


def is_path(key: str) -> bool:
    """Returns whether a key specifies where the data is stored or how it is fetched."""
    return key.removeprefix("data.") in (*PATH_FIELDS, "cache", "download") and key.startswith("data.")


def differences(configs: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Returns the keys whose values differ, with the value of each config that has the key.

    A key that only some configs have, because another name was chosen in its section, is left out if it has its
    default.

    Args:
        configs: The configs by name.
    """
    every = {name: settings(config) for name, config in configs.items()}
    different = {}
    for key in dict.fromkeys(key for each in every.values() for key in each):
        present = {name: each[key] for name, each in every.items() if key in each}
        everywhere = len(present) == len(every)
        if key == SEED or is_without_effect(key):
            continue
        if not everywhere and all(setting.is_default for setting in present.values()):
            continue
        if not everywhere or len({repr(setting.value) for setting in present.values()}) > 1:
            different[key] = {name: setting.value for name, setting in present.items()}
    return different
