"""The tables of an evaluation: predictions per sample, metrics per class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from nnzoo.data import Dataset
from nnzoo.data.reader import NO_TARGET
from nnzoo.errors import UsageError
from nnzoo.training.measures.decoding import Decoder

_BLOCK_SIZE = 4096
MAX_CLASSES = 1000
"""More classes have no confusion matrix: that of a vocabulary would fill the disk."""


def confusion_matrix(decoder: Decoder, outputs: Tensor, targets: Tensor) -> list[list[int]]:
    """Returns the confusion matrix (K, K) of samples or steps with a target; rows are the true classes.

    It is empty for more than `MAX_CLASSES` classes.

    Args:
        decoder: The decoder of the outputs.
        outputs: The outputs, as returned by `Decoder.compact`.
        targets: The encoded targets; all tensors are on the CPU.
    """
    size = decoder.num_classes
    if size > MAX_CLASSES:
        return []
    if decoder.per == "step":
        valid = targets != NO_TARGET
        actual, predicted = targets[valid], outputs[..., 0][valid].long()
    else:
        actual = decoder.target_labels(targets[:, 0] if decoder.per == "node" else targets)
        predicted = decoder.labels(outputs)
    flat = actual * size + predicted
    rows: list[list[int]] = flat.bincount(minlength=size * size).reshape(size, size).tolist()
    return rows


def per_class(matrix: list[list[int]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns precision, recall, F1 and the number of samples of each class; 0 where the denominator is 0."""
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
    decoder: Decoder, outputs: Tensor, targets: Tensor, dataset: Dataset, split: str
) -> tuple[list[str], Iterator[list[Any]]]:
    """Returns the header and rows of predictions.csv, one row per sample.

    The first columns identify the sample (`Dataset.origin_columns`). Then follow the target, the prediction, and the
    probability of each class. With one target per step, there is one row for each step that has a target, with only the
    probability of the predicted class.

    Rows are generated in blocks, since as Python objects they take ten times the memory of the outputs.

    Args:
        decoder: The decoder of the outputs.
        outputs: The outputs, as returned by `Decoder.compact`.
        targets: The encoded targets; all tensors are on the CPU.
        dataset: The dataset before preprocessing.
        split: The name of the split.
    """
    names, places = dataset.origin_columns(split)
    starts = range(0, len(outputs), _BLOCK_SIZE)
    blocks = (slice(start, min(start + _BLOCK_SIZE, len(outputs))) for start in starts)
    tables = (_table(decoder, outputs[rows], targets[rows], dataset, names, places(rows)) for rows in blocks)
    header, first = next(tables)
    return header, chain(first, chain.from_iterable(rows for _, rows in tables))


def _table(
    decoder: Decoder,
    outputs: Tensor,
    targets: Tensor,
    dataset: Dataset,
    names: Sequence[str],
    places: Sequence[Sequence[Any]],
) -> tuple[list[str], list[list[Any]]]:
    """Returns the header and rows of a block of samples."""
    classes, target_names = dataset.classes, dataset.target_names
    places = list(zip(*places, strict=True))
    if decoder.per == "step":
        valid = targets != NO_TARGET
        truth = [classes[index] for index in targets[valid].tolist()]
        header, rows = step_table(outputs, valid, classes, range(len(outputs)))
        rows = [[*places[sample], step, true, *row] for (sample, step, *row), true in zip(rows, truth, strict=True)]
        return [*names, "step", "target", *header[2:]], rows
    targets = targets[:, 0] if decoder.per == "node" else targets
    if decoder.task == "regression":
        target_header, truth = columns("target", target_names), decoder.truth(targets).tolist()
    elif decoder.task == "multilabel":
        target_header, truth = [f"target_{name}" for name in classes], decoder.target_labels(targets).tolist()
    else:
        target_header, truth = ["target"], [[classes[index]] for index in decoder.target_labels(targets).tolist()]
    header, rows = prediction_table(decoder, outputs, classes, target_names)
    table = [[*place, *true, *row] for place, true, row in zip(places, truth, rows, strict=True)]
    return [*names, *target_header, *header], table


def step_table(
    outputs: Tensor, mask: Tensor, classes: Sequence[str], names: Sequence[int | str]
) -> tuple[list[str], list[list[Any]]]:
    """Returns the header and one row per step: its sample, its index, the likeliest class and its probability.

    Args:
        outputs: (N, T, 2), as returned by `Decoder.compact`.
        mask: (N, T) bool, whether a step has a row.
        classes: The class names.
        names: (N,) names of the samples.
    """
    samples, steps = mask.nonzero().T.tolist()
    labels, shares = outputs[mask].T.tolist()
    rows = zip(samples, steps, labels, shares, strict=True)
    table = [[names[sample], step, classes[int(label)], share] for sample, step, label, share in rows]
    return ["input", "step", "prediction", "probability"], table


def prediction_table(
    decoder: Decoder, outputs: Tensor, classes: Sequence[str], target_names: Sequence[str]
) -> tuple[list[str], list[list[Any]]]:
    """Returns the header and one row per sample: the prediction, then the probabilities if there are any.

    Args:
        decoder: The decoder of the outputs, on the CPU.
        outputs: (N, K), on the CPU.
        classes: The names of classes or labels.
        target_names: The names of regression targets.
    """
    rows: list[list[Any]]
    if decoder.task == "regression":
        return columns("prediction", target_names), decoder.values(outputs).tolist()
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


def columns(kind: str, target_names: Sequence[str]) -> list[str]:
    """Returns the column names: `prediction`, or `prediction_a`, `prediction_b` for several targets."""
    return [f"{kind}_{name}" for name in target_names] if len(target_names) > 1 else [kind]
