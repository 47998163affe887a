from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nnzoo.data import (
    GATES,
    Dataset,
    load_adding,
    load_blobs,
    load_circles,
    load_gate,
    load_moons,
    load_random,
    load_sine,
    load_spirals,
)
from nnzoo.errors import DataError

SOURCES: dict[str, Callable[..., Dataset]] = {
    "gate": partial(load_gate, "xor", noise=0.1),
    "moons": load_moons,
    "circles": load_circles,
    "spirals": load_spirals,
    "blobs": load_blobs,
    "sine": load_sine,
    "adding": partial(load_adding, length=7),
    "random classes": partial(load_random, shape=(3,), classes=4),
    "random targets": partial(load_random, shape=(2, 3), targets=2),
}


def _equal(one: Dataset, other: Dataset) -> bool:
    return torch.equal(one.train.inputs, other.train.inputs) and torch.equal(one.train.targets, other.train.targets)


@pytest.mark.parametrize("load", SOURCES.values(), ids=SOURCES)
def test_data_depends_only_on_the_seed(load: Callable[..., Dataset]) -> None:
    torch.manual_seed(1)
    first = load(samples=40, seed=7)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert _equal(first, load(samples=40, seed=7))
    assert torch.equal(torch.get_rng_state(), state)
    assert not _equal(first, load(samples=40, seed=8))


@pytest.mark.parametrize("load", SOURCES.values(), ids=SOURCES)
def test_types_and_sizes(load: Callable[..., Dataset]) -> None:
    dataset = load(samples=41, seed=0)
    assert len(dataset.train.inputs) == len(dataset.train.targets) == 41
    assert dataset.train.inputs.dtype == torch.float32
    assert dataset.train.targets.dtype == (torch.int64 if dataset.classes else torch.float32)
    assert list(dataset.splits) == ["train"]
    assert dataset.divisible


@pytest.mark.parametrize("name", GATES)
def test_gate_is_its_truth_table(name: str) -> None:
    gate: dict[str, Callable[[bool, bool], bool]] = {
        "xor": lambda a, b: a != b,
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "nand": lambda a, b: not (a and b),
    }
    dataset = load_gate(name)
    rows = [(bool(a), bool(b), int(y)) for (a, b), y in zip(dataset.train.inputs, dataset.train.targets, strict=True)]
    assert [row[:2] for row in rows] == [(False, False), (False, True), (True, False), (True, True)]
    assert all(y == gate[name](a, b) for a, b, y in rows)
    assert dataset.classes == ("0", "1")
    assert not dataset.divisible


def test_gate_with_samples_cycles_over_the_corners_with_noise() -> None:
    exact, noisy = load_gate("xor", samples=4002), load_gate("xor", samples=4002, noise=0.25)
    corners = load_gate("xor").train
    assert torch.equal(exact.train.inputs[4000:], corners.inputs[:2])
    assert torch.equal(exact.train.targets, noisy.train.targets)
    noise = noisy.train.inputs - exact.train.inputs
    assert noise.std().item() == pytest.approx(0.25, rel=0.05)


@given(samples=st.integers(5, 60), classes=st.integers(2, 5), source=st.sampled_from([load_spirals, load_blobs]))
def test_samples_are_divided_evenly_over_the_classes(
    samples: int, classes: int, source: Callable[..., Dataset]
) -> None:
    counts = source(samples=samples, classes=classes).train.targets.bincount(minlength=classes)
    assert int(counts.sum()) == samples
    assert int(counts.max() - counts.min()) <= 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (load_moons, sklearn.datasets.make_moons),
        (load_circles, partial(sklearn.datasets.make_circles, factor=0.5)),
    ],
)
def test_points_equal_those_of_scikit_learn(ours: Callable[..., Dataset], theirs: Callable[..., Any]) -> None:
    train = ours(samples=200, noise=0.0).train
    points, labels = theirs(n_samples=200, noise=None)

    def rows(inputs: Any, targets: Any) -> Any:
        table = np.column_stack((np.asarray(targets), np.asarray(inputs, dtype=np.float64).round(4) + 0.0))
        return table[np.lexsort(table.T)]

    np.testing.assert_allclose(rows(train.inputs, train.targets), rows(points, labels), atol=2e-4)


def test_spiral_arms_are_rotated_copies_that_never_meet() -> None:
    train = load_spirals(samples=300, classes=3, noise=0.0).train

    def arm(index: int) -> Tensor:
        points = train.inputs[train.targets == index]
        return points[points.norm(dim=1).argsort()]

    angle = torch.tensor(2 * math.pi / 3)
    turn = torch.tensor([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]])
    torch.testing.assert_close(arm(0) @ turn, arm(1), atol=1e-5, rtol=0)
    assert torch.cdist(arm(0), arm(1)).min() > 0.01
    assert train.inputs.norm(dim=1).max().item() == pytest.approx(3.0)


def test_blobs_have_the_given_deviation_and_bounded_centres() -> None:
    train = load_blobs(samples=6000, classes=3, noise=0.5).train
    for index in range(3):
        cloud = train.inputs[train.targets == index]
        torch.testing.assert_close(cloud.std(dim=0), torch.tensor([0.5, 0.5]), rtol=0.05, atol=0)
        assert cloud.mean(dim=0).abs().max() <= 10.5


@pytest.mark.parametrize("load", [load_moons, load_circles, load_sine])
def test_noise_has_the_given_standard_deviation(load: Callable[..., Dataset]) -> None:
    exact, noisy = load(samples=5000, noise=0.0).train, load(samples=5000, noise=0.3).train
    difference = torch.cat([(noisy.inputs - exact.inputs).flatten(), (noisy.targets - exact.targets).flatten()])
    difference = difference[difference != 0]
    assert difference.std().item() == pytest.approx(0.3, rel=0.05)


def test_sine_is_the_sine_over_one_period() -> None:
    train = load_sine(samples=2000, noise=0.0).train
    assert train.inputs.shape == train.targets.shape == (2000, 1)
    torch.testing.assert_close(train.targets, train.inputs.sin())
    assert -math.pi <= train.inputs.min() < -3.1
    assert 3.1 < train.inputs.max() < math.pi + 1e-6


@given(samples=st.integers(1, 40), length=st.integers(2, 30), seed=st.integers(0, 99))
def test_adding_marks_one_value_per_half_and_targets_their_sum(samples: int, length: int, seed: int) -> None:
    dataset = load_adding(samples=samples, length=length, seed=seed)
    values, markers = dataset.train.inputs.unbind(dim=2)
    assert values.shape == (samples, length)
    assert markers.eq(markers.bool()).all()
    assert markers[:, : length // 2].sum(dim=1).eq(1).all()
    assert markers[:, length // 2 :].sum(dim=1).eq(1).all()
    torch.testing.assert_close(dataset.train.targets, (values * markers).sum(dim=1, keepdim=True))


def test_predicting_1_for_adding_has_an_mse_of_one_sixth() -> None:
    train = load_adding(samples=40_000, length=10).train
    assert (train.targets - 1).square().mean().item() == pytest.approx(1 / 6, rel=0.02)
    values, markers = train.inputs.unbind(dim=2)
    assert 0 <= values.min() < 1e-4 < 1 - 1e-4 < values.max() <= 1
    # Markers are uniform over the steps of a half.
    torch.testing.assert_close(markers.mean(dim=0), torch.full((10,), 0.2), atol=0.01, rtol=0)


@pytest.mark.parametrize(("shape", "layout"), [((5,), "features"), ((7, 2), "sequence"), ((3, 8, 6), "image")])
def test_random_has_the_layout_of_its_shape(shape: tuple[int, ...], layout: str) -> None:
    dataset = load_random(shape=shape, samples=10)
    assert (dataset.layout, dataset.input_shape, dataset.classes) == (layout, shape, ("0", "1"))


@given(samples=st.integers(1, 40), classes=st.integers(2, 12))
def test_random_has_every_class_if_there_are_enough_samples(samples: int, classes: int) -> None:
    dataset = load_random(shape=(1,), samples=samples, classes=classes)
    assert len(set(dataset.train.targets.tolist())) == min(samples, classes)
    assert len(dataset.classes) == classes


def test_random_targets_are_standard_normal() -> None:
    dataset = load_random(shape=(2,), samples=20_000, targets=3)
    assert dataset.task == "regression"
    assert dataset.target_names == ("y0", "y1", "y2")
    torch.testing.assert_close(dataset.train.targets.std(dim=0), torch.ones(3), atol=0.05, rtol=0)
    torch.testing.assert_close(dataset.train.inputs.mean(dim=0), torch.zeros(2), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: load_gate("nor"), "unknown gate.*'nor'.*xor"),
        (lambda: load_gate("xor", samples=3), "xor: samples.*got 3; at least 4"),
        (lambda: load_gate("or", noise=0.1), "or: noise needs samples"),
        (lambda: load_gate("or", samples=4, noise=-1), "or: noise.*got -1"),
        (lambda: load_moons(samples=1), "moons: samples.*got 1; at least 2"),
        (lambda: load_moons(noise=math.nan), "moons: noise.*nan"),
        (lambda: load_circles(noise=math.inf), "circles: noise.*inf"),
        (lambda: load_spirals(samples=4, classes=5), "spirals: samples.*got 4; at least 5"),
        (lambda: load_spirals(classes=1), "spirals: classes.*got 1; at least 2"),
        (lambda: load_blobs(samples=0), "blobs: samples.*got 0; at least 3"),
        (lambda: load_sine(samples=0), "sine: samples.*got 0"),
        (lambda: load_sine(noise=-0.5), "sine: noise.*-0.5"),
        (lambda: load_adding(samples=0), "adding: samples.*got 0"),
        (lambda: load_adding(length=1), "adding: length.*got 1; at least 2"),
        (lambda: load_random(shape=()), r"random: shape.*got \[\]"),
        (lambda: load_random(shape=(1, 2, 3, 4)), "random: shape"),
        (lambda: load_random(shape=(3, 0)), r"random: shape.*\[3, 0\]"),
        (lambda: load_random(shape=(3,), samples=0), "random: samples"),
        (lambda: load_random(shape=(3,), classes=1), "random: classes"),
        (lambda: load_random(shape=(3,), targets=0), "random: .*targets 0"),
        (lambda: load_random(shape=(3,), classes=2, targets=2), "random: .*classes 2, targets 2"),
    ],
)
def test_invalid_arguments_are_refused(load: Callable[[], Dataset], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load()
