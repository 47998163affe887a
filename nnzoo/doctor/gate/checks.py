"""Runs the checks of a config before training."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nnzoo.doctor.finding import Finding
from nnzoo.doctor.gate.by_heart import learn_by_heart, without_dropout
from nnzoo.doctor.gate.cost import estimate
from nnzoo.doctor.gate.first_batch import describe, first_batch, first_loss
from nnzoo.experiment.prepare import Experiment

EXPLAINED = ("a linear model", "the network has only")
"""Reasons for not learning a batch by heart that are not faults."""
CAUSES = {
    *("symmetry", "dead units", "saturation", "vanishing gradients", "exploding gradients", "frozen layers", "loss"),
    *("initial weights too large", "initial weights too small", "output activation"),
}
"""Topics of findings that explain why a batch can't be learned by heart."""


def run(experiment: Experiment, module: nn.Module) -> dict[str, Any]:
    """Checks an untrained network on its data; the network and torch's random state do not change.

    Returns:
        `first_batch`, `first_loss`, `by_heart` and `cost`, as described in their functions.
    """
    devices = [experiment.device] if experiment.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        # The cost comes first, since the peak memory includes everything before it.
        cost = estimate(experiment, module)
        batch = first_batch(experiment, module)
        return {
            "first_batch": describe(experiment, batch),
            "first_loss": first_loss(experiment, without_dropout(copy.deepcopy(module)), batch),
            "by_heart": learn_by_heart(experiment, module),
            "cost": cost,
        }


def with_findings(checked: dict[str, Any], others: Iterable[Finding]) -> list[Finding]:
    """Adds a finding if a batch can't be learned by heart, for no harmless reason.

    If another finding invalidates the result, it is the cause, and this one becomes its evidence.
    """
    found = list(others)
    by_heart = checked["by_heart"]
    reason: str = by_heart["reason"]
    if by_heart["learned"] is not False or reason.startswith(EXPLAINED):
        return found
    symptom = f"the untrained network does not learn {by_heart['samples']} train samples by heart"
    for index, each in enumerate(found):
        if each.severity == "spoils" and each.topic in CAUSES:
            found[index] = replace(each, evidence=(*each.evidence, symptom))
            return found
    return [
        *found,
        Finding(
            "warning",
            "not learned by heart",
            f"{symptom}, even without dropout and penalties: {reason}. A network that can't do this can't learn the "
            "data. Check model.freeze, init, the activations and the targets, or use a larger network.",
        ),
    ]
