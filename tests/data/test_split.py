from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from nnzoo.data import Dataset, Division, Split, Task, divide, load_gate, load_iris, missing_classes
from nnzoo.errors import DataError


def _dataset(targets: Tensor, task: Task = "classification", splits: dict[str, Split] | None = None) -> Dataset:
    """Returns samples whose input is their row number."""
    inputs = torch.arange(len(targets), dtype=torch.float32).unsqueeze(1)
    num_classes = {1: int(targets.max()) + 1, 2: targets.shape[-1]}[targets.ndim]
    classes = tuple(f"c{index}" for index in range(num_classes)) if task != "regression" else ()
    return Dataset({"train": Split(inputs, targets)} | (splits or {}), task=task, layout="features", classes=classes)


def _of_sizes(class_sizes: list[int]) -> Dataset:
    return _dataset(torch.arange(len(class_sizes)).repeat_interleave(torch.tensor(class_sizes)))


def _rows(dataset: Dataset, split: str) -> list[float]:
    return [float(value) for value in dataset.splits[split].inputs.flatten()]


def _counts(dataset: Dataset, split: str) -> list[int]:
    return dataset.splits[split].class_indices().bincount(minlength=len(dataset.classes)).tolist()


def _divide(dataset: Dataset, val: float = 0.2, test: float = 0.2, stratify: bool = True, seed: int = 0) -> Dataset:
    return divide(dataset, Division(val=val, test=test, stratify=stratify, seed=seed))


class_sizes = st.lists(st.integers(1, 40), min_size=1, max_size=6)
fractions = st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.25, 1 / 3, 0.4])


@given(class_sizes, fractions, fractions, st.booleans(), st.integers(0, 3))
def test_every_sample_is_in_one_split_in_the_original_order(
    sizes: list[int], val: float, test: float, stratify: bool, seed: int
) -> None:
    dataset = _of_sizes(sizes)
    total = len(dataset.train)
    try:
        divided = divide(dataset, Division(val=val, test=test, stratify=stratify, seed=seed))
    except DataError:
        assume(False)
    rows = {name: _rows(divided, name) for name in divided.splits}
    assert sorted(itertools.chain(*rows.values())) == list(range(total))
    assert all(part == sorted(part) for part in rows.values())
    assert {name: len(part) for name, part in rows.items() if name != "train"} == {
        name: round(fraction * total) for name, fraction in (("val", val), ("test", test)) if fraction
    }
    labels = dataset.train.targets
    for name, split in divided.splits.items():
        assert split.targets.tolist() == [labels[int(row)] for row in rows[name]]


@given(class_sizes, fractions, fractions, st.integers(0, 3))
def test_stratified_division_puts_every_class_into_large_enough_splits(
    sizes: list[int], val: float, test: float, seed: int
) -> None:
    total = sum(sizes)
    held_out = {name: round(fraction * total) for name, fraction in (("val", val), ("test", test)) if fraction}
    assume(held_out)
    assume(min(held_out.values()) > 0)
    assume(total - sum(held_out.values()) >= len(sizes))
    divided = divide(_of_sizes(sizes), Division(val=val, test=test, stratify=True, seed=seed))
    everywhere = [index for index, size in enumerate(sizes) if size >= len(held_out) + 1]
    assert min(_counts(divided, "train")) >= 1
    for name, size in held_out.items():
        counts = _counts(divided, name)
        if size >= len(everywhere):
            assert all(counts[index] >= 1 for index in everywhere)


@given(st.lists(st.integers(30, 80), min_size=2, max_size=5), fractions, fractions, st.integers(0, 3))
def test_stratified_counts_are_the_rounded_shares(sizes: list[int], val: float, test: float, seed: int) -> None:
    assume(val or test)
    divided = divide(_of_sizes(sizes), Division(val=val, test=test, stratify=True, seed=seed))
    for name in divided.splits.keys() - {"train"}:
        share = len(divided.splits[name]) / sum(sizes)
        assert all(abs(count - share * size) < 1 for count, size in zip(_counts(divided, name), sizes, strict=True))


def test_iris_species_are_divided_equally() -> None:
    divided = _divide(load_iris(), 0.2, 0.1)
    assert {name: _counts(divided, name) for name in divided.splits} == {
        "train": [35, 35, 35],
        "val": [10, 10, 10],
        "test": [5, 5, 5],
    }
    assert missing_classes(divided) == {}


def test_division_without_stratify_ignores_classes() -> None:
    dataset = _of_sizes([50, 50])
    counts = {tuple(_counts(_divide(dataset, stratify=False, seed=seed), "val")) for seed in range(20)}
    assert len(counts) > 1
    assert {tuple(_counts(_divide(dataset, seed=seed), "val")) for seed in range(20)} == {(10, 10)}


def test_probabilities_are_stratified_by_the_most_probable_class() -> None:
    targets = torch.tensor([[0.9, 0.1]] * 30 + [[0.4, 0.6]] * 10)
    divided = _divide(_dataset(targets), 0.5, 0)
    assert _counts(divided, "val") == [15, 5]
    assert divided.splits["val"].targets.shape == (20, 2)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_other_tasks_are_divided_at_random(task: Any) -> None:
    dataset = _dataset(torch.eye(4).repeat(5, 1), task)
    divided = _divide(dataset)
    assert {name: len(split) for name, split in divided.splits.items()} == {"train": 12, "val": 4, "test": 4}
    assert _rows(divided, "val") == _rows(_divide(dataset, stratify=False), "val")
    assert _rows(divided, "val") != _rows(_divide(dataset, seed=1), "val")
    assert missing_classes(divided) == {}


def test_division_depends_only_on_the_seed() -> None:
    dataset = _of_sizes([30, 30])
    torch.manual_seed(1)
    first = _divide(dataset)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert _rows(first, "val") == _rows(_divide(dataset), "val")
    assert torch.equal(torch.get_rng_state(), state)
    assert _rows(first, "val") != _rows(_divide(dataset, seed=1), "val")


@pytest.mark.parametrize("given_split", ["val", "test"])
def test_a_given_split_is_kept(given_split: str) -> None:
    own = Split(torch.zeros(3, 1), torch.tensor([0, 1, 0]))
    divided = _divide(_dataset(torch.arange(20) % 2, splits={given_split: own}))
    assert divided.splits[given_split] is own
    assert {name: len(split) for name, split in divided.splits.items() if split is not own} == {
        "train": 16,
        ({"val", "test"} - {given_split}).pop(): 4,
    }


def test_a_dataset_without_anything_to_divide_is_unchanged() -> None:
    own = Split(torch.zeros(3, 1), torch.tensor([0, 1, 0]))
    complete = _dataset(torch.arange(20) % 2, splits={"val": own, "test": own})
    assert _divide(complete) is complete
    gate = load_gate("xor")
    assert _divide(gate) is gate
    undivided = _of_sizes([4, 4])
    assert _divide(undivided, 0, 0) is undivided


def test_lengths_stay_with_their_samples() -> None:
    dataset = _of_sizes([10, 10])
    split = dataset.train
    lengths = torch.arange(20) + 1
    dataset = dataclasses.replace(dataset, splits={"train": Split(split.inputs, split.targets, lengths)})
    for split in _divide(dataset).splits.values():
        assert split.lengths is not None
        assert torch.equal(split.lengths, split.inputs.flatten().long() + 1)


def test_missing_classes_are_named() -> None:
    divided = _divide(_of_sizes([20, 1, 2, 20]))
    missing = missing_classes(divided)
    assert "train" not in missing
    assert missing["test"][0] == missing["val"][0] == "c1"
    assert Counter(missing["val"] + missing["test"])["c2"] == 1


@pytest.mark.parametrize(
    ("sizes", "val", "test", "message"),
    [
        ([2, 2], 0.1, 0.0, r"split: val would have no samples \(got val 0\.1 of 4 samples\)"),
        ([2, 2], 0.1, 0.1, "split: val and test would have no samples"),
        ([2, 2], 0.5, 0.5, "split: train would have no samples"),
        ([1], 0.6, 0.0, "split: train would have no samples"),
        ([20, 20], 0.6, 0.7, "split: train would have no samples"),
        ([20, 20], -0.1, 0.1, r"split: fractions are out of range \(got val -0\.1, test 0\.1"),
        ([20, 20], 1.0, 0.1, "split: fractions are out of range"),
        ([20, 20], float("nan"), 0.1, "split: fractions are out of range"),
        ([1, 1, 1, 1], 0.5, 0.0, "split: train would have no sample of 'c., 'c."),
    ],
)
@pytest.mark.parametrize("stratify", [True, False])
def test_divisions_with_an_empty_split_are_refused(
    sizes: list[int], val: float, test: float, message: str, stratify: bool
) -> None:
    with pytest.raises(DataError, match=message.replace("'c., 'c.", "'c[0-3]', 'c[0-3]'")):
        divide(_of_sizes(sizes), Division(val=val, test=test, stratify=stratify, seed=0))


group_sizes = st.lists(st.integers(1, 12), min_size=6, max_size=30)


@given(group_sizes, st.integers(2, 3), st.booleans(), st.integers(0, 3))
def test_groups_are_not_divided_and_fractions_are_nearly_met(
    sizes: list[int], num_classes: int, stratify: bool, seed: int
) -> None:
    groups = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    total = len(groups)
    classes = torch.arange(total) % num_classes
    names = [f"c{index}" for index in range(num_classes)]
    division = Division(val=0.2, test=0.2, stratify=stratify, seed=seed)
    try:
        rows = division.rows(total, classes=classes, class_names=names, groups=groups)
    except DataError:
        assume(False)
    assert torch.cat(list(rows.values())).sort().values.tolist() == list(range(total))
    assert all(part.tolist() == sorted(part.tolist()) for part in rows.values())
    owners = [set(groups[part].tolist()) for part in rows.values()]
    assert sum(map(len, owners)) == len(sizes)
    for name in ("val", "test"):
        assert abs(len(rows[name]) - 0.2 * total) <= max(sizes) + 1


def test_groups_of_one_class_each_are_stratified() -> None:
    classes = torch.tensor([0] * 300 + [1] * 100)
    groups = torch.arange(400) // 5
    for seed in range(5):
        rows = Division(val=0.25, test=0.25, seed=seed).rows(
            400, classes=classes, class_names=["a", "b"], groups=groups
        )
        counts = {name: classes[part].bincount().tolist() for name, part in rows.items()}
        assert counts == {"val": [75, 25], "test": [75, 25], "train": [150, 50]}


def test_division_of_groups_depends_on_the_seed() -> None:
    groups = torch.arange(100) // 4
    first, again, other = (Division(seed=seed).rows(100, groups=groups)["val"].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"group: .* would have no samples: there are too few groups \(got 2 for 3 parts\)"
    ):
        Division(val=0.2, test=0.2).rows(40, groups=torch.arange(40) // 20)


def test_equal_samples_are_dropped_before_dividing() -> None:
    inputs = torch.tensor([[1.0, 0.0], [1.0, -0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    targets = torch.tensor([0, 0, 1, 1, 1])
    dataset = Dataset({"train": Split(inputs, targets)}, task="classification", layout="features", classes=("a", "b"))
    kept = divide(dataset, Division(val=0, test=0, deduplicate=True))
    assert kept.train.rows is not None
    assert kept.train.rows.tolist() == [0, 2, 3]
    assert kept.notes == ("deduplicate: dropped 2 of 5 samples, each equal to an earlier one",)
    assert divide(dataset, Division(val=0, test=0)).train is dataset.train


def test_sequences_of_different_lengths_are_not_equal() -> None:
    split = Split(torch.zeros(3, 2, 1), torch.zeros(3, dtype=torch.int64), torch.tensor([1, 2, 1]))
    dataset = Dataset({"train": split}, task="classification", layout="sequence", classes=("a",))
    assert len(divide(dataset, Division(val=0, test=0, deduplicate=True)).train) == 2


def test_equal_samples_are_not_in_two_splits() -> None:
    twice = _of_sizes([40, 40])
    both = twice.train.take(torch.arange(80).repeat(2))
    divided = divide(dataclasses.replace(twice, splits={"train": both}), Division(val=0.2, test=0.2, deduplicate=True))
    assert {name: len(split) for name, split in divided.splits.items()} == {"train": 48, "val": 16, "test": 16}
    assert len({row for name in divided.splits for row in _rows(divided, name)}) == 80
