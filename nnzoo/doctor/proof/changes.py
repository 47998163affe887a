"""The changes that a fix makes to a config, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nnzoo.config import Config, dump
from nnzoo.config.yaml_writer import flow


def describe(before: Config, after: Config, fix: Sequence[str]) -> str:
    """Returns the changes of a fix, such as "optimizer.lr 2 -> 0.02"."""
    old, new = dump(before), dump(after)
    keys = dict.fromkeys(override.partition("=")[0].strip() for override in fix)
    return ", ".join(f"{key} {' -> '.join(_shown(_at(old, key), _at(new, key)))}" for key in keys)


def _shown(old: Any, new: Any) -> tuple[str, str]:
    """Returns two values as YAML; of two sections, only what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("name") != new.get("name"):
            return _yaml(old["name"]), _yaml(new["name"])
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        old, new = ({key: each[key] for key in keys if key in each} for each in (old, new))
    return _yaml(old), _yaml(new)


def _yaml(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else flow(value)


def _at(values: Any, key: str) -> Any:
    """Returns the value at a dotted key; a section that is only a name has that name."""
    for part in key.split("."):
        if isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        elif isinstance(values, dict) and part in values:
            values = values[part]
        elif not (isinstance(values, str) and part == "name"):
            return "unset"
    return values


def combined(fixes: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Returns the overrides of several fixes; if two set the same key, the first one counts."""
    by_key: dict[str, str] = {}
    for fix in fixes:
        for override in fix:
            by_key.setdefault(override.partition("=")[0].strip(), override)
    return tuple(by_key.values())
