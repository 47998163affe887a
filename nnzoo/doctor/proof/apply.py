"""Writes the config of a run with the fixes of its findings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from nnzoo.config import Config, load_config, to_yaml
from nnzoo.errors import UsageError
from nnzoo.run.files import write_text

WIDTH = 110


def check_target(path: Path) -> None:
    """Checks that a config can be written.

    Raises:
        UsageError: The file exists, or its folder does not.
    """
    if path.exists() or path.is_symlink():
        raise UsageError("the file exists already. Choose another name.", where=f"--apply {path}")
    if not path.parent.is_dir():
        raise UsageError("the folder does not exist. Create it first.", where=f"--apply {path}")


def write(path: Path, subject: str, config: Config, reasons: Sequence[str]) -> None:
    """Writes a config with comments that give the reasons. The name of the file becomes the name of the run.

    Args:
        path: A file that does not exist.
        subject: The run or config to which the fixes were applied.
        config: The config with the fixes.
        reasons: One text per fix.

    Raises:
        UsageError: The file exists, or its folder does not.
        RunError: The file can't be written.
    """
    name = re.sub(r"[^\w.-]+", "_", path.stem).lstrip(".-")[:100] or "run"
    lines = [f"The config of {subject} with fixes from nnzoo doctor:"]
    lines += [line for reason in reasons for line in textwrap.wrap(f"- {reason}", WIDTH, subsequent_indent="  ")]
    comment = "".join(f"# {_printable(line)}\n" for line in lines)
    named = load_config(config, {"name": name})
    check_target(path)
    write_text(path, comment + to_yaml(named))


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line)
