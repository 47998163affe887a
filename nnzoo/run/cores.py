"""Counts the cores that this process may use. A container often has fewer cores than its machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(files: Path = Path("/")) -> int:
    """Returns the number of cores that the scheduler and the control groups allow.

    Args:
        files: The root of the file system.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas(files))]))


def _quotas(files: Path) -> Iterator[float]:
    """Yields the limit, in cores, of each control group of version 1 or 2 that this process is in."""
    mounted = files / "sys/fs/cgroup"
    try:
        lines = (files / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # not Linux
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be that of the host, while the groups of the container are at the root.
        for group in [PurePosixPath(own), *PurePosixPath(own).parents]:
            place = mounted / ("cpu" if controllers else "") / str(group).lstrip("/")
            quota = _limit(place, version=1 if controllers else 2)
            if quota is not None:
                yield quota


def _limit(group: Path, *, version: int) -> float | None:
    """Returns the limit of a control group in cores; None if it has none."""
    try:
        if version == 2:
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None
