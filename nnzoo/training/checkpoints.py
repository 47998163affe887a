"""Decides when checkpoints are written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Generic

from nnzoo.training.settings import Settings
from nnzoo.training.state import S

MIN_SECONDS_BETWEEN_CHECKPOINTS = 1.0


class CheckpointTimer(Generic[S]):
    """Decides when a checkpoint is due, and writes it.

    It writes at most one checkpoint per second. So a killed process loses at most one more second of work, which
    resuming repeats exactly.

    Args:
        settings: How often checkpoints are written.
        save: Writes a checkpoint.
    """

    def __init__(self, settings: Settings, save: Callable[[S], None]) -> None:
        self.settings = settings
        self.save = save
        self.written = -math.inf

    def write(self, state: S) -> None:
        """Writes a checkpoint now."""
        self.save(state)
        self.written = time.monotonic()

    def after_step(self, state: S) -> None:
        """Writes a checkpoint if one is due after a step within the epoch."""
        if self.settings.group.agrees_on_checkpoint(self.is_due, state.step):
            self.write(state)

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is due after a step within the epoch."""
        every = self.settings
        if every.every_steps is None and every.every_seconds is None:
            return False
        waited = time.monotonic() - self.written
        due = bool(every.every_steps) and step % (every.every_steps or 1) == 0
        due = due or (every.every_seconds is not None and waited >= every.every_seconds)
        return due and waited >= MIN_SECONDS_BETWEEN_CHECKPOINTS

    def after_epoch(self, state: S) -> None:
        """Writes a checkpoint if one is due at the end of the epoch."""
        every = self.settings.every_epochs
        if not every or state.epoch % every:
            return
        # Clocks differ between processes, so rank 0 decides.
        waited = self.settings.group.from_first(lambda: time.monotonic() - self.written)
        if waited >= MIN_SECONDS_BETWEEN_CHECKPOINTS:
            self.write(state)
