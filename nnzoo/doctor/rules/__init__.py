"""The rules: functions from the evidence to a finding or None, in files by subject."""

from __future__ import annotations

from collections.abc import Callable

from nnzoo.doctor.evidence import Evidence
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.rules import activations, capacity, data, initialization, optimization, outputs

Rule = Callable[[Evidence], Finding | None]

RULES: tuple[Rule, ...] = (
    *data.RULES,
    *outputs.RULES,
    *initialization.RULES,
    *activations.RULES,
    *capacity.RULES,
    *optimization.RULES,
)

LAST_RULES: tuple[Rule, ...] = (capacity.network_too_small, optimization.unlucky_start, capacity.underfitting)
"""The rules that are applied only if no other one has found a cause."""

__all__ = ["LAST_RULES", "RULES", "Rule"]
