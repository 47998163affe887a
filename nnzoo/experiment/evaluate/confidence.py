"""How far a metric may be off because the measured samples are only some of all there could be."""

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
"""Of 97.5 %: the intervals cover 95 %."""
MAX_DRAWN = 20_000_000
"""Numbers of output that all resamples together may have; but there are at least 100 resamples and at most 1,000."""


def intervals(
    metrics: Mapping[str, float], decoder: Decoder, outputs: Tensor, targets: Tensor
) -> dict[str, tuple[float, float]]:
    """95 % confidence intervals: Wilson's (1927) of a share of right answers, else Efron's (1979) percentile bootstrap.

    Samples count as independent of each other, and the training as given. The resamples are the same at every call.
    Steps of a sample are not independent: whole samples are resampled, for the accuracy alone.

    Args:
        metrics: As measured, by name; "loss" has no interval.
        decoder: Knows what outputs mean; on the CPU.
        outputs: (N, ...), on the CPU; as `Decoder.compact` makes them.
        targets: (N, ...) encoded, on the CPU.
    """
    if decoder.per == "step":
        return {"accuracy": _of_positions(outputs, targets)} if "accuracy" in metrics else {}
    if decoder.per == "node":
        targets, decoder = targets[:, 0], replace(decoder, per="sample")
    shares = ("accuracy", "top5_accuracy") if decoder.task == "classification" else ()
    found = {name: wilson(metrics[name], len(outputs)) for name in metrics if name in shares}
    resampled = [name for name in metrics if name not in (*found, "loss")]
    if not resampled:
        return found
    generator = torch.Generator().manual_seed(0)
    drawn: dict[str, list[float]] = {name: [] for name in resampled}
    for _ in range(min(1000, max(100, MAX_DRAWN // outputs.numel()))):
        rows = torch.randint(len(outputs), (len(outputs),), generator=generator)
        sums = MetricSums(resampled, decoder)
        sums.add(outputs.index_select(0, rows), targets.index_select(0, rows))
        for name, value in sums.result().items():
            drawn[name].append(value)
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    for name, values in drawn.items():
        low, high = torch.tensor(values, dtype=torch.float64).nanquantile(ends).tolist()
        found[name] = (low, high)
    return {name: found[name] for name in metrics if name in found}


def _of_positions(outputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """The interval of the accuracy over steps, of kept outputs (N, T, 2) and targets (N, T)."""
    there = targets != NO_TARGET
    right, count = ((outputs[..., 0] == targets) & there).sum(1).double(), there.sum(1).double()
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(min(1000, max(100, MAX_DRAWN // len(outputs)))):
        rows = torch.randint(len(outputs), (len(outputs),), generator=generator)
        drawn.append(float(right[rows].sum() / count[rows].sum()))
    low, high = torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return low, high


def wilson(share: float, num_samples: int) -> tuple[float, float]:
    """The 95 % interval of a share, right at 0 and 1 too: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)."""
    z_squared = NORMAL_QUANTILE**2 / num_samples
    middle = share + z_squared / 2
    half = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / num_samples + z_squared / (4 * num_samples))
    return max(0.0, (middle - half) / (1 + z_squared)), min(1.0, (middle + half) / (1 + z_squared))
