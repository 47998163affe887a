"""Parsed configs whose values keep their file, line and column. `extends` and overrides merge them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
"""The path of the key to change, and the error message."""


@dataclass(frozen=True)
class Place:
    """The location of a key or a value.

    Attributes:
        source: The file, or the override as typed.
        line: The line from 1; 0 if there are no lines (an override, a dict).
        column: The column from 1.
        text: The text of the line.
    """

    source: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Entry:
    """A parsed value. Mappings and lists hold further entries.

    Attributes:
        value: A scalar, a dict of entries by key, or a list of entries.
        place: The place of the value.
        key_place: The place of its key; the place of the value if it has no key.
        has_anchor: Whether the value has a YAML anchor.
    """

    value: Any
    place: Place
    key_place: Place
    has_anchor: bool = False

    def plain(self) -> Any:
        """Returns the plain Python value, without places."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def child(self, key: str | int) -> Entry | None:
        """Returns the entry at a key or an index; None if there is none."""
        if isinstance(self.value, dict):
            return self.value.get(key)
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            item: Entry = self.value[key]
            return item
        return None

    def nearest(self, path: Path) -> Entry:
        """Returns the entry at a path, or its deepest existing parent."""
        entry = self
        for key in path:
            child = entry.child(key)
            if child is None:
                break
            entry = child
        return entry

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Entry]]:
        """Yields this entry and all entries in it with their paths, outer entries first."""
        yield path, self
        if isinstance(self.value, dict):
            for key, item in self.value.items():
                yield from item.walk((*path, key))
        elif isinstance(self.value, list):
            for index, item in enumerate(self.value):
                yield from item.walk((*path, index))


def from_plain(value: Any, source: str) -> Entry:
    """Returns a document of Python values. The place of every value is `source`."""
    place = Place(source)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, dict):
        return Entry({key: from_plain(item, source) for key, item in value.items()}, place, place)
    if isinstance(value, list | tuple):
        return Entry([from_plain(item, source) for item in value], place, place)
    return Entry(value, place, place)


def _name_of(entry: Entry) -> Any:
    """Returns the `name` of a section; a section may be written as only its name."""
    if isinstance(entry.value, str):
        return entry.value
    named = entry.child("name") if isinstance(entry.value, dict) else None
    return named.value if named else None


def merge(base: Entry, over: Entry, implied: Callable[[str], str | None], key: str | None = None) -> Entry:
    """Merges `over` into `base`. Mappings are merged; other values, and sections with a different `name`, are replaced.

    Args:
        base: The values to override.
        over: The overriding values.
        implied: Returns the default name of a section by its key.
        key: The key of both entries; None for top-level documents.
    """
    if key is not None:
        named, renamed = _name_of(base) or implied(key), _name_of(over)
        if isinstance(over.value, str) and isinstance(base.value, dict) and named == renamed:
            return Entry({**base.value, "name": over}, base.place, base.key_place)
        if isinstance(base.value, str) and isinstance(over.value, dict):
            base = _as_mapping(base)
        if renamed is not None and renamed != named:
            return over
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    merged = dict(base.value)
    for inner, item in over.value.items():
        merged[inner] = merge(merged[inner], item, implied, inner) if inner in merged else item
    return Entry(merged, over.place, over.key_place)


def _as_mapping(entry: Entry) -> Entry:
    """Converts a section that is written as only its name to a mapping."""
    return Entry({"name": Entry(entry.value, entry.place, entry.place)}, entry.place, entry.key_place)


def put(root: Entry, path: Sequence[str], entry: Entry) -> int | None:
    """Sets the entry at a path and creates missing mappings; in a list, a number is an index.

    Returns:
        None on success; otherwise the number of leading path keys that could be followed before one was missing.
    """
    here = root
    for depth, key in enumerate(path):
        if isinstance(here.value, str) and depth:
            here.value = _as_mapping(here).value
        last = depth == len(path) - 1
        if isinstance(here.value, list):
            if not is_index(key) or int(key) >= len(here.value):
                return depth
            if last:
                here.value[int(key)] = entry
            here = here.value[int(key)]
        elif isinstance(here.value, dict):
            before = here.value.get(key)
            if last and before and isinstance(before.value, dict) and isinstance(entry.value, str):
                # `optimizer.lr=0.1 optimizer=sgd` has the same result as the other order.
                before.value["name"] = entry
            elif last:
                here.value[key] = entry
            here = here.value.setdefault(key, Entry({}, entry.place, entry.key_place))
        else:
            return depth
    return None


def is_index(key: str) -> bool:
    """Returns whether a part of a dotted key can be an index."""
    return key.isascii() and key.isdigit()
