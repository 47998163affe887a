"""Compares the distribution of the samples of val and test with that of train."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnzoo.data import OnDisk, Split
from nnzoo.data.dataset import Dataset
from nnzoo.doctor.trials import measured_rows
from nnzoo.experiment.prepare import Experiment
from nnzoo.numbers import number

MAX_ROWS, MAX_COLUMNS = 2000, 300
LEAST_ROWS = 8
DISTANCE, LARGE_DISTANCE = 0.25, 0.5
"""The smallest difference of two cumulative distributions that matters, and that of one of many columns."""
SIGNIFICANT = 1e-4
"""The largest probability of such a difference by chance, for all columns together."""
MAX_NAMED = 3


def differences(experiment: Experiment) -> list[str]:
    """Returns a text for each split, val or test, whose samples differ from those of train.

    Each column of each split is compared with the two-sample Kolmogorov-Smirnov test, with the Bonferroni correction
    for the number of columns. Images are compared by brightness and contrast, sequences by the mean and the spread of
    each feature, and texts by their lengths.
    """
    dataset = experiment.dataset
    found = []
    for name in ("val", "test"):
        if name not in experiment.splits or min(len(experiment.splits[each]) for each in ("train", name)) < LEAST_ROWS:
            continue
        train, other = _columns(experiment, "train"), _columns(experiment, name)
        if train is None or other is None:
            continue
        compared = _compare(train, other)
        classes = _classes(dataset, name)
        if compared or classes:
            found.append(f"{name} differs from train: {'; '.join([*compared, *classes])}")
    return found


Columns = dict[str, Tensor]


def _columns(experiment: Experiment, name: str) -> Columns | None:
    """Returns numbers that describe the samples of a split, each (M,)."""
    dataset = experiment.dataset
    split = dataset.splits[name] if not dataset.splits[name].inputs.is_meta else experiment.splits[name]
    if isinstance(split.inputs, OnDisk):
        return None
    part = split.take(measured_rows(split, MAX_ROWS).to(split.targets.device))
    columns = _inputs(dataset, part)
    if dataset.task == "regression":
        names = dataset.target_names or tuple(f"target {index}" for index in range(part.targets.shape[1]))
        columns |= {f"target {key}": column for key, column in zip(names, dataset.splits[name].targets.T, strict=False)}
    return columns


def _inputs(dataset: Dataset, part: Split) -> Columns:
    inputs = part.inputs
    names = dataset.feature_names or tuple(f"column {index}" for index in range(inputs.shape[-1]))
    if dataset.layout == "features":
        return {name: inputs[:, index] for index, name in enumerate(names[:MAX_COLUMNS])}
    if dataset.layout == "image":
        pixels = inputs.double().flatten(2)  # (N, C, H * W)
        return {"brightness": pixels.mean((1, 2)), "contrast": pixels.std((1, 2))}
    if dataset.layout == "sequence":
        columns: Columns = {}
        for index, name in enumerate(names[:MAX_COLUMNS]):
            columns |= {f"mean of {name}": inputs[..., index].mean(1), f"spread of {name}": inputs[..., index].std(1)}
        return columns
    tokens = inputs[..., 0] if dataset.layout == "tree" else inputs
    lengths = part.lengths if part.lengths is not None else (tokens > 0).sum(1)
    return {"length": lengths}


def _compare(train: Columns, other: Columns) -> list[str]:
    """Describes the columns that differ most."""
    rated = []
    for name, column in train.items():
        distance, chance = _kolmogorov_smirnov(column, other[name])
        limit = DISTANCE if len(train) < 10 or distance >= LARGE_DISTANCE else 1.4 * DISTANCE
        if distance >= limit and chance * len(train) < SIGNIFICANT:
            rated.append((distance, name))
    rated.sort(reverse=True)
    shown = []
    for _, name in rated[:MAX_NAMED]:
        means = [float(each[name].double().mean()) for each in (train, other)]
        spreads = [float(each[name].double().std()) for each in (train, other)]
        shown.append(
            f"{name} is {number(means[1])} ± {number(spreads[1])} there, and {number(means[0])} ± "
            f"{number(spreads[0])} in train"
        )
    more = [f"{len(rated) - MAX_NAMED} more columns differ"] if len(rated) > MAX_NAMED else []
    return shown + more


def _kolmogorov_smirnov(first: Tensor, second: Tensor) -> tuple[float, float]:
    """Returns the largest difference of two empirical distributions, and its probability by chance (Stephens 1970)."""
    first, second = (each.double()[each.double().isfinite()].sort().values.contiguous() for each in (first, second))
    if len(first) < LEAST_ROWS or len(second) < LEAST_ROWS:
        return 0.0, 1.0
    values = torch.cat([first, second])
    shares = [torch.searchsorted(each, values, right=True).double() / len(each) for each in (first, second)]
    distance = float((shares[0] - shares[1]).abs().max())
    size = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    chance = 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 50))
    return distance, min(max(chance, 0.0), 1.0) if scaled > 0.3 else 1.0


def _classes(dataset: Dataset, name: str) -> list[str]:
    """Describes classes whose share differs."""
    if dataset.task != "classification" or dataset.per != "sample":
        return []
    counts = [
        dataset.measured_split(each).class_indices().bincount(minlength=len(dataset.classes))
        for each in ("train", name)
    ]
    totals = [int(each.sum()) for each in counts]
    shares = [each.double() / total for each, total in zip(counts, totals, strict=True)]
    distance = float((shares[0] - shares[1]).abs().sum() / 2)
    # The statistic of a test of homogeneity is about chi-square with K - 1 degrees of freedom.
    pooled = (counts[0] + counts[1]).double() / sum(totals)
    expected = [(pooled * total).clamp_min(1e-9) for total in totals]
    statistic = sum(float(((count - mean).square() / mean).sum()) for count, mean in zip(counts, expected, strict=True))
    freedom = max(1, int((pooled > 0).sum()) - 1)
    if distance < DISTANCE or statistic < freedom + 6 * math.sqrt(2 * freedom) + 10:
        return []
    most = int((shares[0] - shares[1]).abs().argmax())
    return [
        f"{float(shares[1][most]):.0%} of its samples are '{dataset.classes[most]}', and {float(shares[0][most]):.0%} "
        "of those of train"
    ]
