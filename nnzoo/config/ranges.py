"""The allowed values of a config key in words, from its JSON Schema."""

from __future__ import annotations

import functools
import json
from typing import Any

from nnzoo.config.base import LARGEST, Section

_LARGEST_COUNT = 1_000_000_000
_NUMBERS = {"integer": "integer", "number": "number"}


@functools.cache
def schema_of(section: type[Section]) -> dict[str, Any]:
    """Returns the JSON Schema of a section."""
    return section.model_json_schema()


def allowed_values(section: type[Section], field: str) -> str:
    """Returns the allowed values of a field that holds no section, such as "a number of at least 0"."""
    schema = schema_of(section)
    return _in_words(schema["properties"][field], schema.get("$defs", {}))


def _in_words(node: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in node:
        return _in_words(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in node:
        parts = [_in_words(each, definitions) for each in node["anyOf"]]
        return " or ".join(dict.fromkeys(parts))
    if "const" in node or "enum" in node:
        values = [node["const"]] if "const" in node else node["enum"]
        return ", ".join(str(each) if isinstance(each, str) else json.dumps(each) for each in values)
    kind = node.get("type")
    if isinstance(kind, list):
        return " or ".join(_in_words({**node, "type": each}, definitions) for each in kind)
    if kind in _NUMBERS:
        return f"{'an' if kind == 'integer' else 'a'} {kind}{_bounds(node)}"
    if kind == "array":
        items = node.get("items", {})
        found = f"a list of {_plural(_in_words(items, definitions))}" if items else "a list"
        return f"{found}, not empty" if node.get("minItems") else found
    if kind == "object":
        return "a mapping"
    return {"boolean": "true or false", "string": "a text", "null": "null"}.get(str(kind), "any value")


def _bounds(node: dict[str, Any]) -> str:
    """Returns the bounds of a number, except those that only exclude absurd values."""
    least, above = node.get("minimum"), node.get("exclusiveMinimum")
    most, below = node.get("maximum"), node.get("exclusiveMaximum")
    least = None if least == -LARGEST else least
    most = None if most in (LARGEST, _LARGEST_COUNT) else most
    below = None if below is not None and below >= 2**63 else below
    low = f"above {above:g}" if above is not None else f"of at least {least:g}" if least is not None else ""
    high = f"below {below:g}" if below is not None else f"at most {most:,.12g}" if most is not None else ""
    if least is not None and most is not None:
        return f" from {least:,.12g} to {most:,.12g}"
    shown = f"{low} and {high}" if low and high else low or high
    return f" {shown}" if shown else ""


def _plural(words: str) -> str:
    for one, several in (("a number", "numbers"), ("an integer", "integers"), ("a text", "texts"), ("a list", "lists")):
        if words.startswith(one):
            return several + words.removeprefix(one)
    return words
