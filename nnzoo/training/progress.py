"""Shows the progress of training: a progress bar on a terminal, and one line per epoch."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from nnzoo import log
from nnzoo.numbers import duration, number
from nnzoo.training.early_stopping import EarlyStopping

if TYPE_CHECKING:
    from tqdm import tqdm

RECENT_EPOCHS = 5
"""The time left is estimated from the seconds of this many epochs."""


class Progress:
    """Shows steps and epochs on standard error, and writes the lines to the run's log.

    Args:
        num_epochs: The number of epochs of the whole run.
        quiet: Whether nothing is shown.
    """

    def __init__(self, num_epochs: int, *, quiet: bool = False) -> None:
        self.num_epochs = num_epochs
        self.bars = not quiet and sys.stderr.isatty()
        self._seconds: list[float] = []
        self._bar: tqdm[Any] | None = None

    def start_epoch(self, epoch: int, num_steps: int, done: int) -> None:
        """Opens the progress bar of an epoch in which `done` steps have been taken already."""
        if self.bars:
            from tqdm import tqdm

            self._bar = tqdm(
                total=num_steps,
                initial=done,
                desc=f"epoch {epoch}/{self.num_epochs}",
                leave=False,
                file=sys.stderr,
                mininterval=0.2,
            )

    def step(self) -> None:
        """Advances the progress bar by one step."""
        if self._bar is not None:
            self._bar.update()

    def end_epoch(self) -> None:
        """Closes the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def report(
        self,
        row: dict[str, float],
        stopping: EarlyStopping | None = None,
        *,
        note: str = "",
        seconds_left: float = math.inf,
    ) -> None:
        """Logs the line of an epoch: its metrics, the best value so far, the remaining patience, the time left.

        A star marks an epoch whose weights are the best so far.

        Args:
            row: The epoch's row of metrics.csv.
            stopping: Early stopping after this epoch.
            note: A text between the metrics and the learning rate.
            seconds_left: The time until `max_seconds` ends the training. All remaining epochs may end earlier.
        """
        self._seconds.append(row["seconds"])
        recent = self._seconds[-RECENT_EPOCHS:]
        epochs_left = self.num_epochs - int(row["epoch"])
        seconds_left = min(seconds_left, epochs_left * sum(recent) / len(recent))
        is_over = seconds_left <= 0 or (stopping is not None and stopping.should_stop())
        width = len(str(self.num_epochs))
        shown = [f"{key} {number(value)}" for key, value in row.items() if "/" in key]
        parts = [
            f"epoch {int(row['epoch']):{width}}/{self.num_epochs}",
            *shown,
            *([note] if note else []),
            f"lr {row['lr']:.3g}",
            f"{row['seconds']:.2f} s",
            *(["best " + describe_best(stopping)] if stopping is not None and stopping.best_epoch else []),
            *([] if stopping is None or stopping.patience is None else [f"patience {describe_patience(stopping)}"]),
            *([] if is_over else [f"{duration(seconds_left)} left"]),
        ]
        is_best = stopping is not None and stopping.best_epoch == row["epoch"]
        log.info("%s%s", "  ".join(parts), "  *" if is_best else "")


def describe_best(stopping: EarlyStopping) -> str:
    """Returns the best value of the monitor, and its epoch."""
    return f"{number(stopping.best)} (epoch {stopping.best_epoch})"


def describe_patience(stopping: EarlyStopping) -> str:
    """Returns how many epochs without improvement are left, and how many are allowed."""
    assert stopping.patience is not None
    return f"{max(0, stopping.patience - stopping.waited)}/{stopping.patience}"
