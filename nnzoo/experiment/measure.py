"""What is measured on a split beyond its metrics: answers row by row, each class, the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.training.decoding import Decoder


def confusion_matrix(decoder: Decoder, outputs: Tensor, targets: Tensor) -> list[list[int]]:
    """Counts (K, K): the true class by row, the predicted one by column."""
    size = decoder.num_classes
    flat = decoder.target_labels(targets) * size + decoder.labels(outputs)
    rows: list[list[int]] = flat.bincount(minlength=size * size).reshape(size, size).tolist()
    return rows


def per_class(matrix: list[list[int]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and number of samples of each class; 0 where there is nothing to divide by."""
    counts = torch.tensor(matrix)
    hits, actual, predicted = counts.diag(), counts.sum(1), counts.sum(0)
    columns = {
        "precision": hits / predicted.clamp_min(1),
        "recall": hits / actual.clamp_min(1),
        "f1": 2 * hits / (actual + predicted).clamp_min(1),
    }
    return [
        {"class": name, **{key: float(column[index]) for key, column in columns.items()}, "support": int(actual[index])}
        for index, name in enumerate(classes)
    ]


def predictions(
    decoder: Decoder, outputs: Tensor, targets: Tensor, classes: Sequence[str], target_names: Sequence[str]
) -> tuple[list[str], list[list[Any]]]:
    """The table of predictions.csv: one row a sample, its number, the truth, the answer, the probabilities.

    Args:
        decoder: Knows what outputs mean.
        outputs: (N, K).
        targets: Encoded, on the CPU as the outputs.
        classes: Names of classes or labels.
        target_names: Names of regression targets.
    """
    header: list[str]
    if decoder.task == "regression":
        truth, answers = decoder.values(targets), decoder.values(outputs)
        several = len(target_names) > 1
        header = [f"{kind}_{name}" if several else kind for kind in ("target", "prediction") for name in target_names]
        table = torch.cat([truth, answers], dim=1).tolist()
    elif decoder.task == "multilabel":
        header = [f"{kind}_{name}" for kind in ("target", "prediction") for name in classes]
        table = torch.cat([decoder.target_labels(targets), decoder.labels(outputs)], dim=1).tolist()
    else:
        header = ["target", "prediction"]
        pairs = zip(decoder.target_labels(targets).tolist(), decoder.labels(outputs).tolist(), strict=True)
        table = [[classes[true], classes[answer]] for true, answer in pairs]
    try:
        probabilities = decoder.probabilities(outputs).tolist()
    except UsageError:
        return ["input", *header], [[index, *row] for index, row in enumerate(table)]
    header += [f"probability_{name}" for name in classes]
    return ["input", *header], [
        [index, *row, *shares] for index, (row, shares) in enumerate(zip(table, probabilities, strict=True))
    ]
