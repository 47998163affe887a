"""Losses as modules: outputs (N, K) and encoded targets in, a scalar out.

torch's own wherever it reads what the network gives. What is added: the log of probabilities where the network already
ends in softmax or sigmoid, and the hinge loss.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Reduction = Literal["mean", "sum"]
Reads = Literal["logits", "probabilities", "log_probabilities", "margins", "values"]


class CrossEntropyLoss(nn.Module):
    """-sum_k t_k log p_k over samples (N, K); the targets are class indices (N,) or probabilities (N, K).

    Args:
        reads: What the outputs are; of probabilities the log is taken, never a second softmax.
        reduction: Over the samples; "mean" divides by the sum of the weights of their classes.
        label_smoothing: Share of each target spread over all classes (Szegedy et al. 2016).
        class_weights: (K,) a weight a class.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        reads: Reads = "logits",
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.reads = reads
        self.reduction = reduction
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.reads == "probabilities":
            outputs = outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
        # log_softmax leaves log-probabilities as they are, so F.cross_entropy serves all three kinds.
        return F.cross_entropy(
            outputs, targets, self.class_weights, reduction=self.reduction, label_smoothing=self.label_smoothing
        )

    def denominator(self, targets: Tensor) -> Tensor | int:
        """What "mean" divides by for these targets: their number, or the sum of their weights."""
        if self.class_weights is None or targets.ndim > 1:
            return len(targets)
        return self.class_weights[targets].sum()


class BCELoss(nn.Module):
    """-(t log p + (1 - t) log(1 - p)), mean or sum over outputs and 0-or-1 targets, both (N, K).

    Args:
        reads: "logits" or "probabilities".
        reduction: Over all N * K numbers.
    """

    def __init__(self, *, reads: Reads = "logits", reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reads = reads
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.reads == "probabilities":
            return F.binary_cross_entropy(outputs, targets, reduction=self.reduction)
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction=self.reduction)


class HingeLoss(nn.Module):
    """max(0, 1 - s * output), s = +1 where the target is 1 and -1 where it is 0 (Cortes & Vapnik 1995).

    Outputs and targets (N, K), targets 0 or 1.

    Args:
        reduction: Over all N * K numbers.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        violation = F.relu(1 - (2 * targets - 1) * outputs)
        return violation.mean() if self.reduction == "mean" else violation.sum()


def denominator(loss: nn.Module, targets: Tensor) -> Tensor | int:
    """What a batch counts in the mean over a split: its samples, unless the loss weighs them."""
    own = getattr(loss, "denominator", None)
    return own(targets) if own else len(targets)
