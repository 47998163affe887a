"""`nnzoo lr-find`: the range test takes the steps of training, suggests a learning rate, and keeps nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run
from nnzoo.config import dump
from nnzoo.errors import ConfigError
from nnzoo.search.lr_curve import has_diverged, read_curve
from nnzoo.search.lr_range import find_lr
from nnzoo.search.lr_result import LrRange

GATES: dict[str, Any] = {
    "name": "gates",
    "data": "xor",
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": "adam",
    "train": {"batch_size": "full", "epochs": 1},
}


def _bend(steepest: float, width: float) -> tuple[list[float], list[float]]:
    """A curve 2 - tanh that falls fastest at a known learning rate, then rises again."""
    rates = np.logspace(-6, 2, 201)
    decades = np.log10(rates) - math.log10(steepest)
    losses = 2 - np.tanh(decades / width) + 3 * np.exp(2 * np.minimum(decades - 3, 2))
    return rates.tolist(), losses.tolist()


@pytest.fixture(scope="module")
def digits() -> LrRange:
    return find_lr("digits_mlp")


@pytest.mark.parametrize("steepest", [1e-3, 1e-1])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_steepest_descent_and_the_minimum_of_a_known_curve(steepest: float, noise: float) -> None:
    rates, losses = _bend(steepest, 0.5)
    rng = np.random.default_rng(0)
    found = read_curve(rates, (np.array(losses) + noise * rng.normal(size=len(losses))).tolist())
    assert found.steepest is not None
    assert found.lowest is not None
    assert abs(math.log10(rates[found.steepest] / steepest)) < (0.05 if noise == 0 else 0.3)
    assert 0.4 < math.log10(rates[found.lowest] / steepest) < 3
    assert found.start == pytest.approx(3, abs=0.1)


def test_noise_and_a_small_drop_are_no_descent() -> None:
    rates = np.logspace(-6, 2, 201).tolist()
    rng = np.random.default_rng(1)
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=201)
        assert read_curve(rates, (2 + 0.5 * noise).tolist()).steepest is None
    assert read_curve(rates, [2.0] * 201).steepest is None
    assert (
        read_curve(rates, (2 - 0.01 * np.linspace(0, 1, 201) + 1e-4 * rng.normal(size=201)).tolist()).steepest is None
    )


def test_divergence() -> None:
    assert has_diverged([1.0, math.nan])
    assert has_diverged([1.0] * 20 + [9.0] * 5)
    assert not has_diverged([1.0] * 20 + [9.0] * 2)  # single losses of a small batch may be high
    assert not has_diverged([1.0] * 20 + [1.9] * 5)


def test_the_suggestion_for_digits_trains_better_than_the_default(digits: LrRange, tmp_path: Path) -> None:
    assert digits.suggestion is not None
    assert digits.minimum is not None
    assert 2e-3 < digits.suggestion < 3e-2
    assert digits.suggestion < digits.minimum
    assert digits.has_diverged
    short = {"train.epochs": 3}
    losses = [
        nnzoo.train("digits_mlp", overrides={**short, **changes}, runs_dir=tmp_path, quiet=True).metrics["val/loss"]
        for changes in ({}, {"optimizer.lr": digits.suggestion})
    ]
    assert losses[1] < 0.6 * losses[0]


def test_the_first_loss_is_that_of_training(tmp_path: Path) -> None:
    """With one batch of all samples, the loss of the first epoch is measured before its step."""
    for changes in ({}, {"loss": {"name": "bce", "reduction": "sum"}}):
        config = {**GATES, **changes}
        trained = nnzoo.train(config, runs_dir=tmp_path, quiet=True).history["train/loss"][0]
        samples = 4 if changes else 1
        assert find_lr(config, num_steps=20).losses[0] == pytest.approx(trained / samples, rel=1e-6)


def test_the_learning_rates_are_those_of_the_steps() -> None:
    """SGD without momentum on a linear model: w(n) is known from the rates, so the losses are, too."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    config = {
        "model": {"name": "linear", "output": {"bias": False}},
        "init": "zeros",
        "loss": "mse",
        "optimizer": "sgd",
    }
    options = {"preprocess": {"normalize": "none", "scale_target": False}, "train": {"batch_size": "full"}}
    path = Path("known.npz")
    np.savez(path, allow_pickle=False, x=x, y=y)
    data = {"name": "arrays", "path": str(path), "split": {"val": 0, "test": 0}}
    found = find_lr({**config, **options, "data": data}, min_lr=1e-3, max_lr=1.0, num_steps=21)
    weights, expected = np.zeros((3, 1)), []
    for rate in np.logspace(-3, 0, 21)[: len(found.losses)]:
        expected.append(float(((x @ weights - y) ** 2).mean()))
        weights -= rate * 2 / 40 * x.T @ (x @ weights - y)
    assert found.losses == pytest.approx(expected, rel=1e-4)
    assert found.rates == pytest.approx(np.logspace(-3, 0, 21)[: len(found.losses)].tolist())


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_prints_a_chart_and_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["lr-find", "digits_mlp", "seed=3"]) == 0
    printed = capsys.readouterr()
    assert printed.out.isascii()
    assert max(map(len, printed.out.splitlines())) <= 80
    assert "* smoothed" in printed.out
    command = printed.out.splitlines()[-1]
    assert command.startswith("nnzoo train digits_mlp seed=3 optimizer.lr=0.0")
    assert list(tmp_path.iterdir()) == []
    assert run(["lr-find", "digits_mlp", "optimizer.lr=0.3", "seed=3", "-q"]) == 0  # which the suggestion replaces
    brief = capsys.readouterr()
    assert brief.out.splitlines()[-1] == command  # the same seed has the same answer
    assert len(brief.out.splitlines()) == 2
    assert brief.err == ""


def test_json_and_the_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = [
        "lr-find",
        "iris_mlp",
        "--json",
        "--html",
        "curve.html",
        "--steps",
        "60",
        "--min",
        "1e-4",
        "--max",
        "1",
    ]
    assert run(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["min_lr"] == 1e-4
    assert found["curve"]["lr"] == pytest.approx(np.logspace(-4, 0, 60)[: found["num_steps"]].tolist())
    assert len(found["curve"]["loss"]) == len(found["curve"]["smoothed"]) == found["num_steps"]
    assert found["suggestion"] == float(found["overrides"][0].removeprefix("optimizer.lr="))
    page = Path("curve.html").read_text(encoding="utf-8")
    assert found["overrides"][0] in page
    assert "suggestion" in page
    assert run(arguments) == 2
    assert "exists" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert Path("curve.html").read_text(encoding="utf-8") == page
    assert run([*arguments, "--overwrite"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["curve.html"]


def test_a_loss_that_never_falls_has_no_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """With zero weights and ReLU, no unit gets a gradient, and the classes are balanced."""
    changes = ["init=zeros", "model={name: mlp, hidden: [4]}"]
    assert run(["lr-find", "xor_mlp", *changes, "--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    assert found["suggestion"] is None
    assert found["overrides"] == []
    assert "never falls" in found["error"]["message"]
    assert run(["lr-find", "xor_mlp", *changes]) == 5
    printed = capsys.readouterr()
    assert "nnzoo doctor" in printed.err
    assert "nnzoo train" not in printed.out


def test_divergence_from_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    np.savez("huge.npz", allow_pickle=False, x=1e30 * rng.normal(size=(64, 4)), y=1e30 * rng.normal(size=(64, 1)))
    data = "data={name: arrays, path: huge.npz, split: {val: 0, test: 0}}"
    plain = ["preprocess={normalize: none, scale_target: false}", "optimizer=sgd", "train.batch_size=16"]
    linear = ["lr-find", "iris_mlp", data, "model=linear", *plain]
    assert run(linear) == 4
    assert "preprocess.normalize" in capsys.readouterr().err
    np.savez("huge.npz", allow_pickle=False, x=1e6 * rng.normal(size=(64, 4)), y=rng.normal(size=(64, 1)))
    assert run([*linear, "--min", "1", "--json"]) == 5
    assert "Lower --min" in json.loads(capsys.readouterr().out)["reason"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optimizer=lbfgs"], "chooses the length of its steps itself"),
        (["optimizer=rprop"], "step size per weight"),
        (["model=perceptron"], "the perceptron rule"),
        (["model.freeze='*'"], "nothing to train"),
        (["--min", "1", "--max", "0.1"], "0 < min < max"),
        (["optimizer.lr=fast"], "expected a number"),
    ],
)
def test_what_has_no_learning_rate_is_refused(
    changes: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lr-find", "xor_mlp", *changes]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_several_processes_are_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(["lr-find", "xor_mlp"]) == 2
    assert "without torchrun" in capsys.readouterr().err


def test_other_learning_rates_keep_their_proportion() -> None:
    two = {"name": "sgd", "lr": 0.01, "backbone_lr": 0.002}
    found = find_lr({**GATES, "optimizer": two, "scheduler": {"name": "cosine", "eta_min": 0.001}})
    assert found.suggestion is not None
    changed = dump(nnzoo.load_config({**GATES, "optimizer": two, "scheduler": "cosine"}, found.overrides()))
    assert changed["optimizer"]["lr"] == found.suggestion
    assert changed["optimizer"]["backbone_lr"] == pytest.approx(found.suggestion / 5, rel=0.05)
    assert changed["scheduler"]["eta_min"] == pytest.approx(found.suggestion / 10, rel=0.05)
    same = find_lr({**GATES, "optimizer": {**two, "backbone_lr": 0.01}})
    alone = find_lr({**GATES, "optimizer": {"name": "sgd", "lr": 0.5}})
    assert same.losses == alone.losses != found.losses
    top = find_lr({**GATES, "optimizer": "sgd", "scheduler": {"name": "one_cycle", "max_lr": 0.02}})
    assert top.lr == 0.02
    assert top.overrides() == [f"scheduler.max_lr={top.suggestion}"]


def test_restarts() -> None:
    """Restarts that train in one batch are tested together; of others, the first one is."""
    several = find_lr({**GATES, "train": {"batch_size": "full", "restarts": 3}})
    singles = [find_lr({**GATES, "seed": seed}) for seed in range(3)]
    assert several.num_networks == 3
    medians = np.median([each.losses[:150] for each in singles], axis=0)
    assert several.losses[:150] == pytest.approx(medians.tolist(), rel=1e-3, abs=1e-5)
    gru = {"data": {"name": "random", "shape": [4, 2], "samples": 40}, "model": {"name": "gru", "hidden_size": 3}}
    one = find_lr({**gru, "train": {"restarts": 2}}, num_steps=20)
    assert one.num_networks == 1
    assert one.notes == ("Only the first of the 2 restarts was tested.",)


CONV = [{"conv": {"out_channels": 4, "kernel_size": 3, "batch_norm": True}}, {"global_pool": "avg"}]
SPLIT = {"val": 0.2, "test": 0}
KINDS: dict[str, dict[str, Any]] = {
    "images": {
        "data": {"name": "random", "shape": [1, 6, 6], "samples": 40},
        "augment": ["horizontal_flip", "mixup"],
        "model": {"name": "cnn", "blocks": CONV},
        "optimizer": "muon",
        "train": {"precision": "bf16-mixed", "batch_size": 8, "ema": 0.9},
    },
    "sequences": {
        "data": {"name": "adding", "length": 6, "samples": 40},
        "model": {"name": "lstm", "hidden_size": 4, "dropout": 0.1},
        "train": {"clip_grad_norm": 0.1, "accumulate_grad_batches": 2, "batch_size": 4},
    },
    "trees": {"data": {"name": "trees", "path": "trees.txt", "split": SPLIT}, "model": {"name": "tree_lstm"}},
    "text": {"data": {"name": "language", "path": "text.txt", "sequence_length": 8}, "model": {"name": "gru"}},
    "table": {"data": "iris", "model": "tabular", "regularization": {"l1": 0.01, "l2": 0.1}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data(kind: str) -> None:
    tree = "(3 (2 It) (4 (2 's) (4 fun)))\n(1 (2 It) (0 (2 's) (0 dull)))\n"
    Path("trees.txt").write_text(tree * 10, encoding="utf-8")
    Path("text.txt").write_text("what news, my lord? " * 20, encoding="utf-8")
    found = find_lr(KINDS[kind], num_steps=20, max_lr=0.1)
    assert len(found.losses) == 20
    assert all(map(math.isfinite, found.losses))
    assert find_lr(KINDS[kind], num_steps=20, max_lr=0.1).losses == found.losses


def test_the_random_state_and_the_run_directory_stay_unchanged(tmp_path: Path) -> None:
    trained = nnzoo.train(GATES, runs_dir=tmp_path, quiet=True)
    before = {path.name: path.read_bytes() for path in trained.run_dir.iterdir()}
    assert find_lr(trained.run_dir, num_steps=20).losses == find_lr(GATES, num_steps=20).losses
    assert {path.name: path.read_bytes() for path in trained.run_dir.iterdir()} == before


def test_bad_configs_raise() -> None:
    with pytest.raises(ConfigError, match="lbfgs"):
        find_lr({**GATES, "optimizer": "lbfgs"})
