"""The output of `nnzoo list` and `nnzoo schema`, generated from the unions of sections."""

from __future__ import annotations

from typing import Any, get_args

from pydantic_core import PydanticUndefined

from nnzoo.config.activation import Activation
from nnzoo.config.augment import AugmentSection
from nnzoo.config.base import Section, dump, listed, members
from nnzoo.config.data import DataSection
from nnzoo.config.experiment import Config
from nnzoo.config.init import Init
from nnzoo.config.loss import LossSection
from nnzoo.config.metrics import METRICS
from nnzoo.config.model import ModelSection
from nnzoo.config.optimizer import OptimizerSection
from nnzoo.config.scheduler import SchedulerSection
from nnzoo.config.shipped import shipped_configs

UNIONS: dict[str, Any] = {
    "models": ModelSection,
    "data": DataSection,
    "augmentations": AugmentSection,
    "initializers": Init,
    "activations": Activation,
    "losses": LossSection,
    "optimizers": OptimizerSection,
    "schedulers": SchedulerSection,
}


KINDS = (*UNIONS, "metrics", "configs")
"""The kinds of entries of `nnzoo list`, except runs."""


def catalogue(kind: str) -> dict[str, str]:
    """Returns the names of a kind of section, each with the first line of its description."""
    if kind == "metrics":
        return {name: metric.meaning for name, metric in METRICS.items()}
    if kind == "configs":
        return {name: _first_comment(path.read_text(encoding="utf-8")) for name, path in shipped_configs().items()}
    return {name: (member.__doc__ or "").strip().split("\n")[0] for name, member in listed(UNIONS[kind]).items()}


def describe(kind: str, name: str) -> dict[str, Any]:
    """Returns the description of a name and its fields, with their defaults and descriptions.

    Raises:
        KeyError: The name does not exist.
    """
    if kind == "metrics":
        metric = METRICS[name]
        better = "less" if metric.mode == "min" else "more"
        return {"name": name, "meaning": metric.meaning, "better": better, "tasks": sorted(metric.tasks), "fields": []}
    if kind == "configs":
        text = shipped_configs()[name].read_text(encoding="utf-8")
        return {"name": name, "meaning": _first_comment(text), "text": text, "fields": []}
    member = listed(UNIONS[kind])[name]
    paragraphs = " ".join((member.__doc__ or "").split())
    return {"name": name, "meaning": paragraphs, "fields": list(fields_of(member))}


def fields_of(section: type[Section]) -> list[dict[str, Any]]:
    """Returns the name, default and description of each field of a section, including nested sections."""
    fields = []
    for name, field in section.model_fields.items():
        if name == "name":
            continue
        required = field.default is PydanticUndefined
        entry = {"name": name, "required": required, "meaning": field.description or ""}
        if not required:
            entry["default"] = dump(field.default)
        inner = _only_section(field.annotation)
        if inner is not None:
            entry["fields"] = fields_of(inner)
        fields.append(entry)
    return fields


def _only_section(annotation: Any) -> type[Section] | None:
    """Returns the section that a field holds, directly or in a list; None for a union of several."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = {section for part in get_args(annotation) if (section := _only_section(part))}
    return found.pop() if len(found) == 1 else None


def _first_comment(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the config file. With `extends`, no key is required."""
    schema = _without_python_only(Config.model_json_schema())
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "config that this one extends: a path relative to this file, or the name of a shipped config",
    }
    definitions = schema.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_partial(schema),
        "if": {"not": {"required": ["extends"]}},
        "then": {"properties": schema["properties"], "required": schema["required"]},
        "$defs": {**definitions, **{f"Partial{name}": _partial(section) for name, section in definitions.items()}},
    }


def _without_python_only(schema: dict[str, Any]) -> dict[str, Any]:
    """Removes from a schema the sections that can only be passed from Python."""
    hidden = {name: each for union in UNIONS.values() for name, each in members(union).items() if each.python_only}
    references = [f"#/$defs/{member.__name__}" for member in hidden.values()]
    removed = [{"$ref": reference} for reference in references]
    unions = [set(members(union)) for union in UNIONS.values()]

    def prune(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: prune(item) for key, item in node.items() if item not in references}
        if isinstance(node, list):
            # Only an enum of section names lists sections: "memory" is also a place where arrays are stored.
            are_names = all(isinstance(item, str) for item in node) and any(set(node) <= names for names in unions)
            return [prune(item) for item in node if item not in removed and not (are_names and item in hidden)]
        return node

    pruned: dict[str, Any] = prune(schema)
    for member in hidden.values():
        del pruned["$defs"][member.__name__]
    return pruned


def _partial(node: Any) -> Any:
    """Returns a schema in which no key is required. A section without a name may be any member of its union."""
    if isinstance(node, dict):
        kept = {key: item for key, item in node.items() if key not in ("required", "discriminator")}
        return {"anyOf" if key == "oneOf" else key: _partial(item) for key, item in kept.items()}
    if isinstance(node, list):
        return [_partial(item) for item in node]
    return node.replace("#/$defs/", "#/$defs/Partial") if isinstance(node, str) else node
