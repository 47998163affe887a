"""How many cores this process may use: a container often has fewer than its machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(files: Path = Path("/")) -> int:
    """The cores that the scheduler gives this process, at most the share of time that its control groups allow.

    Args:
        files: The root of the file system.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas(files))]))


def _quotas(files: Path) -> Iterator[float]:
    """Cores' worth of time of each control group around this process that is limited, of version 2 or 1."""
    mounted = files / "sys/fs/cgroup"
    try:
        lines = (files / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # no Linux
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be that outside, where its own groups are the root.
        for group in [PurePosixPath(own), *PurePosixPath(own).parents]:
            place = mounted / ("cpu" if controllers else "") / str(group).lstrip("/")
            quota = _limit(place, version=1 if controllers else 2)
            if quota is not None:
                yield quota


def _limit(group: Path, *, version: int) -> float | None:
    """Of one control group; None where it has none."""
    try:
        if version == 2:
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None
