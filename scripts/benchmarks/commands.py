"""Whole processes: how long they take, how much memory, and what `nnzoo train` wrote into metrics.csv."""

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
"""What no training with torch can do without: its import, and one step of AdamW."""


class CommandError(Exception):
    """A command that failed, with what it said."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well.

    Attributes:
        seconds: From its start to its end.
        peak_bytes: The most memory that was resident, mapped files included.
        anonymous_bytes: The most without them, looked up 50 times a second; 0 where there is no /proc.
        rows: Of metrics.csv, for a training: the numbers of each epoch.
    """

    seconds: float
    peak_bytes: int
    anonymous_bytes: int
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def epoch_seconds(self) -> float:
        """The median epoch, without the first, which warms up; with it if it is the only one."""
        return statistics.median(row["seconds"] for row in self.rows[1:] or self.rows)


def run(command: Sequence[str]) -> Finished:
    """Runs a command.

    Raises:
        CommandError: Its exit code is not 0.
    """
    done = subprocess.run([sys.executable, "-S", str(LAUNCH), *command], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    if measured.pop("code"):
        raise CommandError(f"{' '.join(command)}\n{done.stderr.strip()}")
    return Finished(**measured)


def one_step() -> Finished:
    """A process that imports torch and takes one step."""
    return run([sys.executable, "-c", ONE_STEP])


def train(config: str | Path, overrides: Sequence[str], folder: Path) -> Finished:
    """`nnzoo train`, with its run directory in a folder.

    Raises:
        CommandError: It failed.
    """
    runs = folder / "runs"
    options = ["--name", "run", "--runs-dir", str(runs), "--overwrite", "--quiet"]
    finished = run([sys.executable, "-m", "nnzoo", "train", str(config), *overrides, *options])
    with (runs / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        finished.rows.extend({key: float(value) for key, value in row.items()} for row in csv.DictReader(file))
    return finished
