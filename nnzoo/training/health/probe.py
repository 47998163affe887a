"""Measures the layers of a network on a few sampled training steps, without changing the training.

A sampled step needs forward hooks on the layers and their activations, a copy of the weights before the step, and a few
reductions. Nothing is read from the device before the end of the epoch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.training.health.definitions import can_die, can_saturate, dead_units, saturated_values
from nnzoo.training.health.layers import ACTIVATIONS, NORMS, Layer, layers_of
from nnzoo.training.health.onset import Onset
from nnzoo.training.health.record import Health

INTERVAL, FIRST_INTERVAL = 64, 16
"""Every 64th step is sampled, and every 16th of the first 64 steps, so that short runs have rows."""
STEPS_PER_SAMPLE = 512
"""Epochs of more steps than this are sampled less often, so that at most eight steps of an epoch are."""
MAX_COPIED = 2**18
"""The maximum number of values of a weight that are copied to measure its update: every n-th unit of larger ones."""


def is_sampled(step: int, steps_per_epoch: int) -> bool:
    """Whether a step is sampled.

    Args:
        step: The number of steps since the start of the run.
        steps_per_epoch: The number of steps per epoch.
    """
    if step < INTERVAL:
        return step % FIRST_INTERVAL == 0
    return step % (INTERVAL * -(-steps_per_epoch // STEPS_PER_SAMPLE)) == 0


class Probes:
    """Measures the layers of a network, or of K stacked replicas.

    Args:
        network: The network.
        health: The record to which the measurements are added.
        count: K; None for one network.
        hooks: Whether activations are measured. Hooks would make torch.compile compile the network again.
    """

    def __init__(self, network: nn.Module, health: Health, *, count: int | None = None, hooks: bool = True) -> None:
        self.network = network
        self.health = health
        self.count = count
        self.hooks = hooks
        self._layers: list[Layer] = []
        self._onset: Onset | None = None
        self._is_new = False

    @contextlib.contextmanager
    def recording(self, step: int) -> Iterator[None]:
        """A context manager that measures the step taken in it; nothing is recorded if the step fails.

        Args:
            step: The number of the step, from 1.
        """
        if not self._layers:
            self._layers = layers_of(self.network, stacked=self.count is not None)
            self.health.start([layer.name for layer in self._layers])
        if not self._layers:
            yield
            return
        weights = [[self._sample(weight.detach()) for weight in layer.weights] for layer in self._layers]
        before = [[weight.clone() for weight in each] for each in weights]
        watch = Activations(self.network, self._layers, self.health, self.count)
        with watch if self.hooks else contextlib.nullcontext():
            yield
        nothing = torch.full((self.count or 1,), math.nan, device=before[0][0].device)
        columns: list[Tensor] = []
        for layer, old, new in zip(self._layers, before, weights, strict=True):
            saturated, mean, variance = watch.results(layer)
            columns += [each if each is not None else nothing for each in (saturated, *self._updates(layer, old, new))]
            columns += [each if each is not None else nothing for each in (mean, variance)]
        self.health.running.append(torch.stack(columns).view(len(self._layers), -1, self.count or 1))
        self.health.steps.append(step)

    def end_epoch(self, epoch: int, *, num_samples: int) -> None:
        """Adds the row of a finished epoch, from 1, if one of its steps was sampled. This waits for the device.

        Args:
            epoch: The epoch.
            num_samples: The number of train samples.
        """
        self._is_new = self.health.end_epoch(epoch, num_samples=num_samples)

    def report(self) -> None:
        """Logs a line for each problem that first appeared in the epoch that has just ended."""
        if self._is_new:
            self._onset = self._onset or Onset(self.network, self.health, stacked=self.count is not None)
            for line in self._onset.lines():
                log.info("%s", line)

    def _sample(self, weight: Tensor) -> Tensor:
        """Returns a view of a weight, or of every n-th of its units."""
        axis = 0 if self.count is None else 1
        every = -(-weight.numel() // (MAX_COPIED * (self.count or 1)))
        return weight if every == 1 else weight[(slice(None),) * axis + (slice(None, None, every),)]

    def _updates(self, layer: Layer, before: list[Tensor], after: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """Returns the norm of the gradient (K,) and the update-to-weight ratio (K,); None if the layer is frozen."""
        gradients = [each.grad for each in layer.weights if each.grad is not None]
        if not gradients:
            return None, None
        norm = self._norm(gradients)
        sizes = self._norm(before)
        for old, new in zip(before, after, strict=True):
            old.sub_(new)
        return norm, self._norm(before) / sizes

    def _norm(self, tensors: list[Tensor]) -> Tensor:
        """Returns the 2-norm (K,) over several tensors."""
        if self.count is None:
            norms = torch.stack([torch.linalg.vector_norm(each) for each in tensors]).unsqueeze(1)
        else:
            norms = torch.stack([torch.linalg.vector_norm(each, dim=list(range(1, each.ndim))) for each in tensors])
        norm: Tensor = torch.linalg.vector_norm(norms, dim=0) if len(norms) > 1 else norms[0]
        return norm.float()


class Activations:
    """A context manager in which forward hooks measure the outputs of layers, in the first forward pass.

    An activation belongs to the layer that was called before it. A layer may be called several times, such as once per
    level of a tree.

    Args:
        network: The network.
        layers: Its layers.
        health: Counts for how many samples a unit was 0.
        count: K, for stacked replicas; None for one network.
    """

    def __init__(self, network: nn.Module, layers: list[Layer], health: Health, count: int | None) -> None:
        self.network = network
        self.layers = {layer.module: layer for layer in layers}
        self.health = health
        self.count = count
        self.handles: list[Any] = []
        self.moments: dict[str, list[tuple[int, Tensor, Tensor]]] = {}
        self.saturated: dict[str, list[tuple[int, Tensor]]] = {}
        self.layer: Layer | None = None
        self.pending: Tensor | None = None
        self.lengths: Tensor | None = None
        self.is_over = False

    def __enter__(self) -> None:
        for module in self.network.modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # has no hooks
            if module in self.layers:
                self._hook(module, self._on_layer)
            elif isinstance(module, ACTIVATIONS):
                self._hook(module, self._on_activation)
            elif isinstance(module, NORMS):
                self._hook(module, self._on_norm)
        self.handles.append(self.network.register_forward_pre_hook(self._on_start))
        self._hook(self.network, self._on_end)

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def results(self, layer: Layer) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Returns the saturated fraction, the mean and the variance (K,) of the outputs of a layer."""
        moments, saturated = self.moments.get(layer.name, []), self.saturated.get(layer.name, [])
        share = _average(saturated) if saturated else None
        if len(moments) <= 1:
            return (share, *(moments[0][1:] if moments else (None, None)))
        mean = _average([(size, each) for size, each, _ in moments])
        square = _average([(size, variance + each.square()) for size, each, variance in moments])
        return share, mean, square - mean.square()

    def _hook(self, module: nn.Module, record: Callable[[nn.Module, Tensor], None]) -> None:
        def hook(module: nn.Module, arguments: Any, outputs: Any) -> None:  # noqa: ARG001
            first = outputs[0] if isinstance(outputs, tuple) and outputs else outputs
            if not self.is_over and isinstance(first, Tensor) and first.is_floating_point():
                record(module, first.detach())

        self.handles.append(module.register_forward_hook(hook))

    def _on_start(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:  # noqa: ARG002
        self.lengths = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], Tensor) else None

    def _on_end(self, module: nn.Module, outputs: Tensor) -> None:  # noqa: ARG002
        self._flush()
        self.is_over = True

    def _on_layer(self, module: nn.Module, outputs: Tensor) -> None:
        self._flush()
        self.layer = self.layers[module]
        if isinstance(module, nn.RNNBase):
            self._measure(outputs, module)
        else:
            self.pending = outputs

    def _on_norm(self, module: nn.Module, outputs: Tensor) -> None:  # noqa: ARG002
        if self.pending is not None:
            self.pending = outputs

    def _on_activation(self, module: nn.Module, outputs: Tensor) -> None:
        # A later activation may overwrite the outputs, so this one is measured now.
        if self.pending is not None:
            self.pending = None
            self._measure(outputs, module)

    def _flush(self) -> None:
        """Measures the outputs of a layer without an activation module."""
        if self.pending is not None:
            outputs, self.pending = self.pending, None
            self._measure(outputs, None)

    def _measure(self, outputs: Tensor, activation: nn.Module | None) -> None:
        if self.count is None:
            self._record(outputs.unsqueeze(0), activation)
        else:
            _Physical.apply(outputs, self.count, lambda stacked: self._record(stacked, activation))

    @torch.no_grad()
    def _record(self, outputs: Tensor, activation: nn.Module | None) -> None:
        """Records outputs (K, N, C, *); those of recurrent layers are (K, N, T, C)."""
        if self.layer is None or not outputs.numel():
            return
        name = self.layer.name
        if outputs.dtype not in (torch.float32, torch.float64):
            outputs = outputs.float()
        axes = list(range(1, outputs.ndim))
        steps = self._valid_steps(outputs) if isinstance(activation, nn.RNNBase) else None
        if activation is not None and can_saturate(activation):
            share = saturated_values(outputs, activation).float()
            self.saturated.setdefault(name, []).append((outputs.numel(), _mean(share, axes, steps)))
        if activation is not None and can_die(activation) and outputs.ndim > 2:
            units = 3 if isinstance(activation, nn.RNNBase) and outputs.ndim > 3 else 2
            shown = outputs if steps is None else outputs * steps
            self._count_silent(name, dead_units(shown, keep=(0, units)), outputs.shape[1])
        if steps is None:
            variance, mean = torch.var_mean(outputs, dim=axes, correction=0)
        else:
            mean = _mean(outputs, axes, steps)
            variance = _mean((outputs - mean.view(-1, *[1] * len(axes))).square(), axes, steps)
        self.moments.setdefault(name, []).append((outputs.numel(), mean.float(), variance.float()))

    def _count_silent(self, name: str, is_dead: Tensor, num_samples: int) -> None:
        """Adds samples to the counts (K, C) of the units that are 0, and resets the counts of the others."""
        counts = self.health.silent.get(name)
        if counts is None or counts.shape != is_dead.shape:
            counts = self.health.silent[name] = torch.zeros(is_dead.shape, dtype=torch.int64, device=is_dead.device)
            self.health.seen[name] = 0
        counts.add_(num_samples).mul_(is_dead)
        self.health.seen[name] += num_samples

    def _valid_steps(self, outputs: Tensor) -> Tensor | None:
        """Returns 1 for the steps of each sample, and 0 for its padding: (1, N, T, 1); None without padding.

        A bidirectional network runs over two copies of the batch, the second one with the padding in front.
        """
        if self.lengths is None or outputs.ndim != 4:
            return None
        num_samples, num_steps = outputs.shape[1:3]
        steps = torch.arange(num_steps, device=outputs.device)
        valid = steps < self.lengths.unsqueeze(1)
        if num_samples == 2 * len(self.lengths):
            valid = torch.cat([valid, valid.flip(1)])
        return valid.float().view(1, num_samples, num_steps, 1)


class _Physical(torch.autograd.Function):
    """Calls a function inside `torch.vmap` with the outputs of all replicas (K, *) instead of those of one."""

    @staticmethod
    def forward(outputs: Tensor, count: int, record: Callable[[Tensor], None]) -> Tensor:
        """Is called instead of `vmap` if all replicas share the outputs, which then have no axis for replicas."""
        record(outputs.unsqueeze(0).expand(count, *outputs.shape))
        return outputs.new_empty(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Saves nothing, since no gradient passes through it."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, outputs: Tensor, count: int, record: Callable[[Tensor], None]) -> Any:  # noqa: ARG004
        """Computes the outputs of all replicas in one call, with an axis for the replicas."""
        record(outputs.movedim(in_dims[0], 0))
        return outputs.new_empty(0), None


def _mean(values: Tensor, axes: list[int], steps: Tensor | None) -> Tensor:
    """Returns the mean (K,) over axes; with `steps` (1, N, T, 1), over the steps that are 1."""
    if steps is None:
        return values.mean(axes)
    return (values * steps).sum(axes) / (steps.sum() * values.shape[3])


def _average(parts: list[tuple[int, Tensor]]) -> Tensor:
    """Returns the mean of the parts, weighted by their sizes."""
    total = sum(size for size, _ in parts)
    return torch.stack([each * (size / total) for size, each in parts]).sum(0)
