"""Permutation importance: how much the score falls if the values of one column are shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.tables.csv_reader import CsvReader
from nnzoo.report.charts import Bars
from nnzoo.report.inside.network import MAX_SAMPLES, Found, Network

NUM_REPEATS = 5
MAX_COLUMNS, MAX_BARS = 200, 25


def importance_parts(network: Network, seed: int = 0) -> Found:
    """Returns the permutation importance of each column of a table (Breiman 2001), measured on val.

    The features of one column, such as those of its categories, are shuffled together. The shuffles are those of
    scikit-learn's `permutation_importance`.
    """
    if network.dataset.layout != "features":
        return "Permutation importance is for tables."
    if "val" not in network.experiment.splits:
        return "Permutation importance is measured on val, and there is no val split."
    names = network.input_names
    if not names:
        return "Permutation importance needs inputs with names."
    columns = columns_of(network)
    if len(columns) == 1:
        return "Permutation importance compares columns, and there is only one."
    if len(columns) > MAX_COLUMNS:
        return f"Permutation importance is measured for up to {MAX_COLUMNS} columns (got {len(columns)})."
    falls = importances(network, columns, seed)
    means, spreads = falls.mean(1), falls.std(1)
    order = np.argsort(-means, kind="stable")[:MAX_BARS]
    name, count = score_name(network), min(MAX_SAMPLES, len(network.experiment.splits["val"]))
    shown = f" The {MAX_BARS} most important of {len(columns)} columns." if len(columns) > MAX_BARS else ""
    caption = (
        f"How much {name} on val falls if the values of a column are shuffled among {count} samples: the mean of "
        f"{NUM_REPEATS} shuffles, and their standard deviation. A column near or below 0 is not needed by this "
        f"network, or another column says the same.{shown}"
    )
    labels, series = [list(columns)[i] for i in order], f"fall of {name}"
    return [
        Bars(
            "Permutation importance",
            caption,
            labels,
            {series: means[order].tolist()},
            series,
            {series: spreads[order].tolist()},
        )
    ]


def columns_of(network: Network) -> dict[str, list[int]]:
    """Returns the indices of the features of each column of the table, by its name."""
    names = network.input_names
    reader = network.dataset.reader
    if not isinstance(reader, CsvReader):
        return {name: [i] for i, name in enumerate(names)}
    columns: dict[str, list[int]] = {}
    start = 0
    for column in reader.columns:
        count = len(column.feature_names)
        if count:
            columns[column.name] = list(range(start, start + count))
        start += count
    return columns if start == len(names) else {name: [i] for i, name in enumerate(names)}


def importances(
    network: Network, columns: Mapping[str, Sequence[int]], seed: int = 0
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Returns by how much the score falls: one row per column, one column per shuffle."""
    split = network.experiment.splits["val"]
    rows = slice(0, MAX_SAMPLES)
    inputs = network.inputs(split, rows)
    count = len(inputs)
    whole = score(network, network.outputs(inputs))
    falls = np.zeros((len(columns), NUM_REPEATS))
    for place, indices in enumerate(columns.values()):
        generator, order = np.random.RandomState(seed), np.arange(count)
        shuffled = inputs.clone()
        which = torch.tensor(indices, device=inputs.device)
        for repeat in range(NUM_REPEATS):
            generator.shuffle(order)
            shuffled[:, which] = shuffled[torch.from_numpy(order).to(inputs.device)][:, which]
            # Rounded, so that equal scores differ by 0.
            falls[place, repeat] = round(whole - score(network, network.outputs(shuffled)), 12)
    return falls


def score_name(network: Network) -> str:
    """Returns the name of the score: R2 for regression, else accuracy, of single labels for several."""
    names = {"regression": "R²", "multilabel": "the accuracy of labels"}
    return names.get(network.decoder.task, "accuracy")


def score(network: Network, outputs: Tensor) -> float:
    """Returns the score of outputs for the first samples of val."""
    split, decoder = network.experiment.splits["val"], network.decoder
    rows = slice(0, len(outputs))
    if decoder.task != "regression":
        truth = decoder.target_labels(split.targets[rows].cpu())
        return float((decoder.labels(outputs) == truth).double().mean())
    truth, values = split.truth[rows].cpu().double(), decoder.values(outputs)
    residual = (truth - values).square().sum(0)
    total = (truth - truth.mean(0)).square().sum(0)
    return float(torch.where(total > 0, 1 - residual / total, torch.zeros_like(total)).mean())
