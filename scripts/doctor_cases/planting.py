"""Tools for planted cases: choosing a config that an illness applies to, and changing it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from doctor_cases.plan import Case, Plan

Planter = Callable[[random.Random, Sequence[Plan]], Case | None]


@dataclass(frozen=True)
class Illness:
    """How an illness is planted.

    Attributes:
        topic: The topic that the doctor must name.
        plant: Returns a case from a random generator and the sensible configs; None if no config is suitable.
    """

    topic: str
    plant: Planter


def plant(illness: str, twin: Plan, changes: dict[str, Any], **options: Any) -> Case:
    """Returns the case of a plan whose illness is a change of config keys."""
    words = ", ".join(f"{key}={value}" for key, value in changes.items())
    return Case(illness, words, twin, twin.changed(changes), **options)


def choose(rng: random.Random, pool: Sequence[Plan], *conditions: Callable[[Plan], bool]) -> Plan | None:
    """Returns a random plan that meets all conditions, from a kind of data that is chosen first."""
    suitable = [plan for plan in pool if all(condition(plan) for condition in conditions)]
    if not suitable:
        return None
    source = rng.choice(sorted({plan.source for plan in suitable}))
    return rng.choice([plan for plan in suitable if plan.source == source])


def is_mlp(plan: Plan) -> bool:
    """Whether the network is a multilayer perceptron with hidden layers."""
    return plan.model["name"] == "mlp" and plan.depth > 0


def is_cnn(plan: Plan) -> bool:
    """Whether the network is convolutional."""
    return bool(plan.model["name"] == "cnn")


def is_recurrent(plan: Plan) -> bool:
    """Whether the network is recurrent."""
    return plan.model["name"] in {"rnn", "lstm", "gru"}


def has_activation(*names: str) -> Callable[[Plan], bool]:
    """Returns the condition that the hidden layers have one of these activations."""
    return lambda plan: plan.activation in names


def has_source(*names: str) -> Callable[[Plan], bool]:
    """Returns the condition that the data is one of these."""
    return lambda plan: plan.source in names


def classifies(plan: Plan) -> bool:
    """Whether the targets are classes."""
    return not plan.is_regression


def regresses(plan: Plan) -> bool:
    """Whether the targets are numbers."""
    return plan.is_regression


def power(rng: random.Random, low: float, high: float) -> float:
    """Returns a random number between two numbers, uniform in its logarithm, with two digits."""
    return float(f"{low * (high / low) ** rng.random():.2g}")
