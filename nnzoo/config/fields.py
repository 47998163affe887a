"""Walks the fields of the config schema: all, or those that are valid for the sections that a document chooses."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from nnzoo.config.activation import Activation
from nnzoo.config.augment import AugmentSection
from nnzoo.config.base import ByName, Section, members
from nnzoo.config.data import DataSection
from nnzoo.config.document import Entry, Path
from nnzoo.config.experiment import Config, implied_name
from nnzoo.config.init import BiasInit, Init
from nnzoo.config.loss import LossSection
from nnzoo.config.model import ModelSection
from nnzoo.config.optimizer import OptimizerSection
from nnzoo.config.scheduler import SchedulerSection

UNIONS = {
    "data": DataSection,
    "augment": AugmentSection,
    "model": ModelSection,
    "activation": Activation,
    "init": Init,
    "bias": BiasInit,
    "loss": LossSection,
    "optimizer": OptimizerSection,
    "scheduler": SchedulerSection,
}
"""The unions of sections, by config key."""


def names_of(section: type[Section]) -> tuple[Any, ...]:
    """Returns the values of `name` that select this section; empty if the section is not part of a union."""
    field = section.model_fields.get("name")
    return get_args(field.annotation) if field else ()


def sections_of(annotation: Any) -> list[type[Section]]:
    """Returns the sections that a field may hold, directly or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_of(part)]


def is_list(annotation: Any) -> bool:
    """Returns whether a field may hold a list."""
    return get_origin(annotation) is tuple or any(is_list(part) for part in get_args(annotation))


def term_of(union: Any) -> str:
    """Returns the noun for a member of a union in messages, such as "an optimizer"."""
    return next(item for item in get_args(union) if isinstance(item, ByName)).term


def valid_paths(root: Entry) -> list[Path]:
    """Returns the path of every field that exists for the sections that a document chooses, outer fields first."""
    return list(_valid_below(Config, root, root, ()))


def _valid_below(section: type[Section], entry: Entry | None, root: Entry, prefix: Path) -> Iterator[Path]:
    for key, field in section.model_fields.items():
        if key == "name" and prefix:
            continue
        yield (*prefix, key)
        child = entry.child(key) if entry else None
        if is_list(field.annotation):
            items = child.value if child and isinstance(child.value, list) else []
            below = [((*prefix, key, index), item) for index, item in enumerate(items)]
        else:
            below = [((*prefix, key), child)]
        for path, item in below:
            chosen = _chosen_section(field.annotation, item, field.default, implied_name(key, root))
            if chosen is not None:
                yield from _valid_below(chosen, item, root, path)


def _chosen_section(annotation: Any, entry: Entry | None, default: Any, implied: str | None) -> type[Section] | None:
    """Returns the section that a field holds in a document; None if it is not determined yet."""
    sections = sections_of(annotation)
    if len(sections) == 1 and not names_of(sections[0]):
        return sections[0]
    name: Any = implied
    if entry is not None and isinstance(entry.value, str):
        name = entry.value
    elif entry is not None and (named := entry.child("name")) is not None:
        name = named.value
    elif entry is None and name is None and isinstance(default, Section):
        return type(default)
    return next((section for section in sections if name in names_of(section)), None)


@dataclass(frozen=True)
class Owner:
    """A section that has a field.

    Attributes:
        path: The dotted path of the field; `N` stands for the index in a list.
        union: The key of the innermost union on the path.
        names: The members of that union that have the field.
    """

    path: str
    union: str
    names: tuple[str, ...]

    @property
    def section(self) -> str:
        """The top-level key of the path."""
        return self.path.split(".")[0]


def owners_of(key: str) -> tuple[Owner, ...]:
    """Returns every place in the schema that has a field of this name."""
    return _owners().get(key, ())


@functools.cache
def _owners() -> dict[str, tuple[Owner, ...]]:
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for path, union, name in _all_fields(Config, "", "", ""):
        names = found.setdefault((path, union), (path.rpartition(".")[2], []))[1]
        if name not in names:
            names.append(name)
    owners: dict[str, tuple[Owner, ...]] = {}
    for (path, union), (field, names) in found.items():
        owners[field] = (*owners.get(field, ()), Owner(path, union, tuple(names)))
    return owners


def _all_fields(section: type[Section], prefix: str, union: str, name: str) -> Iterator[tuple[str, str, str]]:
    for key, field in section.model_fields.items():
        if key == "name" and prefix:
            continue
        yield f"{prefix}{key}", union, name
        below = f"{prefix}{key}.N." if is_list(field.annotation) else f"{prefix}{key}."
        for each in sections_of(field.annotation):
            names = names_of(each)
            if not each.python_only:
                for inner in names or (name,):
                    yield from _all_fields(each, below, key if names else union, inner)


def kind_of(name: str) -> tuple[str, Any] | None:
    """Returns the first union with a member of this name, after its key; None if there is none."""
    for key, union in UNIONS.items():
        if key != "bias" and name in (listed := members(union)) and not listed[name].python_only:
            return key, union
    return None
