"""Splits the training samples into train, val and test."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.digests import digests
from nnzoo.data.drawing import draw, draw_folds, draw_groups
from nnzoo.errors import DataError


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-validation.

    Attributes:
        number: The number of the fold, from 1.
        of: The number of folds.
        held_out: Whether the test split has the samples of the fold, or the test samples, which are in no fold.
    """

    number: int
    of: int
    held_out: Literal["fold", "test"] = "fold"


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
        fold: A fold of a cross-validation. First the test samples are taken, then the others are divided into folds of
            about equal size, in the same way. The samples of all other folds are train and val. In time order, there is
            one more block than there are folds, and a fold is held out from all blocks before it.
    """

    val: float = 0.15
    test: float = 0.15
    stratify: bool = True
    seed: int = 0
    group: str | None = None
    deduplicate: bool = False
    fold: Fold | None = None

    def replaces_test(self) -> bool:
        """Returns whether the samples of a fold replace those of a test split that the data already has."""
        return self.fold is not None and self.fold.held_out == "fold"

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
        if self.fold is not None:
            return self._rows_of_fold(self.fold, num_samples, classes, class_names, groups, given)
        requested = {"val": self.val, "test": self.test}
        fractions = {name: fraction for name, fraction in requested.items() if name not in given and fraction != 0}
        if not fractions:
            return {"train": torch.arange(num_samples)}
        sizes = _split_sizes(fractions, num_samples)
        strata = classes if self.stratify and classes is not None else torch.zeros(num_samples, dtype=torch.int64)
        rows = draw(strata, sizes, self.seed) if groups is None else draw_groups(groups, strata, sizes, self.seed)
        if classes is not None:
            _check_train_has_classes(classes, rows["train"], class_names)
        return rows

    def _rows_of_fold(
        self,
        fold: Fold,
        num_samples: int,
        classes: Tensor | None,
        class_names: Sequence[str],
        groups: Tensor | None,
        given: Collection[str],
    ) -> dict[str, Tensor]:
        """Returns the rows of train and val, which are in other folds, and of test."""

        def of(rows: Tensor) -> tuple[Tensor | None, Tensor | None]:
            own = None if groups is None else torch.unique(groups[rows], return_inverse=True)[1]
            return None if classes is None else classes[rows], own

        plain = replace(self, fold=None)
        outer = plain.rows(num_samples, classes=classes, class_names=class_names, groups=groups, given=given)
        # The test split is that of a run without folds.
        pool = torch.cat([rows for name, rows in outer.items() if name != "test"]).sort().values
        labels, own_groups = of(pool)
        strata = labels if self.stratify and labels is not None else torch.zeros(len(pool), dtype=torch.int64)
        folds = draw_folds(strata, own_groups, fold.of, self.seed)
        rest = pool[torch.cat([rows for number, rows in folds.items() if number != fold.number]).sort().values]
        labels, own_groups = of(rest)
        inner = replace(plain, test=0.0).rows(
            len(rest), classes=labels, class_names=class_names, groups=own_groups, given=given
        )
        parts = {name: rest[rows] for name, rows in inner.items()}
        if fold.held_out == "fold":
            return parts | {"test": pool[folds[fold.number]]}
        return parts | {name: rows for name, rows in outer.items() if name == "test"}

    def blocks(self, num_rows: int, *, given: Collection[str] = ()) -> dict[str, slice]:
        """Returns consecutive blocks of rows for a split in time: train, then val, then test.

        Args:
            num_rows: N.
            given: The splits that the data already has.

        Raises:
            DataError: A split or train would have no rows.
        """
        if self.fold is not None:
            return self._blocks_of_fold(self.fold, num_rows, given)
        requested = {"val": self.val, "test": self.test}
        fractions = {name: fraction for name, fraction in requested.items() if name not in given and fraction != 0}
        sizes = _split_sizes(fractions, num_rows) if fractions else {}
        blocks = {}
        start = 0
        for name, size in {"train": num_rows - sum(sizes.values()), **sizes}.items():
            blocks[name] = slice(start, start + size)
            start += size
        return blocks

    def _blocks_of_fold(self, fold: Fold, num_rows: int, given: Collection[str]) -> dict[str, slice]:
        """Returns the blocks of a fold, which is held out from all rows before it."""
        plain = replace(self, fold=None)
        outer = replace(plain, val=0.0).blocks(num_rows, given=given)
        edges = [len(range(num_rows)[outer["train"]]) * number // (fold.of + 1) for number in range(fold.of + 2)]
        if 0 in (end - start for start, end in pairwise(edges)):
            raise DataError(f"there are too few rows for {fold.of} folds (got {num_rows}).", where="train.folds")
        inner = replace(plain, test=0.0).blocks(edges[fold.number], given=given)
        if fold.held_out == "fold":
            return inner | {"test": slice(edges[fold.number], edges[fold.number + 1])}
        return inner | {name: rows for name, rows in outer.items() if name == "test"}


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
