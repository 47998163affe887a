"""The format of numbers in progress lines, tables and messages."""

from __future__ import annotations


def number(value: float) -> str:
    """Formats a number with four decimals, or with an exponent if it is very small or large.

    Examples: 0.9267, 123456.7890, 2.518e+34, 3.100e-07, nan, inf, -inf.
    """
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3e}"
