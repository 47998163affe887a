"""Describes the machine and the installed versions."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.contenders import DISTRIBUTIONS
from nnzoo.run.cores import available_cores

GPU = "import json, torch; print(json.dumps(torch.cuda.get_device_name() if torch.cuda.is_available() else None))"


def describe(threads: int | None) -> dict[str, Any]:
    """Returns processor, cores, memory, GPU, threads (None: the default of each contender), versions and date."""
    done = subprocess.run([sys.executable, "-c", GPU], capture_output=True, text=True, check=True)
    return {
        "processor": processor(),
        "cores": available_cores(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "gpu": json.loads(done.stdout),
        "threads": threads,
        "system": f"{platform.system()} {platform.release()}",
        "versions": versions(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def processor() -> str:
    """Returns the name of the processor."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Returns the version of each installed distribution."""
    found = {"Python": platform.python_version()}
    for name in dict.fromkeys([*DISTRIBUTIONS.values(), "torchvision", "numpy"]):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
