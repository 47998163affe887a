"""When to stop, and which epoch was the best."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass
class EarlyStopping:
    """Watches the monitor (Prechelt 1998).

    The best epoch is the one with the best value, however small the gain. Patience is lost by epochs that do not beat
    the value at the last gain of more than `min_delta`.

    Attributes:
        mode: Whether less or more is better.
        patience: Epochs without such a gain until `should_stop`; None never stops.
        min_delta: What counts as a gain.
        best: The best value so far.
        best_epoch: Its epoch, from 1; 0 before the first.
        reference: The value at the last gain.
        waited: Epochs since then.
    """

    mode: Literal["min", "max"] = "min"
    patience: int | None = None
    min_delta: float = 0.0
    best: float = math.nan
    best_epoch: int = 0
    reference: float = math.nan
    waited: int = 0

    def update(self, value: float, epoch: int) -> bool:
        """Takes the monitor of an epoch; returns whether it is the best so far. NaN never is."""
        if self._gains(value, self.reference, self.min_delta):
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        if self._gains(value, self.best, 0.0):
            self.best, self.best_epoch = value, epoch
            return True
        return False

    def should_stop(self) -> bool:
        """Whether patience is used up."""
        return self.patience is not None and self.waited >= self.patience

    def _gains(self, value: float, over: float, by: float) -> bool:
        if math.isnan(over):
            return not math.isnan(value)
        return over - value > by if self.mode == "min" else value - over > by

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on after a restart."""
        keys = ("best", "best_epoch", "reference", "waited")
        return {key: value for key, value in asdict(self).items() if key in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state."""
        for key, value in state.items():
            setattr(self, key, value)
