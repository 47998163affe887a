"""Compares two models on the same samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def chance_of(first: Tensor, second: Tensor) -> float:
    """Returns the probability that the first model has larger errors only by chance.

    For errors of 0 and 1, it is the exact sign test, which is McNemar's test; otherwise Wilcoxon's signed-rank test.
    Both are one-sided.

    Args:
        first: (N,) the error of the first model for each sample.
        second: (N,) the errors of the second model.
    """
    difference = (first - second).double()
    difference = difference[difference != 0]
    count = len(difference)
    if not count:
        return 1.0
    if bool((difference.abs() == 1).all()):
        larger = int((difference > 0).sum())
        return math.fsum(math.comb(count, each) / 2**count for each in range(larger, count + 1))
    ranks = torch.empty(count, dtype=torch.float64)
    ranks[difference.abs().argsort()] = torch.arange(1, count + 1, dtype=torch.float64)
    total = float(ranks[difference > 0].sum())
    mean, spread = count * (count + 1) / 4, math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    return math.erfc((total - mean - 0.5) / spread / math.sqrt(2)) / 2
