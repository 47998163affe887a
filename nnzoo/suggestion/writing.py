"""Writes a suggested config as YAML with comments."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnzoo.config.data import PATH_FIELDS
from nnzoo.config.yaml_writer import flow
from nnzoo.suggestion.suggestion import Suggestion

WIDTH = 110
_FAR = 2
"""A path that is further up than this is written as an absolute path."""


def to_commented_yaml(suggestion: Suggestion, folder: Path, command: str) -> str:
    """Returns the config as YAML, with what was found at the top and a comment on each choice.

    Args:
        suggestion: The config, with paths relative to the current folder.
        folder: The folder of the config file, which paths in it are relative to.
        command: The command that wrote it, for the first line.
    """
    head = [*_comment(f"Written by `{command}`. Change what you know better."), "#", "# Found in the data:"]
    for line in suggestion.found:
        head += _comment(line, first="- ", later="  ")
    for line in suggestion.warnings:
        head += _comment(f"WARNING: {line}", first="- ", later="  ")
    lines = [*head]
    for key, value in suggestion.config.items():
        lines += ["", *_entry(key, _with_paths(value, folder) if key == "data" else value, key, suggestion, "")]
    return "\n".join(lines) + "\n"


def relative_path(path: str, folder: Path) -> str:
    """Returns a path relative to the folder of a config, with `/` between its parts."""
    relative = Path(os.path.relpath(path, folder)).as_posix()
    return relative if relative.count("../") <= _FAR else Path(path).resolve().as_posix()


def _with_paths(section: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {key: relative_path(value, folder) if key in PATH_FIELDS else value for key, value in section.items()}


def _entry(key: str, value: Any, path: str, suggestion: Suggestion, indent: str) -> list[str]:
    """Returns the lines of a key and its value, after the comment on it."""
    reasons = suggestion.reasons
    lines = [f"{indent}{line}" for line in _comment(reasons[path])] if path in reasons else []
    below = [name for name in reasons if name.startswith(f"{path}.")]
    written = f"{indent}{flow(key)}: {flow(value)}"
    is_open = isinstance(value, dict) and value and (below or len(written) > WIDTH or not indent)
    if not is_open:
        return [*lines, *_folded(written, key, value, indent)]
    lines.append(f"{indent}{flow(key)}:")
    for name, inner in value.items():
        lines += _entry(name, inner, f"{path}.{name}", suggestion, f"{indent}  ")
    return lines


def _folded(written: str, key: str, value: Any, indent: str) -> list[str]:
    """Returns a value on one line, or a long list with one item per line."""
    if len(written) <= WIDTH or not isinstance(value, list):
        return [written]
    return [f"{indent}{flow(key)}:", *(f"{indent}  - {flow(item)}" for item in value)]


def _comment(text: str, first: str = "", later: str = "") -> list[str]:
    width = WIDTH - 2
    wrapped = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)
    return [f"# {line}" for line in wrapped]
