"""The learning-rate schedule: a linear warm-up, then one of torch's schedulers."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
)

SCHEDULERS: dict[str, type[LRScheduler]] = {
    "step": StepLR,
    "multistep": MultiStepLR,
    "exponential": ExponentialLR,
    "linear": LinearLR,
    "polynomial": PolynomialLR,
    "cosine": CosineAnnealingLR,
    "cosine_restarts": CosineAnnealingWarmRestarts,
    "one_cycle": OneCycleLR,
    "cyclic": CyclicLR,
    "plateau": ReduceLROnPlateau,
}


class Schedule:
    """Sets the learning rate of an optimizer.

    In step s of the warm-up, counted from 0, the learning rate is (s + 1) / warmup_steps times the scheduler's first
    learning rate. The scheduler starts at t = 0 after the warm-up, and t counts epochs or steps. It applies to the
    first parameter group. The learning rates of the other groups stay in the same proportion to it as at the start.

    Args:
        optimizer: The optimizer. The `lr` of its parameter groups is changed.
        name: A name in `SCHEDULERS`, or "constant".
        interval: Whether t counts epochs or steps.
        warmup_steps: The number of optimizer steps of the warm-up: a whole number of epochs.
        fields: The keyword arguments of the scheduler.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        name: str,
        *,
        interval: Literal["epoch", "step"] = "epoch",
        warmup_steps: int = 0,
        **fields: Any,
    ) -> None:
        self.optimizer = optimizer
        self.interval = interval
        self.warmup_steps = warmup_steps
        self.num_steps = 0
        rates = [group["lr"] for group in optimizer.param_groups]
        self.factors = [rate / rates[0] for rate in rates] if len(set(rates)) > 1 else []
        self.scheduler = SCHEDULERS[name](optimizer, **fields) if name != "constant" else None
        self.start = [group["lr"] for group in optimizer.param_groups]
        self._warm_up()
        self._scale()

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def after_step(self) -> None:
        """Updates the learning rate after an optimizer step."""
        self.num_steps += 1
        if self.num_steps <= self.warmup_steps:
            self._warm_up()
        elif self.interval == "step" and self.scheduler is not None:
            self._advance(self.scheduler)
        self._scale()

    def after_epoch(self, monitored: float) -> None:
        """Updates the learning rate after an epoch. `plateau` uses the monitored value."""
        if self.interval == "step" or self.scheduler is None or self.num_steps <= self.warmup_steps:
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(monitored)
        else:
            self._advance(self.scheduler)
        self._scale()

    def _scale(self) -> None:
        """Sets the learning rates of the other groups, in proportion to that of the first one."""
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=False):
            group["lr"] = self.lr * factor

    def _advance(self, scheduler: LRScheduler) -> None:
        # OneCycleLR raises an error after the end of its cycle.
        if not isinstance(scheduler, OneCycleLR) or scheduler.last_epoch < scheduler.total_steps - 1:
            scheduler.step()

    def _warm_up(self) -> None:
        if not self.warmup_steps:
            return
        share = min(1.0, (self.num_steps + 1) / self.warmup_steps)
        for group, lr in zip(self.optimizer.param_groups, self.start, strict=True):
            group["lr"] = lr * share

    def state_dict(self) -> dict[str, Any]:
        """Returns the values that a resumed run needs, except for the learning rate, which the optimizer saves."""
        return {"num_steps": self.num_steps, "scheduler": self.scheduler.state_dict() if self.scheduler else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        self.num_steps = state["num_steps"]
        # Otherwise torch warns if a resumed run starts with the end of an epoch, before any step of its optimizer.
        self.optimizer._opt_called = self.num_steps > 0  # type: ignore[attr-defined]
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
