"""Which finding is the cause of others, so that the root cause is reported and the rest becomes its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nnzoo.doctor.evidence import Evidence
from nnzoo.doctor.finding import Finding

LINEAR, BASELINE = "worse than a linear model", "no better than the baseline"
ROOTS = (
    "loss",
    "frozen layers",
    "unscaled target",
    "output activation",
    "unscaled columns",
    "symmetry",
    "initial weights too large",
    "initial weights too small",
    "dead units",
    "saturation",
    "no activation",
    "too much dropout",
    "too much weight decay",
    "batch norm with tiny batches",
    "sequences cut",
    "unknown tokens",
    "images too small",
    "class balance",
    "network too small",
    "vanishing gradients",
    "exploding gradients",
    "batch size too large",
    "plateau",
    "batch size too small",
    "learning rate too high",
    "learning rate too low",
    "stopped too early",
    "overfitting",
    LINEAR,
)
"""The causes of poor training. If several fixes help about as much, the first of these is the cause, since a setting
that is unusual in itself explains why another rate or more epochs would help too. A cause that is only possible comes
after all others: dead units that were alive before training, or a network of a usual size."""
CERTAIN = frozenset({"loss", "frozen layers", "output activation", "symmetry", "batch norm with tiny batches"})
"""Causes that follow from the config itself, without a comparison."""
SYMPTOMS = frozenset(
    {
        "divergence",
        "exploding gradients",
        "vanishing gradients",
        "dead units",
        "saturation",
        "plateau",
        "constant prediction",
        "no better than the baseline",
        "worse than a linear model",
        "underfitting",
        "overfitting",
    }
)
"""What a cause of poor training explains."""
SIMILAR = 0.75
"""A fix that gains at least this part of what the best one gains helps about as much."""
CLOSE = 0.05
"""So does one whose gain is smaller by less than this."""
EXPLAINED_BY = {
    "leak": ("worse than a linear model", "overfitting"),
    "duplicates": ("worse than a linear model",),
    "no better than the baseline": ("constant prediction", "worse than a linear model", "underfitting"),
    "constant prediction": ("underfitting",),
    "class balance": ("no better than the baseline", "constant prediction"),
    "sequences cut": ("label noise",),
    "unknown tokens": ("label noise",),
    "images too small": ("label noise",),
    "label noise": ("overfitting", "worse than a linear model"),
    "different distributions": ("overfitting", "worse than a linear model", "no better than the baseline"),
    "worse than a linear model": ("underfitting",),
}
"""Findings about the result, and the other findings that each explains."""


def names_a_cause(finding: Finding) -> bool:
    """Returns whether a finding says why training was poor."""
    return finding.topic in ROOTS and finding.topic != LINEAR and finding.severity != "note"


def explain(evidence: Evidence, findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings with the root causes first; what a cause explains becomes its evidence."""
    found = _without_repeated(findings)
    causes = [each for each in found if each.topic in ROOTS and each.severity != "note"]
    chosen = _choose(evidence, causes)
    dropped = [each for each in causes if each not in chosen]
    if chosen:
        root = chosen[0]
        # Overfitting may be the reason why a linear model is better.
        beside = "overfitting" if root.topic == LINEAR else ""
        dropped = [each for each in dropped if each.topic != beside]
        symptoms = [each for each in found if each.topic in SYMPTOMS and each.topic != beside and each not in chosen]
        found = [each for each in found if each not in dropped and each not in symptoms]
        found[found.index(root)] = _with_evidence(root, symptoms)
    found = _fold(found, {} if chosen and chosen[0].topic == LINEAR else {"overfitting": (LINEAR,)})
    order = ("spoils", "warning", "note")
    rank = {topic: index for index, topic in enumerate(ROOTS)}
    return sorted(found, key=lambda each: (order.index(each.severity), rank.get(each.topic, len(rank))))


def _without_repeated(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings without the advice to change settings, if such changes were tried and did not help."""
    found = list(findings)
    tried = [each for each in found if each.topic == BASELINE and each.confidence == "possible"]
    return [each for each in found if not tried or each.topic != BASELINE or each in tried]


def _choose(evidence: Evidence, causes: Sequence[Finding]) -> list[Finding]:
    """Returns the causes that are certain, or the first of those whose fixes gain about as much as the best one."""
    certain = [each for each in causes if each.topic in CERTAIN]
    ranked = sorted(
        (each for each in causes if each not in certain),
        key=lambda each: (each.confidence == "possible", ROOTS.index(each.topic)),
    )
    if not evidence.can_try:
        return [*certain, *(each for each in ranked if not certain or each.confidence == "certain")]
    if certain:
        return certain
    best = max((each.gain for each in ranked), default=0.0)
    similar = [each for each in ranked if each.gain >= min(SIMILAR * best, best - CLOSE)]
    if similar and similar[0].topic == "overfitting":
        similar.sort(key=lambda each: -each.gain)  # a linear model may be better than any regularized network
    return similar[:1]


def _fold(findings: Sequence[Finding], more: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Moves findings that another one explains into its evidence, by `EXPLAINED_BY` and `more`."""
    remaining = list(findings)
    for topic, explained in [*EXPLAINED_BY.items(), *more.items()]:
        causes = [each for each in remaining if each.topic == topic and each.severity != "note"]
        symptoms = [each for each in remaining if each.topic in explained]
        if causes and symptoms:
            remaining = [each for each in remaining if each not in symptoms]
            remaining[remaining.index(causes[0])] = _with_evidence(causes[0], symptoms)
    return remaining


def _with_evidence(cause: Finding, symptoms: Sequence[Finding]) -> Finding:
    seen = tuple(f"{each.topic}: {each.message.split('. ')[0].rstrip('.')}" for each in symptoms)
    return replace(cause, evidence=(*cause.evidence, *seen))
