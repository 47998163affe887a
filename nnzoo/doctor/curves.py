"""What the course of a training says: too little learnt, or too much by heart."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnzoo.doctor.finding import Finding
from nnzoo.experiment.confidence import wilson
from nnzoo.run.history import History

RISE, NOTICEABLE = 1.1, 0.05
"""The val loss has risen if it ends at this many times its lowest, by this share of what it was after one epoch.

So many times below that lowest the train loss has to end."""
GAP = 0.1
"""Between train and val, in accuracy or r2."""
LEARNT = 0.3
"""Of the way from the baseline to perfect: less is next to nothing."""


def findings(
    history: History, *, score: str, train_score: float, val_score: float | None, num_val: int, baseline: float
) -> Iterator[Finding]:
    """What is wrong with a training.

    Args:
        history: One row an epoch.
        score: "accuracy" or "r2": 1 is perfect.
        train_score: Of the best weights.
        val_score: Likewise; None where there is no val split.
        num_val: Samples of the val split: an accuracy on few of them is off by chance.
        baseline: The score of the best constant answer, on train.
    """
    learnt = (train_score - baseline) / (1 - baseline) if baseline < 1 else 1.0
    overfitting = _overfitting(history)
    # Where every step after the first epochs only learnt by heart, the best weights have learnt little too.
    if overfitting is None and learnt < LEARNT:
        yield Finding(
            "warning",
            "underfitting",
            f"{score} on train itself is {train_score:.3f}, where always giving one answer has {baseline:.3f}. Use a "
            "larger model, more epochs, another lr, less dropout or weight decay.",
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
            f"{overfitting} More data, augmentation, dropout, weight decay or a smaller model help; the best weights "
            "were kept.",
        )
    if _still_improving(history):
        yield Finding("note", "epochs", "the loss was still falling when the epochs were over. Raise train.epochs.")


def _overfitting(history: History) -> str | None:
    losses = history.get("val/loss", [])
    if len(losses) < 2 or not all(map(math.isfinite, losses)):
        return None
    lowest = min(range(len(losses)), key=losses.__getitem__)
    train = history["train/loss"]
    risen = losses[-1] > max(RISE * losses[lowest], losses[lowest] + NOTICEABLE * losses[0])
    # What is not learnt by heart either only goes up and down.
    if risen and train[-1] < min(train[lowest], losses[lowest] / RISE):
        return (
            f"from epoch {lowest + 1} on the val loss rose from {losses[lowest]:.4g} to {losses[-1]:.4g}, while the "
            f"train loss fell from {train[lowest]:.4g} to {train[-1]:.4g}."
        )
    return None


def _still_improving(history: History) -> bool:
    """Whether the last quarter of the epochs lowered the loss by more than 5 %, and the last epoch was the lowest."""
    losses = history["val/loss" if "val/loss" in history else "train/loss"]
    if len(losses) < 4:
        return False
    before = losses[-1 - len(losses) // 4]
    return losses[-1] == min(losses) and losses[-1] < 0.95 * before
