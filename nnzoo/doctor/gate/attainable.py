"""How much of a batch can be learned: samples with the same inputs may have different targets."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from nnzoo.data.reader import NO_TARGET
from nnzoo.training.batches.order import Batch
from nnzoo.training.measures.decoding import Decoder

ENOUGH_R2 = 0.95
"""The share of the variance of the targets that has to be explained, of the share that can be."""


def score(decoder: Decoder, outputs: Tensor, targets: Tensor) -> float:
    """Returns the accuracy of outputs, or r2 in the unit of the outputs for regression."""
    if decoder.task == "regression":
        return _r2((outputs - targets).double() if outputs.device.type != "mps" else outputs - targets, targets)
    outputs, targets = decoder.metric_inputs(outputs, targets)
    predicted, actual = decoder.labels(outputs), decoder.target_labels(targets)
    right = (predicted == actual)[actual != NO_TARGET]
    return float(right.float().mean())


def _r2(errors: Tensor, targets: Tensor) -> float:
    spread = float((targets - targets.mean(0)).square().sum())
    squared = float(errors.square().sum())
    # Equal targets have no variance: an error of a hundredth of their unit is enough.
    return 1 - squared / spread if spread > 0 else float(squared / errors.numel() < 1e-4)


def attainable(decoder: Decoder, batch: Batch) -> float:
    """Returns the score at which a batch is learned by heart: 1, or less if equal inputs have different targets."""
    inputs, *_, targets = batch
    if decoder.per == "step":
        keys, actual = _prefixes(inputs, targets)
    else:
        inputs = inputs.cpu()
        keys = [each.numpy().tobytes() for each in inputs]
        actual = targets.cpu() if decoder.task == "regression" else decoder.metric_inputs(targets, targets)[1].cpu()
        actual = actual if decoder.task == "regression" else decoder.target_labels(actual)
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    if decoder.task == "regression":
        within = torch.cat([actual[each] - actual[each].mean(0) for each in groups.values()])
        best = _r2(within, actual)
        return ENOUGH_R2 * best
    right = 0
    for each in groups.values():
        labels = actual[each].reshape(len(each), -1)
        right += sum(int(column.bincount().max()) for column in labels.T)
    return right / actual.numel()


def _prefixes(inputs: Tensor, targets: Tensor) -> tuple[list[bytes], Tensor]:
    """Returns the inputs up to each step that has a target, and the targets of these steps."""
    inputs, targets = inputs.cpu(), targets.cpu()
    places = (targets != NO_TARGET).nonzero().tolist()
    keys = [inputs[row, : step + 1].contiguous().numpy().tobytes() for row, step in places]
    return keys, targets[targets != NO_TARGET]
