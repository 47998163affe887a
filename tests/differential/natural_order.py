"""Natural order of names."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Returns a sort key that puts week 2 before week 10: digits sort by value, in the position of 0."""
    parts = re.findall(r"\d+|\D", name, re.ASCII)
    return [("0", int(part)) if part.isdecimal() else (part, -1) for part in parts], name
