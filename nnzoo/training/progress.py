"""What a person sees while it runs: a bar on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nnzoo import log

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """Shows steps and epochs on standard error, and writes the lines to the run's log.

    Args:
        num_epochs: Of the whole run.
        quiet: Show nothing.
    """

    def __init__(self, num_epochs: int, *, quiet: bool = False) -> None:
        self.num_epochs = num_epochs
        self.bars = not quiet and sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None

    def start_epoch(self, epoch: int, num_steps: int, done: int) -> None:
        """Opens the bar of an epoch."""
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
        """One more step is done."""
        if self._bar is not None:
            self._bar.update()

    def end_epoch(self) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def report(self, row: dict[str, float], *, is_best: bool = False, note: str = "") -> None:
        """One line for an epoch: what was measured, and what else there is to say."""
        width = len(str(self.num_epochs))
        shown = [f"{key} {value:.4f}" for key, value in row.items() if "/" in key]
        parts = [
            f"epoch {int(row['epoch']):{width}}/{self.num_epochs}",
            *shown,
            *([note] if note else []),
            f"lr {row['lr']:.3g}",
            f"{row['seconds']:.2f} s",
        ]
        log.info("%s%s", "  ".join(parts), "  *" if is_best else "")
