"""Suggests a config for a file or a folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from nnzoo.config import load_config
from nnzoo.data.files.contents import plain_name
from nnzoo.errors import UsageError
from nnzoo.suggestion.facts import look_at_table
from nnzoo.suggestion.kinds import siblings_of
from nnzoo.suggestion.layout import find_layout
from nnzoo.suggestion.suggestion import Suggestion
from nnzoo.suggestion.tables import ask, suggest_table
from nnzoo.suggestion.targets import check_target, choose_target
from nnzoo.suggestion.writing import to_commented_yaml


def suggest(path: Path, target: Sequence[str], repeat: str) -> Suggestion:
    """Returns a config for a file or a folder, without reading more than is needed to choose it.

    Args:
        path: The file or folder.
        target: The columns to predict; empty to choose one.
        repeat: The command to repeat with a target, for messages.

    Raises:
        UsageError: There is no such file, or the target is missing or unclear.
        DataError: The data can't be read or can't be learned.
    """
    if not path.exists():
        raise UsageError("there is no such file or folder. Check the path.", where=str(path))
    layout = find_layout(path, target)
    facts = look_at_table(path, layout, target)
    note = ""
    if target:
        target = check_target(target, facts, str(path), repeat)
    else:
        target, why = choose_target(facts, str(path), repeat)
        note = f"the target is {', '.join(target)} ({why}); --target COLUMN names another one"
    suggestion = suggest_table(ask(facts, target), path, siblings_of(path))
    if note:
        suggestion.notes.insert(0, note)
    return suggestion


def config_stem(path: Path) -> str:
    """Returns the name of the config for a file or folder, without its suffixes: `adult-train`."""
    name = path.resolve().name if path.is_dir() else plain_name(path).rsplit(".", 1)[0] or plain_name(path)
    return re.sub(r"[^\w.-]+", "_", name).strip("._-") or "data"


def shell_command(command: str, path: str, target: Sequence[str] = ()) -> str:
    """Returns a command with its arguments, as it is written in a shell."""
    return " ".join([command, shlex.quote(path), *(f"--target {shlex.quote(each)}" for each in target)])


def free_path(path: Path) -> Path:
    """Returns a path that does not exist yet: x.yaml, x-2.yaml, ..."""
    found, index = path, 1
    while found.exists():
        index += 1
        found = path.with_name(f"{path.stem}-{index}{path.suffix}")
    return found


def written(suggestion: Suggestion, path: Path, command: str) -> str:
    """Returns the text of a config file, after checking that it is valid.

    Args:
        suggestion: The config.
        path: The file that it will be written to, which its paths are relative to.
        command: The command that wrote it.
    """
    text = to_commented_yaml(suggestion, path.parent, command)
    load_config({"name": config_stem(path), **suggestion.config})
    return text
