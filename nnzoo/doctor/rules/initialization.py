"""The weights before the first step."""

from __future__ import annotations

import math
from functools import cache

from nnzoo.doctor import remedies
from nnzoo.doctor.evidence import LOST, Evidence
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.trials import kept_random_state, quiet
from nnzoo.errors import NnzooError
from nnzoo.experiment.train.start import build_network
from nnzoo.numbers import number

MUCH = 2.5
"""Weights count as large or small if they differ from those of init: auto by more than this factor."""
UNTRAINED_LOSS = 10
"""Multiple of the loss of guessing. Healthy deep networks start at a few times that loss."""


def symmetry(evidence: Evidence) -> Finding | None:
    """All units of a layer are the same, and stay the same."""
    names = evidence.at_start.symmetric
    if not names:
        return None
    return Finding(
        "spoils",
        "symmetry",
        f"all units of a layer have the same weights and gradients, so they stay identical: {', '.join(names)}. Use a "
        "random init, such as auto.",
        fix=evidence.fix(remedies.with_init(evidence.config)),
        confidence="certain",
    )


def initial_weights_too_large(evidence: Evidence) -> Finding | None:
    """The weights are far larger than those of the default initializer, and that initializer learns more."""
    ratio, fix = size_of_weights(evidence), evidence.fix(remedies.with_init(evidence.config))
    start, guess = evidence.at_start.loss, evidence.guess_loss
    is_extreme = not math.isfinite(start) or (math.isfinite(guess) and start > UNTRAINED_LOSS * guess)
    if evidence.can_try:
        if not fix or ratio < MUCH or evidence.lost(*fix) < LOST:
            return None
    elif not is_extreme or (fix and ratio < MUCH):
        return None
    if not math.isfinite(start) and not fix:
        return None
    parts = [f"the weights start {ratio:.3g} times as large as with init: auto" if fix else ""]
    if is_extreme:
        parts.append(
            f"the loss before training is {number(start)}, but that of a guess is {number(guess)}: the outputs are far "
            "too large"
        )
    return Finding(
        "spoils" if not math.isfinite(start) else "warning",
        "initial weights too large",
        f"{', and '.join(part for part in parts if part)}. Use init: auto"
        f"{'' if fix else ', or preprocess: {normalize: standardize}'}.",
        fix=fix,
        confidence="likely" if fix else "possible",
        gain=evidence.gained(*fix),
    )


def initial_weights_too_small(evidence: Evidence) -> Finding | None:
    """The weights are far smaller than those of the default initializer, and that initializer learns more."""
    ratio, fix = size_of_weights(evidence), evidence.fix(remedies.with_init(evidence.config))
    if not fix or not 0 < ratio < 1 / MUCH:
        return None
    if evidence.can_try:
        if evidence.lost(*fix) < LOST:
            return None
    elif ratio > 1 / 30:
        return None
    return Finding(
        "warning",
        "initial weights too small",
        f"the weights start {ratio:.2g} times as large as with init: auto, so the signal and its gradient almost "
        "disappear on the way through the layers. Use init: auto.",
        fix=fix,
        gain=evidence.gained(*fix),
    )


@cache
def size_of_weights(evidence: Evidence) -> float:
    """Returns the size of the initial weights as a multiple of that with init: auto; 1 if init is auto.

    It is the ratio of the root mean squares of a layer that is furthest from 1.
    """
    fix = evidence.fix(remedies.with_init(evidence.config))
    if not fix or evidence.config.model.name == "custom":
        return 1.0
    with quiet(), kept_random_state():
        try:
            changed = evidence.trials.variant(fix)
            if changed is None:
                return 1.0
            usual = build_network(changed, None, evidence.config.seed)
        except (NnzooError, RuntimeError):
            return 1.0
    ratios = []
    for (_, own), (_, other) in zip(evidence.initial.named_parameters(), usual.named_parameters(), strict=True):
        if own.ndim > 1:
            sizes = [float(each.detach().double().square().mean().sqrt()) for each in (own, other)]
            if sizes[1] > 0:
                ratios.append(sizes[0] / sizes[1])
    return max(ratios, key=lambda ratio: abs(math.log(max(ratio, 1e-30))), default=1.0)


RULES = (symmetry, initial_weights_too_large, initial_weights_too_small)
