"""Loss modules: they map outputs (N, K) and encoded targets to a scalar.

They call torch's losses and add what those lack: they take the log of probabilities if the network already ends in
softmax or sigmoid, their weighted means do not depend on the batches, and some losses do not exist in torch.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnzoo.data.reader import NO_TARGET

Reduction = Literal["mean", "sum"]
Reads = Literal["logits", "log_odds", "probabilities", "log_probabilities", "margins", "values"]
"""The meaning of an output unit. Logits are normalised together by softmax, log-odds separately by sigmoid."""


class ClassLoss(nn.Module):
    """Base of the losses with class indices (N,) or probabilities (N, K) as targets.

    Cross entropy and focal loss also take outputs (N, T, K) with class indices (N, T), one per position. A position
    without a target, `NO_TARGET`, is ignored.

    Args:
        reads: The meaning of the outputs. For probabilities, the log is taken, and no second softmax is applied.
        reduction: The reduction over samples; "mean" divides by the sum of their weights. If a target is a row of
            probabilities, its weight is the average of the class weights, so one-hot rows and indices give the same
            loss (torch divides by N in that case).
        class_weights: (K,) one weight per class.
    """

    class_weights: Tensor | None

    def __init__(
        self, *, reads: Reads = "logits", reduction: Reduction = "mean", class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.reads = reads
        self.reduction = reduction
        self.register_buffer("class_weights", class_weights, persistent=False)

    def logits(self, outputs: Tensor) -> Tensor:
        """Returns logits (N, K): the outputs themselves, or the log of probabilities."""
        if self.reads != "probabilities":
            return outputs
        # 1e-31 in float32: a gradient of 1 / p times a class weight of millions is still finite.
        info = torch.finfo(outputs.dtype)
        return outputs.clamp_min(info.tiny / info.eps).log()

    def denominator(self, targets: Tensor) -> Tensor | int:
        """Returns the divisor of the mean for these targets: their number, or the sum of their weights."""
        if self.class_weights is None:
            return len(targets) if not self.has_positions(targets) else (targets != NO_TARGET).sum()
        if self.has_positions(targets):
            return (self.class_weights[targets.clamp_min(0)] * (targets != NO_TARGET)).sum()
        return (targets @ self.class_weights if targets.ndim > 1 else self.class_weights[targets]).sum()

    @staticmethod
    def has_positions(targets: Tensor) -> bool:
        """Whether the targets are class indices per position, (N, T)."""
        return targets.ndim == 2 and not targets.is_floating_point()

    def reduce(self, each: Tensor, targets: Tensor) -> Tensor:
        """Reduces (N, K), the loss of each class if it were the target, to a scalar."""
        if self.class_weights is not None:
            each = each * self.class_weights
        if self.has_positions(targets):
            own = each.flatten(0, 1).gather(1, targets.clamp_min(0).reshape(-1, 1))
            total = own.masked_fill(targets.reshape(-1, 1) == NO_TARGET, 0).sum()
        else:
            total = (each * targets if targets.ndim > 1 else each.gather(1, targets.unsqueeze(1))).sum()
        return total / self.denominator(targets) if self.reduction == "mean" else total


class CrossEntropyLoss(ClassLoss):
    """-sum_k t_k log p_k over samples (N, K); the targets are class indices (N,) or probabilities (N, K).

    Args:
        reads: As in `ClassLoss`.
        reduction: As in `ClassLoss`.
        label_smoothing: The fraction of each target that is spread over all classes (Szegedy et al. 2016).
        class_weights: (K,) one weight per class.
    """

    def __init__(
        self,
        *,
        reads: Reads = "logits",
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__(reads=reads, reduction=reduction, class_weights=class_weights)
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        weighted_mean = self.reduction == "mean" and self.class_weights is not None
        has_positions = self.has_positions(targets)
        value = F.cross_entropy(
            self.logits(outputs.flatten(0, 1) if has_positions else outputs),
            targets.flatten() if has_positions else targets,
            self.class_weights,
            reduction="sum" if weighted_mean else self.reduction,
            label_smoothing=self.label_smoothing,
            ignore_index=NO_TARGET,
        )
        return value / self.denominator(targets) if weighted_mean else value

    def rows(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of each sample for K networks, (K, B), without the reduction of `forward`.

        Outputs are (K, B, C), targets (K, B) or (K, B, C). The class axis is moved in front of the sample axis, since a
        softmax over few classes is three times slower along the last axis.
        """
        return F.cross_entropy(
            self.logits(outputs).transpose(1, 2),
            targets.transpose(1, 2) if targets.is_floating_point() else targets,
            self.class_weights,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )


class FocalLoss(ClassLoss):
    """-sum_k t_k (1 - p_k)^gamma log p_k (Lin et al. 2017) with softmax; gamma 0 is cross entropy.

    Args:
        reads: As in `ClassLoss`.
        reduction: As in `ClassLoss`.
        gamma: The larger it is, the less well-classified samples contribute to the loss.
        class_weights: (K,) one weight per class; alpha in the paper.
    """

    def __init__(
        self,
        *,
        reads: Reads = "logits",
        reduction: Reduction = "mean",
        gamma: float = 2.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__(reads=reads, reduction=reduction, class_weights=class_weights)
        self.gamma = gamma

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        log_p = self.logits(outputs).log_softmax(-1)
        # For gamma < 1 the power has an infinite slope at 0.
        rest = (-log_p.expm1()).clamp_min(torch.finfo(log_p.dtype).eps)
        return self.reduce(-rest.pow(self.gamma) * log_p, targets)


class KLDivLoss(ClassLoss):
    """sum_k t_k (log t_k - log p_k) over samples; "mean" divides by N, as torch's "batchmean" does.

    Args:
        reads: As in `ClassLoss`.
        reduction: The reduction over samples.
    """

    def __init__(self, *, reads: Reads = "logits", reduction: Reduction = "mean") -> None:
        super().__init__(reads=reads, reduction=reduction)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        log_p = self.logits(outputs).log_softmax(1)
        if targets.ndim == 1:
            return F.nll_loss(log_p, targets, reduction=self.reduction)
        return F.kl_div(log_p, targets, reduction="batchmean" if self.reduction == "mean" else "sum")


class MultiMarginLoss(ClassLoss):
    """sum_k max(0, margin - output_y + output_k)^p / K over k != y (Weston & Watkins 1999).

    As in torch, but targets may also be probabilities (N, K), for which the expected loss is computed.

    Args:
        reduction: The reduction over samples; "mean" divides by N, not by the sum of the weights.
        p: 1 or 2, the exponent of a violation of the margin.
        margin: The required distance between the output of class y and the other outputs.
        class_weights: (K,) one weight per class.
    """

    def __init__(
        self,
        *,
        reduction: Reduction = "mean",
        p: int = 1,
        margin: float = 1.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__(reads="margins", reduction=reduction, class_weights=class_weights)
        self.p = p
        self.margin = margin

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.ndim == 1:
            return F.multi_margin_loss(
                outputs, targets, self.p, self.margin, weight=self.class_weights, reduction=self.reduction
            )
        size = outputs.shape[1]
        # (N, y, k) the loss from class k if y is the true class.
        violation = F.relu(self.margin - outputs.unsqueeze(2) + outputs.unsqueeze(1)).pow(self.p)
        others = 1 - torch.eye(size, device=outputs.device, dtype=outputs.dtype)
        return self.reduce((violation * others).sum(2) / size, targets)

    def denominator(self, targets: Tensor) -> int:
        """Returns the divisor of the mean."""
        return len(targets)


class BCELoss(nn.Module):
    """-(t log p + (1 - t) log(1 - p)), mean or sum over outputs and 0-or-1 targets, both (N, K).

    Args:
        reads: "log_odds" or "probabilities".
        reduction: The reduction over all N * K values.
    """

    def __init__(self, *, reads: Reads = "log_odds", reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reads = reads
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.reads == "probabilities":
            # torch's kernel fails on NaN, on CUDA with the entire context. Here NaN gives NaN.
            loss = F.binary_cross_entropy(outputs.nan_to_num(), targets, reduction=self.reduction)
            return loss + 0 * outputs.sum()
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction=self.reduction)


class HingeLoss(nn.Module):
    """t max(0, 1 - output) + (1 - t) max(0, 1 + output), t = 1 or 0 (Cortes & Vapnik 1995).

    Outputs and targets (N, K). A target between 0 and 1 is a probability, for which the expected loss is computed.

    Args:
        reduction: The reduction over all N * K values.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        violation = targets * F.relu(1 - outputs) + (1 - targets) * F.relu(1 + outputs)
        return violation.mean() if self.reduction == "mean" else violation.sum()


class PerceptronLoss(nn.Module):
    """t max(0, -output) + (1 - t) max(0, output), t = 1 or 0; outputs and targets (N, K).

    Its gradient is step(output) - t with step(0) = 0, so a gradient step is Rosenblatt's rule (1958). A target between
    0 and 1 is a probability, for which the expected loss is computed.

    Args:
        reduction: The reduction over all N * K values.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        each = ((outputs > 0).to(outputs.dtype) - targets) * outputs
        return each.mean() if self.reduction == "mean" else each.sum()


class SampleWeightedLoss(nn.Module):
    """A loss in which each sample has a weight: sum_i w_i l_i / N for the mean, sum_i w_i l_i for the sum.

    The mean divides by the number of samples (with class weights: by their sum), not by the sum of the sample weights.
    With weights that are 1 on average, its gradient over a batch is an unbiased estimate of the one over all samples.

    Args:
        plain: The loss of outputs (N, K) and encoded targets.
    """

    def __init__(self, plain: nn.Module) -> None:
        super().__init__()
        self.plain = plain
        self.reduction = plain.reduction

    @property
    def class_weights(self) -> Tensor | None:
        """The class weights of the loss; None if it has none."""
        return getattr(self.plain, "class_weights", None)

    def denominator(self, targets: Tensor) -> Tensor | int:
        """Returns the divisor of the mean for these targets."""
        return denominator(self.plain, targets)

    def forward(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Returns the loss of a batch; `weights` are (N,), None for 1."""
        if weights is None:
            value: Tensor = self.plain(outputs, targets)
            return value
        losses, counts = self._of_samples(outputs, targets)
        if self.reduction == "sum":
            return (weights * losses).sum()
        return (weights * losses * counts).sum() / counts.sum()

    def _of_samples(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss of each sample, (N,), and its weight in the mean, (N,)."""
        if isinstance(self.plain, KLDivLoss) and targets.ndim > 1:  # torch.func can't batch it
            losses = F.kl_div(self.plain.logits(outputs).log_softmax(1), targets, reduction="none").sum(1)
            return losses, torch.ones_like(losses)
        if isinstance(self.plain, MultiMarginLoss) and targets.ndim == 1:  # torch.func can't batch it with indices
            targets = F.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
        return losses_of(self.plain, outputs.unsqueeze(1), targets.unsqueeze(1))


def losses_of(loss: nn.Module, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the loss (K,) and its weight (K,) for outputs (K, B, C) and targets (K, B) or (K, B, C)."""
    counts: Any
    if isinstance(denominator(loss, targets[0]), Tensor):
        counts = torch.vmap(partial(denominator, loss))(targets)
    else:
        counts = torch.full((len(outputs),), float(outputs.shape[1]), device=outputs.device)
    if isinstance(loss, CrossEntropyLoss):
        # torch.func would split it into a dozen operations, which take a fifth of the time of a small step.
        sums = loss.rows(outputs, targets).sum(1)
        return (sums / counts if loss.reduction == "mean" else sums), counts
    return torch.vmap(loss)(outputs, targets), counts


def reads_indices(loss: nn.Module) -> bool:
    """Whether a loss accepts class indices (N,)."""
    return isinstance(loss.plain if isinstance(loss, SampleWeightedLoss) else loss, ClassLoss)


def denominator(loss: nn.Module, targets: Tensor) -> Tensor | int:
    """Returns the weight of a batch in the mean over a split: its number of samples, or the sum of their weights."""
    own = getattr(loss, "denominator", None)
    return own(targets) if own else len(targets)
