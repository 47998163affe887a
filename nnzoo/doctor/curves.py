"""Overfitting, read from the learning curves."""

from __future__ import annotations

import math

from nnzoo.experiment.evaluate.confidence import wilson
from nnzoo.run.history import History

RISE, NOTICEABLE = 1.1, 0.05
"""The val loss has risen if it ends above RISE times its minimum, and above its minimum plus NOTICEABLE times its first
value. The train loss must also end below the minimum of the val loss divided by RISE."""
STRONG_RISE = 1.25
"""A rise by this factor is a warning, unless early stopping ended the run."""
GAP = 0.1
"""A larger gap between train and val, in accuracy or r2, is overfitting."""


def rise_of_loss(history: History) -> tuple[float, str]:
    """Returns the last val loss divided by the lowest one, and a text; 1 and no text without overfitting."""
    losses = history.get("val/loss", [])
    if len(losses) < 2 or not all(map(math.isfinite, losses)):
        return 1.0, ""
    lowest = min(range(len(losses)), key=losses.__getitem__)
    train = history["train/loss"]
    risen = losses[-1] > max(RISE * losses[lowest], losses[lowest] + NOTICEABLE * losses[0])
    # Otherwise the val loss only fluctuates.
    if risen and train[-1] < min(train[lowest], losses[lowest] / RISE):
        text = (
            f"after epoch {lowest + 1} the val loss rose from {losses[lowest]:.4g} to {losses[-1]:.4g}, while the "
            f"train loss fell from {train[lowest]:.4g} to {train[-1]:.4g}."
        )
        return losses[-1] / losses[lowest] if losses[lowest] > 0 else math.inf, text
    return 1.0, ""


def gap_of_scores(score: str, train_score: float, val_score: float, num_val: int) -> str:
    """Describes a gap between train and val that is not due to chance; empty if there is none.

    Args:
        score: The name of the score; a perfect score is 1.
        train_score: The score of the best weights on train.
        val_score: The score of the best weights on val.
        num_val: The number of samples in the val split; with few samples, the accuracy varies by chance.
    """
    if train_score - val_score <= GAP or (score != "r2" and train_score <= wilson(val_score, num_val)[1]):
        return ""
    return f"{score} is {train_score:.3f} on train and {val_score:.3f} on val."
