"""What is measured besides metrics: predictions per sample, figures per class, the confusion matrix."""

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

_SAMPLES_AT_ONCE = 4096
MAX_CLASSES = 1000
"""The matrix of a vocabulary would fill the disk."""


def confusion_matrix(decoder: Decoder, outputs: Tensor, targets: Tensor) -> list[list[int]]:
    """Counts pairs of true class (row) and predicted class (column), (K, K), over samples or steps with a target.

    It is empty for more than `MAX_CLASSES` classes.

    Args:
        decoder: Knows what outputs mean.
        outputs: As `Decoder.compact` makes them.
        targets: Encoded, on the CPU as the outputs.
    """
    size = decoder.num_classes
    if size > MAX_CLASSES:
        return []
    if decoder.per == "step":
        there = targets != NO_TARGET
        actual, predicted = targets[there], outputs[..., 0][there].long()
    else:
        actual = decoder.target_labels(targets[:, 0] if decoder.per == "node" else targets)
        predicted = decoder.labels(outputs)
    flat = actual * size + predicted
    rows: list[list[int]] = flat.bincount(minlength=size * size).reshape(size, size).tolist()
    return rows


def per_class(matrix: list[list[int]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns precision, recall, F1 and the number of samples of each class; 0 instead of a division by 0."""
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
    """Returns the table of predictions.csv: one row per sample.

    It begins with the columns that say where the sample comes from (`Dataset.places`); then come the target, the
    prediction and the probability of each class. With a target per step it has one row for each step that has one, and
    the probability of the predicted class only.

    Rows are made block by block: as Python's numbers they take ten times the memory of the outputs.

    Args:
        decoder: Knows what outputs mean.
        outputs: As `Decoder.compact` makes them.
        targets: Encoded, on the CPU as the outputs.
        dataset: Before preprocessing.
        split: The name of the split.
    """
    names, places = dataset.origin_columns(split)
    starts = range(0, len(outputs), _SAMPLES_AT_ONCE)
    blocks = (slice(start, min(start + _SAMPLES_AT_ONCE, len(outputs))) for start in starts)
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
    """The rows of some samples, whose places are in columns of these names."""
    classes, target_names = dataset.classes, dataset.target_names
    places = list(zip(*places, strict=True))
    if decoder.per == "step":
        there = targets != NO_TARGET
        truth = [classes[index] for index in targets[there].tolist()]
        header, rows = step_answers(outputs, there, classes, range(len(outputs)))
        rows = [[*places[sample], step, true, *row] for (sample, step, *row), true in zip(rows, truth, strict=True)]
        return [*names, "step", "target", *header[2:]], rows
    targets = targets[:, 0] if decoder.per == "node" else targets
    if decoder.task == "regression":
        named, truth = columns("target", target_names), decoder.truth(targets).tolist()
    elif decoder.task == "multilabel":
        named, truth = [f"target_{name}" for name in classes], decoder.target_labels(targets).tolist()
    else:
        named, truth = ["target"], [[classes[index]] for index in decoder.target_labels(targets).tolist()]
    header, rows = answers(decoder, outputs, classes, target_names)
    table = [[*place, *true, *row] for place, true, row in zip(places, truth, rows, strict=True)]
    return [*names, *named, *header], table


def step_answers(
    outputs: Tensor, there: Tensor, classes: Sequence[str], names: Sequence[int | str]
) -> tuple[list[str], list[list[Any]]]:
    """Returns a header and one row per step: its sample, its number from 0, the likeliest class and its probability.

    Args:
        outputs: (N, T, 2), as `Decoder.compact` makes them.
        there: (N, T) bool, the steps that get a row.
        classes: Names of classes.
        names: (N,) names of the samples.
    """
    samples, steps = there.nonzero().T.tolist()
    labels, shares = outputs[there].T.tolist()
    rows = zip(samples, steps, labels, shares, strict=True)
    table = [[names[sample], step, classes[int(label)], share] for sample, step, label, share in rows]
    return ["input", "step", "prediction", "probability"], table


def answers(
    decoder: Decoder, outputs: Tensor, classes: Sequence[str], target_names: Sequence[str]
) -> tuple[list[str], list[list[Any]]]:
    """Returns a header and one row per sample: the prediction, then the probabilities if the loss gives any.

    Args:
        decoder: Knows what outputs mean.
        outputs: (N, K), on the CPU as the decoder.
        classes: Names of classes or labels.
        target_names: Names of regression targets.
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
    """Returns the column `prediction`, or for several targets `prediction_a`, `prediction_b`."""
    return [f"{kind}_{name}" for name in target_names] if len(target_names) > 1 else [kind]
