"""What torchrun says to the processes that it starts. Imports nothing heavy."""

from __future__ import annotations

import os


def is_distributed() -> bool:
    """Whether torchrun, or its like, started more processes than this one."""
    size = os.environ.get("WORLD_SIZE", "1")
    return size.isdecimal() and int(size) > 1


def own_rank() -> int:
    """Which of them this is, from 0."""
    rank = os.environ.get("RANK", "0")
    return int(rank) if is_distributed() and rank.isdecimal() else 0
