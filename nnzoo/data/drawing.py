"""Draws the samples of splits and folds, by class or by group."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from nnzoo.errors import DataError


def draw(groups: Tensor, sizes: Mapping[str, int], seed: int) -> dict[str, Tensor]:
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


def draw_groups(groups: Tensor, classes: Tensor, sizes: Mapping[str, int], seed: int) -> dict[str, Tensor]:
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


def draw_folds(strata: Tensor, groups: Tensor | None, count: int, seed: int) -> dict[int, Tensor]:
    """Returns the sorted rows of each fold, by its number; folds have about equal sizes."""
    num_units = len(strata) if groups is None else int(groups.max()) + 1
    if num_units < count:
        what = "samples" if groups is None else "groups"
        raise DataError(f"there are too few {what} for {count} folds (got {num_units}).", where="train.folds")
    if groups is None:
        shuffled = torch.randperm(len(strata), generator=Generator().manual_seed(seed))
        # Samples are dealt class by class, so the folds differ by at most one sample of each class, and in all.
        dealt = shuffled[strata[shuffled].argsort(stable=True)]
        return {number: dealt[number - 1 :: count].sort().values for number in range(1, count + 1)}
    sizes = {str(number): len(strata) // count for number in range(1, count)}
    drawn = draw_groups(groups, strata, sizes, seed)
    return {number: drawn[str(number) if number < count else "train"] for number in range(1, count + 1)}


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
