"""Each illness, planted into a config that trains well, is the first verdict, and its fix is valid for that config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.config import load_config
from nnzoo.doctor import examine_run
from nnzoo.doctor.illnesses import MEANINGS
from nnzoo.experiment.train.run import train

RANDOM = np.random.default_rng(0)
ADAM = {"name": "adam", "lr": 0.02}
CIRCLES: dict[str, Any] = {
    "seed": 1,
    "data": {"name": "circles", "samples": 240, "noise": 0.08},
    "model": {"name": "mlp", "hidden": [16, 16]},
    "optimizer": ADAM,
    "train": {"epochs": 20, "batch_size": 16},
}
WINE: dict[str, Any] = {**CIRCLES, "data": "wine", "train": {"epochs": 20, "batch_size": 16}}
SINE: dict[str, Any] = {**CIRCLES, "data": {"name": "sine", "samples": 300}, "train": {"epochs": 40, "batch_size": 16}}
DIGITS: dict[str, Any] = {
    "seed": 1,
    "data": "digits",
    "model": {"name": "mlp", "hidden": [32]},
    "train": {"epochs": 12},
}


def changed(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Returns the config with other sections; the fields of the sections `train` and `model` are merged."""
    merged: dict[str, Any] = {key: {**config[key], **changes[key]} for key in ("train", "model") if key in changes}
    return {**config, **changes, **merged}


def arrays(kind: str) -> dict[str, Any]:
    """Returns a config of arrays with a fault, which are saved in data.npz."""
    x = RANDOM.normal(size=(400, 6))
    classes = (x[:, 0] + x[:, 1] > 0).astype(int)
    wanted: Any = classes
    if kind == "flipped":
        x[:, 0] += 4 * classes
        wanted = np.where(RANDOM.random(400) < 0.2, 1 - classes, classes)
    elif kind == "large target":
        wanted = 50_000 + 8_000 * np.sin(2 * x[:, 0]) + 5_000 * x[:, 1]
    elif kind == "large column":
        x = x * 10.0 ** np.array([0, 0, 4, 3, 4, 0])
    np.savez("data.npz", x=x, y=wanted)
    return changed(CIRCLES, data={"name": "arrays", "path": "data.npz"}, train={"epochs": 12})


PLANTED: dict[str, tuple[str, Any]] = {
    "a rate of 5": ("learning rate too high", changed(CIRCLES, optimizer={"name": "adam", "lr": 5.0})),
    "a rate of 1e-6": ("learning rate too low", changed(WINE, optimizer={"name": "adam", "lr": 1e-6})),
    "one epoch": ("stopped too early", changed(CIRCLES, train={"epochs": 1})),
    "a falling rate": ("plateau", changed(CIRCLES, scheduler={"name": "exponential", "gamma": 0.3})),
    "full batches": (
        "batch size too large",
        changed(CIRCLES, optimizer={"name": "adam", "lr": 0.002}, train={"batch_size": "full"}),
    ),
    "single samples": (
        "batch size too small",
        changed(CIRCLES, optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}, train={"batch_size": 1, "epochs": 8}),
    ),
    "pairs with batch norm": (
        "batch norm with tiny batches",
        changed(CIRCLES, model={"batch_norm": True}, train={"batch_size": 2, "epochs": 5}),
    ),
    "frozen": ("frozen layers", changed(CIRCLES, model={"freeze": "backbone"})),
    "a line": ("network too small", {**CIRCLES, "model": "linear"}),
    "constant": ("symmetry", changed(WINE, init={"name": "constant", "val": 0.1})),
    "large weights": ("initial weights too large", changed(WINE, init={"name": "normal", "std": 6.0})),
    "small weights": (
        "initial weights too small",
        changed(CIRCLES, model={"hidden": [16] * 3}, init={"name": "normal", "std": 1e-6}, train={"epochs": 12}),
    ),
    "deep sigmoids": (
        "vanishing gradients",
        changed(CIRCLES, model={"hidden": [16] * 7, "activation": "sigmoid"}, train={"epochs": 15}),
    ),
    "a bias of -10": ("dead units", changed(CIRCLES, init={"name": "auto", "bias": -10.0})),
    "a bias of 12": (
        "saturation",
        changed(CIRCLES, model={"activation": "tanh"}, init={"name": "xavier_normal", "bias": 12.0}),
    ),
    "relu outputs": ("output activation", changed(SINE, model={"output": {"activation": "relu"}})),
    "identity": ("no activation", changed(CIRCLES, model={"activation": "identity"})),
    "raw columns": ("unscaled columns", "large column"),
    "raw targets": ("unscaled target", "large target"),
    "wrong labels": ("label noise", "flipped"),
}
"""The illness and the config, or the fault of arrays, by a description."""
MORE: dict[str, dict[str, Any]] = {
    "raw columns": {"preprocess": {"normalize": "none"}},
    "raw targets": {"preprocess": {"scale_target": False}},
}


def is_valid(config: dict[str, Any], fix: list[str] | tuple[str, ...]) -> bool:
    """Whether the fix can be applied to the config as it was written."""
    return load_config(config, list(fix)) is not None


@pytest.mark.parametrize("case", list(PLANTED))
def test_a_planted_illness_is_the_first_verdict(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    topic, config = PLANTED[case]
    config = arrays(config) if isinstance(config, str) else config
    run = train({"name": "r", **config, **MORE.get(case, {})}, quiet=True)
    findings = examine_run(run.run_dir).findings
    named = [each.topic for each in findings if each.severity != "note"]
    assert named[:1] == [topic], findings
    assert all(is_valid(config, each.fix) for each in findings)
    assert all(each.topic in MEANINGS for each in findings)


DIGITS_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh, rate 2": (
        "learning rate too high",
        changed(
            DIGITS,
            model={"activation": "tanh"},
            optimizer={"name": "sgd", "lr": 2.0, "momentum": 0.9},
            train={"epochs": 6},
        ),
    ),
    "adam, rate 1e-6": ("learning rate too low", changed(DIGITS, optimizer={"name": "adam", "lr": 1e-6})),
    "sgd, rate 1e-5": ("learning rate too low", changed(DIGITS, optimizer={"name": "sgd", "lr": 1e-5})),
    "3 epochs": ("stopped too early", changed(DIGITS, train={"epochs": 3})),
    "dropout of 0.95": ("too much dropout", changed(DIGITS, model={"dropout": 0.95})),
    "an L2 of 1": ("too much weight decay", changed(DIGITS, regularization={"l2": 1.0})),
    "2 units": ("network too small", changed(DIGITS, model={"hidden": [2]}, train={"epochs": 25})),
}


@pytest.mark.verdicts
@pytest.mark.parametrize("case", list(DIGITS_CASES))
def test_train_prints_the_cause(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of training, with a second of trials."""
    monkeypatch.chdir(tmp_path)
    topic, config = DIGITS_CASES[case]
    run = nnzoo.train({"name": "r", **config}, quiet=True)
    first = json.loads((run.run_dir / "result.json").read_text(encoding="utf-8"))["findings"][0]
    assert first["topic"] == topic, first
    assert first["fix"]
    assert is_valid(config, first["fix"])


@pytest.mark.verdicts
@pytest.mark.parametrize("case", ["raw columns", "raw targets"])
def test_train_tries_changes_of_the_data(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training has freed the raw data by then, so the table is read again."""
    monkeypatch.chdir(tmp_path)
    topic, fault = PLANTED[case]
    run = nnzoo.train({"name": "r", **arrays(fault), **MORE[case]}, quiet=True)
    first = json.loads((run.run_dir / "result.json").read_text(encoding="utf-8"))["findings"][0]
    assert first["topic"] == topic, first
    assert first["fix"]
    assert " With it, " in first["message"]


@pytest.mark.parametrize(
    "config",
    [
        CIRCLES,
        WINE,
        changed(WINE, model={"activation": "tanh", "batch_norm": True}),
    ],
)
def test_a_healthy_run_has_no_verdict(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = train({"name": "r", **config}, quiet=True)
    assert [each.topic for each in examine_run(run.run_dir).findings if each.severity != "note"] == []


def test_changes_that_did_not_help_are_not_advised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(1).normal(size=(160, 3))
    np.savez("data.npz", x=x, y=np.random.default_rng(2).integers(0, 2, 160))
    config = changed(CIRCLES, data={"name": "arrays", "path": "data.npz"}, model={"hidden": [4]}, train={"epochs": 5})
    run = train({"name": "r", **config}, quiet=True)
    named = [each for each in examine_run(run.run_dir).findings if each.topic == "no better than the baseline"]
    assert len(named) == 1
    assert "No single change" in named[0].message


def test_the_page_has_the_meaning_of_every_finding() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = page.partition("<!-- meanings -->")[2].partition("<!-- end of meanings -->")[0].strip().splitlines()
    assert table[2:] == [f"| {topic} | {meaning} |" for topic, meaning in MEANINGS.items()]
