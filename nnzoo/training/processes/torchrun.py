"""Reads the environment variables of torchrun. Does not import torch."""

from __future__ import annotations

import os


def is_distributed() -> bool:
    """Whether torchrun or a similar launcher started several processes."""
    size = os.environ.get("WORLD_SIZE", "1")
    return size.isdecimal() and int(size) > 1


def current_rank() -> int:
    """Returns the rank of this process; 0 without torchrun."""
    rank = os.environ.get("RANK", "0")
    return int(rank) if is_distributed() and rank.isdecimal() else 0
