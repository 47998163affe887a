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

__all__ = ["RULES", "Rule"]
