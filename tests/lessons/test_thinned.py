"""Networks that are thinned by dropout."""

from __future__ import annotations

import numpy as np
import pytest

from nnzoo.lessons.functions.trained import Trained
from nnzoo.lessons.schema import find_lesson
from nnzoo.lessons.training import train_lesson


def test_thinned_networks_differ_and_the_whole_one_drops_nothing() -> None:
    lesson = find_lesson("dropout")
    trained = Trained(train_lesson(lesson, overrides=["train.epochs=2", "train.restarts=1"]))
    points = [[0.0, 0.0], [1.0, 0.5], [2.0, -0.5]]
    passes = trained.thinned("dropout 0.5", points, 4)
    whole = trained.probabilities("dropout 0.5", points, at="last")
    assert passes.shape == (4, 3, 2)
    assert passes.sum(-1) == pytest.approx(np.ones((4, 3)), abs=1e-6)
    assert all(np.abs(passes[0] - each).max() > 1e-3 for each in (*passes[1:], whole))
    assert np.array_equal(passes, trained.thinned("dropout 0.5", points, 4))
    without = trained.thinned("without dropout", points, 2)
    assert without[0] == pytest.approx(trained.probabilities("without dropout", points, at="last"))
