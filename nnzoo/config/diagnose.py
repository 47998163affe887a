"""What pydantic found, told to a person: the place, what was expected and got, and the nearest name."""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nnzoo.config.activation import Activation
from nnzoo.config.augment import AugmentSection
from nnzoo.config.base import ByName, Section, listed, members
from nnzoo.config.data import DataSection
from nnzoo.config.document import Entry, Path, Place, Problem
from nnzoo.config.experiment import Config
from nnzoo.config.init import BiasInit, Init
from nnzoo.config.loss import LossSection
from nnzoo.config.model import ModelSection
from nnzoo.config.optimizer import OptimizerSection
from nnzoo.config.reader import is_number, located
from nnzoo.config.scheduler import SchedulerSection
from nnzoo.config.suggest import did_you_mean, known_as, nearest
from nnzoo.errors import ConfigError

UNIONS = (
    DataSection,
    AugmentSection,
    ModelSection,
    Activation,
    Init,
    BiasInit,
    LossSection,
    OptimizerSection,
    SchedulerSection,
)

_EXPECTED = {
    "int_type": ["a whole number"],
    "int_from_float": ["a whole number"],
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
        details: As pydantic has it.
        path: The keys in the document.
        holder: The section with the last key.
        sections: What may stand at the path.
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
    """All that pydantic found in a document, as one error."""
    by_path: dict[Path, list[_Finding]] = defaultdict(list)
    for details in error.errors(include_url=False):
        finding = _finding(details, root)
        by_path[finding.path].append(finding)
    inner = {path[:depth] for path in by_path for depth in range(len(path))}
    # Of a union such as `auto | list`, the branch that got further is the one that was meant.
    found = [
        (_place(group[0], root), path, _message(group, root.nearest(path).value))
        for path, group in by_path.items()
        if path not in inner
    ]
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


def _finding(details: ErrorDetails, root: Entry) -> _Finding:
    """Finds the path in the document that an error's location means.

    A location also names the tags of unions and the branches of `int | "full"`; walking along the schema tells them
    from keys.
    """
    path: list[str | int] = []
    here: list[type[Section]] = [Config]
    holder: type[Section] = Config
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
    return _Finding(details, tuple(path), holder, here)


def _names(section: type[Section]) -> tuple[Any, ...]:
    field = section.model_fields.get("name")
    return get_args(field.annotation) if field else ()


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _place(finding: _Finding, root: Entry) -> Place:
    entry = root.nearest(finding.path)
    if finding.kind in ("extra_forbidden", "missing", "union_tag_not_found"):
        return entry.key_place
    return entry.place


def _message(group: list[_Finding], value: Any) -> str:
    # A word that is no number may be meant as a name.
    first = next((finding for finding in group if finding.kind.startswith("union_tag")), group[0])
    if first.kind == "extra_forbidden":
        return _unknown_key(first)
    if first.kind == "missing":
        meaning = f" ({first.field.description})" if first.field and first.field.description else ""
        return f"missing; it must be given.{meaning}"
    if first.kind == "union_tag_not_found":
        return _unnamed(first, value)
    if first.kind == "union_tag_invalid":
        return _unknown_name(first, value)
    got = _shown(first.details["input"])
    if first.kind == "string_pattern_mismatch":
        return f"expected at most 100 letters, digits, '_', '-' and '.', got {got}."
    expected = [phrase for finding in group for phrase in _expected(finding)]
    if not expected:
        message = str(first.details.get("ctx", {}).get("error", first.details["msg"]))
        return message if message.endswith((".", "?")) else f"{message}."
    if first.field and NoneType in get_args(first.field.annotation):
        expected.append("null")
    return f"expected {_or(expected)}, got {got}.{_fix(first, expected)}"


def _unknown_key(finding: _Finding) -> str:
    allowed, key = list(finding.holder.model_fields), str(finding.path[-1])
    named = next((listed(union) for union in UNIONS if finding.holder in members(union).values()), {})
    hint = f" Did you mean `name: {key}`?" if key in named else ""
    owners = [name for name, member in named.items() if key in member.model_fields]
    if not hint and owners and not known_as(key, allowed):
        hint = f" It belongs to {_or(owners)}."
    if not hint and not known_as(key, allowed) and len(key) > 1:
        elsewhere = [f"'{path}'" for path in _elsewhere(key, finding.path[:-1])]
        hint = f" Did you mean {_or(elsewhere)}?" if elsewhere else ""
    return f"unknown key.{hint or did_you_mean(key, allowed)} ({', '.join(allowed)})"


def _elsewhere(key: str, here: Path) -> list[str]:
    """Where a key belongs that stands in the wrong section: in what is nearest, or else wherever there is one."""
    found = list(dict.fromkeys(path for path, field in _all_keys() if known_as(key, [field])))
    inside = [path for path in found if here and path.startswith(f"{here[0]}.")]
    return (inside or found)[:3]


@functools.cache
def _all_keys() -> list[tuple[str, str]]:
    return _keys(Config)


def _keys(section: type[Section], prefix: str = "") -> list[tuple[str, str]]:
    """The dotted keys below a section with their last part; of lists none, since those need an index."""
    keys = []
    for name, field in section.model_fields.items():
        if name == "name":
            continue
        keys.append((f"{prefix}{name}", name))
        if not _is_list(field.annotation):
            keys += [key for inner in _sections(field.annotation) for key in _keys(inner, f"{prefix}{name}.")]
    return keys


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(_is_list(part) for part in get_args(annotation))


def _unnamed(finding: _Finding, value: Any) -> str:
    """A section without the name that it needs."""
    names = _listed_names(finding.sections)
    keys = [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []
    hint = " Which one is it?"
    for key in keys:
        if known_as(key, ["name"]):
            hint = f" Write `name` in place of '{key}'."
        elif key in names:
            hint = f" Write `name: {key}`, and its fields beside it."
    return f"`name` is missing.{hint} ({', '.join(names)})"


def _unknown_name(finding: _Finding, tag: Any) -> str:
    context = finding.details["ctx"]
    names = [name.strip().strip("'") for name in str(context["expected_tags"]).split(",")]
    union = next(union for union in UNIONS if list(members(union)) == names)
    word = next(item for item in get_args(union) if isinstance(item, ByName)).word
    shown = list(listed(union))
    return f"{_shown(tag)} is not {word}.{did_you_mean(tag, shown)} ({', '.join(shown)})"


def _listed_names(sections: list[type[Section]]) -> list[str]:
    return [name for section in sections if not section.python_only for name in _names(section)]


def _expected(finding: _Finding) -> list[str]:
    """What would have been right."""
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
    """What to write instead, where that can be told."""
    value, field = finding.details["input"], finding.field
    one_word = finding.kind == "literal_error" and len(expected) == 1
    if field and (one_word or finding.kind in ("too_long", "less_than_equal")):
        # The field's meaning tells why there is no choice.
        return f" ({field.description})"
    hint = ""
    if isinstance(value, str):
        meant = _BOOLEANS.get(value.lower()) if "true" in expected else nearest(value, expected)
        if meant in expected:
            hint = f" Did you mean {meant}?"
        elif is_number(value) and any("number" in phrase for phrase in expected):
            hint = " Leave out the quotes."
    elif value is False and "null" in expected:
        hint = " Did you mean null?"
    elif value is None and field and not field.is_required():
        hint = " Leave the key out for its default."
    elif expected == ["text"] and isinstance(value, bool | int | float):
        hint = " Put it in quotes."
    names = _listed_names(finding.sections) or [key for section in finding.sections for key in section.model_fields]
    if names and finding.kind.startswith("model_"):
        return f"{hint} ({', '.join(names)})"
    is_item = isinstance(value, str | int | float) and not isinstance(value, bool) and not names
    return f" Write [{value}]." if not hint and is_item and "a list" in expected and "text" not in expected else hint


def _or(words: list[str]) -> str:
    """Alternatives as in a sentence."""
    words = list(dict.fromkeys(words))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value[:60]}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else repr(value)[:60]
