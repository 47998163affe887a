"""Computes the loss and metrics of a split exactly, over all of its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.training.batches.order import eval_batch_size, finish, for_model
from nnzoo.training.batches.reading import read_batches
from nnzoo.training.measures.decoding import in_float64
from nnzoo.training.measures.losses import denominator
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.processes.group import SINGLE_PROCESS, Group


@dataclass(frozen=True)
class Evaluation:
    """The results on a split.

    Attributes:
        metrics: "loss" and each metric; NaN for a metric that is undefined on this split.
        outputs: (N, K) on the CPU if `keep_outputs` was given, in the form of `Decoder.compact`; else None.
    """

    metrics: dict[str, float]
    outputs: Tensor | None = None


class LossSum:
    """Accumulates the mean loss over samples, or the sum for a loss with reduction `sum`, without a device sync."""

    def __init__(self, loss: nn.Module) -> None:
        self.summed = getattr(loss, "reduction", "mean") == "sum"
        self.total: Tensor | float = 0.0
        self.weight: Tensor | float = 0.0

    def add(self, value: Tensor | float, weight: Tensor | float) -> None:
        """Adds the loss of a batch with its weight."""
        self.total = self.total + (value if self.summed else value * weight)
        self.weight = self.weight + weight

    def result(self) -> float:
        """Returns the loss over all batches. This synchronises with the device."""
        total, weight = float(self.total), float(self.weight)
        return total if self.summed else total / weight if weight else float("nan")


def loss_and_metrics(loss: LossSum, sums: MetricSums, group: Group = SINGLE_PROCESS) -> dict[str, float]:
    """Returns the loss and metrics over the batches of all processes. This synchronises processes and device."""
    if group.size > 1:
        sums.flush()
        own = {"loss": [float(loss.total), float(loss.weight)], "metrics": sums.state_dict()}
        ranks = group.gather(own)
        # In the same order on every rank, so that all get the same sums.
        loss.total, loss.weight = (sum(column) for column in zip(*(each["loss"] for each in ranks), strict=True))
        sums = MetricSums(sums.names, sums.decoder)
        for each in ranks:
            sums.join(each["metrics"])
    return {"loss": loss.result(), **sums.result()}


def mirrored(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns a function that averages the outputs for images (N, C, H, W) and for their mirror images."""

    def average(images: Tensor) -> Tensor:
        return (forward(images) + forward(images.flip(-1))) / 2

    return average


def as_number(number: Tensor | float) -> Tensor | float:
    """Returns a scalar as a float. On a GPU it stays a tensor, since reading it would be a sync."""
    if not isinstance(number, Tensor):
        return number
    return float(number.item()) if number.device.type == "cpu" else number.detach()


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loss: nn.Module,
    split: Split,
    sums: MetricSums,
    *,
    batch_size: int,
    mirror: bool = False,
    keep_outputs: bool = False,
    exact: bool = False,
    group: Group = SINGLE_PROCESS,
    forward: Callable[..., Tensor] | None = None,
) -> Evaluation:
    """Evaluates a model. It is switched to evaluation mode, and stays in it.

    Args:
        model: (N, *) -> (N, K), or (N, T, K) with one prediction per position.
        loss: The loss of outputs and encoded targets.
        split: Preprocessed inputs and encoded targets, on the model's device.
        sums: The sums of the metrics to compute, still empty.
        batch_size: The batch size of training. Evaluation may use larger batches: see `eval_batch_size`.
        mirror: Whether the outputs for images and their mirror images are averaged.
        keep_outputs: Whether the outputs are returned.
        exact: Whether batches have exactly `batch_size` samples.
        group: The process group. Each process evaluates its share and returns the outputs of that share.
        forward: Called instead of the model, as in `TrainState.forward`; None to call the model.
    """
    model.eval()
    total = LossSum(loss)
    kept: Tensor | None = None
    num_kept = 0
    classes = sums.decoder.num_classes if sums.decoder.per == "step" else 0
    size = batch_size if exact else eval_batch_size(split.inputs, batch_size, classes_per_step=classes)
    split = for_model(model, split)
    forward = forward or model
    forward = mirrored(forward) if mirror else forward
    first, last = group.share(0, len(split))
    ends = [(start, min(start + size, last)) for start in range(first, last, size)]
    with read_batches(split, None, ends) as reader:
        for batch, (start, end) in zip(reader, ends, strict=True):
            *inputs, targets = finish(batch, split, None)
            outputs = forward(*inputs)
            weighting = () if split.weights is None else (split.weights[start:end],)
            value = loss(outputs, targets, *weighting)
            total.add(as_number(value), as_number(denominator(loss, targets)))
            if split.level is not None:
                outputs = in_float64(outputs) + split.level[start:end]
            sums.add(outputs, targets if split.exact is None else split.exact[start:end])
            if keep_outputs:
                compact = sums.decoder.compact(outputs).cpu()
                # One tensor for all batches: many small ones fragment the memory, and joining them doubles it.
                kept = compact.new_empty(last - first, *compact.shape[1:]) if kept is None else kept
                kept[num_kept : num_kept + len(compact)] = compact
                num_kept += len(compact)
    return Evaluation(loss_and_metrics(total, sums, group), kept)


def evaluate_outputs(outputs: Tensor, split: Split, loss: nn.Module, sums: MetricSums) -> Evaluation:
    """Evaluates outputs that were computed before.

    Args:
        outputs: (N, K) on the CPU, with one prediction per sample.
        split: The encoded targets.
        loss: The loss of outputs and encoded targets.
        sums: The sums of the metrics to compute, still empty.
    """
    total, truth = LossSum(loss), split.truth.cpu()
    # The targets of a series with shifted windows do not include the shift, but the outputs do.
    targets = sums.decoder.scaled(truth).to(outputs.dtype) if split.exact is not None else split.targets.cpu()
    weighting = () if split.weights is None else (split.weights.cpu(),)
    value = loss.cpu()(outputs, targets, *weighting)
    total.add(as_number(value), as_number(denominator(loss, targets)))
    sums.add(outputs, truth)
    return Evaluation(loss_and_metrics(total, sums), outputs)
