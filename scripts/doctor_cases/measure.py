"""Measures how well a run trained, how much an illness harms, and whether a cure helps."""

from __future__ import annotations

import math

from doctor_cases.plan import Case
from doctor_cases.runs import Outcome

WELL = 0.4
"""A healthy twin reaches at least this share of the distance from the baseline to a perfect score."""
CURED = 0.8
"""A cure regains at least this share of the healthy twin's gain over the baseline."""
FALSE_GAIN = 0.2
"""A cure of a score that was too good brings it within this share of the twin's gain."""
RISE = 1.3
"""An overfitted run ends with at least this multiple of its lowest loss on val."""


def gain(outcome: Outcome, *, balanced: bool = False) -> float:
    """Returns the share of the distance from the baseline to a perfect score; 0 for a run that failed."""
    metrics = outcome.result.get("metrics") or {}
    baseline = outcome.result.get("baseline") or {}
    split = next((name for name in ("test", "val", "train") if f"{name}/loss" in metrics), "")
    accuracy, error = metrics.get(f"{split}/accuracy"), metrics.get(f"{split}/rmse")
    if balanced and math.isfinite(outcome.balanced_gain):
        return outcome.balanced_gain
    if accuracy is not None and baseline.get(f"{split}/accuracy", 1) < 1:
        chance = baseline[f"{split}/accuracy"]
        return float((accuracy - chance) / (1 - chance))
    if error is not None and math.isfinite(error) and baseline.get(f"{split}/rmse"):
        return float(1 - error / baseline[f"{split}/rmse"])
    return 0.0


def trains_well(outcome: Outcome, least: float = WELL) -> bool:
    """Returns whether a healthy run has learned."""
    return not outcome.error and gain(outcome) >= least


def kept(case: Case, twin: Outcome, ill: Outcome) -> float:
    """Returns the share of the twin's gain that a run keeps; for losses, 0 stands for no part of it."""
    if case.measure in {"score", "balanced", "inflated"}:
        balanced = case.measure == "balanced"
        healthy = gain(twin, balanced=balanced)
        return gain(ill, balanced=balanced) / healthy if healthy > 0 else 1.0
    return 0.0


def is_harmed(case: Case, twin: Outcome, ill: Outcome) -> bool:
    """Returns whether the planted change does the harm that it should do."""
    if not ill.result:
        return False  # the config was refused, so there is no run to examine
    if case.measure == "last loss":
        return len(ill.losses) > 1 and ill.losses[-1] >= RISE * min(ill.losses)
    if case.measure == "loss":
        return _best_loss(ill) >= (1 + 2.5 * (1 - case.harm)) * _best_loss(twin)
    if case.measure == "inflated":
        return kept(case, twin, ill) >= 1
    return kept(case, twin, ill) <= case.harm


def is_cured(case: Case, twin: Outcome, ill: Outcome, cured: Outcome) -> bool:
    """Returns whether the run with the fix regains what the illness took."""
    if cured.error or not cured.result:
        return False
    if case.measure == "inflated":
        return abs(kept(case, twin, cured) - 1) <= FALSE_GAIN
    if case.measure in {"loss", "last loss"}:
        value = _best_loss if case.measure == "loss" else _last_loss
        lost = value(ill) - value(twin)
        return lost <= 0 or (value(ill) - value(cured)) / lost >= CURED
    return kept(case, twin, cured) >= CURED


def _best_loss(outcome: Outcome) -> float:
    finite = [loss for loss in outcome.losses if math.isfinite(loss)]
    return min(finite, default=math.inf)


def _last_loss(outcome: Outcome) -> float:
    return outcome.losses[-1] if outcome.losses else math.inf
