"""Reads a sweep file: a config, the search space and the options of the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nnzoo.config.data import PATH_FIELDS
from nnzoo.config.suggest import did_you_mean
from nnzoo.config.yaml_reader import located, read_yaml
from nnzoo.errors import ConfigError

_KEYS = ("config", "space", "overrides", "method", "trials", "metric", "mode", "seed", "prune", "name")


def read_sweep_file(source: str) -> dict[str, Any]:
    """Returns the content of a sweep file; an empty dict if the source is a config."""
    path = Path(source)
    if not path.is_file():
        return {}
    root = read_yaml(path, source)
    if not isinstance(root.value, dict) or "space" not in root.value:
        return {}
    for key, entry in root.value.items():
        if key not in _KEYS:
            message = f"{key}: unknown key.{did_you_mean(key, _KEYS)} ({', '.join(_KEYS)})"
            raise ConfigError([located(entry.key_place, message)], where=str(entry.key_place))
    for key in ("space", "overrides"):
        entry = root.value.get(key)
        if entry is not None and not isinstance(entry.value, dict):
            message = f"{key}: expected a mapping, such as `optimizer.lr: [0.1, 0.01]` in a line of its own."
            raise ConfigError([located(entry.place, message)], where=str(entry.place))
    found: dict[str, Any] = root.plain()
    if "config" not in found:
        raise ConfigError(
            [located(root.place, "config: missing required key. (the config of the trials)")], where=source
        )
    if isinstance(found["config"], str) and (path.parent / found["config"]).exists():
        found["config"] = str(path.parent / found["config"])
    for part in ("space", "overrides"):
        for field in PATH_FIELDS:
            if (key := f"data.{field}") in (found.get(part) or {}):
                found[part][key] = _beside(found[part][key], path.parent)
    return found


def _beside(value: Any, folder: Path) -> Any:
    """Makes paths relative to the folder of their file."""
    if isinstance(value, list):
        return [_beside(each, folder) for each in value]
    return os.path.normpath(folder / value) if isinstance(value, str) else value
