"""Shows the progress of training: a progress bar on a terminal, and one line per epoch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nnzoo import log
from nnzoo.numbers import number

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """Shows steps and epochs on standard error, and writes the lines to the run's log.

    Args:
        num_epochs: The number of epochs of the whole run.
        quiet: Whether nothing is shown.
    """

    def __init__(self, num_epochs: int, *, quiet: bool = False) -> None:
        self.num_epochs = num_epochs
        self.bars = not quiet and sys.stderr.isatty()
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

    def report(self, row: dict[str, float], *, is_best: bool = False, note: str = "") -> None:
        """Logs the line of an epoch.

        Args:
            row: The epoch's row of metrics.csv.
            is_best: Whether its weights are the best so far; such lines are marked with a star.
            note: A text between the metrics and the learning rate.
        """
        width = len(str(self.num_epochs))
        shown = [f"{key} {number(value)}" for key, value in row.items() if "/" in key]
        parts = [
            f"epoch {int(row['epoch']):{width}}/{self.num_epochs}",
            *shown,
            *([note] if note else []),
            f"lr {row['lr']:.3g}",
            f"{row['seconds']:.2f} s",
        ]
        log.info("%s%s", "  ".join(parts), "  *" if is_best else "")
