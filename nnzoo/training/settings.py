"""Settings of the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnzoo.training.augmentation.augment import Augment
from nnzoo.training.processes.group import SINGLE_PROCESS, Group


@dataclass(frozen=True)
class Settings:
    """The settings of the training loop.

    Attributes:
        epochs: The maximum number of epochs.
        batch_size: Samples per batch; 0 for one batch of all samples, without shuffling.
        monitor: The column of the history that determines early stopping and the best weights.
        metrics: The metrics on train and val, computed every epoch.
        seed: The seed of the shuffling.
        accumulate: The number of batches per optimizer step.
        clip_grad_norm: The maximum 2-norm of all gradients together; larger gradients are scaled down.
        l1: The coefficient of sum |w| in the loss.
        l2: The coefficient of sum w^2 in the loss.
        max_seconds: The wall time in seconds after which training ends.
        every_epochs, every_steps, every_seconds: How often a checkpoint is due.
        augment: Augments the training batches.
        mirrored: Whether the outputs for images and their mirror images are averaged in evaluation.
        probes: Whether a few steps per epoch are measured: see `health`.
        prune: Returns whether training ends after an epoch, from its number and its monitored value, because other
            trials of a sweep were better; None to never ask.
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
    mirrored: bool = False
    probes: bool = True
    prune: Callable[[int, float], bool] | None = None
    group: Group = SINGLE_PROCESS
