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
    hits, actual, predicted = counts.diag().double(), counts.sum(1), counts.sum(0)
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
    if decoder.task == "regression":
        named, truth = _columns("target", target_names), decoder.values(targets).tolist()
    elif decoder.task == "multilabel":
        named, truth = [f"target_{name}" for name in classes], decoder.target_labels(targets).tolist()
    else:
        named, truth = ["target"], [[classes[index]] for index in decoder.target_labels(targets).tolist()]
    header, rows = answers(decoder, outputs, classes, target_names)
    table = [[index, *true, *row] for index, (true, row) in enumerate(zip(truth, rows, strict=True))]
    return ["input", *named, *header], table


def answers(
    decoder: Decoder, outputs: Tensor, classes: Sequence[str], target_names: Sequence[str]
) -> tuple[list[str], list[list[Any]]]:
    """A header and a row a sample: the answer, then the probabilities where the loss gives some.

    Args:
        decoder: Knows what outputs mean.
        outputs: (N, K), on the CPU as the decoder.
        classes: Names of classes or labels.
        target_names: Names of regression targets.
    """
    rows: list[list[Any]]
    if decoder.task == "regression":
        return _columns("prediction", target_names), decoder.values(outputs).tolist()
    if decoder.task == "multilabel":
        header, rows = [f"prediction_{name}" for name in classes], decoder.labels(outputs).tolist()
    else:
        header, rows = ["prediction"], [[classes[index]] for index in decoder.labels(outputs).tolist()]
    try:
        probabilities = decoder.probabilities(outputs).tolist()
    except UsageError:
        return header, rows
    return [*header, *(f"probability_{name}" for name in classes)], [
        [*row, *shares] for row, shares in zip(rows, probabilities, strict=True)
    ]


def _columns(kind: str, target_names: Sequence[str]) -> list[str]:
    return [f"{kind}_{name}" for name in target_names] if len(target_names) > 1 else [kind]
