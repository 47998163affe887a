"""Checks that the tests of traces share."""

from __future__ import annotations

import math

from nnzoo.trace.explain import Trace
from nnzoo.trace.notation import TEXT


def check(trace: Trace, *, at_least: int = 100) -> None:
    """Checks that each formula multiplies out to the number of the training step."""
    count = 0
    for step in trace.steps:
        for _, groups in step.parts():
            for equation in [equation for group in groups for equation in group.equations]:
                if equation.formula is None:
                    continue
                count += 1
                # torch keeps this product in float32.
                rel = 1e-6 if equation.name.startswith("mus_") else 1e-9
                found = equation.formula.evaluate()
                assert math.isclose(found, equation.value, rel_tol=rel, abs_tol=1e-13), TEXT.equation(equation)
    assert count >= at_least


def values(trace: Trace) -> dict[str, float]:
    """Returns the numbers of the first step by their symbols."""
    groups = [group for _, groups in trace.steps[0].parts() for group in groups]
    return {equation.name: equation.value for group in groups for equation in group.equations}
