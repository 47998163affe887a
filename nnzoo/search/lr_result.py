"""The result of a learning-rate range test."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnzoo.config import Config
from nnzoo.numbers import number
from nnzoo.search.lr_curve import MIN_STEPS, Reading, read_curve


@dataclass(frozen=True)
class LrRange:
    """The losses of a range test, and what they suggest.

    Attributes:
        config: The config as it was loaded.
        rates: The learning rate of each step.
        losses: The loss of each step: the mean over its samples, and the median over the networks if there are several.
        num_steps: The number of steps that the test would have had if the loss had not diverged.
        batch_size: The number of samples per batch.
        num_samples: The number of training samples.
        steps_per_epoch: The number of steps per epoch.
        num_networks: The number of networks that were trained in one batch, for `train.restarts`.
        notes: What differs from `nnzoo train`, one sentence each.
    """

    config: Config
    rates: list[float]
    losses: list[float]
    num_steps: int
    batch_size: int
    num_samples: int
    steps_per_epoch: int
    num_networks: int = 1
    notes: tuple[str, ...] = ()

    @cached_property
    def reading(self) -> Reading:
        """The smoothed curve, its steepest descent and its minimum."""
        return read_curve(self.rates, self.losses)

    @property
    def has_diverged(self) -> bool:
        """Whether the test ended early because the loss diverged."""
        return len(self.losses) < self.num_steps or not math.isfinite(self.losses[-1])

    @property
    def lr(self) -> float:
        """The highest learning rate of the config: that of the scheduler if it sets one, else of the optimizer."""
        top: float | None = getattr(self.config.scheduler, "max_lr", None)
        return top or self.config.optimizer.lr

    @property
    def steepest(self) -> float | None:
        """The learning rate at which the smoothed loss falls fastest; None if it does not fall."""
        return None if self.reading.steepest is None else self.rates[self.reading.steepest]

    @property
    def minimum(self) -> float | None:
        """The learning rate with the lowest smoothed loss; None if the loss does not fall."""
        return None if self.reading.lowest is None else self.rates[self.reading.lowest]

    @property
    def suggestion(self) -> float | None:
        """The suggested learning rate, rounded to two digits; None if the loss does not fall.

        It is that of the steepest descent, but between a tenth and a third of that of the minimum: the loss rises soon
        after the minimum, and a small data set is often learned fastest where the network only learns the mean.
        """
        if self.steepest is None or self.minimum is None:
            return None
        return rounded(max(min(self.steepest, self.minimum / 3), self.minimum / 10))

    def reason(self) -> str:
        """Returns why this learning rate is suggested, or why none is, and what to look at then."""
        reading = self.reading
        if self.steepest is not None and self.minimum is not None and reading.lowest is not None:
            fall = (
                f"from {number(reading.start)} to {number(reading.smoothed[reading.lowest])} at lr {self.minimum:.2g}"
            )
            tenth, third = self.minimum / 10, self.minimum / 3
            if self.steepest > third:
                return (
                    f"the smoothed loss falls {fall}, fastest just before that, at {self.steepest:.2g}. It rises soon "
                    f"after, so a third of the lr of the minimum is safer: {third:.2g}."
                )
            if self.steepest >= tenth:
                return (
                    f"the smoothed loss falls fastest at lr {self.steepest:.2g}, {fall}. A tenth of the lr of its "
                    f"minimum, {tenth:.2g}, is lower."
                )
            return (
                f"the smoothed loss falls {fall}, and a tenth of that is {tenth:.2g}. It falls fastest before that, "
                f"at lr {self.steepest:.2g}."
            )
        if len(self.losses) <= MIN_STEPS and self.has_diverged:
            return (
                f"the loss diverges after {len(self.losses)} steps, at lr {self.rates[-1]:.2g}. Lower --min, and check "
                "the scale of inputs and targets: `nnzoo doctor` shows it."
            )
        if len(self.losses) < MIN_STEPS:
            return f"{len(self.losses)} steps are too few to see whether the loss falls. Raise --steps."
        return (
            f"the loss never falls clearly: it starts at {number(reading.start)}, and its lowest smoothed value up to "
            f"lr {self.rates[-1]:.2g} is {number(min(reading.smoothed))}. Check the labels, frozen layers, the initial "
            "weights and the scale of the inputs: `nnzoo doctor` examines them."
        )

    def overrides(self) -> list[str]:
        """Returns the overrides that set the suggestion, with all other learning rates in the same proportion."""
        if self.suggestion is None:
            return []
        section, top = self.config.optimizer, getattr(self.config.scheduler, "max_lr", None)
        factor = self.suggestion / self.lr if self.lr else 1.0
        changes = {"optimizer.lr" if top is None else "scheduler.max_lr": self.suggestion}
        backbone_lr = getattr(section, "backbone_lr", None)
        if backbone_lr is not None and top is None:
            changes["optimizer.backbone_lr"] = backbone_lr * factor
        for name in ("base_lr", "eta_min", "min_lr"):
            value = getattr(self.config.scheduler, name, None)
            if value:
                changes[f"scheduler.{name}"] = value * factor
        return [f"{key}={json.dumps(rounded(value))}" for key, value in changes.items()]

    def as_dict(self) -> dict[str, Any]:
        """Returns the result as plain values."""
        reading = self.reading
        return {
            "config": self.config.name,
            "optimizer": self.config.optimizer.name,
            "lr": self.lr,
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "minimum": self.minimum,
            "reason": self.reason(),
            "overrides": self.overrides(),
            "min_lr": self.rates[0],
            "last_lr": self.rates[-1],
            "diverged": self.has_diverged,
            "num_steps": len(self.losses),
            "batch_size": self.batch_size,
            "num_samples": self.num_samples,
            "epochs": len(self.losses) / self.steps_per_epoch,
            "num_networks": self.num_networks,
            "notes": list(self.notes),
            "curve": {"lr": self.rates, "loss": self.losses, "smoothed": reading.smoothed},
        }


def rounded(rate: float) -> float:
    """Rounds a learning rate to two significant digits."""
    return float(f"{rate:.1e}")
