"""The order in which people list names."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Week 2 comes before week 10: a run of digits sorts by its size, where the digit 0 would."""
    parts = re.findall(r"\d+|\D", name, re.ASCII)
    return [("0", int(part)) if part.isdecimal() else (part, -1) for part in parts], name
