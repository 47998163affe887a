"""Reduces gradients with torch's DistributedDataParallel while the backward pass is still running."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def overlapped(model: nn.Module, forward: Callable[..., Tensor]) -> DistributedDataParallel:
    """Returns a forward pass of a model whose backward pass sums each gradient over all processes.

    A gradient that is None in all processes stays None. Every process must take part in every call.

    Args:
        model: The model, with the same weights in every process.
        forward: The function to call: the model itself, compiled, or under autocast.
    """
    # Unused parameters are looked for in each step, since a model may use others in the next one. It also keeps the
    # order of the buckets, so that a resumed training adds in the same order.
    wrapped = DistributedDataParallel(_ForwardPass(model, forward), find_unused_parameters=True)
    wrapped.register_comm_hook(None, lambda _, bucket: _sum(bucket))
    return wrapped


class _ForwardPass(nn.Module):
    """A module with the parameters of `model` that calls `forward`.

    It has no buffers, since DistributedDataParallel would broadcast them in each step; batch norm synchronises its
    statistics itself.
    """

    def __init__(self, model: nn.Module, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.parameters_of_model = nn.ParameterList(model.parameters())
        self._call = (forward,)  # in a tuple, since a module would be registered with its buffers

    def forward(self, *inputs: Tensor) -> Tensor:
        (call,) = self._call
        return call(*inputs)


def _sum(bucket: Any) -> torch.futures.Future[Tensor]:
    """Sums a bucket of gradients over all processes; without this hook they would be averaged."""
    work = distributed.all_reduce(bucket.buffer(), async_op=True)
    future: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return future
