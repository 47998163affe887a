"""The environment of a run: versions, device, threads."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("nnzoo", "torch", "torchvision", "numpy", "scikit-learn", "pydantic", "safetensors")


@cache  # called for every checkpoint, and slower than writing a small one
def versions() -> dict[str, str]:
    """Returns the installed version of each package; "unknown" for a package that is not installed."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "unknown"
    return installed


def environment(device: torch.device, seed: int, num_processes: int) -> dict[str, Any]:
    """Returns versions, device, threads, processes, seed, and the git commit if the working folder is a repository."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine(),
        "num_threads": torch.get_num_threads(),
        "num_processes": num_processes,
        "seed": seed,
        "command": sys.argv,
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path.cwd(), capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
