"""Suggests the right place for a misplaced key or name, from the schema; each suggestion is validated first."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from nnzoo.config.base import listed, members
from nnzoo.config.document import Entry, Path
from nnzoo.config.experiment import Config
from nnzoo.config.fields import UNIONS, Owner, kind_of, owners_of, term_of, valid_paths
from nnzoo.config.metrics import METRICS
from nnzoo.config.rules import check
from nnzoo.config.suggest import closeness, did_you_mean, either, known_as, same_name, synonyms_of

MAX_SHOWN = 2
"""The maximum number of places in a message."""
_MIN_CLOSENESS = 0.8
"""The minimum similarity of a misspelled key to a field of another section."""
_EXTENDING = ("extend", "base", "inherit", "inherits", "include", "includes", "import", "parent", "defaults", "_base_")
"""Names of `extends` in other tools."""


@dataclass(frozen=True)
class _Place:
    """A place for a key.

    Attributes:
        path: The new path of the key.
        missing: Other keys that the section requires.
        name: The `name` that the section needs.
    """

    path: Path
    missing: tuple[str, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        dotted = f"'{'.'.join(map(str, self.path))}'"
        if self.name:
            return f"{dotted} with `{self.path[0]}.name: {self.name}`"
        if self.missing:
            return f"{dotted} (with {', '.join(self.missing)})"
        return f"{dotted} at the top level" if len(self.path) == 1 else dotted


class Suggestions:
    """Suggests places for the unknown keys of a document.

    Args:
        root: The document.
    """

    def __init__(self, root: Entry) -> None:
        self.root = root
        self.plain = root.plain()
        self.of_file = root.place.line > 0

    def for_key(self, path: Path, holder: type[Any]) -> str:
        """Returns a hint for an unknown key: a sentence with a leading space, or an empty string.

        Args:
            path: The path of the key.
            holder: The section that does not have this field.
        """
        key, allowed = str(path[-1]), list(holder.model_fields)
        named = next((listed(union) for union in UNIONS.values() if holder in members(union).values()), {})
        if key in named:
            return f" Did you mean `name: {key}`?"
        if known_as(key, allowed):
            return did_you_mean(key, allowed)
        near = [each for each in self._places(path, [key]) if len(each) == 1 or each[0] == path[0]]
        owners = [name for name, member in named.items() if key in member.model_fields]
        if owners and not near:
            return f" It belongs to {either(owners)}."
        if len(path) == 1 and (hint := self._only_in_files(key)):
            return hint
        return self._elsewhere(path, key, allowed) or did_you_mean(key, allowed)

    def _only_in_files(self, key: str) -> str:
        """Returns a hint for a key that is only valid in a file."""
        entry = self.root.child(key)
        if key == "extends":
            return " `extends` is only valid in a file, not as an override or in a dict."
        if entry is not None and entry.has_anchor:
            return f" A key that only holds an anchor must start with `x-`: 'x-{key}'."
        return " Did you mean 'extends'?" if key in _EXTENDING and self.of_file else ""

    def _elsewhere(self, path: Path, key: str, allowed: list[str]) -> str:
        """Returns a hint with other sections that have the key, or else a synonym of it, or else a similar key."""
        found = self._working(path, self._places(path, [key]))
        if not found:
            found = self._working(path, self._places(path, synonyms_of(key)))
            owners = owners_of(key)
            # A synonym counts where the section that could have the key has it under another name.
            if owners and not any(each.path[0] == owner.section for each in found for owner in owners):
                return self._under_other_names(path, owners)
        found = found or self._working(path, self._close(path, key, allowed))
        if found:
            return f" Did you mean {either([str(each) for each in found[:MAX_SHOWN]])}?"
        kind = kind_of(key)
        return f" '{key}' is {term_of(kind[1])}: `{self.assignment(kind[0], key)}`." if kind else ""

    def _places(self, path: Path, names: Iterable[str]) -> list[Path]:
        """Returns the other paths at which a field with one of the names is valid, in the order of the names."""
        return [each for name in names for each in self.valid if each != path and same_name(name, str(each[-1]))]

    @functools.cached_property
    def valid(self) -> list[Path]:
        return valid_paths(self.root)

    def _close(self, path: Path, key: str, allowed: list[str]) -> list[Path]:
        """Returns the paths of fields that are more similar to the key than any allowed field."""
        close = difflib.get_close_matches(
            key.lower(), {str(each[-1]) for each in self.valid}, n=1, cutoff=_MIN_CLOSENESS
        )
        if not close or closeness(key, close[0]) <= max(closeness(key, name) for name in allowed):
            return []
        return self._places(path, close)

    def _working(self, path: Path, candidates: list[Path]) -> list[_Place]:
        """Returns the candidates that make the config valid, the most likely first; all candidates if none does."""
        ranked = sorted(candidates, key=lambda each: (len(each) > 1, each[0] != path[0] or len(path) == 1, len(each)))
        tried = [_Place(each, missing) for each in ranked if (missing := self._try_move(path, each)) is not None]
        return sorted(tried, key=lambda each: len(each.missing)) or [_Place(each) for each in ranked]

    def _try_move(self, old: Path, new: Path, name: str | None = None) -> tuple[str, ...] | None:
        """Moves a key to another path and validates the result.

        Args:
            old: The path of the key.
            new: Its new path.
            name: The `name` to give to the new section.

        Returns:
            Other keys that the new section requires; None if the key is not valid there.
        """
        moved = copy.deepcopy(self.plain)
        if not _put(moved, new, _pop(moved, old), name):
            return None
        new_errors = (after := _errors(moved)) - _errors(self.plain)
        if any(kind != "missing" for kind, *_ in new_errors):
            return None
        if after:
            return tuple(str(place[-1]) for _, *place in new_errors)
        config = Config.model_validate(moved)
        problems = [path for path, _ in check(config, config.data.facts())]
        return None if any(path[: len(new)] == new[: len(path)] for path in problems) else ()

    def _under_other_names(self, path: Path, owners: tuple[Owner, ...]) -> str:
        """Returns a hint with the other values of `name` for which a section has the key."""
        owners = tuple(sorted(owners, key=lambda each: (each.section != path[0], each.path.count("."))))
        switched = [place for owner in owners if (place := self._renamed_place(path, owner)) is not None]
        if switched:
            return f" Did you mean {either([str(each) for each in switched[:MAX_SHOWN]])}?"
        owner = owners[0]
        section = self.root.child(owner.section)
        chosen = section.child("name") if section and isinstance(section.value, dict) else section
        if not owner.union or (chosen and chosen.value in owner.names):
            return f" Did you mean '{owner.path}'?"
        return f" It belongs to '{owner.path}' of {owner.union} {either(list(owner.names))}."

    def _renamed_place(self, path: Path, owner: Owner) -> _Place | None:
        """Returns the place of a key in a section whose `name` is not given."""
        section, parts = self.root.child(owner.section), tuple(owner.path.split("."))
        if owner.union != owner.section or len(parts) != 2 or (section is not None and _is_named(section)):
            return None
        names = (name for name in owner.names if self._try_move(path, parts, name) == ())
        return next((_Place(parts, name=name) for name in names), None)

    def for_name(self, name: Any, union: Any) -> str:
        """Returns a hint for a name that is not in the union of a section."""
        shown = list(listed(union))
        if not isinstance(name, str):
            return ""
        return (self.for_value(name) if known_as(name, shown) is None else "") or did_you_mean(name, shown)

    def for_value(self, value: Any) -> str:
        """Returns a hint if a text names a section or a metric: a sentence with a leading space, or an empty string."""
        if not isinstance(value, str):
            return ""
        if (kind := kind_of(value)) is not None:
            return f" It is {term_of(kind[1])}: `{self.assignment(kind[0], value)}`."
        return f" It is a metric: `train.metrics: [{value}]`." if value in METRICS else ""

    def assignment(self, key: str, name: str) -> str:
        """Returns YAML that sets a name at the outermost place that accepts it."""
        path = min((each for each in self.valid if each[-1] == key), key=len, default=("model", key))
        return f"{'.'.join(map(str, path))}: {f'[{name}]' if key == 'augment' else name}"


def _is_named(section: Entry) -> bool:
    return isinstance(section.value, str) or section.child("name") is not None


def _errors(plain: Any) -> set[tuple[Any, ...]]:
    """Returns the errors of pydantic as tuples of type and location."""
    try:
        Config.model_validate(plain)
    except ValidationError as error:
        return {(details["type"], *details["loc"]) for details in error.errors(include_url=False)}
    return set()


def _pop(plain: Any, path: Path) -> Any:
    for key in path[:-1]:
        plain = plain[key]
    return plain.pop(path[-1])


def _put(plain: Any, path: Path, value: Any, name: str | None) -> bool:
    """Sets a value at a path and creates missing sections; returns False if the path already has a value."""
    for key in path[:-1]:
        below = plain[key] if isinstance(key, int) else plain.get(key)
        if isinstance(below, str):
            below = {"name": below}
        elif below is None:
            below = {}
        plain[key] = below
        if not isinstance(below, dict | list):
            return False
        plain = below
    if name is not None:
        plain["name"] = name
    if path[-1] in plain:
        return False
    plain[path[-1]] = value
    return True
