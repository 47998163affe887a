"""YAML 1.2 into a document: scalars of the core schema, no duplicate keys, no tags, bounded aliases and depth."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from nnzoo.config.document import Entry, Place
from nnzoo.errors import ConfigError

MAX_BYTES = 4_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50
MAX_SHOWN_COLUMNS = 160
"""Longer lines are shown around the place that is meant."""

_CORE_SCHEMA = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_PLAIN_WORDS = {
    "mapping values are not allowed": "a ':' too many. Is the line indented too far? Text with ': ' needs quotes.",
    "could not find expected ':'": "expected `key: value`; is the ':' missing, or the blank after it?",
    "but found another document": "a second document; one file is one experiment. Leave out the `---`.",
    "expected <block end>": "this does not fit the lines above. Is it indented as they are?",
    "'\\t' that cannot start": "a tab where YAML wants blanks.",
    "that cannot start any token": "text that starts with this character needs quotes.",
    "unexpected end of stream": "the quote that starts here is never closed.",
    "'<stream end>'": "the bracket that opens here is never closed.",
}
"""What YAML's own messages mean, by a part of them."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2: `1e-3` is a number, `no` is a string, `<<` is a key."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, _TOO_DEEP, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


PATTERNS = {tag: re.compile(rf"(?:{pattern})\Z") for tag, pattern in _CORE_SCHEMA.items()}
for _tag, _pattern in PATTERNS.items():
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
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        place = _place_of(content.decode(errors="replace"), len(content[: error.start].decode()), label)
        problem = f"not UTF-8 (byte 0x{content[error.start]:02x}). Save the file as UTF-8."
        raise ConfigError([located(place, problem)], where=str(place)) from None
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
    lines = text.splitlines()
    try:
        loader = _Loader(text)
    except ReaderError as error:
        place = _place_of(text, error.position, label)
        problem = f"the character U+{error.character:04X} can't stand in YAML. Is this a text file?"
        raise ConfigError([located(place, problem)], where=str(place)) from None
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise _syntax_error(error, label, lines) from None
    if node is None or (isinstance(node, ScalarNode) and not node.value and node.style is None):
        if empty:
            return Entry(None, Place(label), Place(label))
        where = f"{label}:1:1"
        raise ConfigError([f"{where}: the file is empty. It needs at least `data` and `model`."], where=where)
    builder = _Builder(label, lines)
    entry = builder.build(node)
    if builder.problems:
        raise ConfigError(builder.problems, where=builder.where)
    return entry


def is_number(text: str) -> bool:
    """Whether a text would be read as a number if it stood there without quotes."""
    return any(PATTERNS[kind].fullmatch(text) for kind in ("int", "float"))


def printable(text: str) -> str:
    """A text that can't move the cursor or colour the terminal that shows it."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def located(place: Place, message: str) -> str:
    """A message with its place, the line itself and a caret."""
    message = printable(f"{place}: {message}")
    if not place.line:
        return message
    # A tab or a control character takes one column here, whatever a terminal would make of it.
    text = "".join(sign if sign.isprintable() else " " for sign in place.text)
    start = max(0, place.column - MAX_SHOWN_COLUMNS // 2) if len(text) > MAX_SHOWN_COLUMNS else 0
    caret = sum(_width(sign) for sign in text[start : place.column - 1])
    return f"{message}\n    {text[start : start + MAX_SHOWN_COLUMNS]}\n    {' ' * caret}^"


def _width(sign: str) -> int:
    """Columns of a character in a terminal."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _place(mark: yaml.Mark, label: str, lines: list[str]) -> Place:
    text = lines[mark.line] if mark.line < len(lines) else ""
    return Place(label, mark.line + 1, mark.column + 1, text)


def _place_of(text: str, position: int, label: str) -> Place:
    """The place of a character that YAML could not even read."""
    before = text[:position].split("\n")
    return Place(label, len(before), len(before[-1]) + 1, text.split("\n")[len(before) - 1])


def _syntax_error(error: yaml.YAMLError, label: str, lines: list[str]) -> ConfigError:
    assert isinstance(error, yaml.MarkedYAMLError)
    problem = str(error.problem)
    unclosed = "end of stream" in problem or "<stream end>" in problem
    mark = (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark
    assert mark is not None
    place = _place(mark, label, lines)
    meaning = next((words for part, words in _PLAIN_WORDS.items() if part in problem), f"{problem}.")
    prefix = "" if isinstance(error, ComposerError) else "not YAML: "
    return ConfigError([located(place, prefix + meaning)], where=str(place))


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
            self.refuse(node.start_mark, f"{_TOO_DEEP}, aliases included.")
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
            if not isinstance(key, ScalarNode) or key.tag.removeprefix("tag:yaml.org,2002:") not in ("str", *PATTERNS):
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
        if kind in PATTERNS and PATTERNS[kind].fullmatch(text):
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
