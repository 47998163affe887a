"""What pydantic found, told to a person: the place, what was expected and got, and the nearest name."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nnzoo.config.activation import Activation
from nnzoo.config.base import ByName, Section, listed, members
from nnzoo.config.data import DataSection
from nnzoo.config.document import Entry, Path, Place
from nnzoo.config.experiment import Config
from nnzoo.config.init import BiasInit, Init
from nnzoo.config.loss import LossSection
from nnzoo.config.model import ModelSection
from nnzoo.config.optimizer import OptimizerSection
from nnzoo.config.reader import located
from nnzoo.config.rules import Problem
from nnzoo.config.scheduler import SchedulerSection
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import ConfigError

UNIONS = (DataSection, ModelSection, Activation, Init, BiasInit, LossSection, OptimizerSection, SchedulerSection)

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "null",
    "model_type": "a mapping",
    "model_attributes_type": "a name or a mapping with a name",
    "dict_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def error_of_validation(error: ValidationError, root: Entry) -> ConfigError:
    """All that pydantic found in a document, as one error."""
    by_path: dict[Path, list[tuple[ErrorDetails, type[Section] | None]]] = defaultdict(list)
    for details in error.errors(include_url=False):
        path, section = _path(details, root)
        by_path[path].append((details, section))
    inner = {path[:depth] for path in by_path for depth in range(len(path))}
    found = []
    for path, group in by_path.items():
        # Of a union such as `auto | list`, the branch that got further is the one that was meant.
        if path in inner and all("[" in str(details["loc"][-1]) or len(group) > 1 for details, _ in group):
            continue
        found.append((_place(path, group[0][0], root), path, _message(group, root.nearest(path))))
    return _config_error(found)


def error_of_problems(problems: list[Problem], root: Entry) -> ConfigError:
    """Problems found by the rules across sections, as one error."""
    return _config_error([(root.nearest(path).place, path, message) for path, message in problems])


def _config_error(found: list[tuple[Place, Path, str]]) -> ConfigError:
    found.sort(key=lambda item: (item[0].line == 0, item[0].source, item[0].line, item[0].column))
    texts = []
    for place, path, message in found:
        dotted = ".".join(str(part) for part in path)
        texts.append(located(place, f"{dotted}: {message}" if dotted else message))
    return ConfigError(list(dict.fromkeys(texts)), where=str(found[0][0]))


def _path(details: ErrorDetails, root: Entry) -> tuple[Path, type[Section] | None]:
    """The path in the document that an error's location means, and the section that holds its last key.

    A location also names the tags of unions and the branches of `int | "full"`; walking along the schema tells them
    from keys.
    """
    path: list[str | int] = []
    here: list[type[Section]] = [Config]
    holder: type[Section] | None = None
    for part in details["loc"]:
        tagged = [section for section in here if part in _names(section)]
        if len(here) > 1 and tagged:
            here = tagged
        elif isinstance(part, int):
            path.append(part)
        elif len(here) == 1 and part in here[0].model_fields:
            path.append(part)
            holder, here = here[0], _sections(here[0].model_fields[part].annotation)
        elif part == details["loc"][-1] and details["type"] == "extra_forbidden":
            path.append(part)
            holder = here[0]
    if details["type"] == "union_tag_invalid" and isinstance(root.nearest(tuple(path)).value, dict):
        path.append("name")
    return tuple(path), holder


def _names(section: type[Section]) -> tuple[Any, ...]:
    field = section.model_fields.get("name")
    return get_args(field.annotation) if field else ()


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _place(path: Path, details: ErrorDetails, root: Entry) -> Place:
    entry = root.nearest(path)
    if details["type"] in ("extra_forbidden", "missing", "union_tag_not_found"):
        return entry.key_place
    return entry.place


def _message(group: list[tuple[ErrorDetails, type[Section] | None]], entry: Entry) -> str:
    details, section = group[0]
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = list(section.model_fields) if section else []
        key = str(details["loc"][-1])
        return f"unknown key.{did_you_mean(key, allowed)} ({', '.join(allowed)})"
    if kind == "missing":
        field = section.model_fields.get(str(details["loc"][-1])) if section else None
        meaning = f" ({field.description})" if field and field.description else ""
        return f"missing; it must be given.{meaning}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_message(details)
    got = _shown(details["input"])
    phrases, words = [], []
    for each, _ in group:
        phrase, literals = _expected(each)
        phrases.append(phrase)
        words += literals
    if kind == "string_pattern_mismatch":
        return f"letters, digits, '_', '-' and '.' only, got {got}."
    if not any(phrases):
        return f"{str(context.get('error', details['msg'])).rstrip('.')}."
    expected = " or ".join(dict.fromkeys(filter(None, phrases)))
    hint = did_you_mean(entry.value, words)
    return f"expected {expected}, got {got}.{hint}"


def _tag_message(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "union_tag_not_found":
        return "`name` is missing: which one is it?"
    names = [name.strip().strip("'") for name in str(context["expected_tags"]).split(",")]
    union = next(union for union in UNIONS if list(members(union)) == names)
    word, shown = _by_name(union).word, list(listed(union))
    return f"'{context['tag']}' is not {word}.{did_you_mean(context['tag'], shown)} ({', '.join(shown)})"


def _by_name(union: Any) -> ByName:
    return next(item for item in get_args(union) if isinstance(item, ByName))


def _expected(details: ErrorDetails) -> tuple[str, list[str]]:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "literal_error":
        words = str(context["expected"])
        return words, [word.strip().strip("'") for word in words.replace(" or ", ",").split(",")]
    if kind in _BOUNDS:
        key, phrase = _BOUNDS[kind]
        return f"{phrase} {context[key]}", []
    if kind in ("too_long", "too_short"):
        key, phrase = ("max_length", "at most") if kind == "too_long" else ("min_length", "at least")
        return f"{phrase} {context[key]} items", []
    return _EXPECTED.get(kind, ""), []


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value[:60]}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else repr(value)[:60]
