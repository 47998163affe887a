"""What restarts came to: one outcome each, the best of them, their mean and spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

End = Literal["running", "completed", "early_stopped", "diverged"]


@dataclass(frozen=True)
class Outcome:
    """What one restart came to.

    Attributes:
        seed: Of its weights and its shuffling.
        status: How it ended, or that it did not yet.
        epochs: Finished ones.
        best_epoch: The one with the best monitor; 0 before the first.
        metrics: The row of that epoch: "train/loss", "val/accuracy", ...
    """

    seed: int
    status: End
    epochs: int
    best_epoch: int
    metrics: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Primitives only."""
        return asdict(self)


@dataclass(frozen=True)
class Restarts:
    """Random restarts: the same network from several initialisations.

    Attributes:
        count: How many were asked for.
        how: All at once in one batched step, or one after another.
        reason: Why not all at once.
        monitor: What the best is chosen by.
        mode: Whether less or more of it is better.
        outcomes: Of those that have begun, the first seed first.
    """

    count: int
    how: Literal["batched", "one after another"]
    reason: str | None
    monitor: str
    mode: Literal["min", "max"]
    outcomes: Sequence[Outcome]

    def leader(self) -> int | None:
        """The index of the best one, the first of equals. One that diverged leads only where all did."""
        sign = 1 if self.mode == "min" else -1
        found = [
            (outcome.status == "diverged", sign * outcome.metrics[self.monitor], index)
            for index, outcome in enumerate(self.outcomes)
            if outcome.best_epoch
        ]
        return min(found)[-1] if found else None

    def values(self) -> list[float | None]:
        """The best monitor of each; None of one that diverged or was never measured."""
        return [
            outcome.metrics[self.monitor] if outcome.best_epoch and outcome.status != "diverged" else None
            for outcome in self.outcomes
        ]

    def as_dict(self) -> dict[str, Any]:
        """What result.json says. `std` is that of the sample, with n - 1, and null for less than two values."""
        values = self.values()
        numbers = [value for value in values if value is not None]
        leader = self.leader()
        return {
            "count": self.count,
            "how": self.how,
            "reason": self.reason,
            "best": None if leader is None else self.outcomes[leader].seed,
            "monitor": self.monitor,
            "seeds": [outcome.seed for outcome in self.outcomes],
            "values": values,
            "mean": math.fsum(numbers) / len(numbers) if numbers else None,
            "std": statistics.stdev(numbers) if len(numbers) > 1 else None,
            "min": min(numbers, default=None),
            "max": max(numbers, default=None),
        }

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Header and rows of restarts.csv: one row a restart, its measures those of its best epoch."""
        columns = list(next((outcome.metrics for outcome in self.outcomes if outcome.metrics), {}))
        header = ["seed", "status", "epochs", "best_epoch", *columns]
        return header, [
            [
                outcome.seed,
                outcome.status,
                outcome.epochs,
                outcome.best_epoch or "",
                *(_cell(outcome.metrics.get(column, math.nan)) for column in columns),
            ]
            for outcome in self.outcomes
        ]


def _cell(value: float) -> float | str:
    """A metric without a value is an empty cell."""
    return "" if math.isnan(value) else value
