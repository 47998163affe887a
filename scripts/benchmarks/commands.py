"""Runs commands and measures their time and memory, and reads the metrics.csv of `nnzoo train`."""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")

ONE_STEP = (
    "import torch; model = torch.nn.Linear(4, 2); optimizer = torch.optim.AdamW(model.parameters(), fused=True); "
    "model(torch.zeros(1, 4)).sum().backward(); optimizer.step()"
)
"""The minimum of any training with torch: the import, and one step of AdamW."""


class CommandError(Exception):
    """A command failed; the message has its standard error."""


@dataclass(frozen=True)
class Finished:
    """The measurements of a process that succeeded.

    Attributes:
        seconds: Wall time of the process.
        peak_bytes: Peak resident memory, mapped files included.
        anonymous_bytes: Peak memory without mapped files, sampled 50 times per second; 0 without /proc.
        rows: The rows of metrics.csv for a training: the numbers of each epoch.
    """

    seconds: float
    peak_bytes: int
    anonymous_bytes: int
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def epoch_seconds(self) -> float:
        """Returns the median seconds per epoch, without the first one, which warms up, if there are others."""
        return statistics.median(row["seconds"] for row in self.rows[1:] or self.rows)


def run(command: Sequence[str]) -> Finished:
    """Runs a command.

    Raises:
        CommandError: The exit code is not 0.
    """
    done = subprocess.run([sys.executable, "-S", str(LAUNCH), *command], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    if measured.pop("code"):
        raise CommandError(f"{' '.join(command)}\n{done.stderr.strip()}")
    return Finished(**measured)


def one_step() -> Finished:
    """Measures a process that imports torch and makes one step."""
    return run([sys.executable, "-c", ONE_STEP])


def train(config: str | Path, overrides: Sequence[str], folder: Path) -> Finished:
    """Measures `nnzoo train` with its run directory in a folder.

    Raises:
        CommandError: The training failed.
    """
    runs = folder / "runs"
    options = ["--name", "run", "--runs-dir", str(runs), "--overwrite", "--quiet"]
    finished = run([sys.executable, "-m", "nnzoo", "train", str(config), *overrides, *options])
    with (runs / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        finished.rows.extend({key: float(value) for key, value in row.items()} for row in csv.DictReader(file))
    return finished
