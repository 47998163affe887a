"""Scores as a share of the way from the baseline to a perfect score, and how much they vary by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST_NOISE = 0.02
DEVIATIONS = 1.5
"""A difference of more standard deviations than this is not due to the choice of the samples."""


def skill(name: str, score: float, floor: float) -> float:
    """Returns 0 for a score like that of the baseline and 1 for a perfect one.

    For r2, it is the share by which the error (rmse) is smaller, since r2 is close to 1 long before the error is small.

    Args:
        name: "accuracy", "balanced_accuracy" or "r2".
        score: The score.
        floor: The score of the baseline.
    """
    if not math.isfinite(score):
        return -math.inf
    if name == "r2":
        return 1 - math.sqrt(max(1 - score, 0.0) / max(1 - floor, 1e-12))
    return (score - floor) / (1 - floor) if floor < 1 else 0.0


def noise(name: str, score: float, floor: float, counts: Sequence[int]) -> float:
    """Returns the difference of two skills that may be due to the choice of the measured samples.

    Args:
        name: As in `skill`.
        score: The lower one of the two scores.
        floor: As in `skill`.
        counts: The number of measured samples; for "balanced_accuracy", those of each class.
    """
    if name == "r2":
        remaining = 1 - skill(name, score, floor) if math.isfinite(score) else 1.0
        return max(LEAST_NOISE, min(remaining, 1.0) / math.sqrt(max(sum(counts), 1)))
    score = min(max(score, 0.05), 0.95)
    parts = [count for count in counts if count]
    if name != "balanced_accuracy":
        parts = [sum(parts)]
    variance = sum(score * (1 - score) / count for count in parts) / max(len(parts), 1) ** 2
    return max(LEAST_NOISE, DEVIATIONS * math.sqrt(2 * variance)) / max(1 - floor, 1e-6)
