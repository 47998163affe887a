"""Finds samples with equal inputs: within train, across splits, and with different targets."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from torch import Tensor

from nnzoo.data import Dataset, Split
from nnzoo.data.digests import digests
from nnzoo.data.vocabulary import UNKNOWN, Vocabulary
from nnzoo.doctor.chance import expected_in_train
from nnzoo.doctor.finding import MAX_NAMED, Finding

SPOILING_SHARE = 0.05
"""If a larger share of a split's samples is in train too, its metrics are not reliable."""

MAX_ALIKE = 3
"""The number of samples of a group that are named, in addition to one of every split."""

Place = tuple[str, int]
"""A split and a position in it."""


def findings(dataset: Dataset) -> Iterator[Finding]:
    """Finds duplicates within train and across splits, and equal inputs with different classes."""
    groups = equal_inputs(dataset)
    for split in ("test", "val"):
        if split in dataset.splits:
            yield from _across(groups, split, dataset)
    inside = [group for group in groups if sum(name == "train" for name, _ in group) > 1]
    count = sum(sum(name == "train" for name, _ in group) - 1 for group in inside)
    if count:
        message = f"{count} train samples have the same inputs as another train sample."
        yield Finding("note", "duplicates", message, _name_groups(inside, dataset))
    if dataset.task != "classification" or dataset.per == "step":
        return
    conflicts = [
        group for group in inside if len({_target(dataset, place) for place in group if place[0] == "train"}) > 1
    ]
    if conflicts:
        yield Finding(
            "warning",
            "label noise",
            f"train samples have equal inputs and different classes, in {len(conflicts)} "
            f"{'group' if len(conflicts) == 1 else 'groups'}: no network can tell them apart. Are some labels wrong, "
            "or is a column missing?",
            _name_groups(conflicts, dataset),
        )


def _across(groups: list[list[Place]], split: str, dataset: Dataset) -> Iterator[Finding]:
    """Finds samples of a split that equal a train sample in inputs and target.

    A table with few distinct values has some equal samples by chance. Up to twice their expected number plus three
    standard deviations are reported only as a note, since dependent columns make the expected number too small (see
    `chance`).
    """
    shared = []
    for group in groups:
        if {"train", split} <= {name for name, _ in group}:
            known = {_target(dataset, place) for place in group if place[0] == "train"}
            kept = [place for place in group if place[0] != split or _target(dataset, place) in known]
            shared += [kept] if any(name == split for name, _ in kept) else []
    count = sum(name == split for group in shared for name, _ in group)
    if not count:
        return
    total = len(dataset.splits[split])
    expected = expected_in_train(dataset, split)
    excess = count - 2 * expected - 3 * math.sqrt(expected)
    if excess <= 0:
        message = (
            f"{count} of {total} {split} samples are also in train. A table with so few distinct values has as many "
            f"equal samples by chance (about {expected:.0f} are expected)."
        )
        yield Finding("note", "duplicates", message, _name_groups(shared, dataset))
        return
    by_chance = f" (about {expected:.0f} are expected by chance)" if expected >= 0.5 else ""
    yield Finding(
        "spoils" if excess >= SPOILING_SHARE * total else "warning",
        "duplicates",
        f"{count} of {total} {split} samples are also in train{by_chance}, so the {split} metrics are not measured "
        "only on new data. `data: {split: {deduplicate: true}}` drops them from train.",
        _name_groups(shared, dataset),
        fix=("data.split.deduplicate=true",),
        confidence="certain",
    )


def equal_inputs(dataset: Dataset) -> list[list[Place]]:
    """Returns groups of samples with equal inputs.

    Texts with unknown words are skipped, since different unknown words have the same token.
    """
    groups: dict[bytes, list[Place]] = defaultdict(list)
    has_unknown = isinstance(getattr(dataset.reader, "vocabulary", None), Vocabulary)
    for name, split in dataset.splits.items():
        skipped = _with_unknown(split, dataset.layout) if has_unknown else [False] * len(split)
        for position, (digest, skip) in enumerate(zip(digests(split, targets=False), skipped, strict=True)):
            if not skip:
                groups[digest].append((name, position))
    return [group for group in groups.values() if len(group) > 1]


def _with_unknown(split: Split, layout: str) -> list[bool]:
    """Returns whether each sample has an unknown word."""
    tokens: Tensor = split.inputs[..., 0] if layout == "tree" else split.inputs
    unknown: list[bool] = (tokens == UNKNOWN).any(1).tolist()
    return unknown


def name_of(split: str, position: int, dataset: Dataset) -> str:
    """Returns the split of a sample, and its name or row in the source."""
    rows = dataset.splits[split].rows
    row = position if rows is None else int(rows[position])
    return f"{split} {dataset.sample_names[row]}" if dataset.sample_names else f"{split} row {row}"


def _target(dataset: Dataset, place: Place) -> bytes:
    target: bytes = (dataset.measured_split(place[0]).targets[place[1]] + 0).numpy().tobytes()  # -0.0 + 0 is 0.0
    return target


def _name_groups(groups: list[list[Place]], dataset: Dataset) -> tuple[str, ...]:
    """Lists the first groups, each with a few sample names, at least one from every split that it occurs in."""
    return tuple(_name_group(group, dataset) for group in groups[:MAX_NAMED])


def _name_group(group: list[Place], dataset: Dataset) -> str:
    firsts = {name: place for place in reversed(group) if (name := place[0])}
    shown = sorted({*firsts.values(), *group[:MAX_ALIKE]}, key=group.index)
    more = f" = ... ({len(group)} in all)" if len(shown) < len(group) else ""
    return " = ".join(name_of(*place, dataset) for place in shown) + more
