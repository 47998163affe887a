"""The results of restarts: the outcome of each, the best restart, and mean and standard deviation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

End = Literal["running", "completed", "early_stopped", "diverged"]


@dataclass(frozen=True)
class Outcome:
    """The result of one restart.

    Attributes:
        seed: The seed of its initial weights and shuffling.
        status: How it ended, or "running".
        epochs: The number of finished epochs.
        best_epoch: The epoch with the best monitored value; 0 before the first epoch.
        metrics: The metrics of that epoch: "train/loss", "val/accuracy", ...
    """

    seed: int
    status: End
    epochs: int
    best_epoch: int
    metrics: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Returns the outcome as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Restarts:
    """Random restarts: the same network from several initialisations.

    Attributes:
        count: The requested number of restarts.
        how: Whether the restarts are trained together in batched steps, or one after another.
        reason: Why they are not trained together; None if they are.
        monitor: The metric that decides which restart is the best.
        mode: Whether a lower or a higher value is better.
        outcomes: The results of the restarts that have started, in the order of their seeds.
    """

    count: int
    how: Literal["batched", "one after another"]
    reason: str | None
    monitor: str
    mode: Literal["min", "max"]
    outcomes: Sequence[Outcome]

    def leader(self) -> int | None:
        """Returns the index of the best restart, the first in a tie; of a diverged restart only if all diverged."""
        sign = 1 if self.mode == "min" else -1
        candidates = [
            (outcome.status == "diverged", sign * outcome.metrics[self.monitor], index)
            for index, outcome in enumerate(self.outcomes)
            if outcome.best_epoch
        ]
        return min(candidates)[-1] if candidates else None

    def values(self) -> list[float | None]:
        """Returns the best monitored value of each restart; None if it diverged or was never evaluated."""
        return [
            outcome.metrics[self.monitor] if outcome.best_epoch and outcome.status != "diverged" else None
            for outcome in self.outcomes
        ]

    def as_dict(self) -> dict[str, Any]:
        """Returns the entry of result.json. `std` divides by n - 1, and is null for fewer than two values."""
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
        """Returns the header and rows of restarts.csv: one row per restart, with the metrics of its best epoch."""
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
    """Formats a metric; an undefined one is an empty cell."""
    return "" if math.isnan(value) else value
