"""Confidence intervals of metrics: the uncertainty that comes from a finite number of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from nnzoo.data.reader import NO_TARGET
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.metrics import MetricSums

NORMAL_QUANTILE = 1.959964
"""The 97.5 % quantile of the normal distribution, for 95 % intervals."""
MAX_DRAWN = 20_000_000
"""The maximum number of outputs in all resamples together; there are at least 100 and at most 1,000 resamples."""


def intervals(
    metrics: Mapping[str, float], decoder: Decoder, outputs: Tensor, targets: Tensor
) -> dict[str, tuple[float, float]]:
    """Returns 95 % confidence intervals: Wilson (1927) for accuracies, else the percentile bootstrap (Efron 1979).

    Samples are assumed to be independent. The variation between training runs is not included. The resamples are the
    same in every call. Steps of a sample are not independent, so all steps of a sample are resampled together, and only
    the accuracy has an interval.

    Args:
        metrics: The measured metrics by name; "loss" has no interval.
        decoder: The decoder of the outputs, on the CPU.
        outputs: (N, ...), on the CPU, as returned by `Decoder.compact`.
        targets: (N, ...) encoded, on the CPU.
    """
    if decoder.per == "step":
        return {"accuracy": _step_accuracy_interval(outputs, targets)} if "accuracy" in metrics else {}
    if decoder.per == "node":
        targets, decoder = targets[:, 0], replace(decoder, per="sample")
    shares = ("accuracy", "top5_accuracy") if decoder.task == "classification" else ()
    bounds = {name: wilson(metrics[name], len(outputs)) for name in metrics if name in shares}
    resampled = [name for name in metrics if name not in (*bounds, "loss")]
    if not resampled:
        return bounds
    generator = torch.Generator().manual_seed(0)
    resampled_values: dict[str, list[float]] = {name: [] for name in resampled}
    for _ in range(min(1000, max(100, MAX_DRAWN // outputs.numel()))):
        rows = torch.randint(len(outputs), (len(outputs),), generator=generator)
        sums = MetricSums(resampled, decoder)
        sums.add(outputs.index_select(0, rows), targets.index_select(0, rows))
        for name, value in sums.result().items():
            resampled_values[name].append(value)
    quantiles = torch.tensor([0.025, 0.975], dtype=torch.float64)
    for name, values in resampled_values.items():
        low, high = torch.tensor(values, dtype=torch.float64).nanquantile(quantiles).tolist()
        bounds[name] = (low, high)
    return {name: bounds[name] for name in metrics if name in bounds}


def _step_accuracy_interval(outputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """Returns the interval of the accuracy over steps, from compact outputs (N, T, 2) and targets (N, T)."""
    valid = targets != NO_TARGET
    correct, count = ((outputs[..., 0] == targets) & valid).sum(1).double(), valid.sum(1).double()
    generator = torch.Generator().manual_seed(0)
    resampled_values = []
    for _ in range(min(1000, max(100, MAX_DRAWN // len(outputs)))):
        rows = torch.randint(len(outputs), (len(outputs),), generator=generator)
        resampled_values.append(float(correct[rows].sum() / count[rows].sum()))
    low, high = (
        torch.tensor(resampled_values, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    )
    return low, high


def wilson(share: float, num_samples: int) -> tuple[float, float]:
    """Returns the Wilson interval of a proportion p: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)."""
    z_squared = NORMAL_QUANTILE**2 / num_samples
    middle = share + z_squared / 2
    half = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / num_samples + z_squared / (4 * num_samples))
    return max(0.0, (middle - half) / (1 + z_squared)), min(1.0, (middle + half) / (1 + z_squared))
