"""`nnzoo doctor RUN`: each training problem is found, and a good run has no findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.doctor import curves, examine_run
from nnzoo.errors import CheckpointError, DivergedError
from nnzoo.experiment.train.run import train


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def topics_of(**config_keys: Any) -> dict[str, str]:
    run = train({"name": "r", "model": "mlp"} | config_keys, quiet=True)
    return {finding.topic: finding.message for finding in examine_run(run.run_dir).findings}


def test_a_healthy_run() -> None:
    found = topics_of(
        data={"name": "moons", "noise": 0.1}, optimizer={"name": "adam", "lr": 0.01}, train={"epochs": 30}
    )
    assert not found.keys() - {"label noise", "duplicates", "stopped too early"}


def test_overfitting_is_named() -> None:
    found = topics_of(
        data={"name": "moons", "samples": 120, "noise": 0.5},
        model={"name": "mlp", "hidden": [128, 128]},
        optimizer={"name": "adam", "lr": 0.01},
        train={"epochs": 120, "early_stopping": None},
    )
    assert "val loss rose" in found["overfitting"]
    assert "underfitting" not in found


def test_underfitting_is_named() -> None:
    found = topics_of(data={"name": "spirals", "noise": 0.02}, model="linear", train={"epochs": 20})
    assert "linear has no hidden layer" in found["network too small"]
    assert not found.keys() & {"overfitting", "underfitting"}


def test_dead_units_are_the_evidence_of_a_rate_that_is_too_high() -> None:
    run = train(
        {
            "name": "r",
            "data": "digits",
            "model": {"name": "mlp", "hidden": [32, 32]},
            "optimizer": {"name": "sgd", "lr": 50.0},
            "train": {"epochs": 3, "clip_grad_norm": 5.0},
        },
        quiet=True,
    )
    (finding,) = [each for each in examine_run(run.run_dir).findings if each.severity != "note"]
    assert finding.topic == "learning rate too high"
    (dead,) = [each for each in finding.evidence if each.startswith("dead units: ")]
    assert "hidden.0.activation" in dead
    assert "hidden.1.activation" in dead


def test_too_few_epochs_are_noted() -> None:
    found = topics_of(data="digits", optimizer={"name": "adam", "lr": 1e-3}, train={"epochs": 2})
    assert "Set train.epochs=30" in found["stopped too early"]


def test_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "r", "data": "iris", "model": "mlp", "train": {"epochs": 3}}, quiet=True)
    for subject in ("r", "latest", "runs/r"):
        assert nnzoo(["doctor", subject, "--json"]) == 0
        value = json.loads(capsys.readouterr().out)
        assert value["subject"] == "runs/r"
        assert value["scores"].keys() == {"train/accuracy", "val/accuracy", "test/accuracy"}
    assert nnzoo(["doctor", "r"]) == 0
    assert "network after epoch " in capsys.readouterr().out
    assert nnzoo(["doctor", "r", "train.epochs=2"]) == 2


@pytest.mark.parametrize("model", ["mlp", {"name": "cnn", "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3}}]}])
def test_the_best_restart_is_examined(model: Any) -> None:
    """Batched and sequential restarts."""
    settings = {"restarts": 2, "epochs": 2}
    found = topics_of(data="digits", model=model, optimizer={"name": "adam", "lr": 1e-3}, train=settings)
    assert "Set train.epochs=30" in found["stopped too early"]


def test_a_run_without_its_checkpoint() -> None:
    run = train({"name": "r", "data": "iris", "model": "mlp", "train": {"epochs": 1}}, quiet=True)
    (run.run_dir / "last.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"there is no last\.safetensors"):
        examine_run(run.run_dir)


@pytest.mark.parametrize("config_keys", [{"model": "mlp"}, {"model": {"name": "gru", "hidden_size": 4}}])
def test_batched_and_sequential_restarts(config_keys: dict[str, Any]) -> None:
    found = topics_of(data="digits", **config_keys, train={"epochs": 1, "restarts": 2, "early_stopping": None})
    assert not found.keys() & {"divergence", "loss"}


def test_a_run_that_diverged_is_diagnosed(capsys: pytest.CaptureFixture[str]) -> None:
    config_keys = {"name": "r", "data": "diabetes", "model": "mlp", "optimizer": {"name": "sgd", "lr": 1e9}}
    with pytest.raises(DivergedError):
        train(config_keys, quiet=True)
    assert nnzoo(["doctor", "runs/r", "--json"]) == 5
    value = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "divergence" in value
    assert "smaller optimizer.lr" in next(each.message for each in examine_run(Path("runs/r")).findings)


def test_a_confident_last_layer_is_not_saturated() -> None:
    found = topics_of(
        data={"name": "moons", "noise": 0.05},
        model={"name": "mlp", "hidden": [16], "output": {"activation": "sigmoid"}},
        loss="bce",
        optimizer={"name": "adam", "lr": 0.03},
        train={"epochs": 40},
    )
    assert "saturation" not in found


def test_a_gap_by_chance_is_not_overfitting() -> None:
    for num_val, named in ((20, False), (2000, True)):
        assert bool(curves.gap_of_scores("accuracy", 0.85, 0.7, num_val)) is named


def test_a_network_that_learns_nothing_does_not_overfit() -> None:
    found = topics_of(
        data="digits",
        model={"name": "mlp", "hidden": [32, 32]},
        optimizer={"name": "sgd", "lr": 20.0},
        train={"epochs": 3},
    )
    assert "With optimizer.lr" in found["learning rate too high"]
    assert not found.keys() & {"overfitting", "dead units", "underfitting"}


def test_a_network_that_memorizes_noise_needs_no_larger_model() -> None:
    random = np.random.default_rng(0)
    np.savez("noise.npz", x=random.standard_normal((200, 20)), y=random.integers(0, 2, 200))
    found = topics_of(
        data={"name": "arrays", "path": "noise.npz"},
        optimizer={"name": "adam", "lr": 0.01},
        train={"epochs": 40, "early_stopping": None},
    )
    assert "overfitting" in found
    assert "underfitting" not in found


def test_scores_and_state_have_their_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    run = train(
        {
            "name": "r",
            "data": {"name": "moons", "samples": 150, "noise": 0.5},
            "model": {"name": "mlp", "hidden": [64, 64]},
            "optimizer": {"name": "adam", "lr": 0.01},
            "train": {"epochs": 60, "early_stopping": {"patience": 8}},
        },
        quiet=True,
    )
    best, last = run.result["best_epoch"], run.result["epochs"]
    assert best < last
    examined = examine_run(run.run_dir)
    assert (examined.scores_epoch, examined.network_epoch) == (best, last)
    assert nnzoo(["doctor", "r", "--json"]) in (0, 5)
    output = json.loads(capsys.readouterr().out)
    assert (output["scores_epoch"], output["network_epoch"]) == (best, last)
    nnzoo(["doctor", "r"])
    text = capsys.readouterr().out
    assert f"best weights (epoch {best}): train/accuracy" in text
    assert f"network after epoch {last}: loss" in text


def test_scores_and_state_of_restarts_are_of_the_best_epoch() -> None:
    run = train({"name": "r", "data": "iris", "model": "mlp", "train": {"restarts": 3, "epochs": 4}}, quiet=True)
    examined = examine_run(run.run_dir)
    assert examined.scores_epoch == examined.network_epoch == run.result["best_epoch"]


def test_a_network_worse_than_a_linear_model_is_reported() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 5))
    np.savez("line.npz", x=x, y=(x.sum(1) > 0).astype(int))
    data = {"name": "arrays", "path": "line.npz"}
    run = train(
        {"name": "r", "model": "mlp", "data": data, "optimizer": {"lr": 1e-7}, "train": {"epochs": 2}}, quiet=True
    )
    (finding,) = [each for each in examine_run(run.run_dir).findings if each.severity != "note"]
    assert finding.topic == "learning rate too low"
    assert any("a linear model has a test accuracy of" in each for each in finding.evidence)


def test_a_network_below_the_baseline_is_reported() -> None:
    config_keys = {"init": {"name": "normal", "std": 2.0}, "optimizer": {"lr": 0.0}, "train": {"epochs": 1}}
    run = train({"name": "r", "data": "diabetes", "model": "mlp", **config_keys}, quiet=True)
    found = examine_run(run.run_dir)
    assert found.findings[0].topic == "learning rate too low"
    assert found.findings[0].severity == "spoils"
    assert found.findings[0].fix == ("optimizer.lr=0.001",)
