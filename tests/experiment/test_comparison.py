"""Notes of `train` about a network that is worse than the baseline or a linear model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run as cli


@pytest.fixture(autouse=True)
def _inside_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imbalanced(share: float = 0.07, samples: int = 900) -> dict[str, Any]:
    """Returns data with rare positives that the inputs hardly predict."""
    rng = np.random.default_rng(0)
    y = (np.arange(samples) < share * samples).astype(int)
    x = rng.normal(size=(samples, 4)) + 0.2 * y[:, None]
    order = rng.permutation(samples)
    np.savez("rare.npz", x=x[order], y=y[order])
    return {"data": {"name": "arrays", "path": "rare.npz"}, "model": {"name": "mlp", "hidden": [8]}}


def notes(config: dict[str, Any], **train: Any) -> list[str]:
    settings = {**config, "optimizer": {"lr": 0.01}, "train": {"epochs": 10, "early_stopping": None, **train}}
    found: list[str] = nnzoo.train(settings, quiet=True).result["notes"]
    return found


def test_a_class_with_recall_0_is_noted() -> None:
    (note,) = [each for each in notes(imbalanced()) if "baseline" in each]
    assert note.startswith("test accuracy 0.9")
    assert "is not above the baseline 0.9" in note
    assert "always predicts '0', and no sample of '1' is predicted correctly (recall 0)." in note
    assert "loss: {name: cross_entropy, class_weights: balanced}" in note
    assert "train.metrics: [balanced_accuracy, average_precision]" in note
    assert "`nnzoo predict RUN --threshold auto`" in note


def test_settings_that_are_set_are_not_advised() -> None:
    config = imbalanced()
    (note,) = [each for each in notes(config, metrics=["balanced_accuracy"]) if "recall 0" in each]
    assert "train.metrics" not in note
    loss = {"name": "cross_entropy", "class_weights": "balanced"}
    assert not any("class_weights" in each for each in notes({**config, "loss": loss}))


def test_the_advice_finds_the_rare_class() -> None:
    config = {**imbalanced(), "loss": {"name": "cross_entropy", "class_weights": "balanced"}}
    run = nnzoo.train({**config, "train": {"metrics": ["recall", "balanced_accuracy"]}}, quiet=True)
    assert run.metrics["test/recall"] > 0.3


def test_the_note_is_on_the_command_line_in_the_log_and_in_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(json.dumps({**imbalanced(), "optimizer": {"lr": 0.01}}))
    assert cli(["train", "c.yaml"]) == 0
    captured = capsys.readouterr()
    assert "note: test accuracy" in captured.err
    assert "note: test accuracy" in Path("runs/c/train.log").read_text()
    assert json.loads(Path("runs/c/result.json").read_text())["notes"]
    assert cli(["train", "c.yaml", "--json", "-q"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["notes"]
    assert "note:" not in captured.err


def linear_data(*, regression: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 6))
    y = x @ rng.normal(size=6) + 0.1 * rng.normal(size=600)
    np.savez("line.npz", x=x, y=y if regression else (y > 0).astype(int))
    return {"data": {"name": "arrays", "path": "line.npz"}, "model": {"name": "mlp", "hidden": [16]}}


def test_a_network_worse_than_a_linear_model_underfits() -> None:
    run = nnzoo.train({**linear_data(), "optimizer": {"lr": 1e-6}, "train": {"epochs": 2}}, quiet=True)
    assert run.result["linear"]["test/accuracy"] > 0.9
    (note,) = [each for each in run.result["notes"] if "linear model" in each]
    assert "It underfits" in note
    assert "model: linear" in note


def test_a_regression_worse_than_the_mean_and_a_linear_model() -> None:
    run = nnzoo.train(
        {**linear_data(regression=True), "init": {"name": "normal", "std": 2.0}, "optimizer": {"lr": 0.0}}, quiet=True
    )
    first, second = run.result["notes"]
    assert "the baseline of predicting the mean" in first
    assert "test rmse of" in second


def test_a_network_that_overfits_is_noted() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1000, 20))
    np.savez("noisy.npz", x=x, y=(x[:, 0] + 0.5 * rng.normal(size=1000) > 0).astype(int))
    config = {
        "data": {"name": "arrays", "path": "noisy.npz", "split": {"test": 0.5, "val": 0.0}},
        "model": {"name": "mlp", "hidden": [256]},
        "optimizer": {"name": "adam", "lr": 0.01},
    }
    run = nnzoo.train({**config, "train": {"epochs": 60, "early_stopping": None}}, quiet=True)
    assert run.metrics["train/accuracy"] == 1
    (note,) = run.result["notes"]
    assert "a linear model has a test accuracy of" in note
    assert "It overfits" in note


@pytest.mark.parametrize("config", ["iris_mlp", "breast_cancer_linear", "xor_mlp"])
def test_a_good_training_has_no_notes(config: str) -> None:
    assert nnzoo.train(config, quiet=True).result["notes"] == []


def test_a_linear_network_is_not_compared_with_itself() -> None:
    config = {**linear_data(), "model": "linear", "optimizer": {"lr": 1e-9}, "train": {"epochs": 1}}
    assert not any("linear model" in note for note in nnzoo.train(config, quiet=True).result["notes"])


@pytest.mark.parametrize(
    "config",
    [
        {"data": {"name": "random", "shape": [5], "samples": 40, "targets": 2}, "model": "mlp"},
        {"data": {"name": "adding", "samples": 60, "length": 5}, "model": "rnn"},
        {"data": {"name": "random", "shape": [2, 6, 6], "samples": 40, "classes": 3}, "model": "mlp"},
        {"data": "nand", "model": "perceptron"},
    ],
)
def test_every_kind_of_data_is_compared(config: dict[str, Any]) -> None:
    result = nnzoo.train({**config, "train": {"epochs": 1}}, quiet=True).result
    assert result["linear"]
    assert all(isinstance(note, str) for note in result["notes"])
