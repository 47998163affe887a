"""The perceptron: its convergence theorem, XOR, and its defaults."""

from pathlib import Path
from typing import Any

import pytest

import nnzoo
from nnzoo.config import dump, load_config, resolve

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
        # Not the loss, which is 0 for zero weights, whatever the predictions are.
        "train": QUICK | {"epochs": 30, "batch_size": 1, "monitor": "train/accuracy"},
    }
    for seed in range(5):
        run = nnzoo.train(config, overrides={"seed": seed}, runs_dir=tmp_path, quiet=True)
        # Training metrics: each prediction is before its step.
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
        # No step makes all predictions right, so training always continues.
        assert max(run.history["train/accuracy"]) < 1


@pytest.mark.parametrize("gate", ["and", "or", "nand"])
@pytest.mark.parametrize("sections", [{}, {"loss": "perceptron"}, {"optimizer": "sgd"}, {"optimizer": {"lr": 2.0}}])
def test_the_defaults_learn_every_linearly_separable_gate(tmp_path: Path, gate: str, sections: dict[str, Any]) -> None:
    config = {"data": gate, "model": "perceptron", **sections, "train": {"epochs": 50}}
    for seed in range(3):
        run = nnzoo.train(config, overrides={"seed": seed}, runs_dir=tmp_path, quiet=True)
        assert run.metrics["train/accuracy"] == 1
        assert run.result["best_epoch"] < 25


def test_the_defaults_are_in_the_resolved_config() -> None:
    config = load_config({"data": "nand", "model": "perceptron"})
    found = dump(resolve(config, config.data.facts()))
    assert found["loss"]["name"] == "perceptron"
    assert (found["optimizer"]["name"], found["optimizer"]["lr"]) == ("sgd", 1.0)
    assert found["train"]["early_stopping"] == {"patience": 20, "min_delta": 0.0}


@pytest.mark.parametrize(
    ("overrides", "optimizer", "lr"),
    [
        (["optimizer.lr=0.5"], "sgd", 0.5),
        (["optimizer.momentum=0.5"], "sgd", 1.0),
        (["optimizer=adamw"], "adamw", 1e-3),
        (["optimizer=adamw", "optimizer.lr=0.5"], "adamw", 0.5),
        (["optimizer.lr=0.5", "optimizer=adam"], "adam", 0.5),
        (["model=mlp"], "adamw", 1e-3),
        (["model=mlp", "optimizer.lr=0.5"], "adamw", 0.5),
    ],
)
def test_the_config_overrides_the_defaults(overrides: list[str], optimizer: str, lr: float) -> None:
    found = load_config({"data": "nand", "model": "perceptron"}, overrides).optimizer
    assert (found.name, found.lr) == (optimizer, lr)


def test_patience_can_be_changed_and_disabled() -> None:
    config_dict = {"data": "nand", "model": "perceptron"}
    stopping = load_config(config_dict, ["train.early_stopping.min_delta=0.1"]).train.early_stopping
    assert stopping is not None
    assert (stopping.patience, stopping.min_delta) == (20, 0.1)
    assert load_config(config_dict, ["train.early_stopping=null"]).train.early_stopping is None
