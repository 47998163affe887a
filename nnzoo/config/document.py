"""A config as it was written: values that remember their place, merged by `extends` and overrides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a key or a value stands.

    Attributes:
        source: The file, or the override as it was typed.
        line: From 1; 0 where there are no lines (an override, a dict).
        column: From 1.
        text: The line itself.
    """

    source: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Entry:
    """A value of a document. Mappings and lists hold further entries.

    Attributes:
        value: A scalar, a dict of entries by key, or a list of entries.
        place: Where the value stands.
        key_place: Where its key stands; the value's own place where it has no key.
    """

    value: Any
    place: Place
    key_place: Place

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def child(self, key: str | int) -> Entry | None:
        """The entry under a key or an index, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(key)
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            item: Entry = self.value[key]
            return item
        return None

    def nearest(self, path: Path) -> Entry:
        """The entry at a path, or the deepest one on the way there."""
        entry = self
        for key in path:
            child = entry.child(key)
            if child is None:
                break
            entry = child
        return entry

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Entry]]:
        """Every entry below with its path, the outer ones first."""
        yield path, self
        if isinstance(self.value, dict):
            for key, item in self.value.items():
                yield from item.walk((*path, key))
        elif isinstance(self.value, list):
            for index, item in enumerate(self.value):
                yield from item.walk((*path, index))


def from_plain(value: Any, source: str) -> Entry:
    """A document from Python values; every place is the source."""
    place = Place(source)
    if isinstance(value, dict):
        return Entry({key: from_plain(item, source) for key, item in value.items()}, place, place)
    if isinstance(value, list | tuple):
        return Entry([from_plain(item, source) for item in value], place, place)
    return Entry(value, place, place)


def _name(entry: Entry) -> Any:
    """The `name` of a section, also of one written as its name."""
    if isinstance(entry.value, str):
        return entry.value
    named = entry.child("name") if isinstance(entry.value, dict) else None
    return named.value if named else None


def merge(base: Entry, over: Entry, *, is_root: bool = True) -> Entry:
    """`over` laid upon `base`: mappings merge, anything else replaces, and so does a section of another `name`."""
    if isinstance(base.value, str) and isinstance(over.value, dict) and not is_root:
        base = Entry({"name": Entry(base.value, base.place, base.place)}, base.place, base.key_place)
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    if not is_root and _name(over) is not None and _name(over) != _name(base):
        return over
    merged = dict(base.value)
    for key, item in over.value.items():
        merged[key] = merge(merged[key], item, is_root=False) if key in merged else item
    return Entry(merged, over.place, over.key_place)


def put(root: Entry, path: Path, entry: Entry) -> Path | None:
    """Sets the entry at a path of a mapping, making mappings on the way.

    Returns:
        None, or the part of the path that holds neither mapping nor list, where nothing can be put.
    """
    here = root
    for depth, key in enumerate(path):
        if isinstance(here.value, str) and depth:
            here.value = {"name": Entry(here.value, here.place, here.place)}
        if isinstance(here.value, list) and isinstance(key, int) and key < len(here.value):
            if depth == len(path) - 1:
                here.value[key] = entry
                return None
            here = here.value[key]
            continue
        if not isinstance(here.value, dict):
            return path[:depth]
        if depth == len(path) - 1:
            here.value[key] = entry
            return None
        here = here.value.setdefault(key, Entry({}, entry.place, entry.key_place))
    return None
