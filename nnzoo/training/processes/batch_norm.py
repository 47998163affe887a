"""Batch norm whose statistics cover the batches of all processes, on any device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.models.parameters import BatchNorm

SYNCHRONISED = (BatchNorm.forward, nn.SyncBatchNorm.forward)


@contextlib.contextmanager
def synchronised(model: nn.Module) -> Iterator[None]:
    """A context manager in which the batch norms of a model share their statistics across processes in training.

    Only their class changes, so the state dict is the same as before. On CUDA the class is `nn.SyncBatchNorm`, which
    has no kernel for the CPU; elsewhere it is the class below. A module with its own `forward` is not changed, and a
    warning is logged.
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    for name in sorted({type(norm).__name__ for norm in norms if type(norm).forward not in SYNCHRONISED}):
        log.warning("%s has its own forward method: each process uses the statistics of its own samples", name)
    replaced = [norm for norm in norms if type(norm).forward is BatchNorm.forward]
    before = [type(module) for module in replaced]
    for module, kind in zip(replaced, before, strict=True):
        on_cuda = any(tensor.is_cuda for tensor in module.state_dict().values())
        base, attributes = (nn.SyncBatchNorm, {"process_group": None}) if on_cuda else (_Synchronised, {})
        module.__class__ = type(kind.__name__, (base, kind), attributes)
    try:
        yield
    finally:
        for module, kind in zip(replaced, before, strict=True):
            module.__class__ = kind


class _Synchronised(BatchNorm):
    """Batch norm over all processes in training mode; in evaluation mode, the same as torch's batch norm."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # named as in torch
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        outputs: Tensor
        outputs, mean, square, count = _Normalize.apply(input, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self._update_running(mean, square / (count - 1))
        return outputs

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


class _Normalize(torch.autograd.Function):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over all processes and all axes of x (N, C, *) except C.

    The means and sums of squares of the processes are combined as in Chan et al. (1979), weighted by their numbers of
    values, in at least float32. The gradients of weight and bias cover only the samples of this process, as in any
    other layer.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns y, and the mean (C,), the sum of squared deviations (C,) and the count (1,) over all processes."""
        from torch import distributed

        x = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
        axes = [0, *range(2, x.ndim)]
        # NaN for an empty share, which `smallest_batch` rules out for models with batch norm.
        mean = x.mean(axes)
        square = (x - _broadcast(mean, x)).square().sum(axes)
        own = torch.cat([mean, square, mean.new_full((1,), x.numel() // x.shape[1])])
        rows = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(rows, own)
        means, squares, counts = torch.stack(rows).split_with_sizes(
            [len(mean), len(mean), 1], dim=1
        )  # (R, C), (R, C), (R, 1)
        count = counts.sum(0)
        mean = (means * counts).sum(0) / count
        square = squares.sum(0) + ((means - mean).square() * counts).sum(0)
        scale = (square / count + eps).rsqrt()
        normal = (x - _broadcast(mean, x)) * _broadcast(scale, x)
        ctx.save_for_backward(normal, weight, scale, count)
        ctx.has_bias = bias is not None
        ctx.mark_non_differentiable(mean, square, count)
        outputs = normal if weight is None else normal * _broadcast(weight.to(x.dtype), x)
        outputs = outputs if bias is None else outputs + _broadcast(bias.to(x.dtype), x)
        return outputs.to(inputs.dtype), mean, square, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        from torch import distributed

        normal, weight, scale, count = ctx.saved_tensors
        dy = gradient.to(normal.dtype)
        axes = [0, *range(2, dy.ndim)]
        of_bias, of_weight = dy.sum(axes), (dy * normal).sum(axes)
        sums = torch.cat([of_bias, of_weight])
        distributed.all_reduce(sums)
        along_bias, along_weight = (_broadcast(each / count, dy) for each in sums.chunk(2))
        slope = scale if weight is None else scale * weight.to(scale.dtype)
        dx = (dy - along_bias - normal * along_weight) * _broadcast(slope, dy)
        return (
            dx.to(gradient.dtype),
            None if weight is None else of_weight.to(weight.dtype),
            of_bias.to(dy.dtype if weight is None else weight.dtype) if ctx.has_bias else None,
            None,
        )


def _broadcast(values: Tensor, like: Tensor) -> Tensor:
    """(C,) -> (1, C, 1, ...) with as many axes as `like`."""
    return values.reshape(1, -1, *([1] * (like.ndim - 2)))
