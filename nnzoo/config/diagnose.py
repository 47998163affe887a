"""Converts pydantic errors to messages with the place, the expected and actual value, and the closest valid name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nnzoo.config.base import Section, listed, members
from nnzoo.config.document import Entry, Path, Place, Problem
from nnzoo.config.experiment import Config
from nnzoo.config.fields import UNIONS, names_of, sections_of, term_of
from nnzoo.config.misplaced import Suggestions
from nnzoo.config.placeholders import found_placeholder, placeholder_message
from nnzoo.config.suggest import either, known_as, nearest
from nnzoo.config.yaml_reader import is_number, located
from nnzoo.errors import ConfigError

_EXPECTED = {
    "int_type": ["an integer"],
    "int_from_float": ["an integer"],
    "float_type": ["a number"],
    "finite_number": ["a finite number"],
    "bool_type": ["true", "false"],
    "string_type": ["text"],
    "list_type": ["a list"],
    "tuple_type": ["a list"],
    "model_type": ["a mapping"],
    "model_attributes_type": ["a name", "a mapping with a name"],
    "dict_type": ["a mapping"],
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


@dataclass(frozen=True)
class _Finding:
    """One error of pydantic.

    Attributes:
        details: The error.
        path: The path in the document.
        holder: The section that holds the last key of the path.
        sections: The sections that are valid at the path.
    """

    details: ErrorDetails
    path: Path
    holder: type[Section]
    sections: list[type[Section]]

    @property
    def kind(self) -> str:
        return self.details["type"]

    @property
    def field(self) -> FieldInfo | None:
        return self.holder.model_fields.get(str(self.path[-1])) if self.path else None


def error_of_validation(error: ValidationError, root: Entry) -> ConfigError:
    """Returns all errors of pydantic in a document as one error."""
    by_path: dict[Path, list[_Finding]] = defaultdict(list)
    for details in error.errors(include_url=False):
        finding = _finding(details, root)
        by_path[finding.path].append(finding)
    inner = {path[:depth] for path in by_path for depth in range(len(path))}
    suggestions = Suggestions(root)
    # For a union such as `auto | list`, only the errors of the branch that got further are shown.
    found = [
        (_place(group[0], root), path, _message(group, root.nearest(path).value, suggestions))
        for path, group in by_path.items()
        if path not in inner
    ]
    return _config_error(found)


def error_of_problems(problems: list[Problem], root: Entry) -> ConfigError:
    """Returns the problems that the rules found in a document as one error."""
    return _config_error([(root.nearest(path).place, path, message) for path, message in problems])


def _config_error(found: list[tuple[Place, Path, str]]) -> ConfigError:
    found.sort(key=lambda item: (item[0].line == 0, item[0].source, item[0].line, item[0].column))
    texts = []
    for place, path, message in found:
        dotted = ".".join(str(part) for part in path)
        texts.append(located(place, f"{dotted}: {message}" if dotted else message))
    return ConfigError(list(dict.fromkeys(texts)), where=str(found[0][0]))


def _finding(details: ErrorDetails, root: Entry) -> _Finding:
    """Converts the location of an error to a path in the document.

    A location also contains tags of unions and branches of `int | "full"`. Walking along the schema distinguishes them
    from keys.
    """
    path: list[str | int] = []
    here: list[type[Section]] = [Config]
    holder: type[Section] = Config
    for part in details["loc"]:
        tagged = [section for section in here if part in names_of(section)]
        if len(here) > 1 and tagged:
            here = tagged
        elif isinstance(part, int):
            path.append(part)
        elif len(here) == 1 and part in here[0].model_fields:
            path.append(part)
            holder, here = here[0], sections_of(here[0].model_fields[part].annotation)
        elif part == details["loc"][-1] and details["type"] == "extra_forbidden":
            path.append(part)
            holder = here[0]
    if details["type"] == "union_tag_invalid" and isinstance(root.nearest(tuple(path)).value, dict):
        path.append("name")
    return _Finding(details, tuple(path), holder, here)


def _place(finding: _Finding, root: Entry) -> Place:
    entry = root.nearest(finding.path)
    if finding.kind in ("extra_forbidden", "missing", "union_tag_not_found"):
        return entry.key_place
    return entry.place


def _message(group: list[_Finding], value: Any, suggestions: Suggestions) -> str:
    # A text in place of a number may be meant as a name.
    first = next((finding for finding in group if finding.kind.startswith("union_tag")), group[0])
    if first.kind == "extra_forbidden":
        return _unknown_key(first, suggestions)
    if first.kind == "missing":
        meaning = f" ({first.field.description})" if first.field and first.field.description else ""
        return f"missing required key.{meaning}"
    if isinstance(value, str) and (placeholder := found_placeholder(value)):
        return placeholder_message(placeholder, ".".join(map(str, first.path)))
    if first.kind == "union_tag_not_found":
        return _unnamed(first, value)
    if first.kind == "union_tag_invalid":
        return _unknown_name(first, value, suggestions)
    got = _shown(first.details["input"])
    if first.kind == "string_pattern_mismatch":
        return f"expected at most 100 letters, digits, '_', '-' and '.', got {got}."
    expected = [phrase for finding in group for phrase in _expected(finding)]
    if not expected:
        message = str(first.details.get("ctx", {}).get("error", first.details["msg"]))
        return message if message.endswith((".", "?")) else f"{message}."
    if first.field and NoneType in get_args(first.field.annotation):
        expected.append("null")
    return f"expected {either(expected)}, got {got}.{_fix(first, expected) or suggestions.for_value(value)}"


def _unknown_key(finding: _Finding, suggestions: Suggestions) -> str:
    allowed = [*finding.holder.model_fields, *(["extends"] if len(finding.path) == 1 and suggestions.of_file else [])]
    return f"unknown key.{suggestions.for_key(finding.path, finding.holder)} ({', '.join(allowed)})"


def _unnamed(finding: _Finding, value: Any) -> str:
    """Returns the message for a section without its `name`."""
    names = _listed_names(finding.sections)
    keys = [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []
    hint = " Add it."
    for key in keys:
        if known_as(key, ["name"]):
            hint = f" Write `name` instead of '{key}'."
        elif key in names:
            hint = f" Write `name: {key}`, with its fields on the same level."
    return f"`name` is missing.{hint} ({', '.join(names)})"


def _unknown_name(finding: _Finding, tag: Any, suggestions: Suggestions) -> str:
    names = [name.strip().strip("'") for name in str(finding.details["ctx"]["expected_tags"]).split(",")]
    union = next(union for union in UNIONS.values() if list(members(union)) == names)
    hint = suggestions.for_name(tag, union)
    return f"{_shown(tag)} is not {term_of(union)}.{hint} ({', '.join(listed(union))})"


def _listed_names(sections: list[type[Section]]) -> list[str]:
    return [name for section in sections if not section.python_only for name in names_of(section)]


def _expected(finding: _Finding) -> list[str]:
    """Returns phrases for the expected values."""
    kind, context = finding.kind, finding.details.get("ctx", {})
    if kind == "literal_error":
        words = str(context["expected"]).replace(" or ", ", ").split(", ")
        return [{"True": "true", "False": "false"}.get(word, word.strip("'")) for word in words]
    if kind in _BOUNDS:
        key, phrase = _BOUNDS[kind]
        return [f"{phrase} {_shown(context[key]).removesuffix('.0')}"]
    if kind == "too_long":
        return [f"at most {context['max_length']} items" if context["max_length"] else "an empty list"]
    if kind in ("too_short", "string_too_short"):
        return ["some text" if kind == "string_too_short" else f"at least {context['min_length']} items"]
    return _EXPECTED.get(kind, [])


def _fix(finding: _Finding, expected: list[str]) -> str:
    """Returns what to write instead, with a leading space; empty if unknown."""
    value, field = finding.details["input"], finding.field
    is_only_choice = finding.kind == "literal_error" and len(expected) == 1
    if field and (is_only_choice or finding.kind in ("too_long", "less_than_equal")):
        # The description of the field tells why there is no choice.
        return f" ({field.description})"
    hint = ""
    if isinstance(value, str):
        meant = _BOOLEANS.get(value.lower()) if "true" in expected else nearest(value, expected)
        if meant in expected:
            hint = f" Did you mean {meant}?"
        elif is_number(value) and any(phrase in ("an integer", "a number") for phrase in expected):
            hint = " Remove the quotes."
    elif value is False and "null" in expected:
        hint = " Did you mean null?"
    elif value is None and field and not field.is_required():
        hint = " Remove the key to use its default."
    elif expected == ["text"] and isinstance(value, bool | int | float):
        hint = " Put it in quotes."
    names = _listed_names(finding.sections) or [key for section in finding.sections for key in section.model_fields]
    if names and finding.kind.startswith("model_"):
        return f"{hint} ({', '.join(names)})"
    is_item = isinstance(value, str | int | float) and not isinstance(value, bool) and not names
    return f" Write [{value}]." if not hint and is_item and "a list" in expected and "text" not in expected else hint


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value[:60]}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else repr(value)[:60]
