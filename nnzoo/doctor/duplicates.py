"""Samples with the same inputs: within train, across the splits, and with different targets."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

from torch import Tensor

from nnzoo.data import Dataset, Split
from nnzoo.data.vocabulary import UNKNOWN, Vocabulary
from nnzoo.doctor.finding import MAX_NAMED, Finding

SPOILING_SHARE = 0.05
"""Of a measured split: so many samples that are in train too make its metrics too good."""

MAX_ALIKE = 3
"""Samples of a group that are named, besides one of every split."""

Place = tuple[str, int]
"""A split and a position in it."""


def findings(dataset: Dataset) -> Iterator[Finding]:
    """What is wrong with equal samples."""
    groups = equal_inputs(dataset)
    for split in ("test", "val"):
        if split in dataset.splits:
            yield from _across(groups, split, dataset)
    inside = [group for group in groups if sum(name == "train" for name, _ in group) > 1]
    count = sum(sum(name == "train" for name, _ in group) - 1 for group in inside)
    if count:
        message = f"{count} train samples have the inputs of another one."
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
    """Samples of a split that train has, with the same target: what is known of another one helps nobody."""
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
    yield Finding(
        "spoils" if count >= SPOILING_SHARE * total else "warning",
        "duplicates",
        f"{count} of {total} {split} samples are in train too, so what is measured on them is not about new data. "
        "`data: {split: {deduplicate: true}}` drops them from train.",
        _name_groups(shared, dataset),
    )


def equal_inputs(dataset: Dataset) -> list[list[Place]]:
    """Groups of samples whose inputs are equal, byte by byte.

    Texts with an unknown symbol are in none: what stands there may differ.
    """
    found: dict[bytes, list[Place]] = defaultdict(list)
    knows = isinstance(getattr(dataset.reader, "vocabulary", None), Vocabulary)
    for name, split in dataset.splits.items():
        rows = split.inputs.contiguous().reshape(len(split), -1).numpy().view("uint8").reshape(len(split), -1)
        lengths = [0] * len(split) if split.lengths is None else split.lengths.tolist()
        skipped = _with_unknown(split, dataset.layout) if knows else [False] * len(split)
        for position, (row, length, skip) in enumerate(zip(rows, lengths, skipped, strict=True)):
            if not skip:
                # Splits may be padded to different lengths.
                content = length.to_bytes(8, "little") + row.tobytes().rstrip(b"\0")
                found[hashlib.blake2b(content, digest_size=16).digest()].append((name, position))
    return [group for group in found.values() if len(group) > 1]


def _with_unknown(split: Split, layout: str) -> list[bool]:
    """Whether each sample has an unknown symbol."""
    tokens: Tensor = split.inputs[..., 0] if layout == "tree" else split.inputs
    unknown: list[bool] = (tokens == UNKNOWN).any(1).tolist()
    return unknown


def name_of(split: str, position: int, dataset: Dataset) -> str:
    """What a sample is called: its name or row in its source."""
    rows = dataset.splits[split].rows
    row = position if rows is None else int(rows[position])
    return f"{split} {dataset.sample_names[row]}" if dataset.sample_names else f"{split} row {row}"


def _target(dataset: Dataset, place: Place) -> bytes:
    target: bytes = dataset.answers(place[0]).targets[place[1]].numpy().tobytes()
    return target


def _name_groups(groups: list[list[Place]], dataset: Dataset) -> tuple[str, ...]:
    """The first groups; a few samples of each, one of every split among them."""
    return tuple(_name_group(group, dataset) for group in groups[:MAX_NAMED])


def _name_group(group: list[Place], dataset: Dataset) -> str:
    firsts = {name: place for place in reversed(group) if (name := place[0])}
    shown = sorted({*firsts.values(), *group[:MAX_ALIKE]}, key=group.index)
    more = f" = ... ({len(group)} in all)" if len(shown) < len(group) else ""
    return " = ".join(name_of(*place, dataset) for place in shown) + more
