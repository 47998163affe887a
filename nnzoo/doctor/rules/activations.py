"""The activations of the hidden layers, and the gradients that pass through them."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import nn

from nnzoo.config import model
from nnzoo.config.base import dump
from nnzoo.config.model.recurrent import Gru, Rnn
from nnzoo.doctor import remedies
from nnzoo.doctor.evidence import LOST, Evidence, Fit
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.trials import kept_random_state, measured_rows
from nnzoo.training.batches.order import arguments_of
from nnzoo.training.health.definitions import EXPLODED, MANY, VANISHED

NEARLY_ALL = 0.9
WEAK, STRONG = 1e-2, 30.0
"""Ratios of the first to the last layer's gradient that are suspicious, if another activation or initializer helps."""
SIMILAR = 0.9
"""A fix that gains this part of what the best one gains is as good."""


def no_activation(evidence: Evidence) -> Finding | None:
    """Hidden layers without an activation are one linear layer."""
    names = linear_layers(evidence)
    if not names:
        return None
    fix = evidence.fix(remedies.with_activation(evidence.config, "relu"))
    harmless = evidence.can_try and evidence.lost(*fix) < LOST
    outcome = evidence.trial(*fix) if fix else None
    gain = f" With relu, {evidence.reached(outcome)}." if outcome is not None and not harmless else ""
    shown = ", ".join(names)
    return Finding(
        "note" if harmless else "warning",
        "no activation",
        f"no activation follows {shown}, so this layer and the next one equal a single linear layer and can only learn "
        f"linear relations.{gain} Set {' '.join(fix) or 'an activation'}.",
        fix=fix,
        confidence="certain",
        gain=evidence.gained(*fix),
    )


def linear_layers(evidence: Evidence) -> list[str]:
    """Returns the hidden layers that have no activation."""
    section = evidence.config.model
    if isinstance(section, model.Mlp):
        default = section.activation.name
        layers = [each.activation.name if each.activation else default for each in section.layers or ()]
        names = layers or [default] * len(section.hidden or ())
        return [f"hidden.{index}" for index, name in enumerate(names) if name == "identity"]
    if isinstance(section, model.Cnn):
        convs = [(index, block.conv) for index, block in enumerate(section.blocks) if block.conv is not None]
        default = section.activation.name
        return [
            f"blocks.{index}"
            for index, conv in convs
            if (conv.activation.name if conv.activation else default) == "identity"
        ]
    return []


def vanishing_gradients(evidence: Evidence) -> Finding | None:
    """The gradient shrinks from layer to layer, or from time step to time step."""
    return _vanishing_in_depth(evidence) or _vanishing_in_time(evidence)


def _vanishing_in_depth(evidence: Evidence) -> Finding | None:
    from_start = evidence.at_start.ratio < WEAK or not evidence.is_run
    health = evidence.at_start if from_start else evidence.at_end
    ratio = health.ratio
    if not ratio < (WEAK if evidence.can_try else VANISHED) or evidence.at_start.symmetric:
        return None
    fixes = [evidence.fix(remedies.with_activation(evidence.config, name)) for name in ("relu", "tanh")]
    fixes += [evidence.fix(remedies.with_init(evidence.config)), evidence.fix(_with_batch_norm(evidence))]
    fixes = [fix for fix in fixes if fix]
    fix = _best(evidence, fixes)
    if evidence.can_try and not fix and ratio > VANISHED:
        return None
    (first, small), (last, large) = health.ends
    return Finding(
        "spoils" if ratio < VANISHED else "warning",
        "vanishing gradients",
        f"the gradient of {first} is {small:.1e}, but that of {last} is {large:.1e}, because each layer passes on only "
        f"a part: the first layers hardly learn. Use relu instead of sigmoid or tanh, init: auto, batch_norm, or fewer "
        f"layers{_try(fix)}.",
        fix=fix or (fixes[0] if fixes and not evidence.can_try else ()),
        confidence="likely" if from_start else "possible",
        gain=evidence.gained(*fix),
    )


def _vanishing_in_time(evidence: Evidence) -> Finding | None:
    if not isinstance(evidence.config.model, Rnn) or not evidence.can_try:
        return None
    section = dump(evidence.config.model)
    fixes = []
    for name in ("gru", "lstm"):
        kept = {key: value for key, value in section.items() if key in Gru.model_fields and key != "name"}
        fixes.append(evidence.fix((remedies.override("model", {"name": name, **kept}),)))
    fix = _best(evidence, [each for each in fixes if each])
    if not fix:
        return None
    ratio = gradient_over_time(evidence)
    seen = f"the gradient of the first time step is {ratio:.1e} times that of the last one" if ratio < 1 else ""
    outcome = evidence.trial(*fix)
    assert outcome is not None
    return Finding(
        "warning",
        "vanishing gradients",
        f"{seen or 'the network forgets the first time steps'}: a plain rnn hardly learns from steps long ago. A "
        f"network with gates keeps them: {evidence.reached(outcome)}{_try(fix)}.",
        fix=fix,
        gain=evidence.gain(outcome),
    )


@cache
def gradient_over_time(evidence: Evidence) -> float:
    """Returns the size of the loss gradient with respect to the first input step, divided by that of the last one."""
    split = evidence.experiment.splits["train"]
    if split.inputs.ndim < 3 or not split.inputs.is_floating_point() or split.lengths is not None:
        return math.nan
    rows = measured_rows(split, 64)
    with kept_random_state():
        inputs = split.network_inputs(rows).detach().clone().requires_grad_()
        module = evidence.initial
        loss = evidence.experiment.loss(module(*arguments_of(module, inputs, None)), split.targets[rows])
        (gradient,) = torch.autograd.grad(loss, inputs)
    steps = gradient.double().flatten(2).norm(dim=(0, 2))  # (T,)
    return float(steps[0] / steps[-1].clamp_min(1e-300))


def exploding_gradients(evidence: Evidence) -> Finding | None:
    """The gradient grows from layer to layer, or is far larger in some steps."""
    health = evidence.at_start
    ratio = health.ratio
    spiky = _spikes(evidence)
    if not (ratio > (STRONG if evidence.can_try else EXPLODED) or spiky) or health.symmetric:
        return None
    fixes = [remedies.with_init(evidence.config), _with_clipping(evidence), _with_batch_norm(evidence)]
    fixes = [fix for fix in map(evidence.fix, fixes) if fix]
    fix = _best(evidence, fixes, Fit.SAME)  # large initial weights may fit the train samples, and only those
    if evidence.can_try and not fix and ratio < EXPLODED:
        return None
    if ratio > STRONG:
        (first, large), (last, small) = health.ends
        seen = (
            f"the gradient of {first} is {large:.1e}, and that of {last} is {small:.1e}: it grows from layer to layer"
        )
    else:
        seen = spiky
    return Finding(
        "spoils" if ratio > EXPLODED else "warning",
        "exploding gradients",
        f"{seen}, so the steps are too large for some layers. Use init: auto, train.clip_grad_norm: 1.0, batch_norm, "
        f"or fewer layers{_try(fix)}.",
        fix=fix or (fixes[0] if fixes and not evidence.can_try else ()),
        gain=evidence.gained(*fix),
    )


def _spikes(evidence: Evidence) -> str:
    """Describes sampled steps of a recurrent network whose gradient is far above the usual one."""
    if not any(isinstance(each, nn.RNNBase) for each in evidence.initial.modules()):
        return ""
    if evidence.config.train.clip_grad_norm is not None:
        return ""
    rows = [row for row in evidence.health if math.isfinite(row.gradient_norm)]
    norms = sorted(row.gradient_norm for row in rows)
    if len(norms) < 4 or norms[-1] < 100 * max(norms[len(norms) // 2], 1e-12):
        return ""
    worst = max(rows, key=lambda row: row.gradient_norm)
    return (
        f"the gradient of {worst.layer} was {worst.gradient_norm:.1e} in epoch {worst.epoch}, and usually about "
        f"{norms[len(norms) // 2]:.1e}"
    )


def dead_units(evidence: Evidence) -> Finding | None:
    """ReLU units are 0 for all samples."""
    at_start = {name: share for name, share in evidence.at_start.dead.items() if share >= MANY}
    worst = {name: share for name, share in evidence.at_end.dead.items() if share >= MANY}
    if not worst and not (at_start and evidence.at_start.symmetric == []):
        return None
    worst = worst or at_start
    shown = ", ".join(f"{name} {share:.0%}" for name, share in worst.items())
    fixes = [remedies.with_init(evidence.config), remedies.with_activation(evidence.config, "leaky_relu")]
    fixes = [fix for fix in map(evidence.fix, fixes) if fix]
    fix = _best(evidence, fixes)
    begun = "already before the first step" if at_start else "after training"
    cause = " The learning rate may be too high: lower optimizer.lr." if evidence.is_run and not at_start else ""
    harmless = evidence.can_try and not fix and max(worst.values()) < 0.999
    return Finding(
        "note" if harmless else "spoils" if max(worst.values()) > NEARLY_ALL else "warning",
        "dead units",
        f"ReLU units are 0 for all samples, {begun}, so they have no gradient: {shown}.{cause} Use init: auto, or "
        f"leaky_relu{_try(fix)}.",
        fix=fix or (fixes[0] if fixes and not evidence.can_try else ()),
        confidence="likely" if at_start or not evidence.is_run else "possible",
        gain=evidence.gained(*fix),
    )


def saturation(evidence: Evidence) -> Finding | None:
    """Sigmoid or tanh units are at the bounds of their range."""
    health = evidence.at_end
    head = f"{health.head}."
    saturated = {name: share for name, share in health.saturated.items() if share >= MANY and not name.startswith(head)}
    at_start = {
        name: share
        for name, share in evidence.at_start.saturated.items()
        if share >= MANY and not name.startswith(head)
    }
    saturated = saturated or at_start
    if not saturated:
        return None
    shown = ", ".join(f"{name} {share:.0%}" for name, share in saturated.items())
    standard = ("preprocess.normalize=standardize",) if evidence.config.preprocess.normalize == "none" else ()
    fixes = [remedies.with_init(evidence.config), standard, remedies.with_activation(evidence.config, "relu")]
    fixes = [fix for fix in map(evidence.fix, fixes) if fix]
    fix = _best(evidence, fixes)
    begun = ", already before the first step" if at_start else ""
    harmless = evidence.can_try and not fix
    return Finding(
        "note" if harmless else "warning",
        "saturation",
        f"saturated activations{begun}, which pass almost no gradient: {shown}. Scale the inputs "
        f"(preprocess.normalize), or use batch_norm, init: xavier_uniform, or a smaller lr{_try(fix)}.",
        fix=fix or (fixes[0] if fixes and not evidence.can_try else ()),
        confidence="likely" if at_start or not evidence.is_run else "possible",
        gain=evidence.gained(*fix),
    )


def _best(evidence: Evidence, fixes: list[remedies.Overrides], fit: Fit = Fit.BETTER) -> remedies.Overrides:
    """Returns the first change that recovers most of what the best of them does; none if none of them helps."""
    if not evidence.can_try:
        return ()
    gains = {fix: evidence.gained(*fix) if evidence.lost(*fix, fit=fit) >= LOST else 0.0 for fix in fixes}
    best = max(gains.values(), default=0.0)
    return next((fix for fix in fixes if gains[fix] and gains[fix] >= SIMILAR * best), ())


def _with_batch_norm(evidence: Evidence) -> remedies.Overrides:
    section = evidence.config.model
    return ("model.batch_norm=true",) if isinstance(section, model.Mlp) and not section.batch_norm else ()


def _with_clipping(evidence: Evidence) -> remedies.Overrides:
    return () if evidence.config.train.clip_grad_norm is not None else ("train.clip_grad_norm=1.0",)


def _try(fix: remedies.Overrides) -> str:
    return f" (here: {' '.join(fix)})" if fix else ""


RULES = (no_activation, vanishing_gradients, exploding_gradients, dead_units, saturation)
