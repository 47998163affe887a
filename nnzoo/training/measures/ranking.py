"""Ranking metrics: how well scores rank positives above negatives. They are exact, and need all scores at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def auroc(scores: Tensor, truth: Tensor) -> Tensor:
    """Returns the area under the ROC curve: how often a positive sample scores above a negative one; ties count half.

    Args:
        scores: (N, K), on the CPU.
        truth: (N, K) 0 and 1.

    Returns:
        The mean over the columns with positives and negatives; NaN if there are none, or if a score is NaN.
    """
    return _mean(scores, truth, _area)


def average_precision(scores: Tensor, truth: Tensor) -> Tensor:
    """Returns the average precision: sum_n (recall_n - recall_(n-1)) precision_n over the distinct thresholds n.

    Args:
        scores: (N, K), on the CPU.
        truth: (N, K) 0 and 1.

    Returns:
        The mean over the columns with positives; NaN if there are none, or if a score is NaN.
    """
    return _mean(scores, truth, _average_precision)


RANKINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"auroc": auroc, "average_precision": average_precision}
"""The metrics of this kind by name."""


def _mean(scores: Tensor, truth: Tensor, measure: Callable[[Tensor, Tensor], Tensor | None]) -> Tensor:
    measured = [measure(*column) for column in zip(scores.T, truth.T.bool(), strict=True)]
    values = [value for value in measured if value is not None]
    if not values or bool(scores.isnan().any()):
        return torch.tensor(float("nan"))
    return torch.stack(values).mean()


def _area(scores: Tensor, positive: Tensor) -> Tensor | None:
    num_positives = int(positive.sum())
    num_negatives = len(positive) - num_positives
    if not num_positives or not num_negatives:
        return None
    place, counts = _distinct(scores)
    # The mean of the ranks that equal scores share (Mann & Whitney 1947).
    ranks = counts.cumsum(0).double() - (counts - 1) / 2
    above: Tensor = ranks[place][positive].sum() - num_positives * (num_positives + 1) / 2
    return above / (num_positives * num_negatives)


def _average_precision(scores: Tensor, positive: Tensor) -> Tensor | None:
    num_positives = int(positive.sum())
    if not num_positives:
        return None
    place, counts = _distinct(scores)
    hits = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, place, positive.double()).flip(0)
    # Equal scores are predicted positive at the same threshold.
    precision = hits.cumsum(0) / counts.flip(0).cumsum(0)
    return (hits * precision).sum() / num_positives


def _distinct(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the index of each score among the sorted distinct scores, and the count of each distinct score."""
    _, place, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    return place, counts
