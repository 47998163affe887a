"""Batch size, epochs and patience for a number of samples."""

from __future__ import annotations

import math
from typing import NamedTuple

from nnzoo.suggestion.suggestion import Suggestion

_BATCHES = ((200, 16), (2_000, 32), (10_000, 64), (30_000, 128), (200_000, 256), (2_000_000, 512))
"""The batch size up to each number of training samples."""
_LARGEST_BATCH = 1024
STEPS, PATIENCE_STEPS = 5_000, 500
"""Optimizer steps of a training, and those without improvement after which it stops."""
_EPOCHS, _PATIENCE = (15, 400), (4, 60)


class Budget(NamedTuple):
    """The length of a training.

    Attributes:
        batch_size: The number of samples per step.
        epochs: The maximum number of epochs.
        patience: The number of epochs without improvement before training stops.
    """

    batch_size: int
    epochs: int
    patience: int


def batch_size_for(num_train: int) -> int:
    """Returns a batch size: larger for more samples, so that an epoch has enough steps but is fast."""
    return next((size for most, size in _BATCHES if num_train <= most), _LARGEST_BATCH)


def budget_for(num_train: int, *, batch_size: int | None = None, steps: int = STEPS, least: int = _EPOCHS[0]) -> Budget:
    """Returns the epochs for a number of optimizer steps.

    Args:
        num_train: The number of training samples.
        batch_size: The batch size; None to choose it.
        steps: The number of optimizer steps.
        least: The minimum number of epochs.
    """
    size = batch_size or batch_size_for(num_train)
    per_epoch = max(1, math.ceil(num_train / size))
    epochs = min(max(math.ceil(steps / per_epoch), least), _EPOCHS[1])
    patience = min(max(math.ceil(PATIENCE_STEPS / per_epoch), _PATIENCE[0]), _PATIENCE[1])
    return Budget(size, epochs, patience)


def set_training(suggestion: Suggestion, budget: Budget, num_train: int) -> None:
    """Adds the length of the training to a config, with reasons."""
    per_epoch = max(1, math.ceil(num_train / budget.batch_size))
    suggestion.set(
        "train.batch_size", budget.batch_size, f"about {num_train:,} train samples: {per_epoch:,} steps per epoch"
    )
    suggestion.set(
        "train.epochs",
        budget.epochs,
        f"at most {budget.epochs * per_epoch:,} steps; early stopping usually ends it before",
    )
    suggestion.set("train.early_stopping", {"patience": budget.patience})
