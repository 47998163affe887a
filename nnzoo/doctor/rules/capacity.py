"""The size of the network and its regularization: underfitting and overfitting."""

from __future__ import annotations

import math

from nnzoo.doctor import curves, remedies
from nnzoo.doctor.evidence import LOST, Evidence
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.rules.optimization import FEW_EPOCHS, is_still_learning
from nnzoo.doctor.trials import Outcome
from nnzoo.models import penalised
from nnzoo.numbers import number

HIGH_DROPOUT = 0.4
TINY, NARROW = 2, 8
"""So few units are a bottleneck for nearly all data, and for most data."""
LEARNED = 0.3
"""Share of the distance from the baseline to a perfect score; less is underfitting."""


def too_much_dropout(evidence: Evidence) -> Finding | None:
    """Without dropout, the same network learns more."""
    rate = remedies.largest_dropout(evidence.config)
    fix = evidence.fix(remedies.without_dropout(evidence.config)) if rate >= HIGH_DROPOUT else ()
    if not fix:
        return None
    outcome = evidence.trial(*fix)
    if outcome is None:
        return _config_dropout(evidence, rate, fix)
    if evidence.lost(*fix) < LOST:
        return None
    losses = evidence.history.get("train/loss", [])
    mode = ""
    if losses and math.isfinite(evidence.own.loss) and losses[-1] > 1.2 * evidence.own.loss:
        mode = f" The train loss is {number(losses[-1])} with dropout and {number(evidence.own.loss)} without."
    return Finding(
        "warning",
        "too much dropout",
        f"dropout of {rate:g} removes so many units that the rest can't fit the train samples.{mode} Without dropout, "
        f"{evidence.reached(outcome)}.",
        fix=fix,
    )


def _config_dropout(evidence: Evidence, rate: float, fix: remedies.Overrides) -> Finding | None:
    if evidence.is_run or rate < 0.8:
        return None
    message = f"dropout of {rate:g} removes so many units that the network hardly learns. Use 0.1 to 0.5."
    return Finding("warning", "too much dropout", message, fix=fix)


def too_much_weight_decay(evidence: Evidence) -> Finding | None:
    """Without penalties, the same network learns more."""
    fix = evidence.fix(remedies.without_decay(evidence.config))
    if not fix:
        return None
    outcome = evidence.trial(*fix)
    if outcome is None or evidence.lost(*fix) < LOST:
        return None
    settings, penalty = evidence.config.regularization, ""
    weights = penalised(evidence.last) if evidence.last is not None else []
    if weights and (settings.l1 or settings.l2):
        value = sum(
            settings.l1 * float(each.detach().abs().sum()) + settings.l2 * float(each.detach().square().sum())
            for each in weights
        )
        penalty = f" The penalty on the weights ended at {number(value)}, and the loss at {number(evidence.own.loss)}."
    names = " and ".join(each.partition("=")[0] for each in fix)
    return Finding(
        "warning",
        "too much weight decay",
        f"{names} pulls the weights to 0 more strongly than the data pushes them away.{penalty}{_shrunk(evidence)} "
        f"Without it, {evidence.reached(outcome)}.",
        fix=fix,
    )


def _shrunk(evidence: Evidence) -> str:
    if evidence.last is None:
        return ""
    sizes = [
        math.sqrt(sum(float(each.detach().double().square().sum()) for each in penalised(module)))
        for module in (evidence.initial, evidence.last)
    ]
    return (
        f" The norm of the weights fell from {number(sizes[0])} to {number(sizes[1])}." if sizes[1] < sizes[0] else ""
    )


def network_too_small(evidence: Evidence) -> Finding | None:
    """A larger network learns more, although this one was trained to the end."""
    larger = evidence.fix(remedies.larger(evidence.config))
    if not larger or not evidence.can_try or evidence.diverged:
        return None
    width, num_classes = remedies.narrowest(evidence.config), len(evidence.dataset.classes)
    is_narrow = width is None or width <= NARROW or width < min(num_classes, 2 * NARROW)
    is_short = evidence.num_epochs <= FEW_EPOCHS and not (width is not None and width <= TINY)
    if is_still_learning(evidence.history) and (is_short or not is_narrow):
        return None
    # A larger network may need other settings than this one.
    longer = remedies.with_epochs(evidence.config, 3 * evidence.num_epochs, patience=20)
    candidates = [larger, evidence.fix((*larger, *remedies.usual_optimizer(evidence.config), *longer))]
    for fix in candidates:
        steps = evidence.trial_steps if fix == larger else min(3 * evidence.num_steps, 2 * evidence.trials.num_steps)
        gain = evidence.lost(*fix, steps=steps)
        if fix and gain >= (LOST if is_narrow else 2 * LOST):
            outcome = evidence.trial(*fix, steps=steps)
            assert outcome is not None
            return _too_small(evidence, width, fix, outcome)
    return None


def _too_small(evidence: Evidence, width: int | None, fix: remedies.Overrides, outcome: Outcome) -> Finding:
    size = f"{evidence.config.model.name} has no hidden layer" if width is None else f"a layer has only {width} units"
    num_classes = len(evidence.dataset.classes)
    classes = f" for {num_classes} classes" if num_classes > 2 else ""
    return Finding(
        "warning",
        "network too small",
        f"{size}{classes}, too few to represent the relation. With a larger network, {evidence.reached(outcome)}.",
        fix=fix,
    )


def overfitting(evidence: Evidence) -> Finding | None:
    """The network fits the train samples much better than new ones."""
    text, rise = _overfits(evidence)
    if not text:
        return None
    fix: remedies.Overrides = ()
    gain = 0.0
    if evidence.can_try:
        rated = []
        for changes in remedies.regularized(evidence.config):
            outcome = evidence.trial(*changes) if evidence.fix(changes) else None
            if outcome is not None and math.isfinite(outcome.held_loss):
                rated.append((outcome.held_loss, changes, evidence.better(outcome, fits=False)))
        if rated:
            best = min(rated)
            fix, gain = best[1:] if best[0] <= 1.05 * evidence.own.held_loss else ((), 0.0)
    is_harmless = gain < LOST and (rise < curves.STRONG_RISE or evidence.status == "early_stopped")
    helps = f" Try {' '.join(fix)}." if fix else ""
    return Finding(
        "note" if is_harmless else "warning",
        "overfitting",
        f"{text} The network learns single samples by heart.{helps} More data, augmentation, dropout, weight decay or "
        "a smaller model may help; the best weights were kept.",
        fix=fix,
    )


def _overfits(evidence: Evidence) -> tuple[str, float]:
    """Describes overfitting, and returns the factor by which the val loss has risen."""
    if not evidence.is_run or evidence.best is None or evidence.diverged:
        return "", 1.0
    rise, text = curves.rise_of_loss(evidence.history)
    own, val = evidence.own, evidence.experiment.splits.get("val")
    learned = _learned(evidence)
    if not text and val is not None and learned >= LEARNED:
        text = curves.gap_of_scores(evidence.score_name.replace("_", " "), own.train, own.held, len(val))
    return text, rise


def _learned(evidence: Evidence) -> float:
    """Returns the share of the distance from the baseline to a perfect score on train."""
    floor = evidence.floor
    return (evidence.own.train - floor) / (1 - floor) if floor < 1 else 1.0


def underfitting(evidence: Evidence) -> Finding | None:
    """The network has learned little, and no other rule knows why."""
    if not evidence.is_run or evidence.best is None or _overfits(evidence)[0] or not _learned(evidence) < LEARNED:
        return None
    if "val" in evidence.experiment.splits and evidence.own.held <= evidence.floor + evidence.noise(evidence.floor):
        return Finding(
            "warning",
            "no better than the baseline",
            f"{evidence.score_name.replace('_', ' ')} on val is {evidence.own.held:.3f}, and that of a constant "
            f"prediction is {evidence.floor:.3f}. No single change of the config that was tried here helps, so the "
            "inputs may not determine the target.",
            confidence="possible",
        )
    return Finding(
        "warning",
        "underfitting",
        f"{evidence.score_name.replace('_', ' ')} on train is {evidence.own.train:.3f}, and that of a constant "
        f"prediction is {evidence.floor:.3f}. No single change of the config that was tried here helps. Do the inputs "
        "determine the target?",
        confidence="possible",
    )


RULES = (too_much_dropout, too_much_weight_decay, network_too_small, overfitting, underfitting)
