"""Explains a config key, or a name such as `adamw`: meaning, default, allowed values, formula, papers and lessons."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from nnzoo.config.base import Section, dump, listed
from nnzoo.config.describe import UNIONS as KINDS
from nnzoo.config.describe import fields_of
from nnzoo.config.experiment import Config
from nnzoo.config.fields import UNIONS, is_list, names_of, sections_of
from nnzoo.config.ideas import lessons_about
from nnzoo.config.metrics import METRICS
from nnzoo.config.ranges import allowed_values
from nnzoo.config.references import FORMULAS, formula_of, papers_in
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError


@dataclass
class Explanation:
    """The explanation of a key, or of a name.

    Attributes:
        title: The name, or the last part of the path.
        paths: Where the key is in a config; `N` stands for the index in a list. For a name, the keys that choose it.
        names: The sections that have the key, such as optimizers; empty if it does not depend on one.
        meaning: The description.
        required: Whether the key has no default.
        defaults: Each default, and the sections that have it.
        values: The allowed values.
        formula: The formula; empty if there is none.
        papers: The titles of the cited papers, by citation.
        lessons: The lessons about it.
        fields: The keys below it, as returned by `describe.fields_of`.
    """

    title: str
    paths: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    meaning: str = ""
    required: bool = False
    defaults: list[tuple[Any, list[str]]] = field(default_factory=list)
    values: str = ""
    formula: str = ""
    papers: dict[str, str] = field(default_factory=dict)
    lessons: tuple[str, ...] = ()
    fields: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """A key at one place of the schema: `path` with the names of the sections in `chosen`."""

    path: tuple[str, ...]
    chosen: tuple[str, ...]
    section: type[Section]

    @property
    def key(self) -> str:
        return self.path[-1]


def explain(query: str) -> list[Explanation]:
    """Returns the explanations of a key such as `optimizer.lr` or `model.mlp.dropout`, or of a name such as `gru`.

    A short key such as `lr` stands for all keys that end with it.

    Raises:
        UsageError: There is no such key or name.
    """
    parts = tuple("N" if part.isdigit() else part for part in re.split(r"[.\s:=]+", query.strip().strip(".")) if part)
    found = [*_keys(parts), *_names(parts)]
    if not found:
        hint = did_you_mean(".".join(parts), known_words()) if parts else ""
        raise UsageError(
            f"'{query}' is not a config key or the name of a section.{hint} `nnzoo list` shows all names.",
            where="explain",
        )
    return found


def _names(parts: Sequence[str]) -> Iterator[Explanation]:
    """Yields the sections and metrics of a name, optionally after its key: `gru`, `model.gru`, or `model: gru`."""
    *before, name = parts or ("",)
    for kind, union in KINDS.items():
        keys = [key for key, each in UNIONS.items() if each is union]
        member = listed(union).get(name)
        if member is not None and (not before or before[-1] in (kind, *keys)):
            meaning = _described(member)
            lessons = lessons_about(*(f"{key}: {name}" for key in keys)) or lessons_about(*keys)
            yield Explanation(
                name,
                [f"{key}: {name}" for key in keys],
                meaning=meaning,
                formula=formula_of(f"{keys[0]}: {name}", meaning),
                papers=papers_in(meaning),
                lessons=lessons,
                fields=fields_of(member),
            )
    if name in METRICS and (not before or before[-1] in ("metrics", "metric")):
        meaning = METRICS[name].meaning
        formula = formula_of(f"metrics: {name}", meaning)
        yield Explanation(name, [f"train.metrics: [{name}]"], meaning=meaning, formula=formula)


def _described(section: type[Section]) -> str:
    return " ".join((section.__doc__ or "").split())


def known_words() -> list[str]:
    """Returns all keys, with and without their path, and all names of sections and metrics."""
    keys = [place.key for place in _places()]
    names = [name for union in KINDS.values() for name in listed(union)]
    return list(dict.fromkeys([*keys, *names, *METRICS, *(".".join(place.path) for place in _places())]))


def _keys(parts: Sequence[str]) -> list[Explanation]:
    """Returns the explanations of the keys that match, with one entry for places that mean the same."""
    matching = [place for place in _places_by_key().get("".join(parts[-1:]), ()) if _matches(place, parts)]
    matching.sort(key=lambda place: len(place.path))
    exact = [place for place in matching if place.path == tuple(parts)] if len(parts) > 1 else []
    groups: dict[tuple[str, ...], Explanation] = {}
    for place in exact or matching:
        found = place.section.model_fields[place.key]
        meaning = found.description or ""
        values = _values(place)
        entry = groups.setdefault((place.path[0], place.key, meaning, values), Explanation(place.key, meaning=meaning))
        entry.values = values
        _add(entry.paths, [".".join(place.path)])
        _add(entry.names, place.chosen[-1:])
        entry.required = found.default is PydanticUndefined
        if not entry.required:
            _add_default(entry, dump(found.default), place.chosen[-1:])
        nested = sections_of(found.annotation)
        if len(nested) == 1 and not names_of(nested[0]):
            entry.fields = fields_of(nested[0])
    for entry in groups.values():
        entry.formula = next(filter(None, (_formula(path, entry.names) for path in entry.paths)), "")
        entry.papers = papers_in(entry.meaning)
        entry.lessons = next(filter(None, map(_lessons, entry.paths)), ())
    return list(groups.values())


def _add_default(entry: Explanation, value: Any, names: Iterable[str]) -> None:
    owners = next((owners for default, owners in entry.defaults if default == value), None)
    if owners is None:
        entry.defaults.append((value, owners := []))
    _add(owners, names)


def _add(found: list[str], more: Iterable[str]) -> None:
    found += [each for each in more if each not in found]


def _formula(path: str, names: Sequence[str]) -> str:
    """Returns the formula of a key; one of `optimizer.sgd.lr` is for places where sgd has the key."""
    section, _, rest = path.partition(".")
    return next((FORMULAS[each] for each in (path, *(f"{section}.{n}.{rest}" for n in names)) if each in FORMULAS), "")


def _lessons(path: str) -> tuple[str, ...]:
    """Returns the lessons about a key, else those about the key or section that it belongs to."""
    parts = path.split(".")
    found = (lessons_about(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next(filter(None, found), ())


def _matches(place: _Place, parts: Sequence[str]) -> bool:
    """Returns whether a path ends with `parts`, or begins with them as a full path, in which names may be inserted."""
    chosen = [part for part in parts if part in place.chosen and part not in place.path]
    rest = tuple(part for part in parts if part not in chosen)
    return bool(rest) and place.path[-len(rest) :] == rest


def _values(place: _Place) -> str:
    annotation = place.section.model_fields[place.key].annotation
    names = [name for each in sections_of(annotation) if not each.python_only for name in names_of(each)]
    if not sections_of(annotation):
        return allowed_values(place.section, place.key)
    kind = "a list of sections" if is_list(annotation) else "a section"
    or_null = " or null" if type(None) in get_args(annotation) else ""
    return f"{kind}{or_null}: {', '.join(dict.fromkeys(names))}" if names else f"{kind} with the keys below{or_null}"


@functools.cache
def _places() -> tuple[_Place, ...]:
    """Returns all keys of the schema, outer ones first."""
    return tuple(_below(Config, (), ()))


@functools.cache
def _places_by_key() -> dict[str, list[_Place]]:
    found: dict[str, list[_Place]] = {}
    for place in _places():
        found.setdefault(place.key, []).append(place)
    return found


def _below(section: type[Section], path: tuple[str, ...], chosen: tuple[str, ...]) -> Iterator[_Place]:
    for key, found in section.model_fields.items():
        if key == "name" and path:
            continue
        yield _Place((*path, key), chosen, section)
        inner = (*path, key, "N") if is_list(found.annotation) else (*path, key)
        for each in sections_of(found.annotation):
            if not each.python_only:
                for name in names_of(each) or (None,):
                    yield from _below(each, inner, chosen if name is None else (*chosen, name))


def with_references(schema: dict[str, Any]) -> dict[str, Any]:
    """Adds the formula, papers and lessons of each key and section to its description in the JSON Schema of configs."""
    done: set[tuple[type[Section], str]] = set()
    for place in _places():
        if (place.section, place.key) in done:
            continue
        done.add((place.section, place.key))
        path, text = ".".join(place.path), place.section.model_fields[place.key].description or ""
        texts = _references(_formula(path, place.chosen[-1:]), papers_in(text), _lessons(path))
        holders = [schema] if place.section is Config else _definitions(schema, place.section)
        for holder in holders:
            holder["properties"][place.key]["description"] = text + texts
    for union in KINDS.values():
        for name, member in listed(union).items():
            found = next(each for each in _names([name]) if each.meaning == _described(member))
            texts = _references(found.formula, found.papers, found.lessons)
            for definition in _definitions(schema, member):
                definition["description"] = found.meaning + texts
    return schema


def _definitions(schema: dict[str, Any], section: type[Section]) -> list[dict[str, Any]]:
    """Returns the definitions of a section; of two sections with the same name, pydantic uses the full names."""
    definitions, name = schema["$defs"], section.__name__
    if name not in definitions:
        name = f"{section.__module__}.{section.__qualname__}".replace(".", "__")
    return [definitions[name], definitions[f"Partial{name}"]]


def _references(formula: str, papers: dict[str, str], lessons: Iterable[str]) -> str:
    """Returns the paragraphs that follow a description."""
    paragraphs = [f"Formula: {formula}"] if formula else []
    paragraphs += [f"Paper: {citation}, {title}" for citation, title in papers.items() if title]
    paragraphs += [f"Lessons: {', '.join(f'nnzoo lesson {name}' for name in lessons)}"] if lessons else []
    return "".join(f"\n\n{each}" for each in paragraphs)
