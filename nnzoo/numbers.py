"""The format of numbers in progress lines, tables and messages, and the spread of several."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def number(value: float) -> str:
    """Formats a number with four decimals, or with an exponent if it is very small or large.

    Examples: 0.9267, 123456.7890, 2.518e+34, 3.100e-07, nan, inf, -inf.
    """
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3e}"


def duration(seconds: float) -> str:
    """Formats a time: `<1 s`, `42 s`, `3 min`, `1 h 20 min`."""
    if seconds < 1:
        return "<1 s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Returns mean, standard deviation (with n - 1; None for one value), smallest and largest value, and the values."""
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "min": min(values),
        "max": max(values),
        "values": list(values),
    }
