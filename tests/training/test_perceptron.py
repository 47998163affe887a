"""The perceptron against its convergence theorem, and what it can't learn."""

from pathlib import Path
from typing import Any

import pytest

import nnzoo

QUICK: dict[str, Any] = {
    "batch_size": "full",
    "early_stopping": None,
    "metrics": ["accuracy"],
    "checkpoint": {"every_epochs": None, "every_minutes": None},
}


@pytest.mark.parametrize(("gate", "bound"), [("and", 51), ("or", 27), ("nand", 51)])
def test_a_perceptron_makes_no_more_mistakes_than_the_theorem_allows(tmp_path: Path, gate: str, bound: int) -> None:
    """Novikoff (1962): from zero weights at most (R / margin)^2 mistakes, with the bias as a third input of 1.

    R^2 = 3. The widest margin is 1 / |u| of the shortest u with t u.x >= 1: (2, 2, -3), (2, 2, -1), (-2, -2, 3).
    """
    config = {
        "data": gate,
        "model": "perceptron",
        "init": "zeros",
        "optimizer": {"name": "sgd", "lr": 1.0},
        # Not the loss: of zero weights it is 0, whatever they answer.
        "train": QUICK | {"epochs": 30, "batch_size": 1, "monitor": "train/accuracy"},
    }
    for seed in range(5):
        run = nnzoo.train(config, overrides={"seed": seed}, runs_dir=tmp_path, quiet=True)
        # Measured while it learns: each answer before the step that it causes.
        mistakes = [round(4 * (1 - accuracy)) for accuracy in run.history["train/accuracy"]]
        assert 0 < sum(mistakes) <= bound
        assert mistakes[-1] == 0
        assert run.metrics["train/accuracy"] == 1


def test_a_perceptron_never_learns_xor(tmp_path: Path) -> None:
    config = {
        "data": "xor",
        "model": "perceptron",
        "optimizer": {"name": "sgd", "lr": 1.0},
        "train": QUICK | {"epochs": 40, "batch_size": 1, "monitor": "train/accuracy"},
    }
    for seed in range(5):
        run = nnzoo.train(config, overrides={"seed": seed}, runs_dir=tmp_path, quiet=True)
        assert run.metrics["train/accuracy"] <= 0.75
        # No step makes it right, so that there always is a next one.
        assert max(run.history["train/accuracy"]) < 1
