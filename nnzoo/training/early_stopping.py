"""Early stopping and the selection of the best epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass
class EarlyStopping:
    """Stops training when the monitored value no longer improves (Prechelt 1998).

    The best epoch is the one with the best value, however small the improvement. Patience is the allowed number of
    epochs since the last improvement of more than `min_delta`.

    Attributes:
        mode: Whether a lower or a higher value is better.
        patience: Number of epochs without such an improvement after which training stops; None to never stop.
        min_delta: The improvement that must be exceeded to reset patience.
        best: The best value so far.
        best_epoch: The epoch of that value, counted from 1; 0 before the first epoch.
        reference: The value at the last improvement of more than `min_delta`.
        waited: Number of epochs since that improvement.
    """

    mode: Literal["min", "max"] = "min"
    patience: int | None = None
    min_delta: float = 0.0
    best: float = math.nan
    best_epoch: int = 0
    reference: float = math.nan
    waited: int = 0

    def update(self, value: float, epoch: int) -> bool:
        """Records the monitored value of an epoch, and returns whether it is the best so far. NaN is never the best."""
        if self._improves(value, self.reference, self.min_delta):
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        if self._improves(value, self.best, 0.0):
            self.best, self.best_epoch = value, epoch
            return True
        return False

    def should_stop(self) -> bool:
        """Whether training should stop, because there was no improvement for `patience` epochs."""
        return self.patience is not None and self.waited >= self.patience

    def _improves(self, value: float, over: float, by: float) -> bool:
        if math.isnan(over):
            return not math.isnan(value)
        return over - value > by if self.mode == "min" else value - over > by

    def state_dict(self) -> dict[str, Any]:
        """Returns the values that a resumed run needs."""
        keys = ("best", "best_epoch", "reference", "waited")
        return {key: value for key, value in asdict(self).items() if key in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        for key, value in state.items():
            setattr(self, key, value)
