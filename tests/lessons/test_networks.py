"""Measurements of networks apart from their training, and the network with its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nnzoo.lessons.figures.networks import network
from nnzoo.lessons.results import LessonResult, run_lesson
from nnzoo.lessons.schema import find_lesson
from nnzoo.report.charts import Drawing


@pytest.fixture(scope="module")
def neuron() -> LessonResult:
    return run_lesson(find_lesson("neuron"))


def test_backpropagation_equals_finite_differences(neuron: LessonResult) -> None:
    pairs = neuron.evaluate('gradient_pairs("network")')
    assert pairs.shape == (2, 2)
    assert pairs[:, 1] == pytest.approx(neuron.evaluate('gradients("network", at="start")'), rel=1e-5)
    assert pairs[:, 0] == pytest.approx(pairs[:, 1], rel=1e-7)


def test_a_drawing_has_the_values_of_its_units_and_the_gradients(neuron: LessonResult) -> None:
    (drawn,) = network(neuron, "", of="network", at="start", row="x", digits=4)
    assert isinstance(drawn, Drawing)
    assert all(f">{number}</text>" in drawn.svg for number in ("0.1", "0.3", "0.5175", "−0.8"))
    (backward,) = network(neuron, "", of="network", at="start", edges="gradient", digits=4)
    assert isinstance(backward, Drawing)
    assert ">0.01586</text>" in backward.svg
    assert "positive gradient" in backward.svg
    assert "0.5175" not in backward.svg


def test_initial_variances_are_means_over_networks() -> None:
    result = run_lesson(find_lesson("boundary-confidence"))
    (first,) = result.evaluate('initial_variances("weights")')
    assert first == pytest.approx(result.evaluate('variance(outputs("weights", points, at="start"))'), rel=1e-5)
    assert np.allclose(result.evaluate('initial_variances("weights", 3)'), first)
