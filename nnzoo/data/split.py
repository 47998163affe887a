"""Splits the training samples into train, val and test."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.digests import digests
from nnzoo.errors import DataError


@dataclass(frozen=True)
class Division:
    """How training samples are split.

    A split gets `round(fraction * N)` of the N training samples. With stratification, these samples are distributed
    over the classes in proportion to their sizes, rounded so that the total is exact. Train keeps samples of every
    class. A class with at least as many samples as there are parts occurs in every part that is large enough for all
    such classes. Samples keep their order.

    With groups, each group is assigned to one part. Groups are assigned from the largest to the smallest, those of
    about the same size in random order, each to the part that lacks the most of its samples. This meets the fractions
    and class proportions as well as the groups allow.

    Attributes:
        val: Fraction of the training samples, at least 0 and less than 1; 0 for no split.
        test: Like `val`.
        stratify: Keep the proportions of the classes, if there are classes.
        seed: Seed that is used only for the split.
        group: A column of a table; rows with equal values in it stay in the same part.
        deduplicate: Keep only the first of equal samples before splitting.
    """

    val: float = 0.15
    test: float = 0.15
    stratify: bool = True
    seed: int = 0
    group: str | None = None
    deduplicate: bool = False

    def rows(
        self,
        num_samples: int,
        *,
        classes: Tensor | None = None,
        class_names: Sequence[str] = (),
        groups: Tensor | None = None,
        given: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Returns the sorted row numbers, (M,) int64, of train and of each split taken from it.

        Args:
            num_samples: N.
            classes: (N,) int64 class indices; None if there are no classes.
            class_names: The classes in the order of their indices, for messages.
            groups: (N,) int64 group numbers from 0; samples of a group stay in the same part. None for no groups.
            given: The splits that the data already has.

        Raises:
            DataError: A split or train would have no samples, or train would lack one of the classes.
        """
        requested = {"val": self.val, "test": self.test}
        fractions = {name: fraction for name, fraction in requested.items() if name not in given and fraction != 0}
        if not fractions:
            return {"train": torch.arange(num_samples)}
        sizes = _split_sizes(fractions, num_samples)
        strata = classes if self.stratify and classes is not None else torch.zeros(num_samples, dtype=torch.int64)
        rows = _draw(strata, sizes, self.seed) if groups is None else _draw_groups(groups, strata, sizes, self.seed)
        if classes is not None:
            _check_train_has_classes(classes, rows["train"], class_names)
        return rows

    def blocks(self, num_rows: int, *, given: Collection[str] = ()) -> dict[str, slice]:
        """Returns consecutive blocks of rows for a split in time: train, then val, then test.

        Args:
            num_rows: N.
            given: The splits that the data already has.

        Raises:
            DataError: A split or train would have no rows.
        """
        requested = {"val": self.val, "test": self.test}
        fractions = {name: fraction for name, fraction in requested.items() if name not in given and fraction != 0}
        sizes = _split_sizes(fractions, num_rows) if fractions else {}
        blocks = {}
        start = 0
        for name, size in {"train": num_rows - sum(sizes.values()), **sizes}.items():
            blocks[name] = slice(start, start + size)
            start += size
        return blocks


def divide(dataset: Dataset, division: Division) -> Dataset:
    """Takes val and test samples from train, unless the dataset already has these splits.

    Samples are equal for `deduplicate` if they have the same inputs, lengths and targets.

    Stratification uses the most probable class if targets are probabilities, and the class of the root for trees.
    Multilabel and regression tasks, and samples with one target per step, are not stratified.

    Args:
        dataset: Returned unchanged if it is not divisible or already has the requested splits.
        division: The fractions and how the samples are drawn.

    Raises:
        DataError: A split or train would have no samples, or train would lack one of the classes.
    """
    if not dataset.divisible:
        return dataset
    if division.deduplicate:
        train = dataset.train.take(distinct_samples(dataset.train))
        note = dropped_note(len(dataset.train) - len(train), len(dataset.train))
        dataset = replace(dataset, splits=dataset.splits | {"train": train}, notes=(*dataset.notes, note))
    has_classes = dataset.task == "classification" and dataset.per != "step"
    classes = dataset.measured_split("train").class_indices() if has_classes else None
    rows = division.rows(len(dataset.train), classes=classes, class_names=dataset.classes, given=dataset.splits)
    if len(rows) == 1:
        return dataset
    splits = dataset.splits | {name: dataset.train.take(part) for name, part in rows.items()}
    return replace(dataset, splits={name: splits[name] for name in ("train", "val", "test") if name in splits})


def distinct_samples(split: Split) -> Tensor:
    """Returns the sorted indices, (M,) int64, of the samples that do not equal an earlier one."""
    first: dict[bytes, int] = {}
    for row, digest in enumerate(digests(split, targets=True)):
        first.setdefault(digest, row)
    return torch.from_numpy(np.fromiter(first.values(), dtype=np.int64))


def drop_repeats(dataset: Dataset) -> Dataset:
    """Drops train samples that equal an earlier train sample or a sample of val or test.

    All samples of val and test are kept, so that results on these splits remain comparable.

    Raises:
        DataError: Train would have no samples, or would lack one of the classes.
    """
    given = [split for name, split in dataset.splits.items() if name != "train"]
    seen = {digest for split in given for digest in digests(split, targets=True)}
    kept = []
    for row, digest in enumerate(digests(dataset.train, targets=True)):
        if digest not in seen:
            seen.add(digest)
            kept.append(row)
    num_dropped = len(dataset.train) - len(kept)
    if not num_dropped:
        return dataset
    where = "data.split.deduplicate"
    if not kept:
        raise DataError(
            "every train sample is also in val or test, so train would be empty. Remove `deduplicate`, or use "
            "different data.",
            where=where,
        )
    note = (
        f"deduplicate: dropped {num_dropped} train samples, each equal to an earlier train sample or to a sample of "
        "val or test"
    )
    train = dataset.train.take(torch.tensor(kept))
    reduced = replace(dataset, splits=dataset.splits | {"train": train}, notes=(*dataset.notes, note))
    lost = set(missing_classes(reduced).get("train", ())) - set(missing_classes(dataset).get("train", ()))
    if lost:
        shown = ", ".join(map(repr, sorted(lost)[:10]))
        raise DataError(
            f"every train sample of {shown} is also in val or test. Remove `deduplicate`, or use different data.",
            where=where,
        )
    return reduced


def dropped_note(num_dropped: int, num_samples: int) -> str:
    """Returns the log note for `deduplicate`."""
    return f"deduplicate: dropped {num_dropped} of {num_samples} samples, each equal to an earlier one"


def missing_classes(dataset: Dataset) -> dict[str, list[str]]:
    """Returns, for each split that lacks classes, the names of the missing classes.

    The result is empty unless the task is classification with one class per sample or tree.
    """
    if dataset.task != "classification" or dataset.per == "step":
        return {}
    missing = {}
    for name in dataset.splits:
        counts = dataset.measured_split(name).class_indices().bincount(minlength=len(dataset.classes))
        missing[name] = [dataset.classes[index] for index in (counts == 0).nonzero().flatten().tolist()]
    return {name: classes for name, classes in missing.items() if classes}


def _split_sizes(fractions: Mapping[str, float], num_samples: int) -> dict[str, int]:
    shown = ", ".join(f"{name} {fraction:g}" for name, fraction in fractions.items())
    if not all(0 < fraction < 1 for fraction in fractions.values()):
        raise DataError(f"fractions are out of range (got {shown}; allowed 0 to less than 1).", where="data.split")
    sizes = {name: round(fraction * num_samples) for name, fraction in fractions.items()}
    empty = [name for name, size in sizes.items() if size == 0]
    if sum(sizes.values()) >= num_samples:
        empty = ["train"]
    if empty:
        raise DataError(
            f"{' and '.join(empty)} would have no samples (got {shown} of {num_samples} samples). Set different "
            "fractions, `data: {split: {val: 0, test: 0}}` for no splits, or add data.",
            where="data.split",
        )
    return sizes


def _draw(groups: Tensor, sizes: Mapping[str, int], seed: int) -> dict[str, Tensor]:
    """Returns sorted (M,) indices of each split and of train, drawn at random within each of the (N,) `groups`."""
    generator = Generator().manual_seed(seed)
    group_sizes = groups.bincount()
    counts = _allot(group_sizes, sizes)
    parts: dict[str, list[Tensor]] = {name: [] for name in counts}
    start = 0
    members = groups.argsort(stable=True)  # group by group
    for group, group_size in enumerate(group_sizes.tolist()):
        shuffled = members[start + torch.randperm(group_size, generator=generator)]
        start += group_size
        taken = 0
        for name, part in parts.items():
            count = int(counts[name][group])
            part.append(shuffled[taken : taken + count])
            taken += count
    return {name: torch.cat(part).sort().values for name, part in parts.items()}


def _draw_groups(groups: Tensor, classes: Tensor, sizes: Mapping[str, int], seed: int) -> dict[str, Tensor]:
    """Returns sorted (M,) indices of each split and of train, with each of the (N,) `groups` in only one part."""
    num_groups, num_classes = int(groups.max()) + 1, int(classes.max()) + 1
    pairs = (groups * num_classes + classes).bincount(minlength=num_groups * num_classes)
    counts = pairs.reshape(num_groups, num_classes).double()  # (G, C)
    names = [*sizes, "train"]
    shares = torch.tensor([*sizes.values(), len(groups) - sum(sizes.values())]).double() / len(groups)
    short = shares.unsqueeze(1) * counts.sum(0)  # (P, C)
    shuffled = torch.randperm(num_groups, generator=Generator().manual_seed(seed))
    magnitude = counts[shuffled].sum(1).log2().floor()
    part_of = torch.empty(num_groups, dtype=torch.int64)
    for group in shuffled[magnitude.argsort(descending=True, stable=True)].tolist():
        # Greedy: the part where the group reduces the sum of squared shortages most.
        part = int((short @ counts[group]).argmax())
        part_of[group] = part
        short[part] -= counts[group]
    rows = {name: (part_of[groups] == part).nonzero().flatten() for part, name in enumerate(names)}
    empty = [name for name in names if not len(rows[name])]
    if empty:
        raise DataError(
            f"{' and '.join(empty)} would have no samples: there are too few groups (got {num_groups} for "
            f"{len(names)} parts), or they are too large. Set different fractions, or remove `group`.",
            where="data.split.group",
        )
    return rows


def _allot(group_sizes: Tensor, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Returns how many samples of each of the G groups each split gets, and how many train keeps, (G,) each.

    If a group has enough samples for every part, each sufficiently large split gets at least one of them, and at least
    one is left for train and for each later such split. These bounds can always be met, unless train has fewer samples
    than there are groups; then they are ignored.
    """
    in_all_parts = (group_sizes > len(sizes)).long()
    at_least = {name: in_all_parts * int(in_all_parts.sum() <= size) for name, size in sizes.items()}
    reserved = sum(at_least.values(), start=(group_sizes > 0).long())
    left = group_sizes
    counts: dict[str, Tensor] = {}
    for name, size in sizes.items():
        reserved = reserved - at_least[name]
        lower, upper = at_least[name], left - reserved
        if int(upper.sum()) < size:
            lower, upper = torch.zeros_like(left), left
        shares = size * group_sizes.double() / group_sizes.sum()
        counts[name] = _round_shares(shares, size, lower, upper)
        left = left - counts[name]
    return counts | {"train": left}


def _round_shares(shares: Tensor, total: int, lower: Tensor, upper: Tensor) -> Tensor:
    """Rounds (G,) `shares` to integers within the bounds that sum to `total`, by largest remainder, ties by index."""
    counts = shares.floor().long().clamp(lower, upper)
    while (short := total - int(counts.sum())) != 0:
        step = 1 if short > 0 else -1
        movable = counts < upper if step > 0 else counts > lower
        remainders = torch.where(movable, (shares - counts) * step, -torch.inf)
        counts[remainders.argmax()] += step
    return counts


def _check_train_has_classes(labels: Tensor, train: Tensor, names: Sequence[str]) -> None:
    """Checks that the `train` rows have every class of the (N,) `labels`."""
    before, after = (values.bincount(minlength=len(names)) > 0 for values in (labels, labels[train]))
    lost = [repr(names[index]) for index in (before & ~after).nonzero().flatten().tolist()]
    if lost:
        shown = ", ".join(lost[:10]) + (f" and {len(lost) - 10} more classes" if len(lost) > 10 else "")
        raise DataError(
            f"train would have no sample of {shown} (got {len(train)} of {len(labels)} samples). "
            "Set smaller fractions, `stratify` or a different seed, or add data.",
            where="data.split",
        )
