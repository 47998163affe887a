"""`--fail-under METRIC=VALUE`: a gate for scripts."""

from __future__ import annotations

import math

from nnzoo.config.metrics import METRICS, direction
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError


def parse_gates(texts: list[str]) -> dict[str, float]:
    """The bound of each metric.

    Raises:
        UsageError: No METRIC=VALUE, or no metric of nnzoo.
    """
    gates = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            bound = float(value)
        except ValueError:
            bound = math.nan
        if not equals or math.isnan(bound):
            raise UsageError(f"expected METRIC=VALUE such as accuracy=0.9, got '{text}'.", where="--fail-under")
        known = ["loss", *METRICS]
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"'{name}' is no metric.{hint} ({', '.join(known)})", where="--fail-under")
        gates[name] = bound
    return gates


def check_gates(gates: dict[str, float], metrics: dict[str, float]) -> list[str]:
    """What is worse than its bound: below it, or above it where less is better. NaN is always worse.

    Raises:
        UsageError: A metric was not measured.
    """
    failed = []
    for name, bound in gates.items():
        if name not in metrics:
            raise UsageError(f"'{name}' was not measured ({', '.join(metrics)}).", where="--fail-under")
        value = metrics[name]
        good = value >= bound if direction(name) == "max" else value <= bound
        if not good:
            word = "under" if direction(name) == "max" else "over"
            failed.append(f"{name} {value:.6g} is {word} {bound:g}.")
    return failed
