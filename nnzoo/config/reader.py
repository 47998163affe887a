"""YAML 1.2 into a document: scalars of the core schema, no duplicate keys, no tags, bounded aliases and depth."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from nnzoo.config.document import Entry, Place
from nnzoo.errors import ConfigError

MAX_BYTES = 4_000_000
MAX_NODES = 200_000
MAX_DEPTH = 50

_CORE_SCHEMA = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2: `1e-3` is a number, `no` is a string, `<<` is a key."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_PATTERNS = {tag: re.compile(rf"(?:{pattern})\Z") for tag, pattern in _CORE_SCHEMA.items()}
for _tag, _pattern in _PATTERNS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def read_yaml(path: Path, label: str) -> Entry:
    """Reads a file.

    Args:
        path: The file.
        label: What it is called in messages.

    Raises:
        ConfigError: It is no readable UTF-8 file, no YAML, or YAML that nnzoo refuses.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError([f"{label}: larger than {MAX_BYTES:,} bytes; this can't be a config file."], where=label)
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{label}: can't be read: {error.strerror}."], where=label) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        where = f"{label}:{line}:{column}"
        raise ConfigError(
            [f"{where}: not UTF-8 (byte 0x{content[error.start]:02x}). Save the file as UTF-8."], where=where
        ) from None
    return parse(text, label)


def parse(text: str, label: str, *, empty: bool = False) -> Entry:
    """Parses YAML.

    Args:
        text: The YAML.
        label: What it is called in messages.
        empty: Whether an empty document is allowed, and is null.

    Raises:
        ConfigError: It is no YAML, or YAML that nnzoo refuses.
    """
    loader = _Loader(text)
    lines = text.splitlines()
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise _syntax_error(error, label, lines) from None
    except RecursionError:
        raise ConfigError([f"{label}: nested too deeply."], where=label) from None
    if node is None:
        if empty:
            return Entry(None, Place(label), Place(label))
        raise ConfigError([f"{label}: the file is empty. It needs at least `data` and `model`."], where=label)
    builder = _Builder(label, lines)
    entry = builder.build(node)
    if builder.problems:
        raise ConfigError(builder.problems, where=builder.where)
    return entry


def located(place: Place, message: str) -> str:
    """A message with its place, the line itself and a caret."""
    if not place.line:
        return f"{place}: {message}"
    shown = place.text.expandtabs(1)
    return f"{place}: {message}\n    {shown}\n    {' ' * (place.column - 1)}^"


def _place(mark: yaml.Mark, label: str, lines: list[str]) -> Place:
    text = lines[mark.line] if mark.line < len(lines) else ""
    return Place(label, mark.line + 1, mark.column + 1, text)


def _syntax_error(error: yaml.YAMLError, label: str, lines: list[str]) -> ConfigError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is None:
        return ConfigError([f"{label}: not YAML: {problem}."], where=label)
    place = _place(mark, label, lines)
    if "\t" in place.text[: place.column]:
        problem = "a tab; YAML is indented with blanks"
    return ConfigError([located(place, f"not YAML: {problem}.")], where=str(place))


class _Builder:
    """Makes entries of nodes and collects what is refused."""

    def __init__(self, label: str, lines: list[str]) -> None:
        self.label = label
        self.lines = lines
        self.problems: list[str] = []
        self.where = ""
        self.num_nodes = 0
        self.open: set[int] = set()

    def refuse(self, mark: yaml.Mark, message: str) -> None:
        place = _place(mark, self.label, self.lines)
        self.where = self.where or str(place)
        self.problems.append(located(place, message))

    def build(self, node: Node, key: Node | None = None, depth: int = 0) -> Entry:
        place = _place(node.start_mark, self.label, self.lines)
        key_place = _place(key.start_mark, self.label, self.lines) if key else place
        self.num_nodes += 1
        if self.num_nodes == MAX_NODES:
            self.refuse(node.start_mark, f"more than {MAX_NODES:,} values, aliases counted each time they are used.")
        if id(node) in self.open:
            self.refuse(node.start_mark, "an alias inside the very thing that it names. Write the values out.")
        if depth > MAX_DEPTH:
            self.refuse(node.start_mark, f"nested deeper than {MAX_DEPTH} levels.")
        if id(node) in self.open or depth > MAX_DEPTH or self.num_nodes >= MAX_NODES:
            return Entry(None, place, key_place)
        self.open.add(id(node))
        value = self.value(node, depth)
        self.open.discard(id(node))
        return Entry(value, place, key_place)

    def value(self, node: Node, depth: int) -> object:
        if isinstance(node, MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, depth)
        if isinstance(node, SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.build(item, depth=depth + 1) for item in node.value]
        if isinstance(node, ScalarNode):
            return self.scalar(node)
        self.refuse(node.start_mark, f"the tag {node.tag} is not allowed. Write the plain value.")
        return None

    def mapping(self, node: MappingNode, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode) or not key.tag.startswith("tag:yaml.org,2002:"):
                self.refuse(key.start_mark, "a key must be a plain word.")
            elif key.value == "<<":
                self.refuse(key.start_mark, "YAML 1.2 has no merge key `<<`. Use `extends: base.yaml`.")
            elif key.value in entries:
                first = entries[key.value].key_place
                self.refuse(key.start_mark, f"the key '{key.value}' stands here twice (first in line {first.line}).")
            else:
                entries[key.value] = self.build(item, key, depth + 1)
        return entries

    def scalar(self, node: ScalarNode) -> str | int | float | bool | None:
        text: str = node.value
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "str":
            return text
        if kind in _PATTERNS and _PATTERNS[kind].fullmatch(text):
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int" if len(text) < 400:
                    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
                case _:
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        self.refuse(node.start_mark, f"the tag {node.tag} is not allowed. Write the plain value.")
        return None


def flow(value: object) -> str:
    """A value as it would be written on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
        .strip()
        .removesuffix("...")
        .strip()
    )
