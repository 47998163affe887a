"""Which finding is the cause of others, so that the root cause is reported and the rest becomes its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nnzoo.doctor.evidence import Evidence
from nnzoo.doctor.finding import Finding

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
    "network too small",
    "vanishing gradients",
    "exploding gradients",
    "batch size too large",
    "plateau",
    "batch size too small",
    "learning rate too high",
    "learning rate too low",
    "stopped too early",
    "class balance",
)
"""The causes of poor training. If several fixes help about as much, the first of these is the cause, since a setting
that is unusual in itself explains why another rate or more epochs would help too."""
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
"""A fix that regains at least this part of what the best one regains helps about as much."""
EXPLAINED_BY = {
    "leak": ("worse than a linear model", "overfitting"),
    "duplicates": ("worse than a linear model",),
    "no better than the baseline": ("constant prediction", "worse than a linear model", "underfitting"),
    "constant prediction": ("underfitting",),
    "class balance": ("no better than the baseline", "constant prediction"),
    "overfitting": ("worse than a linear model",),
    "label noise": ("overfitting", "worse than a linear model"),
    "different distributions": ("overfitting", "worse than a linear model", "no better than the baseline"),
    "worse than a linear model": ("underfitting",),
}
"""Findings about the result, and the other findings that each explains."""


def explain(evidence: Evidence, findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings with the root causes first; what a cause explains becomes its evidence."""
    found = list(findings)
    causes = [each for each in found if each.topic in ROOTS and each.severity != "note"]
    chosen = _choose(evidence, causes)
    dropped = [each for each in causes if each not in chosen]
    if chosen:
        root = chosen[0]
        symptoms = [each for each in found if each.topic in SYMPTOMS and each not in chosen]
        explained = [each for each in [*dropped, *symptoms] if each.topic in SYMPTOMS]
        found = [each for each in found if each not in dropped and each not in symptoms]
        found[found.index(root)] = _with_evidence(root, explained)
    found = _fold(found)
    order = ("spoils", "warning", "note")
    rank = {topic: index for index, topic in enumerate(ROOTS)}
    return sorted(found, key=lambda each: (order.index(each.severity), rank.get(each.topic, len(rank))))


def _choose(evidence: Evidence, causes: Sequence[Finding]) -> list[Finding]:
    """Returns the causes that are certain, and the one whose fix helps most."""
    certain = [each for each in causes if each.topic in CERTAIN]
    others = [each for each in causes if each not in certain]
    rated = {each.topic: evidence.lost(*each.fix) for each in others}
    best = max(rated.values(), default=0.0)
    ranked = sorted(others, key=lambda each: ROOTS.index(each.topic))
    if not evidence.can_try:
        return (
            [*certain, *ranked]
            if not certain
            else [*certain, *(each for each in ranked if each.confidence == "certain")]
        )
    similar = [each for each in ranked if rated[each.topic] >= SIMILAR * best]
    if certain:
        return certain
    return similar[:1]


def _fold(findings: Sequence[Finding]) -> list[Finding]:
    """Moves findings that another one explains into its evidence."""
    kept = list(findings)
    for topic, explained in EXPLAINED_BY.items():
        causes = [each for each in kept if each.topic == topic and each.severity != "note"]
        symptoms = [each for each in kept if each.topic in explained]
        if causes and symptoms:
            kept = [each for each in kept if each not in symptoms]
            kept[kept.index(causes[0])] = _with_evidence(causes[0], symptoms)
    return kept


def _with_evidence(cause: Finding, symptoms: Sequence[Finding]) -> Finding:
    seen = tuple(f"{each.topic}: {each.message.split('. ')[0].rstrip('.')}" for each in symptoms)
    return replace(cause, evidence=(*cause.evidence, *seen))
