"""Losses and metrics of networks that have several members, each with its own outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def has_members(outputs: Tensor, targets: Tensor) -> bool:
    """Whether outputs are those of an ensemble, (N, K, C), and not one per position, (N, T, C)."""
    return outputs.ndim == 3 and (targets.ndim == 1 or targets.is_floating_point())


def loss_of(loss: nn.Module, outputs: Tensor, targets: Tensor, *weights: Tensor) -> Any:
    """Returns the loss; for an ensemble, the mean of the losses of its members.

    Args:
        loss: The loss of outputs (N, C) and targets.
        outputs: (N, C), (N, T, C) with one output per position, or (N, K, C) of K members.
        targets: Encoded targets.
        *weights: (N,) the weights of the samples, if they have any.
    """
    if not has_members(outputs, targets):
        return loss(outputs, targets, *weights)
    count = outputs.shape[1]
    repeated = (each.repeat_interleave(count, dim=0) for each in (targets, *weights))
    value = loss(outputs.flatten(0, 1), *repeated)
    return value / count if getattr(loss, "reduction", "mean") == "sum" else value


def mean_output(outputs: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean output of an ensemble, (N, C), as in evaluation; other outputs are unchanged."""
    return torch.mean(outputs, dim=1) if has_members(outputs, targets) else outputs
