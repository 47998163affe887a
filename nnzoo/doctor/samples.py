"""Describes the training data and finds problems in it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nnzoo.config import Config
from nnzoo.config.data import Files
from nnzoo.config.loss import WeightedLoss
from nnzoo.data import Dataset, OnDisk, Split
from nnzoo.data.fitting import fit_scale
from nnzoo.data.tables.csv_reader import CsvReader
from nnzoo.doctor import duplicates
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.train.record import PREDICTED_SPLITS

MAX_DESCRIBED_COLUMNS = 1000
MAX_READ = 2**24
"""The maximum number of entries that are examined of a split that stays on the disk."""
IMBALANCE = 10
"""Classes are imbalanced if the largest has at least this many times the samples of the smallest."""
SMALL_CLASS = 5
LEAK, LEAST_RANKED = 0.9995, 30
"""The correlation with the target of a column that contains it, and the least number of samples to compare ranks."""


def select_examined(experiment: Experiment) -> Experiment:
    """Returns the experiment with samples in memory: for a split on disk, a fixed random part that fits."""
    dataset = experiment.dataset
    raw, splits = dict(dataset.splits), dict(experiment.splits)
    for name, split in dataset.splits.items():
        if isinstance(split.inputs, OnDisk):
            most = max(1, MAX_READ // math.prod(dataset.input_shape))
            rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most].sort().values
            raw[name], splits[name] = _in_memory(split, rows), _in_memory(splits[name], rows)
    return replace(experiment, dataset=replace(dataset, splits=raw), splits=splits)


def _in_memory(split: Split, rows: Tensor) -> Split:
    part = split.take(rows.to(split.targets.device))
    return replace(part, inputs=split.inputs[rows])


def describe(experiment: Experiment, examined: Experiment) -> dict[str, Any]:
    """Describes the data: sizes, column types, classes or targets, and statistics of the examined samples."""
    dataset = experiment.dataset
    described: dict[str, Any] = {
        "source": experiment.config.data.name,
        "task": dataset.task,
        "layout": dataset.layout,
        "per": dataset.per,
        "input_shape": list(dataset.input_shape),
        "splits": {name: len(split) for name, split in dataset.splits.items()},
        "chosen": dict(dataset.choices),
    }
    if dataset.reader is not None and dataset.reader.column_types:
        described["types"] = dataset.reader.column_types
    if dataset.reader is not None and dataset.reader.column_forms:
        described["forms"] = dataset.reader.column_forms
    if dataset.task == "regression":
        described["targets"] = _columns(dataset.train.targets, dataset.target_names)
    else:
        counts = {name: _class_counts(dataset, dataset.measured_split(name)) for name in dataset.splits}
        described["classes"] = {
            each: {split: count[index] for split, count in counts.items()} for index, each in enumerate(dataset.classes)
        }
    if dataset.missing_values:
        described["missing"] = {
            name: {"count": count, "share": count / rows} for name, (count, rows) in dataset.missing_values.items()
        }
    if dataset.layout == "features":
        names = dataset.feature_names or tuple(map(str, range(dataset.input_shape[0])))
        described["columns"] = _columns(examined.dataset.train.inputs[:, :MAX_DESCRIBED_COLUMNS], names)
    return described


def _columns(values: Tensor, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    columns = {}
    for index, name in enumerate(names[: values.shape[1]]):
        column = values[:, index].double()  # one column at a time, since a table may fill half of the memory
        figures = {"mean": column.mean(), "std": column.std(correction=0), "min": column.amin(), "max": column.amax()}
        columns[name] = {key: float(figure) for key, figure in figures.items()}
    return columns


def _class_counts(dataset: Dataset, split: Split) -> list[int]:
    if dataset.task == "multilabel":
        return [int(count) for count in split.targets.sum(0)]
    labels = split.class_indices()
    return labels[labels >= 0].bincount(minlength=len(dataset.classes)).tolist()


def findings(experiment: Experiment, examined: Experiment) -> Iterator[Finding]:
    """Finds problems in the examined samples: duplicates, imbalance, different scales and leaks."""
    splits, parts = experiment.dataset.splits, examined.dataset.splits
    if any(len(parts[name]) < len(split) for name, split in splits.items()):
        shown = ", ".join(f"{len(parts[name])} of {len(split)} {name} samples" for name, split in splits.items())
        yield Finding("note", "samples", f"the data is not loaded into memory; only a part was examined: {shown}.")
    yield from duplicates.findings(examined.dataset)
    yield from _balance(experiment)
    if isinstance(experiment.config.data, Files):  # bundled and generated data has no leaks
        yield from _leaks(examined.dataset, experiment.config)


def _balance(experiment: Experiment) -> Iterator[Finding]:
    dataset, config = experiment.dataset, experiment.config
    if dataset.task != "classification" or dataset.per == "step":
        return
    counts = Counter(dict(zip(dataset.classes, _class_counts(dataset, dataset.measured_split("train")), strict=True)))
    (largest, most), (smallest, least) = counts.most_common()[0], counts.most_common()[-1]
    fixes = []
    if not set(config.train.metrics) & {"f1", "recall", "auroc", "balanced_accuracy", "average_precision"}:
        fixes.append("Look at train.metrics: [accuracy, f1].")
    if not isinstance(config.loss, WeightedLoss) or config.loss.class_weights is None:
        fixes.append("Try loss: {name: cross_entropy, class_weights: balanced}.")
    if most >= IMBALANCE * max(least, 1) and fixes:
        yield Finding(
            "warning",
            "class balance",
            f"{largest} has {most} train samples, and {smallest} has {least}: accuracy says little about rare classes. "
            f"{' '.join(fixes)}",
        )
    rare = [name for name, count in counts.items() if count < SMALL_CLASS]
    if rare and len(dataset.train) >= SMALL_CLASS * len(counts):
        shown = ", ".join(rare[:MAX_NAMED])
        yield Finding("warning", "class balance", f"classes with fewer than {SMALL_CLASS} train samples: {shown}.")


def _leaks(dataset: Dataset, config: Config) -> Iterator[Finding]:
    """Finds columns from which a rule fitted on train predicts the target of held-out samples perfectly."""
    measured = next((name for name in PREDICTED_SPLITS if name in dataset.splits), "train")
    if dataset.layout != "features" or dataset.input_shape[0] < 2 or measured == "train":
        return
    names = dataset.feature_names or tuple(map(str, range(dataset.input_shape[0])))
    other = dataset.splits[measured]
    if dataset.task == "classification":
        categories = _category_columns(dataset)
        perfect = [name for name, place in categories.items() if _category_predicts_class(dataset.train, other, place)]
        one_hot = {index for place in categories.values() for index in range(place.start, place.stop)}
        how = "perfectly"
        perfect += [names[index] for index in _separating_columns(dataset.train, other) if index not in one_hot]
    elif dataset.task == "regression":
        found = [_columns_like_target(split) for split in (dataset.train, other)]
        perfect = [names[index] for index in sorted(found[0] & found[1])]
        how = "almost perfectly"
    else:
        return
    for name in perfect[:MAX_NAMED]:
        yield Finding(
            "spoils",
            "leak",
            f"the column {name} alone predicts the target {how}. Does it contain the target, or something "
            "that is known only afterwards? Exclude such a column (`ignore`).",
            fix=without_column(config, name),
        )


def without_column(config: Config, name: str) -> tuple[str, ...]:
    """Returns the override that leaves out a column; none if the source has no such key."""
    ignored = getattr(config.data, "ignore", None)
    return () if ignored is None else (f"data.ignore={json.dumps([*ignored, name])}",)


def _category_columns(dataset: Dataset) -> dict[str, slice]:
    """Returns the positions of the one-hot features of each categorical column."""
    places, start = {}, 0
    for column in dataset.reader.columns if isinstance(dataset.reader, CsvReader) else ():
        stop = start + len(column.feature_names)
        if column.kind == "category":
            places[column.name] = slice(start, stop)
        start = stop
    return places


def _category_predicts_class(train: Split, other: Split, place: slice) -> bool:
    """Returns whether each category (features (N, C) at `place`) occurs with only one class in both splits."""
    labels, expected = train.class_indices(), other.class_indices()
    if bool((expected == expected[0]).all()):
        return False
    there = train.inputs[:, place] > 0
    classes = [labels[has].bincount().nonzero().flatten() for has in there.T]
    # A category that train lacks does not predict a class.
    if any(len(each) > 1 for each in classes) or not bool(there.any(1).all()):
        return False
    answers = torch.tensor([int(each[0]) if len(each) else -1 for each in classes])
    measured = other.inputs[:, place] > 0
    return bool(measured.any(1).all()) and torch.equal(answers[measured.int().argmax(1)], expected)


def _separating_columns(train: Split, other: Split) -> list[int]:
    """Returns the columns whose values, split where the class changes, predict the class of every sample."""
    labels, expected = train.class_indices(), other.class_indices()
    num_classes = int((labels.bincount() > 0).sum())
    if bool((expected == expected[0]).all()):
        return []
    columns = []
    for column in range(train.inputs.shape[1]):
        values, order = train.inputs[:, column].sort(stable=True)
        ordered = labels[order]
        changes = (ordered[1:] != ordered[:-1]).nonzero().flatten() + 1
        # A cut between equal values is impossible, and with many cuts the column does not separate the classes.
        if len(changes) >= 2 * num_classes or bool((values[changes] == values[changes - 1]).any()):
            continue
        below, above = values[changes - 1], values[changes]
        middle = below / 2 + above / 2
        # Neighbouring floats have no number between them.
        cuts = torch.where((below <= middle) & (middle < above), middle, below)
        answers = ordered[torch.cat([torch.zeros(1, dtype=torch.long), changes])]
        if torch.equal(answers[torch.bucketize(other.inputs[:, column].contiguous(), cuts)], expected):
            columns.append(column)
    return columns


def _columns_like_target(split: Split) -> set[int]:
    """Returns the columns that determine the target up to a little noise, by a linear or a monotonic function."""
    target, columns = split.targets[:, :1], split.inputs.T.unsqueeze(2)
    linear = (_standardized(split.inputs) * _standardized(target)).mean(0).abs() >= LEAK
    if len(split) < LEAST_RANKED:
        return {int(index) for index in linear.nonzero().flatten()}
    ranks = _ranks(target)
    monotonic = [float((_ranks(column) * ranks).mean().abs()) >= LEAK for column in columns]
    return {index for index, pair in enumerate(zip(linear.tolist(), monotonic, strict=True)) if any(pair)}


def _ranks(column: Tensor) -> Tensor:
    """Returns the standardized ranks of a column (N, 1); equal values have their mean rank."""
    _, places, counts = torch.unique(column, return_inverse=True, return_counts=True)
    return _standardized((counts.cumsum(0) - counts / 2)[places])


def _standardized(values: Tensor) -> Tensor:
    values = values.double()
    shift, scale = fit_scale(lambda: iter([values]), "standardize")
    return (values - shift) / scale
