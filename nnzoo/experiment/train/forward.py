"""Wraps the network for training in lower precision, or with compilation."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from nnzoo import log
from nnzoo.experiment.prepare import Experiment
from nnzoo.models.parameters import has_batch_norm
from nnzoo.training.batches.order import arguments_of, boundaries, smallest_batch
from nnzoo.training.precision.compile import Compiled, compile_ahead
from nnzoo.training.precision.scaling import DTYPES, Autocast


def forward_of(experiment: Experiment, module: nn.Module) -> Callable[..., Tensor] | None:
    """Wraps the network for `train.precision` and `train.compile`; returns None if neither applies.

    The network is compiled immediately, so that a failure is noticed before training starts.
    """
    train = experiment.config.train
    dtype = DTYPES.get(train.precision)
    group, is_cuda = experiment.settings.group, experiment.device.type == "cuda"
    graphs = train.compile == "cuda_graphs" and is_cuda and group.size == 1
    if train.compile == "cuda_graphs" and not graphs:
        reason = (
            "the gradients of several processes are summed during the backward pass" if is_cuda else "no CUDA device"
        )
        log.info("train.compile: compiled without CUDA graphs (%s)", reason)
    compiled = Compiled(module, deterministic=train.deterministic, graphs=graphs) if train.compile else None
    if compiled is not None and group.size > 1 and has_batch_norm(module):
        log.warning("train.compile is disabled: batch norm is synchronised between processes")
        compiled = None
    network = compiled or module
    forward = network if dtype is None else Autocast(network, experiment.device, dtype)
    if compiled is not None:
        compile_ahead(compiled, forward, first_batch(experiment, module))
        if compiled.compiled is None and dtype is None:
            return None
        if train.probes:
            log.info("train.probes: activations are not recorded with train.compile, only gradients and updates")
    return None if forward is module else forward


def first_batch(experiment: Experiment, module: nn.Module) -> tuple[Tensor, ...]:
    """Returns the arguments with which the network is called for the first batch."""
    train, size, group = experiment.splits["train"], experiment.settings.batch_size, experiment.settings.group
    batches = boundaries(len(train), size or len(train), min_size=smallest_batch(module, group))
    start, end = group.share(*batches[0])
    # If there are more processes than samples in a batch, this process may have none: use one.
    rows = slice(start, max(end, start + 1))
    return arguments_of(module, train.network_inputs(rows), None if train.lengths is None else train.lengths[rows])
