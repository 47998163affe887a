"""The checks before training: one batch learned by heart, the first loss, the inputs, and the cost."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.config import load_config
from nnzoo.doctor import Examination, examine_config
from nnzoo.doctor.gate import checks
from nnzoo.doctor.gate.by_heart import learn_by_heart
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.train.run import train
from nnzoo.experiment.train.start import build_state


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def examined(**sections: Any) -> Examination:
    return examine_config(load_config({"model": "mlp", "train": {"epochs": 2}} | sections))


def by_heart(config: Any, **overrides: Any) -> dict[str, Any]:
    experiment = prepare(load_config(config, overrides))
    state, _, _ = build_state(experiment, None, show=lambda _: None)
    return learn_by_heart(experiment, state.model)


@pytest.mark.parametrize("name", ["iris_mlp", "breast_cancer_svm", "diabetes_mlp", "digits_cnn", "digits_lstm"])
def test_shipped_configs_learn_a_batch_by_heart(name: str) -> None:
    result = by_heart(name)
    assert result["learned"]
    assert result["r2" if name == "diabetes_mlp" else "accuracy"] >= 0.95
    assert result["last_loss"] < result["first_loss"]


def test_frozen_weights_are_not_learned_by_heart(capsys: pytest.CaptureFixture[str]) -> None:
    frozen = {"name": "mlp", "hidden": [8], "freeze": ["*.weight"]}
    found = examined(data="digits", model=frozen)
    assert found.gate["by_heart"]["learned"] is False
    assert "18 of 610 weights are trained" in found.gate["by_heart"]["reason"]
    cause = next(each for each in found.findings if each.topic == "frozen layers")
    assert "the untrained network does not learn 32 train samples by heart" in cause.evidence
    Path("c.yaml").write_text("data: digits\nmodel: {name: mlp, hidden: [8], freeze: ['*.weight']}\n")
    assert nnzoo(["doctor", "c.yaml"]) == 5
    assert "one batch learned by heart: no, 32 samples in" in capsys.readouterr().out


def test_a_cause_that_invalidates_the_result_takes_the_failure_as_its_evidence() -> None:
    found = examined(data="digits", init="zeros")
    assert "not learned by heart" not in {each.topic for each in found.findings}
    cause = next(each for each in found.findings if each.severity == "spoils")
    assert "the untrained network does not learn 32 train samples by heart" in cause.evidence


def test_the_reason_is_named_if_a_batch_is_not_learned() -> None:
    linear = by_heart({"data": "xor", "model": "perceptron"})
    assert not linear["learned"]
    assert linear["reason"].startswith("a linear model only learns linear relations")
    slow = by_heart({"data": "iris", "model": "mlp", "optimizer": {"name": "sgd", "lr": 1e-6}})
    assert slow["learned"]
    assert slow["reason"].startswith("not with sgd, lr 1e-06: the loss went from")
    wild = by_heart({"data": "iris", "model": "mlp", "optimizer": {"name": "sgd", "lr": 1e30}})
    assert wild["learned"]
    assert "diverged" in wild["reason"]


def test_equal_inputs_with_different_targets_limit_the_accuracy() -> None:
    np.savez("data.npz", x=np.ones((64, 3)), y=np.arange(64) % 2)
    result = by_heart({"data": {"name": "arrays", "path": "data.npz"}, "model": "mlp"})
    assert (result["learned"], result["attainable"], result["accuracy"]) == (True, 0.5, 0.5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("cross_entropy", math.log(10)),
        ("nll", math.log(10)),
        ({"name": "focal", "gamma": 2.0}, 0.9**2 * math.log(10)),
        ({"name": "kl_div", "reduction": "sum"}, math.log(10)),
        ("bce", math.log(2)),
        ("hinge", 1.0),
        ("multi_margin", 0.9),
        ({"name": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1}, math.log(10)),
    ],
)
def test_a_network_with_zero_weights_has_the_expected_first_loss(loss: Any, expected: float) -> None:
    first = gate(data="digits", model="linear", init="zeros", loss=loss)["first_loss"]
    assert first["expected"] == pytest.approx(expected, rel=1e-4)
    assert first["measured"] == pytest.approx(first["expected"], rel=1e-5)


def gate(**sections: Any) -> dict[str, Any]:
    experiment = prepare(load_config({"train": {"epochs": 2}} | sections))
    state, _, _ = build_state(experiment, None, show=lambda _: None)
    return checks.run(experiment, state.model)


def test_the_expected_first_loss_of_a_regression_is_the_variance() -> None:
    first = gate(data="diabetes", model="linear", init="zeros", train={"batch_size": "full"})["first_loss"]
    assert (first["samples"], first["guess"]) == (310, "the mean")
    assert first["expected"] == pytest.approx(1.0, rel=1e-4)  # of scaled targets


def test_the_first_batch_is_described_as_the_network_sees_it() -> None:
    seen = gate(data="digits", model="linear", preprocess={"normalize": "minmax"}, train={"batch_size": "full"})
    batch = seen["first_batch"]
    assert batch["shape"] == [512, 1, 8, 8]
    assert (batch["min"], batch["max"]) == (0.0, 1.0)
    assert 0.2 < batch["mean"] < 0.4


def test_tokens_and_padding_of_the_first_batch(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{'good' if row % 2 else 'bad'} {'film ' * (row % 3)}word{row},{row % 2}" for row in range(40)]
    Path("t.csv").write_text("text,y\n" + "\n".join(rows) + "\n")
    config = {
        "data": {"name": "text", "path": "t.csv", "target": "y", "min_count": 2, "split": {"val": 0, "test": 0}},
        "model": {"name": "gru", "hidden_size": 8},
        "train": {"batch_size": "full", "epochs": 1},
    }
    batch = gate(**config)["first_batch"]
    lengths = [2 + row % 3 for row in range(40)]
    assert batch["lengths"] == {"min": 2, "mean": pytest.approx(np.mean(lengths)), "max": 4}
    assert batch["padding"] == pytest.approx(1 - np.mean(lengths) / 4)
    assert batch["unknown"] == pytest.approx(40 / sum(lengths))
    assert (batch["tokens"], batch["distinct_tokens"]) == (sum(lengths), 4)  # good, bad, film, unknown
    Path("c.yaml").write_text(json.dumps(config))
    assert nnzoo(["doctor", "c.yaml", "-v"]) in (0, 5)
    assert "2 to 4 steps, mean 3.0, 26% padding; 119 tokens, 4 of 5 different, 33.6% unknown" in capsys.readouterr().out


@pytest.mark.parametrize("restarts", [1, 3])
def test_the_estimated_time_is_close_to_the_real_one(restarts: int) -> None:
    config = {
        "name": "r",
        "data": "digits",
        "model": {"name": "mlp", "hidden": [64]},
        "train": {"epochs": 12, "early_stopping": None, "restarts": restarts},
    }
    ratios = []
    for _ in range(3):  # another process may slow down one of the two
        cost = gate(**config)["cost"]
        ratios.append(cost["seconds"] / train(config, quiet=True, overwrite=True).result["seconds"])
        if 0.5 < ratios[-1] < 2:
            break
    assert 0.5 < ratios[-1] < 2, ratios
    assert (cost["epochs"], cost["steps_per_epoch"], cost["early_stopping"]) == (12, 40, False)
    assert cost["memory_bytes"] > 50e6
