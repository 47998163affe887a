"""The order of samples, and where batches begin and end. No DataLoader: data is resident and indexed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.models.parameters import has_batch_norm, takes_lengths
from nnzoo.training.augmentation.augment import Augment
from nnzoo.training.processes.group import ALONE, Group

Batch = tuple[Tensor, ...]
"""What the model is called with, then the targets."""

# About this many numbers of input an evaluation batch. On a CPU what a network makes of so few stays in the cache and
# in memory that the process has: with 2**20 MLP and LSTM take 1.0 to 1.5 times as long, LeNet 1.3 to 2.5.
EVAL_NUMBERS, EVAL_NUMBERS_ON_CPU = 2**20, 2**17
MAX_EVAL_BATCH = 4096
# No fewer than this many samples, or than in training: a large layer reads all of its weights for every batch.
ENOUGH_ON_CPU = 64


def epoch_order(num_samples: int, *, seed: int, epoch: int, device: torch.device) -> Tensor:
    """(N,) the permutation of an epoch. It depends on seed and epoch alone, so a resumed epoch has it again."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    # Not waiting is safe from the host to CUDA alone, which copies pageable memory aside first.
    return torch.randperm(num_samples, generator=generator).to(device, non_blocking=device.type == "cuda")


def smallest_batch(model: nn.Module, group: Group = ALONE) -> int:
    """Samples that a batch needs: batch norm has no variance of one, and one a process to take part in it."""
    return max(2, group.size) if has_batch_norm(model) else 1


def boundaries(num_samples: int, batch_size: int, *, at_least: int = 1) -> list[tuple[int, int]]:
    """Start and end of each batch: ceil(N / batch_size) of them.

    Args:
        num_samples: N.
        batch_size: Samples a batch; the last one holds the rest.
        at_least: A last batch of fewer samples is joined to the one before it.
    """
    starts = list(range(0, num_samples, batch_size))
    if len(starts) > 1 and num_samples - starts[-1] < at_least:
        starts.pop()
    return list(zip(starts, [*starts[1:], num_samples], strict=True))


def eval_batch_size(inputs: Tensor, batch_size: int, *, classes_per_step: int = 0) -> int:
    """Samples an evaluation batch: many small or few large ones, by a fixed rule, since it decides the last bits.

    Args:
        inputs: (N, *), on the device where they are evaluated.
        batch_size: At least as many; on a CPU at least as many up to `ENOUGH_ON_CPU`.
        classes_per_step: K where outputs are (N, T, K), which may be far larger than the inputs; else 0.
    """
    per_sample = max(1, inputs[0].numel(), inputs.shape[1] * classes_per_step if classes_per_step else 0)
    on_cpu = inputs.device.type == "cpu"
    at_least = min(batch_size, ENOUGH_ON_CPU) if on_cpu else batch_size
    return max(at_least, min(MAX_EVAL_BATCH, (EVAL_NUMBERS_ON_CPU if on_cpu else EVAL_NUMBERS) // per_sample))


def arguments_of(model: nn.Module, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
    """What a model is called with: the valid steps of each sequence too, where there are some and it takes them."""
    return (inputs,) if lengths is None or not takes_lengths(model) else (inputs, lengths)


def for_model(model: nn.Module, split: Split) -> Split:
    """A split without the lengths that the model does not take."""
    return split if split.lengths is None or takes_lengths(model) else replace(split, lengths=None)


def finish(batch: Batch, split: Split, augment: Augment | None) -> Batch:
    """A batch as the network takes it: augmented, then as far preprocessed as its split leaves to do."""
    if augment is None and split.finish is None:
        return batch
    inputs, *lengths, targets = batch
    if augment is not None:
        inputs, targets = augment(inputs, targets, *lengths)
    return (inputs if split.finish is None else split.finish(inputs), *lengths, targets)
