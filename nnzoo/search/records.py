"""What is known about the trials of a sweep, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["completed", "pruned", "failed", "running", "waiting"]
ENDED: tuple[State, ...] = ("completed", "pruned", "failed")


@dataclass(frozen=True)
class Record:
    """One trial.

    Attributes:
        number: The number of the trial, from 1.
        state: How it ended, or that it has not.
        values: The value of each searched key, as in a config; empty while it is waiting.
        value: The best monitored value; None if there is none.
        curve: The monitored value of some epochs.
        run: The name of its run directory.
        epochs: The number of finished epochs.
        seconds: The wall time of its training; of a batch, an equal share.
        reason: Why it failed.
        monitor: The metric that `value` is of.
        batch: The number of trials that were trained in one batch, itself included.
        host: The machine that trained it.
    """

    number: int
    state: State
    values: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    curve: Mapping[int, float] = field(default_factory=dict)
    run: str = ""
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""
    monitor: str = ""
    batch: int = 1
    host: str = ""


def best_of(records: Sequence[Record], mode: str) -> Record | None:
    """Returns the best completed trial, the first one in a tie."""
    sign = 1 if mode == "min" else -1
    ended = [each for each in records if each.state == "completed" and each.value is not None]
    return min(ended, key=lambda each: (sign * (each.value or 0.0), each.number), default=None)


def metric_of(records: Sequence[Record], default: str) -> str:
    """Returns the metric that decides: the default, or if it is auto, the monitor of the trials that have ended."""
    return next((each.monitor for each in records if each.monitor), default) if default == "auto" else default


def counts_of(records: Sequence[Record]) -> dict[str, int]:
    """Returns the number of trials of each state."""
    states: tuple[State, ...] = (*ENDED, "running", "waiting")
    return {state: sum(each.state == state for each in records) for state in states}
