"""Reads YAML 1.2 into a document: core-schema scalars and merge keys, no duplicate keys, no tags, bounded aliases."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.composer import ComposerError
from yaml.events import AliasEvent, NodeEvent
from yaml.reader import ReaderError

from nnzoo.config.document import Entry, Place
from nnzoo.config.placeholders import found_placeholder, placeholder_message, tag_message
from nnzoo.errors import ConfigError

MAX_BYTES = 4_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50
MAX_SHOWN_COLUMNS = 160
"""Longer lines are truncated to this width around the position of the problem."""

_CORE_SCHEMA = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_MERGE_KEY = "<<"
_EXPLANATIONS = {
    "mapping values are not allowed": "a ':' is not allowed here. Is the line indented too far? Text that contains "
    "': ' needs quotes.",
    "could not find expected ':'": "expected `key: value`. Is the ':' missing, or the space after it?",
    "but found another document": "a second document starts here, but a file must hold one experiment. Remove the "
    "`---`.",
    "expected <block end>": "this line does not match the lines above. Check the indentation.",
    "'\\t' that cannot start": "YAML is indented with spaces, but this line starts with a tab.",
    "that cannot start any token": "text that starts with this character needs quotes.",
    "unexpected end of stream": "the quote that starts here is never closed.",
    "'<stream end>'": "the bracket that starts here is never closed.",
    "while scanning an alias": "`*` starts an alias in YAML: text that starts with it needs quotes.",
    "while scanning an anchor": "`&` starts an anchor in YAML: text that starts with it needs quotes.",
    "found undefined alias": "the alias has no anchor. Write `&NAME` before the value that it repeats, further up in "
    "this file; to share values between files, use `extends: base.yaml`.",
}
"""Explanations of PyYAML's messages, by a part of the message."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2: `1e-3` is a number, and `no` is a string.

    Attributes:
        anchored: The nodes that have an anchor, by identity.
    """

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.anchored: set[int] = set()

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, _TOO_DEEP, event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and event.anchor is not None:
            self.anchored.add(id(node))
        self.depth -= 1
        return node


PATTERNS = {tag: re.compile(rf"(?:{pattern})\Z") for tag, pattern in _CORE_SCHEMA.items()}
for _tag, _pattern in PATTERNS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def read_yaml(path: Path, label: str) -> Entry:
    """Reads a YAML file.

    Args:
        path: The file.
        label: The name of the file in messages.

    Raises:
        ConfigError: The file can't be read, is not UTF-8, is not YAML, or uses an unsupported feature of YAML.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError([f"{label}: larger than {MAX_BYTES:,} bytes, so it can't be a config file."], where=label)
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
        label: The name of the text in messages.
        empty: Whether an empty document is allowed; it is read as null.

    Raises:
        ConfigError: The text is not YAML, or uses an unsupported feature of YAML.
    """
    lines = text.splitlines()
    try:
        loader = _Loader(text)
    except ReaderError as error:
        place = _place_of(text, error.position, label)
        problem = f"the character U+{error.character:04X} is not allowed in YAML. Is this a text file?"
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
    builder = _Builder(label, lines, loader.anchored)
    entry = builder.build(node)
    if builder.problems:
        # A value with an alias is built, and refused, once per use.
        raise ConfigError(list(dict.fromkeys(builder.problems)), where=builder.where)
    return entry


def is_number(text: str) -> bool:
    """Returns whether YAML reads an unquoted text as a number."""
    return any(PATTERNS[kind].fullmatch(text) for kind in ("int", "float"))


def printable(text: str) -> str:
    """Escapes control characters, which could move the cursor or change the colors of a terminal."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def located(place: Place, message: str) -> str:
    """Returns a message with its place, the text of the line, and a caret below the column."""
    message = printable(f"{place}: {message}")
    if not place.line:
        return message
    # Tabs and control characters are shown as one space, so that the caret stays aligned.
    text = "".join(sign if sign.isprintable() else " " for sign in place.text)
    start = max(0, place.column - MAX_SHOWN_COLUMNS // 2) if len(text) > MAX_SHOWN_COLUMNS else 0
    caret = sum(_width(sign) for sign in text[start : place.column - 1])
    return f"{message}\n    {text[start : start + MAX_SHOWN_COLUMNS]}\n    {' ' * caret}^"


def _width(sign: str) -> int:
    """Returns the number of terminal columns of a character."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _place(mark: yaml.Mark, label: str, lines: list[str]) -> Place:
    text = lines[mark.line] if mark.line < len(lines) else ""
    return Place(label, mark.line + 1, mark.column + 1, text)


def _place_of(text: str, position: int, label: str) -> Place:
    """Returns the place of the character at a position of the text."""
    before = text[:position].split("\n")
    return Place(label, len(before), len(before[-1]) + 1, text.split("\n")[len(before) - 1])


def _syntax_error(error: yaml.YAMLError, label: str, lines: list[str]) -> ConfigError:
    assert isinstance(error, yaml.MarkedYAMLError)
    problem = f"{error.context or ''}: {error.problem}"
    unclosed = "end of stream" in problem or "<stream end>" in problem
    mark = (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark
    assert mark is not None
    place = _place(mark, label, lines)
    placeholder = found_placeholder(place.text)
    if placeholder is not None:
        place = replace(place, column=place.text.index(placeholder) + 1)
        message = placeholder_message(placeholder)
    else:
        prefix = "" if isinstance(error, ComposerError) else "not YAML: "
        explained = (text for part, text in _EXPLANATIONS.items() if part in problem)
        message = prefix + next(explained, f"{error.problem}.")
    return ConfigError([located(place, message)], where=str(place))


class _Builder:
    """Converts YAML nodes to entries and collects the problems.

    Args:
        label: The name of the text in messages.
        lines: The lines of the text.
        anchored: The nodes that have an anchor, by identity.
    """

    def __init__(self, label: str, lines: list[str], anchored: set[int]) -> None:
        self.label = label
        self.lines = lines
        self.anchored = anchored
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
            self.refuse(node.start_mark, f"the file has more than {MAX_NODES:,} values, counting each use of an alias.")
        if id(node) in self.open:
            self.refuse(node.start_mark, "the alias is inside the value that it repeats. Write the values out.")
        if depth > MAX_DEPTH:
            self.refuse(node.start_mark, f"{_TOO_DEEP}, aliases included.")
        if id(node) in self.open or depth > MAX_DEPTH or self.num_nodes >= MAX_NODES:
            return Entry(None, place, key_place)
        self.open.add(id(node))
        value = self.value(node, depth)
        self.open.discard(id(node))
        return Entry(value, place, key_place, has_anchor=id(node) in self.anchored)

    def value(self, node: Node, depth: int) -> object:
        if isinstance(node, MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, depth)
        if isinstance(node, SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.build(item, depth=depth + 1) for item in node.value]
        if isinstance(node, ScalarNode):
            return self.scalar(node)
        self.refuse(node.start_mark, tag_message(node.tag))
        return None

    def mapping(self, node: MappingNode, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merge: tuple[Node, Node] | None = None
        for key, item in node.value:
            if not isinstance(key, ScalarNode) or key.tag.removeprefix("tag:yaml.org,2002:") not in ("str", *PATTERNS):
                self.refuse(key.start_mark, self.key_message(key))
            elif key.value == _MERGE_KEY and key.style is None:
                if merge is not None:
                    self.refuse(key.start_mark, "duplicate key '<<'. Merge several mappings at once: `<<: [*a, *b]`.")
                merge = key, item
            elif key.value in entries:
                first = entries[key.value].key_place
                self.refuse(
                    key.start_mark, f"duplicate key '{key.value}' (first on line {first.line}). Remove one of the two."
                )
            else:
                entries[key.value] = self.build(item, key, depth + 1)
        for key, entry in self.merged(*merge, depth).items() if merge else ():
            entries.setdefault(key, entry)
        return entries

    def key_message(self, key: Node) -> str:
        """Returns the message for a key that is not a plain scalar."""
        line = self.lines[key.start_mark.line]
        # Without quotes, `{{x}}` is a mapping whose key is a mapping.
        placeholder = found_placeholder(line[max(0, key.start_mark.column - 1) :])
        if isinstance(key, MappingNode) and placeholder:
            return placeholder_message(placeholder)
        return "a key must be plain text."

    def merged(self, key: Node, item: Node, depth: int) -> dict[str, Entry]:
        """Returns the entries of a merge key. If several mappings have a key, the first one takes precedence.

        Entries keep their original places.
        """
        num_problems = len(self.problems)
        sources = [self.build(item, key, depth + 1)]
        if isinstance(sources[0].value, list):
            sources = sources[0].value
        entries: dict[str, Entry] = {}
        for source in sources:
            if isinstance(source.value, dict):
                entries = {**source.value, **entries}
            elif len(self.problems) == num_problems:
                self.refuse(
                    item.start_mark,
                    "`<<` merges a mapping of this file (`<<: *anchor`), or a list of them. To start from another "
                    "file, use `extends: base.yaml`.",
                )
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
        self.refuse(node.start_mark, tag_message(node.tag))
        return None
