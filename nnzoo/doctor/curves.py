"""Underfitting and overfitting, read from the learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnzoo.doctor.finding import Finding
from nnzoo.experiment.evaluate.confidence import wilson
from nnzoo.run.history import History

RISE, NOTICEABLE = 1.1, 0.05
"""The val loss has risen if it ends above RISE times its minimum, and above its minimum plus NOTICEABLE times its first
value. The train loss must also end below the minimum of the val loss divided by RISE."""
GAP = 0.1
"""A larger gap between train and val, in accuracy or r2, is overfitting."""
LEARNED = 0.3
"""Share of the distance from the baseline to a perfect score; less is underfitting."""


def findings(
    history: History, *, score: str, train_score: float, val_score: float | None, num_val: int, baseline: float
) -> Iterator[Finding]:
    """Finds underfitting and overfitting.

    Args:
        history: One row per epoch.
        score: "accuracy" or "r2"; a perfect score is 1.
        train_score: The score of the best weights on train.
        val_score: The score of the best weights on val; None without a val split.
        num_val: The number of samples in the val split; with few samples, the accuracy varies by chance.
        baseline: The score of the best constant prediction on train.
    """
    learned = (train_score - baseline) / (1 - baseline) if baseline < 1 else 1.0
    overfitting = _overfitting(history)
    # If overfitting starts in the first epochs, the best weights have learned little too.
    if overfitting is None and learned < LEARNED:
        yield Finding(
            "warning",
            "underfitting",
            f"{score} on train is {train_score:.3f}, and that of a constant prediction is {baseline:.3f}. Use a larger "
            "model, more epochs, a different lr, less dropout or weight decay.",
        )
    elif (
        overfitting is None
        and val_score is not None
        and train_score - val_score > GAP
        and (score != "accuracy" or train_score > wilson(val_score, num_val)[1])
    ):
        overfitting = f"{score} is {train_score:.3f} on train and {val_score:.3f} on val."
    if overfitting is not None:
        yield Finding(
            "warning",
            "overfitting",
            f"{overfitting} More data, augmentation, dropout, weight decay or a smaller model may help; the best "
            "weights were kept.",
        )
    if _still_improving(history):
        yield Finding("note", "stopped too early", "the loss was still falling in the last epochs. Raise train.epochs.")


def _overfitting(history: History) -> str | None:
    losses = history.get("val/loss", [])
    if len(losses) < 2 or not all(map(math.isfinite, losses)):
        return None
    lowest = min(range(len(losses)), key=losses.__getitem__)
    train = history["train/loss"]
    risen = losses[-1] > max(RISE * losses[lowest], losses[lowest] + NOTICEABLE * losses[0])
    # Otherwise the val loss only fluctuates.
    if risen and train[-1] < min(train[lowest], losses[lowest] / RISE):
        return (
            f"after epoch {lowest + 1} the val loss rose from {losses[lowest]:.4g} to {losses[-1]:.4g}, while the "
            f"train loss fell from {train[lowest]:.4g} to {train[-1]:.4g}."
        )
    return None


def _still_improving(history: History) -> bool:
    """Returns whether the loss fell by over 5 % in the last quarter of the epochs, and is lowest in the last epoch."""
    losses = history["val/loss" if "val/loss" in history else "train/loss"]
    if len(losses) < 4:
        return False
    before = losses[-1 - len(losses) // 4]
    return losses[-1] == min(losses) and losses[-1] < 0.95 * before
