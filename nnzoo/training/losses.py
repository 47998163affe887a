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
Reads = Literal["logits", "log_odds", "probabilities", "log_probabilities", "margins", "values"]
"""What an output unit is. Logits belong together, through softmax; log-odds stand each for itself, through sigmoid."""


class CrossEntropyLoss(nn.Module):
    """-sum_k t_k log p_k over samples (N, K); the targets are class indices (N,) or probabilities (N, K).

    Args:
        reads: What the outputs are; of probabilities the log is taken, never a second softmax.
        reduction: Over the samples; "mean" divides by the sum of their weights. A target of probabilities weighs what
            its classes do on average, so that one-hot rows and indices give the same (torch divides by N there).
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
            # 1e-31 in float32: a gradient of 1 / p times a class weight of millions is still finite.
            info = torch.finfo(outputs.dtype)
            outputs = outputs.clamp_min(info.tiny / info.eps).log()
        weighted_mean = self.reduction == "mean" and self.class_weights is not None
        # log_softmax leaves log-probabilities as they are, so F.cross_entropy serves all three kinds.
        value = F.cross_entropy(
            outputs,
            targets,
            self.class_weights,
            reduction="sum" if weighted_mean else self.reduction,
            label_smoothing=self.label_smoothing,
        )
        return value / self.denominator(targets) if weighted_mean else value

    def denominator(self, targets: Tensor) -> Tensor | int:
        """What "mean" divides by for these targets: their number, or the sum of their weights."""
        if self.class_weights is None:
            return len(targets)
        return (targets @ self.class_weights if targets.ndim > 1 else self.class_weights[targets]).sum()


class BCELoss(nn.Module):
    """-(t log p + (1 - t) log(1 - p)), mean or sum over outputs and 0-or-1 targets, both (N, K).

    Args:
        reads: "log_odds" or "probabilities".
        reduction: Over all N * K numbers.
    """

    def __init__(self, *, reads: Reads = "log_odds", reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reads = reads
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.reads == "probabilities":
            # torch's kernel dies of NaN, on CUDA with the whole context. Without its guard NaN comes out as NaN.
            loss = F.binary_cross_entropy(outputs.nan_to_num(), targets, reduction=self.reduction)
            return loss + 0 * outputs.sum()
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction=self.reduction)


class HingeLoss(nn.Module):
    """t max(0, 1 - output) + (1 - t) max(0, 1 + output), t = 1 or 0 (Cortes & Vapnik 1995).

    Outputs and targets (N, K). A target between 0 and 1 is a probability, and gives the expected loss.

    Args:
        reduction: Over all N * K numbers.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        violation = targets * F.relu(1 - outputs) + (1 - targets) * F.relu(1 + outputs)
        return violation.mean() if self.reduction == "mean" else violation.sum()


def denominator(loss: nn.Module, targets: Tensor) -> Tensor | int:
    """What a batch counts in the mean over a split: its samples, unless the loss weighs them."""
    own = getattr(loss, "denominator", None)
    return own(targets) if own else len(targets)
