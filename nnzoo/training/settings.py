"""How the loop runs."""

from __future__ import annotations

from dataclasses import dataclass

from nnzoo.training.augment import Augment
from nnzoo.training.distributed import ALONE, Group


@dataclass(frozen=True)
class Settings:
    """How the loop runs.

    Attributes:
        epochs: The most epochs.
        batch_size: Samples a batch; 0 for all, in their own order.
        monitor: A column of the history.
        metrics: Measured on train and val every epoch.
        seed: Of the shuffling.
        accumulate: Batches an optimizer step.
        clip_grad_norm: The 2-norm that gradients are scaled down to.
        l1: Weight of sum|w|.
        l2: Weight of sum w^2.
        max_seconds: Wall time after which the run ends.
        every_epochs, every_steps, every_seconds: When a checkpoint is due.
        augment: Changes the batches of training.
        group: The processes that train together.
    """

    epochs: int
    batch_size: int
    monitor: str
    metrics: tuple[str, ...]
    seed: int
    accumulate: int = 1
    clip_grad_norm: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    max_seconds: float | None = None
    every_epochs: int | None = 1
    every_steps: int | None = None
    every_seconds: float | None = None
    augment: Augment | None = None
    group: Group = ALONE
