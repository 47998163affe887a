"""The lessons about a config key, from the table of docs/ideas.md."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from nnzoo.config.experiment import Config

_ROW = re.compile(r"^\| (?P<idea>[^|]+) \| (?P<keys>[^|]+) \| (?P<lessons>[^|]+) \|$", flags=re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def ideas_page() -> Path:
    """Returns docs/ideas.md: inside an installed package, or next to the package in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs" / "ideas.md"
    return installed if installed.is_file() else package.parent / "docs" / "ideas.md"


def lessons_about(*keys: str) -> tuple[str, ...]:
    """Returns the lessons about any of these keys, such as `optimizer.lr`, or sections, such as `model: rnn`."""
    return tuple(dict.fromkeys(lesson for key in keys for lesson in _lessons().get(key, ())))


@functools.cache
def _lessons() -> dict[str, tuple[str, ...]]:
    """Returns the lessons by key and by section."""
    found: dict[str, tuple[str, ...]] = {}
    for row in _ROW.finditer(ideas_page().read_text(encoding="utf-8")):
        lessons = _CODE.findall(row["lessons"])
        for key in _keys(_CODE.findall(row["keys"])):
            found[key] = tuple(dict.fromkeys([*found.get(key, ()), *lessons]))
    return found


def _keys(codes: list[str]) -> list[str]:
    """Returns the keys and sections of a row. After `model: rnn`, the code `gru` means `model: gru`."""
    keys, before = [], ""
    for code in codes:
        key, separator, _ = code.partition(": ")
        if separator:
            before = key
            keys.append(code)
        elif "." in code or code in Config.model_fields:
            keys.append(code)
        elif " " not in code:
            keys.append(f"{before or 'activation'}: {code}")
    return keys
