"""When checkpoints are written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Generic

from nnzoo.training.settings import Settings
from nnzoo.training.state import S

MIN_SECONDS_BETWEEN_CHECKPOINTS = 1.0


class CheckpointTimer(Generic[S]):
    """Decides when a checkpoint is due, and has it written.

    At most one a second: what a kill loses is then less than a second of work, which resuming does again bit by bit.
    """

    def __init__(self, settings: Settings, save: Callable[[S], None]) -> None:
        self.settings = settings
        self.save = save
        self.written = -math.inf

    def write(self, state: S) -> None:
        """Writes one now."""
        self.save(state)
        self.written = time.monotonic()

    def after_step(self, state: S) -> None:
        """Writes one if it is due inside the epoch."""
        every = self.settings
        if every.every_steps is None and every.every_seconds is None:
            return
        waited = time.monotonic() - self.written
        due = bool(every.every_steps) and state.step % (every.every_steps or 1) == 0
        due = due or (every.every_seconds is not None and waited >= every.every_seconds)
        if due and waited >= MIN_SECONDS_BETWEEN_CHECKPOINTS:
            self.write(state)

    def after_epoch(self, state: S) -> None:
        """Writes one if it is due at the end of the epoch."""
        every = self.settings.every_epochs
        waited = time.monotonic() - self.written
        if every and state.epoch % every == 0 and waited >= MIN_SECONDS_BETWEEN_CHECKPOINTS:
            self.write(state)
