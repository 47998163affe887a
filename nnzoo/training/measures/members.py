"""Losses and metrics of networks that have several members, each with its own outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def has_members(outputs: Tensor, targets: Tensor) -> bool:
    """Whether outputs are those of an ensemble, (N, K, C), and not one per position, (N, T, C)."""
    return outputs.ndim == 3 and (targets.ndim == 1 or targets.is_floating_point())


def loss_of(loss: nn.Module, outputs: Tensor, targets: Tensor) -> Any:
    """Returns the loss; for an ensemble, the mean of the losses of its members.

    Args:
        loss: The loss of outputs (N, C) and targets.
        outputs: (N, C), (N, T, C) with one output per position, or (N, K, C) of K members.
        targets: Encoded targets.
    """
    if not has_members(outputs, targets):
        return loss(outputs, targets)
    count = outputs.shape[1]
    value = loss(outputs.flatten(0, 1), targets.repeat_interleave(count, dim=0))
    return value / count if getattr(loss, "reduction", "mean") == "sum" else value


def mean_output(outputs: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean output of an ensemble, (N, C), as in evaluation; other outputs are unchanged."""
    return torch.mean(outputs, dim=1) if has_members(outputs, targets) else outputs
