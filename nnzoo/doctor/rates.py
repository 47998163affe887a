"""Finds the learning rate with which the network of a run learns most."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

from nnzoo.doctor import remedies
from nnzoo.doctor.evidence import Evidence, Fit
from nnzoo.doctor.trials import Outcome

SCAN_STEPS = 60
"""Steps of each trial of the scan."""


@dataclass(frozen=True)
class Rate:
    """A learning rate that was tried.

    Attributes:
        factor: The rate as a multiple of that of the run.
        lost: The share of the skill of the outcome that the run has lost; 0 if this rate is not clearly better.
        outcome: What the network learned with it over the length of the run.
    """

    factor: float
    lost: float
    outcome: Outcome


@cache
def best_rate(evidence: Evidence) -> Rate | None:
    """Returns the learning rate with which the network learns most from the same start; None if none was tried.

    A scan of a few steps finds the order of magnitude; then the candidates are trained over the length of the run.
    """
    found = scan(evidence)
    if not found:
        return None
    center = min(found, key=lambda factor: found[factor].loss)
    if not math.isfinite(found[center].loss):
        return None
    factors = [center, center / 3]
    if 0.1 < center <= 1.0:  # the scan is too short to see that a rate is slightly too high
        factors = [0.1, 0.3]
        if evidence.num_epochs > 2 and not evidence.diverged and not _is_unsteady(evidence):
            return None
    if center < 0.1:
        factors.append(center * 3)
    rated = []
    for factor in factors:
        outcome = evidence.trial(*remedies.with_rate(evidence.config, evidence.config.optimizer.lr * factor))
        if outcome is not None and not outcome.diverged_at:
            rated.append(Rate(factor, evidence.better(outcome, Fit.BETTER), outcome))
    # The lowest of the rates that are about as good is the safest over many epochs.
    return max(rated, key=lambda each: (each.lost, -each.outcome.held_loss), default=None)


def scan(evidence: Evidence) -> dict[float, Outcome]:
    """Returns the outcomes of a few steps with factors of the learning rate, from 1e-3 to 1e3, and beyond if needed."""
    if not evidence.can_try or not evidence.can_gain or not evidence.config.optimizer.lr:
        return {}
    steps = min(SCAN_STEPS, max(20, evidence.trials.num_steps // 3))
    found: dict[float, Outcome] = {}

    def measure(power: int) -> None:
        changes = remedies.with_rate(evidence.config, evidence.config.optimizer.lr * 10.0**power) if power else ()
        outcome = evidence.trials.run(*changes, steps=steps)
        if outcome is not None:
            found[10.0**power] = outcome

    def best() -> float:
        return min(found, key=lambda factor: found[factor].loss)

    for power in range(-3, 4):
        measure(power)
    for power in (4, 5, 6):
        if found and best() >= 10.0 ** (power - 1):
            measure(power)
    for power in (-4, -5, -6):
        if found and best() <= 10.0 ** (power + 1) * 1.01:
            measure(power)
    return found


def _is_unsteady(evidence: Evidence) -> bool:
    losses = [value for value in evidence.history.get("train/loss", []) if math.isfinite(value)]
    rises = sum(after > 1.02 * before for before, after in itertools.pairwise(losses))
    return rises >= max(1, len(losses) // 5)
