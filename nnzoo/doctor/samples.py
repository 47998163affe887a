"""The data that a network will be trained on: what it is like, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nnzoo.config.data import Files
from nnzoo.data import Dataset, Split
from nnzoo.data.tables.reader import CsvReader
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.record import PREDICTED_SPLITS

MAX_DESCRIBED_COLUMNS = 1000
IMBALANCE = 10
"""The largest class has this many times the samples of the smallest."""
SPOILING_SHARE = 0.05
"""Of a measured split: so many samples that are in train too make its metrics too good."""
SCALE_RATIO = 100
"""Between the spreads of two columns; beyond it gradient descent follows the larger one alone."""
SMALL_CLASS = 5

Place = tuple[str, int]
"""A split and a position in it."""


def describe(experiment: Experiment) -> dict[str, Any]:
    """What the data is: sizes, kinds, classes or targets, columns."""
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
    if dataset.task == "regression":
        described["targets"] = _columns(dataset.train.targets, dataset.target_names)
    else:
        counts = {name: _class_counts(dataset, split) for name, split in dataset.splits.items()}
        described["classes"] = {
            each: {split: count[index] for split, count in counts.items()} for index, each in enumerate(dataset.classes)
        }
    if dataset.layout == "features":
        names = dataset.feature_names or tuple(map(str, range(dataset.input_shape[0])))
        described["columns"] = _columns(dataset.train.inputs[:, :MAX_DESCRIBED_COLUMNS], names)
    return described


def _columns(values: Tensor, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    values = values.double()
    figures = {
        "mean": values.mean(0),
        "std": values.std(0, correction=0),
        "min": values.amin(0),
        "max": values.amax(0),
    }
    return {
        name: {key: float(figure[index]) for key, figure in figures.items()}
        for index, name in enumerate(names[: values.shape[1]])
    }


def _class_counts(dataset: Dataset, split: Split) -> list[int]:
    if dataset.task == "multilabel":
        return [int(count) for count in split.targets.sum(0)]
    labels = split.class_indices()
    return labels[labels >= 0].bincount(minlength=len(dataset.classes)).tolist()


def findings(experiment: Experiment) -> Iterator[Finding]:
    """What is wrong with the data, or may be."""
    dataset = experiment.dataset
    yield from _duplicates(dataset)
    yield from _balance(dataset)
    yield from _scales(experiment)
    if isinstance(experiment.config.data, Files):  # bundled and made data has no such columns
        yield from _leaks(dataset)


def name_of(split: str, position: int, dataset: Dataset) -> str:
    """What a sample is called: its name or row in its source."""
    rows = dataset.splits[split].rows
    row = position if rows is None else int(rows[position])
    return f"{split} {dataset.sample_names[row]}" if dataset.sample_names else f"{split} row {row}"


def _duplicates(dataset: Dataset) -> Iterator[Finding]:
    places = _equal_inputs(dataset)
    samples = [same for group in places for same in _by_label(group, dataset)]
    for split in ("test", "val"):
        if split not in dataset.splits:
            continue
        shared = [group for group in samples if {"train", split} <= {name for name, _ in group}]
        count = sum(name == split for group in shared for name, _ in group)
        if count:
            share = count / len(dataset.splits[split])
            yield Finding(
                "spoils" if share >= SPOILING_SHARE else "warning",
                "duplicates",
                f"{count} of {len(dataset.splits[split])} {split} samples are in train too, so what is measured on "
                "them is not about new data. `data: {split: {deduplicate: true}}` drops them from train.",
                _name_groups(shared, dataset),
            )
    inside = [group for group in places if sum(name == "train" for name, _ in group) > 1]
    count = sum(sum(name == "train" for name, _ in group) - 1 for group in inside)
    if count:
        message = f"{count} train samples have the inputs of another one."
        yield Finding("note", "duplicates", message, _name_groups(inside, dataset))
    conflicts = [
        group for group in inside if len({_label(dataset, place) for place in group if place[0] == "train"}) > 1
    ]
    if conflicts and dataset.task == "classification":
        yield Finding(
            "warning",
            "label noise",
            f"{len(conflicts)} groups of train samples have equal inputs and different classes: no network can tell "
            "them apart. Are some labels wrong, or is a column missing?",
            _name_groups(conflicts, dataset),
        )


def _equal_inputs(dataset: Dataset) -> list[list[Place]]:
    """Groups of samples whose inputs are equal, byte by byte."""
    found: dict[bytes, list[Place]] = defaultdict(list)
    for name, split in dataset.splits.items():
        flat = split.inputs.contiguous().reshape(len(split), -1)
        rows = flat.numpy().view("uint8").reshape(len(split), -1)
        for position, row in enumerate(rows):
            found[hashlib.blake2b(row.data, digest_size=16).digest()].append((name, position))
    return [group for group in found.values() if len(group) > 1]


def _by_label(places: list[Place], dataset: Dataset) -> list[list[Place]]:
    found: dict[tuple[float, ...], list[Place]] = defaultdict(list)
    for place in places:
        found[_label(dataset, place)].append(place)
    return list(found.values())


def _label(dataset: Dataset, place: Place) -> tuple[float, ...]:
    return tuple(dataset.splits[place[0]].targets[place[1]].flatten().tolist())


def _name_groups(groups: list[list[Place]], dataset: Dataset) -> tuple[str, ...]:
    shown = groups[:MAX_NAMED]
    return tuple(" = ".join(name_of(*place, dataset) for place in group[:MAX_NAMED]) for group in shown)


def _balance(dataset: Dataset) -> Iterator[Finding]:
    if dataset.task != "classification" or dataset.per != "sample":
        return
    counts = Counter(dict(zip(dataset.classes, _class_counts(dataset, dataset.train), strict=True)))
    (largest, most), (smallest, least) = counts.most_common()[0], counts.most_common()[-1]
    if most >= IMBALANCE * max(least, 1):
        yield Finding(
            "warning",
            "class balance",
            f"{largest} has {most} train samples, {smallest} {least}: accuracy says little of the rare ones. Look at "
            "train.metrics: [accuracy, f1], and try loss: {name: cross_entropy, class_weights: balanced}.",
        )
    rare = [name for name, count in counts.items() if count < SMALL_CLASS]
    if rare and len(dataset.train) >= SMALL_CLASS * len(counts):
        shown = ", ".join(rare[:MAX_NAMED])
        yield Finding("warning", "class balance", f"fewer than {SMALL_CLASS} train samples of: {shown}.")


def _scales(experiment: Experiment) -> Iterator[Finding]:
    """Columns as the network gets them."""
    dataset, inputs = experiment.dataset, experiment.splits["train"].inputs
    if inputs.ndim != 2 or not inputs.is_floating_point():
        return
    raw = dataset.train.inputs
    names = dataset.feature_names or tuple(map(str, range(raw.shape[1])))
    constant = [name for name, same in zip(names, (raw.amax(0) == raw.amin(0)).tolist(), strict=True) if same]
    if constant:
        shown = ", ".join(constant[:MAX_NAMED])
        yield Finding("warning", "constant columns", f"{len(constant)} columns never change in train: {shown}.")
    spreads = inputs.double().std(0, correction=0).cpu()
    varying = spreads[spreads > 0]
    if len(varying) > 1 and float(varying.max() / varying.min()) > SCALE_RATIO and len(spreads) == len(names):
        low = int(torch.where(spreads > 0, spreads, torch.inf).argmin())
        high = int(spreads.argmax())
        yield Finding(
            "warning",
            "unscaled columns",
            f"{names[high]} varies by {float(spreads[high]):.3g} and {names[low]} by {float(spreads[low]):.3g} as the "
            "network gets them. preprocess: {normalize: standardize} brings them to one scale.",
        )


def _leaks(dataset: Dataset) -> Iterator[Finding]:
    """Columns that predict the target perfectly alone, on samples that the rule was not made from."""
    measured = next((name for name in PREDICTED_SPLITS if name in dataset.splits), "train")
    if dataset.layout != "features" or dataset.input_shape[0] < 2 or measured == "train":
        return
    names = dataset.feature_names or tuple(map(str, range(dataset.input_shape[0])))
    other = dataset.splits[measured]
    if dataset.task == "classification":
        categories = _category_columns(dataset)
        perfect = [name for name, place in categories.items() if _naming(dataset.train, other, place)]
        one_hot = {index for place in categories.values() for index in range(place.start, place.stop)}
        perfect += [names[index] for index in _separating(dataset.train, other) if index not in one_hot]
    elif dataset.task == "regression":
        perfect = [names[index] for index in _determining(dataset.train)]
    else:
        return
    for name in perfect[:MAX_NAMED]:
        yield Finding(
            "spoils",
            "leak",
            f"the column {name} alone predicts the target perfectly. Does it hold the answer, or something "
            "that is known only afterwards? Leave such a column out (`ignore`).",
        )


def _category_columns(dataset: Dataset) -> dict[str, slice]:
    """Where the one-hot features of each column of categories stand."""
    found, start = {}, 0
    for column in dataset.reader.columns if isinstance(dataset.reader, CsvReader) else ():
        stop = start + len(column.feature_names)
        if column.kind == "category":
            found[column.name] = slice(start, stop)
        start = stop
    return found


def _naming(train: Split, other: Split, place: slice) -> bool:
    """Whether each category, a column's features (N, C) at `place`, goes with one class alone, in both splits."""
    labels, expected = train.class_indices(), other.class_indices()
    if bool((expected == expected[0]).all()):
        return False
    there = train.inputs[:, place] > 0
    classes = [labels[has].bincount().nonzero().flatten() for has in there.T]
    # One that train lacks tells nothing of the class.
    if any(len(each) > 1 for each in classes) or not bool(there.any(1).all()):
        return False
    answers = torch.tensor([int(each[0]) if len(each) else -1 for each in classes])
    measured = other.inputs[:, place] > 0
    return bool(measured.any(1).all()) and torch.equal(answers[measured.int().argmax(1)], expected)


def _separating(train: Split, other: Split) -> list[int]:
    """Columns whose values, cut where the class changes, name the class of every sample."""
    labels, expected = train.class_indices(), other.class_indices()
    num_classes = int((labels.bincount() > 0).sum())
    if bool((expected == expected[0]).all()):
        return []
    found = []
    for column in range(train.inputs.shape[1]):
        values, order = train.inputs[:, column].sort(stable=True)
        ordered = labels[order]
        changes = (ordered[1:] != ordered[:-1]).nonzero().flatten() + 1
        # Cuts may not fall between equal values, and there are no more of them than between whole classes.
        if len(changes) >= 2 * num_classes or bool((values[changes] == values[changes - 1]).any()):
            continue
        cuts = (values[changes] + values[changes - 1]) / 2
        answers = ordered[torch.cat([torch.zeros(1, dtype=torch.long), changes])]
        if torch.equal(answers[torch.bucketize(other.inputs[:, column].contiguous(), cuts)], expected):
            found.append(column)
    return found


def _determining(train: Split) -> list[int]:
    """Columns that are a multiple of the target plus a constant."""
    inputs = train.inputs.double() - train.inputs.double().mean(0)
    target = train.targets[:, 0].double() - train.targets[:, 0].double().mean()
    scale = inputs.norm(dim=0) * target.norm()
    correlation = (inputs * target.unsqueeze(1)).sum(0).abs() / scale.clamp_min(torch.finfo(torch.float64).tiny)
    return [int(index) for index in ((correlation > 1 - 1e-9) & (scale > 0)).nonzero().flatten()]
