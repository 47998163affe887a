"""The curve of a learning-rate range test: when it ends, its smoothing, and the learning rate that it suggests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

NUM_FIRST = 10
"""The loss before training is the median of the first steps, whose learning rate is still too low to change it."""
NUM_LAST = 5
CAP = 2.0
"""The loss has diverged when it is this many times the loss before training. Higher losses count as this value."""
WIDTHS = (0.15, 0.25, 0.4)
"""The standard deviations of the smoothing kernel, in decades of the learning rate."""
CLEAR = 12.0
"""A drop of more standard errors of the smoothed loss needs no more smoothing."""
BOTTOM = 0.02
"""The minimum is reached when this share of the drop is left."""
ONSET = 0.1
"""The descent begins where the smoothed loss has fallen by this share of its drop for the last time."""
MIN_STEPS = 20
MIN_DROP = 0.02
"""A smaller drop, as a share of the loss before training, is none."""
MIN_ERRORS = 6.0
"""A drop of fewer standard errors of the smoothed loss is noise."""


@dataclass(frozen=True)
class Reading:
    """What a curve says.

    Attributes:
        smoothed: The smoothed loss of each step.
        steepest: The step at which it falls fastest before its minimum; None if it does not fall.
        lowest: The step of its minimum; None if it does not fall.
        start: The loss before training.
        drop: By how much the smoothed loss falls from there to its minimum.
        noise: The standard error of the smoothed loss in the first steps.
    """

    smoothed: list[float]
    steepest: int | None
    lowest: int | None
    start: float
    drop: float
    noise: float


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the test can end after the last of these losses: it is not finite, or the last ones are far too high."""
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) < MIN_STEPS:
        return False
    first = statistics.median(losses[:NUM_FIRST])
    return first > 0 and statistics.median(losses[-NUM_LAST:]) > CAP * first


def read_curve(rates: Sequence[float], losses: Sequence[float]) -> Reading:
    """Smooths a curve and finds its steepest descent and its minimum.

    The smoothing is symmetric in log(lr), so it does not shift the curve to higher learning rates as a running average
    does. A noisier curve is smoothed more.
    """
    decades = np.log10(np.asarray(rates, dtype=np.float64))
    values = np.asarray(losses, dtype=np.float64)
    first = values[:NUM_FIRST]
    cap = CAP * float(np.median(first[np.isfinite(first)]))
    values = np.where(np.isfinite(values) & (values < cap), values, cap) if cap > 0 else values
    for width in WIDTHS:
        found = _read(decades, values, width)
        if found.drop > CLEAR * found.noise:
            break
    is_noise = found.drop < max(MIN_DROP * abs(found.start), MIN_ERRORS * found.noise)
    return replace(found, steepest=None, lowest=None) if len(values) < MIN_STEPS or is_noise else found


def _read(decades: NDArray[np.float64], values: NDArray[np.float64], width: float) -> Reading:
    """Reads a curve that is smoothed with this width, even if it does not fall."""
    smoothed = smooth(decades, values, width)
    start = float(np.median(smoothed[: max(3, len(smoothed) // 10)]))
    calm = max(MIN_STEPS, len(values) // 5)
    noise = float(np.std((values - smoothed)[:calm])) / math.sqrt(_num_averaged(decades, width))
    drop = start - float(smoothed.min())
    # The first step at the bottom: a loss of almost zero stays there for a while.
    lowest = int(np.flatnonzero(smoothed <= smoothed.min() + BOTTOM * abs(drop))[0])
    # Slopes before the loss has left its first level are noise.
    level = np.flatnonzero(smoothed[: lowest + 1] > start - ONSET * drop)
    onset = int(level[-1]) if len(level) else 0
    slopes = np.gradient(smoothed, decades) if len(smoothed) > 1 else np.zeros(1)
    steepest = onset + int(slopes[onset : lowest + 1].argmin())
    return Reading(smoothed.tolist(), steepest, lowest, start, drop, noise)


def smooth(decades: NDArray[np.float64], values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Returns the average of the neighbors of each value, weighted by a Gaussian kernel over log10(lr)."""
    weights = np.exp(-0.5 * ((decades[:, None] - decades[None]) / width) ** 2)
    averaged: NDArray[np.float64] = (weights @ values) / weights.sum(axis=1)
    return averaged


def _num_averaged(decades: NDArray[np.float64], width: float) -> float:
    """Returns the number of independent losses that a smoothed loss averages: 2 sqrt(pi) standard deviations."""
    per_decade = (len(decades) - 1) / max(float(decades[-1] - decades[0]), 1e-9)
    return max(1.0, 2 * math.sqrt(math.pi) * width * per_decade)
