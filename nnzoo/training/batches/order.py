"""The order of samples, and the bounds of batches. Data is indexed directly, without a DataLoader."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.models.parameters import has_batch_norm, takes_lengths
from nnzoo.training.augmentation.augment import Augment
from nnzoo.training.processes.group import SINGLE_PROCESS, Group

Batch = tuple[Tensor, ...]
"""The arguments of the model, then the targets, then the weights of the samples if the loss uses them."""

# Approximate number of input values per evaluation batch. On a CPU the activations of a batch of this size stay in the
# cache and in memory that the process already has: with 2**20, MLP and LSTM take 1.0 to 1.5 times as long, LeNet 1.3 to
# 2.5 times.
EVAL_NUMBERS, EVAL_NUMBERS_ON_CPU = 2**20, 2**17
MAX_EVAL_BATCH = 4096
# Minimum samples per evaluation batch on a CPU, unless the training batch is smaller: a large layer reads all of its
# weights for every batch.
ENOUGH_ON_CPU = 64


def epoch_order(num_samples: int, *, seed: int, epoch: int, device: torch.device) -> Tensor:
    """Returns the permutation of an epoch, (N,). It depends only on seed and epoch, so a resumed epoch repeats it."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    # A non-blocking copy is safe only from the host to CUDA, which first copies pageable memory to a staging buffer.
    return torch.randperm(num_samples, generator=generator).to(device, non_blocking=device.type == "cuda")


def smallest_batch(model: nn.Module, group: Group = SINGLE_PROCESS) -> int:
    """Returns the minimum number of samples per batch: two with batch norm, and at least one per process."""
    return max(2, group.size) if has_batch_norm(model) else 1


def boundaries(num_samples: int, batch_size: int, *, min_size: int = 1) -> list[tuple[int, int]]:
    """Returns the start and end of each of the ceil(N / batch_size) batches.

    Args:
        num_samples: N.
        batch_size: Samples per batch; the last batch has the remaining ones.
        min_size: A last batch with fewer samples is merged into the previous one.
    """
    starts = list(range(0, num_samples, batch_size))
    if len(starts) > 1 and num_samples - starts[-1] < min_size:
        starts.pop()
    return list(zip(starts, [*starts[1:], num_samples], strict=True))


def eval_batch_size(inputs: Tensor, batch_size: int, *, classes_per_step: int = 0) -> int:
    """Returns the batch size of evaluation. The rule is fixed, since the batch size affects the last bits of results.

    Args:
        inputs: (N, *), on the device of the evaluation.
        batch_size: The minimum; on a CPU the minimum is at most `ENOUGH_ON_CPU`.
        classes_per_step: K if outputs have the shape (N, T, K), which can be far larger than the inputs; else 0.
    """
    per_sample = max(1, inputs[0].numel(), inputs.shape[1] * classes_per_step if classes_per_step else 0)
    on_cpu = inputs.device.type == "cpu"
    at_least = min(batch_size, ENOUGH_ON_CPU) if on_cpu else batch_size
    return max(at_least, min(MAX_EVAL_BATCH, (EVAL_NUMBERS_ON_CPU if on_cpu else EVAL_NUMBERS) // per_sample))


def arguments_of(model: nn.Module, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
    """Returns the arguments of a model: the inputs, and the lengths if there are any and the model accepts them."""
    return (inputs,) if lengths is None or not takes_lengths(model) else (inputs, lengths)


def for_model(model: nn.Module, split: Split) -> Split:
    """Returns the split, without its lengths if the model does not accept them."""
    return split if split.lengths is None or takes_lengths(model) else replace(split, lengths=None)


def finish(batch: Batch, split: Split, augment: Augment | None) -> Batch:
    """Augments a batch, then applies the preprocessing steps that its split has deferred."""
    if augment is None and split.finish is None:
        return batch
    inputs, *lengths, targets = batch
    if augment is not None:
        inputs, targets = augment(inputs, targets, *lengths)
    return (inputs if split.finish is None else split.finish(inputs), *lengths, targets)
