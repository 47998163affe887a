"""Gates on any metric of the task, and the decision threshold for two classes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from nnzoo.cli.app import run as nnzoo
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.run import train


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rare(name: str, count: int, seed: int) -> None:
    """Writes a table in which one of twelve rows is positive, with overlapping classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2)).round(5)
    y = rng.random(count) < 1 / (1 + np.exp(3.4 - 2 * x[:, 0]))
    rows = [f"{a},{b},{('no', 'yes')[int(c)]}" for (a, b), c in zip(x, y, strict=True)]
    Path(name).write_text("\n".join(["a,b,y", *rows]) + "\n")


def trained(**more: Any) -> Run:
    rare("t.csv", 1500, 0)
    rare("new.csv", 400, 1)
    data = {"name": "csv", "path": "t.csv", "target": "y"}
    config = {"name": "r", "data": data, "model": {"name": "mlp", "hidden": [4]}, "train": {"epochs": 4}, **more}
    return train(config, quiet=True)


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    code = nnzoo(["eval", "r", "--json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {"code": code, **found}


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    capsys.readouterr()
    assert nnzoo(["predict", "r", *arguments]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def truth(name: str) -> np.ndarray:
    with Path(name).open() as file:
        return np.array([row["y"] == "yes" for row in csv.DictReader(file)])


def test_a_metric_that_the_config_does_not_list_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    rows = predicted(capsys, "new.csv")
    scores = [float(row["probability_yes"]) for row in rows]
    expected = reference.roc_auc_score(truth("new.csv"), scores)
    found = evaluated(capsys, "--data", "new.csv", "--fail-under", f"auroc={expected - 1e-4}")
    assert found["code"] == 0
    assert found["metrics"]["auroc"] == pytest.approx(expected, abs=1e-6)
    found = evaluated(capsys, "--data", "new.csv", "--fail-under", f"auroc={expected + 1e-4}", "--fail-under", "loss=9")
    assert found["code"] == 5
    assert found["error"]["message"].startswith("auroc 0.")
    plain = evaluated(capsys)
    for spelled in ("auroc", "test/auroc"):
        found = evaluated(capsys, "--fail-under", f"{spelled}=0.5", "--fail-under", "f1=0")
        assert found["code"] == 0
        assert found["metrics"].keys() == {"loss", "accuracy", "auroc", "f1"}
        # The metrics of the config are the same to the last bit.
        assert {name: found["metrics"][name] for name in plain["metrics"]} == plain["metrics"]
    assert evaluated(capsys, "--fail-under", "val/recall=0")["split"] == "val"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-under", "auc=0.8"], "'auc' is not a metric. Did you mean 'auroc'?"),
        (["--fail-under", "test/acuracy=0.8"], "'acuracy' is not a metric. Did you mean 'accuracy'?"),
        (["--fail-under", "tset/auroc=0.8"], "'tset' is not a split. Did you mean 'test'?"),
        (
            ["--fail-under", "rmse=0.8"],
            "rmse does not support classification, the task of this data. Use accuracy",
        ),
        (["--fail-under", "top5_accuracy=0.8"], "top5_accuracy is always 1 with 2 classes"),
        (["--fail-under", "auroc"], "expected METRIC=VALUE such as accuracy=0.9, got 'auroc'"),
        (["--split", "val", "--fail-under", "test/auroc=0.8"], "Use --split test"),
        (["--fail-under", "val/auroc=0.8", "--fail-under", "test/auroc=0.8"], "but the val split is evaluated"),
        (["--data", "new.csv", "--fail-under", "test/auroc=0.8"], "--data evaluates different data. Remove 'test/'"),
        (["--threshold", "1.5"], "expected a probability from 0 to 1, or auto (got '1.5')"),
        (["--threshold", "nan"], "expected a probability from 0 to 1, or auto (got 'nan')"),
        (["--threshold", "auto:rmse"], "expected auto:METRIC with one of f1, accuracy, balanced_accuracy"),
    ],
)
def test_invalid_gates_and_thresholds(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    capsys.readouterr()
    assert nnzoo(["eval", "r", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("loss", ["cross_entropy", "bce", "focal"])
def test_the_second_class_is_predicted_at_or_above_the_threshold(loss: str, capsys: pytest.CaptureFixture[str]) -> None:
    trained(loss=loss)
    plain = predicted(capsys, "new.csv")
    scores = np.array([float(row["probability_yes"]) for row in plain])
    for threshold in (0.0, 0.1, 0.3, 1.0, float(scores[3])):
        rows = predicted(capsys, "new.csv", "--threshold", repr(threshold))
        expected = np.where(scores >= threshold, "yes", "no").tolist()
        assert [row["prediction"] for row in rows] == expected
        assert [row["probability_yes"] for row in rows] == [row["probability_yes"] for row in plain]
        found = evaluated(capsys, "--data", "new.csv", "--threshold", repr(threshold), "--fail-under", "f1=0")
        is_predicted = np.array(expected) == "yes"
        assert found["metrics"]["f1"] == pytest.approx(
            reference.f1_score(truth("new.csv"), is_predicted, zero_division=0)
        )
        assert found["metrics"]["accuracy"] == pytest.approx(np.mean(truth("new.csv") == is_predicted))
        assert found["confusion_matrix"] == reference.confusion_matrix(truth("new.csv"), is_predicted).tolist()
        assert found["threshold"]["value"] == threshold


@pytest.mark.parametrize("criterion", ["", "accuracy", "balanced_accuracy"])
def test_a_threshold_is_chosen_on_val(criterion: str, capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    value = f"auto:{criterion}" if criterion else "auto"
    threshold = evaluated(capsys, "--split", "val", "--threshold", value)["threshold"]
    # An exhaustive search finds no better threshold on val.
    data = evaluated(capsys, "--split", "val")
    assert data["split"] == "val"
    score = {"": reference.f1_score, "accuracy": reference.accuracy_score}.get(
        criterion, reference.balanced_accuracy_score
    )
    from nnzoo.builders import build_dataset
    from nnzoo.config import load_config
    from nnzoo.experiment.load import load

    split = build_dataset(load_config("runs/r")).splits["val"]
    shares = load("r").predict_proba(split.inputs)[:, 1]
    actual = split.targets.numpy()
    every = [score(actual, shares >= each) for each in [*np.unique(shares), 2.0]]
    assert threshold["score"] == pytest.approx(max(every)) == pytest.approx(score(actual, shares >= threshold["value"]))
    assert threshold["score_at_half"] == pytest.approx(score(actual, shares >= 0.5))
    assert (threshold["chosen_by"], threshold["positive"]) == (criterion or "f1", "yes")
    if not criterion:
        assert threshold["score"] > threshold["score_at_half"] + 0.05
        assert nnzoo(["predict", "r", "new.csv", "--threshold", "auto"]) == 0
        output = capsys.readouterr().err
        assert "'yes' is predicted if its probability is at least that; f1 on val is 0." in output
    rows = predicted(capsys, "new.csv", "--threshold", value)
    assert [row["prediction"] == "yes" for row in rows] == [
        float(row["probability_yes"]) >= threshold["value"] for row in rows
    ]
    # The artifact has no threshold.
    assert {row["prediction"] for row in predicted(capsys, "new.csv")} != {
        row["prediction"] for row in rows
    } or criterion


def test_networks_without_a_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    trained(loss="hinge")
    capsys.readouterr()
    assert nnzoo(["predict", "r", "new.csv", "--threshold", "0.3"]) == 2
    assert (
        "a threshold applies to probabilities, and a network trained with hinge does not predict any"
        in capsys.readouterr().err
    )
    train({"name": "three", "data": "iris", "model": "linear", "train": {"epochs": 1}}, quiet=True)
    assert nnzoo(["eval", "three", "--threshold", "auto"]) == 2
    assert "a threshold needs a classifier for two classes (got 3 classes)" in capsys.readouterr().err
    train({"name": "value", "data": "diabetes", "model": "linear", "train": {"epochs": 1}}, quiet=True)
    assert nnzoo(["eval", "value", "--threshold", "0.2"]) == 2
    assert "(got regression)" in capsys.readouterr().err
    data = {"name": "csv", "path": "t.csv", "target": "y", "split": {"val": 0}}
    train({"name": "noval", "data": data, "model": "linear", "train": {"epochs": 1}}, quiet=True)
    assert nnzoo(["eval", "noval", "--threshold", "auto"]) == 2
    assert "there is no val split to choose the threshold on" in capsys.readouterr().err
    Path("alone.safetensors").write_bytes(Path("runs/noval/best.safetensors").read_bytes())
    assert nnzoo(["predict", "alone.safetensors", "new.csv", "--threshold", "auto"]) == 3
    assert "Set --threshold to a number, or name the run directory" in capsys.readouterr().err
