"""The size of the network and its regularization: underfitting and overfitting."""

from __future__ import annotations

import math

from nnzoo.config.model import Cnn
from nnzoo.doctor import curves, remedies
from nnzoo.doctor.evidence import LOST, Evidence, Fit
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.rules.optimization import FEW_EPOCHS, is_still_learning
from nnzoo.doctor.trials import Outcome
from nnzoo.models import penalised
from nnzoo.numbers import number

HIGH_DROPOUT = 0.4
BOTTLENECK, TINY, NARROW = 2, 4, 8
"""So few units are too few for nearly all data, for most data, and for some. A channel of an image has many values."""
MUCH = 0.5
"""A larger network that regains this part needs no other settings."""
SETTINGS = 0.5
"""The part of the gain of a larger network with other settings that must be due to its size."""
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
        gain=evidence.gain(outcome),
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
        gain=evidence.gain(outcome),
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


def network_tiny(evidence: Evidence) -> Finding | None:
    """A network with a layer of very few units, or without a hidden layer, is too small."""
    width = remedies.narrowest(evidence.config)
    return network_too_small(evidence) if _is_tiny(evidence, width) else None


def _is_tiny(evidence: Evidence, width: int | None) -> bool:
    return width is None or width <= (BOTTLENECK if isinstance(evidence.config.model, Cnn) else TINY)


def network_too_small(evidence: Evidence) -> Finding | None:
    """A larger network learns more, although this one was trained to the end."""
    sizes = [fix for fix in map(evidence.fix, remedies.larger(evidence.config)) if fix]
    if not sizes or not evidence.can_try or evidence.diverged:
        return None
    width, num_classes = remedies.narrowest(evidence.config), len(evidence.dataset.classes)
    is_narrow = width is None or width <= NARROW or width < min(num_classes, 2 * NARROW)
    is_short = evidence.num_epochs <= FEW_EPOCHS and not (width is not None and width <= BOTTLENECK)
    if is_still_learning(evidence.history) and (is_short or not is_narrow):
        return None
    least = LOST if is_narrow and width is not None else 2 * LOST  # a linear model was chosen as one
    tried = [(evidence.lost(*fix, fit=Fit.BETTER), fix, evidence.trial(*fix)) for fix in sizes]
    if max(lost for lost, *_ in tried) < MUCH:
        tried += _with_other_settings(evidence, sizes[-1])
    lost, fix, outcome = max(tried, key=lambda each: (each[0], evidence.gain(each[2])))
    if outcome is None or lost < least:
        return None
    size = (
        f"{evidence.config.model.name} has no hidden layer"
        if width is None
        else f"a layer has only {width} unit{'' if width == 1 else 's'}"
    )
    classes = f" for {num_classes} classes" if num_classes > 2 else ""
    return Finding(
        "warning",
        "network too small",
        f"{size}{classes}, too few to represent the relation. With a larger network, {evidence.reached(outcome)}.",
        fix=fix,
        confidence="likely" if _is_tiny(evidence, width) else "possible",
        gain=evidence.gain(outcome),
    )


def _with_other_settings(
    evidence: Evidence, size: remedies.Overrides
) -> list[tuple[float, remedies.Overrides, Outcome | None]]:
    """Tries a larger network with a usual optimizer and more epochs, unless these settings help without it."""
    longer = remedies.with_epochs(evidence.config, 3 * evidence.num_epochs, patience=20)
    settings = evidence.fix((*remedies.usual_optimizer(evidence.config), *longer))
    fix = evidence.fix((*size, *settings))
    if not settings or not fix:
        return []
    steps = min(3 * evidence.num_steps, 2 * evidence.trials.num_steps)
    outcome, without = evidence.trial(*fix, steps=steps), evidence.trial(*settings, steps=steps)
    alone = evidence.skill(without.held) if without is not None else 0.0
    if outcome is None or evidence.skill(outcome.held) - alone <= SETTINGS * evidence.gain(outcome):
        return []
    return [(evidence.better(outcome, Fit.BETTER), fix, outcome)]


def overfitting(evidence: Evidence) -> Finding | None:
    """The network fits the train samples much better than new ones."""
    text, rise = _overfits(evidence)
    if not text:
        return None
    fix: remedies.Overrides = ()
    gain = lost = 0.0
    if evidence.can_try:
        rated = []
        for changes in remedies.regularized(evidence.config):
            outcome = evidence.trial(*changes) if evidence.fix(changes) else None
            if outcome is not None and math.isfinite(outcome.held_loss):
                rated.append((outcome.held_loss, changes, evidence.better(outcome, Fit.ANY), evidence.gain(outcome)))
        if rated:
            best = min(rated)
            fix, lost, gain = best[1:] if best[0] <= 1.05 * evidence.own.held_loss else ((), 0.0, 0.0)
    is_harmless = lost < LOST and (rise < curves.STRONG_RISE or evidence.status == "early_stopped")
    helps = f" Try {' '.join(fix)}." if fix else ""
    return Finding(
        "note" if is_harmless else "warning",
        "overfitting",
        f"{text} The network learns single samples by heart.{helps} More data, augmentation, dropout, weight decay or "
        "a smaller model may help; the best weights were kept.",
        fix=fix,
        gain=max(gain, 0.0),
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
    return evidence.skill(evidence.own.train)


def underfitting(evidence: Evidence) -> Finding | None:
    """The network has learned little, and no other rule knows why."""
    if not evidence.is_run or evidence.best is None or _overfits(evidence)[0] or not _learned(evidence) < LEARNED:
        return None
    if "val" in evidence.experiment.splits and evidence.skill(evidence.own.held) <= evidence.noise(evidence.floor):
        return Finding(
            "warning",
            "no better than the baseline",
            f"{evidence.score_name.replace('_', ' ')} on val is {evidence.own.held:.3f}, and that of the "
            f"baseline is {evidence.floor:.3f}. No single change of the config that was tried here helps, so the "
            "inputs may not determine the target.",
            confidence="possible",
        )
    return Finding(
        "warning",
        "underfitting",
        f"{evidence.score_name.replace('_', ' ')} on train is {evidence.own.train:.3f}, and that of the "
        f"baseline is {evidence.floor:.3f}. No single change of the config that was tried here helps. Do the inputs "
        "determine the target?",
        confidence="possible",
    )


RULES = (too_much_dropout, too_much_weight_decay, network_tiny, overfitting)
