"""Where a key or a name belongs that a document has in the wrong place: read from the schema, and tried out."""

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
from nnzoo.config.suggest import closeness, did_you_mean, either, known_as, same_word, synonyms_of

MAX_SHOWN = 2
"""Places that a message names."""
_ELSEWHERE = 0.8
"""How close a misspelt key has to be to a field of another section."""
_EXTENDING = ("extend", "base", "inherit", "inherits", "include", "includes", "import", "parent", "defaults", "_base_")
"""What other tools call `extends`."""


@dataclass(frozen=True)
class _Place:
    """Where a key may go.

    Attributes:
        path: The path of the key there.
        missing: Other keys that have to be given there.
        name: The `name` that the section needs there.
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
        """Returns what to do about an unknown key: a sentence with a leading space, or nothing.

        Args:
            path: Where the key is.
            holder: The section that does not have it.
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
        if len(path) == 1 and (hint := self._of_files(key)):
            return hint
        return self._elsewhere(path, key, allowed) or did_you_mean(key, allowed)

    def _of_files(self, key: str) -> str:
        """Keys that only a file can have."""
        entry = self.root.child(key)
        if key == "extends":
            return " `extends` is for files: it can't be an override or a key of a dict."
        if entry is not None and entry.has_anchor:
            return f" A key that only holds an anchor starts with `x-`: 'x-{key}'."
        return " Did you mean 'extends'?" if key in _EXTENDING and self.of_file else ""

    def _elsewhere(self, path: Path, key: str, allowed: list[str]) -> str:
        """Returns the likeliest places in other sections: of that name, else of a synonym, else of a close spelling."""
        found = self._tried(path, self._places(path, [key]))
        if not found:
            found = self._tried(path, self._places(path, synonyms_of(key)))
            owners = owners_of(key)
            # A synonym counts where the section that could have the key has it under another name.
            if owners and not any(each.path[0] == owner.section for each in found for owner in owners):
                return self._of_other_names(path, owners)
        found = found or self._tried(path, self._close(path, key, allowed))
        if found:
            return f" Did you mean {either([str(each) for each in found[:MAX_SHOWN]])}?"
        kind = kind_of(key)
        return f" '{key}' is {term_of(kind[1])}: `{self.written(kind[0], key)}`." if kind else ""

    def _places(self, path: Path, names: Iterable[str]) -> list[Path]:
        """Returns the other places where a field with one of the names is valid, in the order of the names."""
        return [each for name in names for each in self.valid if each != path and same_word(name, str(each[-1]))]

    @functools.cached_property
    def valid(self) -> list[Path]:
        return valid_paths(self.root)

    def _close(self, path: Path, key: str, allowed: list[str]) -> list[Path]:
        """Returns places whose field is spelt almost like the key, and more so than the fields beside it."""
        close = difflib.get_close_matches(key.lower(), {str(each[-1]) for each in self.valid}, n=1, cutoff=_ELSEWHERE)
        if not close or closeness(key, close[0]) <= max(closeness(key, name) for name in allowed):
            return []
        return self._places(path, close)

    def _tried(self, path: Path, candidates: list[Path]) -> list[_Place]:
        """Returns the candidates that work if they are followed, the likeliest first; all of them if none does."""
        ranked = sorted(candidates, key=lambda each: (len(each) > 1, each[0] != path[0] or len(path) == 1, len(each)))
        tried = [_Place(each, missing) for each in ranked if (missing := self._followed(path, each)) is not None]
        return sorted(tried, key=lambda each: len(each.missing)) or [_Place(each) for each in ranked]

    def _followed(self, old: Path, new: Path, name: str | None = None) -> tuple[str, ...] | None:
        """Moves a key to another place.

        Args:
            old: Where the key is.
            new: Where it would be.
            name: The `name` that the section there would get.

        Returns:
            The keys that have to be given there too; None if the key has a problem there.
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

    def _of_other_names(self, path: Path, owners: tuple[Owner, ...]) -> str:
        """Returns which sections would have the key if they had another name."""
        owners = tuple(sorted(owners, key=lambda each: (each.section != path[0], each.path.count("."))))
        switched = [place for owner in owners if (place := self._switched(path, owner)) is not None]
        if switched:
            return f" Did you mean {either([str(each) for each in switched[:MAX_SHOWN]])}?"
        owner = owners[0]
        section = self.root.child(owner.section)
        chosen = section.child("name") if section and isinstance(section.value, dict) else section
        if not owner.union or (chosen and chosen.value in owner.names):
            return f" Did you mean '{owner.path}'?"
        return f" It belongs to '{owner.path}' of {owner.union} {either(list(owner.names))}."

    def _switched(self, path: Path, owner: Owner) -> _Place | None:
        """Returns the place of a key in a section whose name is still open."""
        section, parts = self.root.child(owner.section), tuple(owner.path.split("."))
        if owner.union != owner.section or len(parts) != 2 or (section is not None and _is_named(section)):
            return None
        names = (name for name in owner.names if self._followed(path, parts, name) == ())
        return next((_Place(parts, name=name) for name in names), None)

    def for_name(self, name: Any, union: Any) -> str:
        """Returns what to do about a name that the union of a section does not have."""
        shown = list(listed(union))
        if not isinstance(name, str):
            return ""
        return (self.for_word(name) if known_as(name, shown) is None else "") or did_you_mean(name, shown)

    def for_word(self, word: Any) -> str:
        """Returns what a word is that is the value of a wrong key: a sentence with a leading space, or nothing."""
        if not isinstance(word, str):
            return ""
        if (kind := kind_of(word)) is not None:
            return f" It is {term_of(kind[1])}: `{self.written(kind[0], word)}`."
        return f" It is a metric: `train.metrics: [{word}]`." if word in METRICS else ""

    def written(self, key: str, name: str) -> str:
        """A name at the shallowest place that takes it."""
        path = min((each for each in self.valid if each[-1] == key), key=len, default=("model", key))
        return f"{'.'.join(map(str, path))}: {f'[{name}]' if key == 'augment' else name}"


def _is_named(section: Entry) -> bool:
    return isinstance(section.value, str) or section.child("name") is not None


def _errors(plain: Any) -> set[tuple[Any, ...]]:
    """What pydantic finds, as places and kinds."""
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
    """Sets a value at a path and makes sections on the way; returns whether nothing was there."""
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
