"""Cross-validation: every sample is predicted once, by a network that did not see it, and the networks are averaged."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error

import nnzoo
from nnzoo.builders import build_dataset
from nnzoo.cli.app import run as run_command
from nnzoo.config import load_config
from nnzoo.data import Preprocess
from nnzoo.data.split import Division, Fold
from nnzoo.training.measures.averaging import average_outputs
from nnzoo.training.measures.decoding import Decoder

COUNT = 3


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def features(rows: list[dict[str, str]]) -> np.ndarray[Any, Any]:
    return np.array([[float(value) for key, value in row.items() if key.endswith("(cm)")] for row in rows])


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the run directory of a short cross-validation."""
    folder = tmp_path_factory.mktemp("runs")
    config = folder / "iris.yaml"
    config.write_text(
        f"data: {{name: iris, split: {{test: 0.2}}}}\nmodel: {{name: mlp, hidden: [6]}}\n"
        f"optimizer: {{name: adamw, lr: 0.03}}\ntrain: {{folds: {COUNT}, epochs: 3, probes: false}}\n"
    )
    assert run_command(["train", str(config), "--runs-dir", str(folder), "-q"]) == 0
    return folder / "iris"


def test_each_sample_is_predicted_once_by_a_network_that_did_not_see_it(iris: Path) -> None:
    rows = rows_of(iris / "predictions.csv")
    numbers = [int(row["row"]) for row in rows]
    assert numbers == sorted(set(numbers))
    assert len(rows) == 120
    for number in range(1, COUNT + 1):
        own = [row for row in rows if row["fold"] == str(number)]
        config = load_config(iris / f"fold-{number}")
        splits = build_dataset(config).splits
        assert [int(row["row"]) for row in own] == splits["test"].rows.tolist()  # type: ignore[union-attr]
        seen = {int(row) for name in ("train", "val") for row in splits[name].rows}  # type: ignore[union-attr]
        assert seen.isdisjoint(int(row["row"]) for row in own)
        assert sorted([*seen, *(int(row["row"]) for row in own)]) == numbers
        shares = nnzoo.load(iris / f"fold-{number}").predict_proba(features(own))
        assert [float(row["probability_setosa"]) for row in own] == pytest.approx(shares[:, 0].tolist(), rel=1e-5)
        counts = np.unique([row["target"] for row in own], return_counts=True)[1]
        assert counts.max() - counts.min() <= 1


def test_mean_and_spread_equal_those_of_the_predictions(iris: Path) -> None:
    rows, result = rows_of(iris / "predictions.csv"), json.loads((iris / "result.json").read_text())
    values = [
        accuracy_score(*([row[key] for row in rows if row["fold"] == str(number)] for key in ("target", "prediction")))
        for number in range(1, COUNT + 1)
    ]
    folds = result["folds"]
    assert (folds["count"], folds["finished"], len(folds["best_epochs"])) == (COUNT, COUNT, COUNT)
    assert folds["metrics"]["accuracy"]["values"] == pytest.approx(values)
    assert folds["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert folds["metrics"]["accuracy"]["std"] == pytest.approx(np.std(values, ddof=1))
    assert result["metrics"]["fold/accuracy"] == folds["metrics"]["accuracy"]["mean"]
    matrix = rows_of(iris / "confusion_matrix.csv")
    right = sum(row["target"] == row["prediction"] for row in rows)
    assert sum(int(row[row["actual"]]) for row in matrix) == right


def test_the_artifact_averages_the_networks(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config({"data": {"name": "iris", "split": {"test": 0.2}}, "model": "mlp"})
    test = build_dataset(config).splits["test"]
    raw, actual = test.inputs.numpy(), test.targets.numpy()
    members = [nnzoo.load(iris / f"fold-{number}").predict_proba(raw) for number in range(1, COUNT + 1)]
    expected = np.mean(members, axis=0)
    trained = nnzoo.load(iris)
    assert np.allclose(trained.predict_proba(raw), expected, atol=1e-6)
    assert (trained.predict(raw) == np.array(trained.classes)[expected.argmax(1)]).all()
    assert run_command(["eval", str(iris), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    result = json.loads((iris / "result.json").read_text())
    assert (measured["split"], measured["num_samples"]) == ("test", len(actual))
    assert measured["metrics"]["accuracy"] == accuracy_score(actual, expected.argmax(1))
    assert measured["metrics"]["loss"] == pytest.approx(log_loss(actual, expected), rel=1e-5)
    for name, value in measured["metrics"].items():
        assert result["metrics"][f"test/{name}"] == value


def test_a_killed_run_is_resumed_with_the_same_bits(iris: Path, tmp_path: Path) -> None:
    copy = tmp_path / "iris"
    shutil.copytree(iris, copy)
    shutil.rmtree(copy / "fold-3")
    for name in ("result.json", "best.safetensors", "predictions.csv"):
        (copy / name).unlink()
    config = load_config(iris.parent / "iris.yaml")
    (copy / "fold-2" / "best.safetensors").unlink()
    nnzoo.train(config, runs_dir=tmp_path, resume=True, quiet=True)
    for name in ("best.safetensors", "predictions.csv", "confusion_matrix.csv", "config.yaml"):
        assert (copy / name).read_bytes() == (iris / name).read_bytes(), name
    before, after = (json.loads((folder / "result.json").read_text()) for folder in (iris, copy))
    assert after["metrics"] == before["metrics"]
    assert after["folds"] == before["folds"]
    with pytest.raises(nnzoo.UsageError, match=r"started with train.folds 3 \(got 4\)"):
        nnzoo.train(config, overrides={"train.folds": 4}, runs_dir=tmp_path, resume=True, quiet=True)


def test_what_needs_a_single_network_names_the_folds(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["summary"], ["doctor"], ["eval", "--split", "val"]):
        command, *options = arguments
        assert run_command([command, str(iris), *options]) == 2
        assert "cross-validation" in capsys.readouterr().err
    assert run_command(["report", str(iris), "--output", str(iris.parent / "page.html")]) == 0
    page = (iris.parent / "page.html").read_text()
    assert page == (iris / "report.html").read_text()
    assert "fold-1/report.html to fold-3/report.html" in page
    assert "Each fold has its own curves" in page
    assert f"nnzoo doctor {iris.name}/fold-1" in page


def test_groups_stay_together_and_each_fold_learns_its_own_categories(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["person,town,size,ill"]
    for person in range(24):
        # Each of the last towns occurs for one person, and so in one fold.
        town = f"t{person % 3}" if person < 20 else f"rare{person}"
        lines += [f"p{person},{town},{rng.normal():.4f},{'yes' if rng.random() < 0.5 else 'no'}" for _ in range(4)]
    (tmp_path / "ill.csv").write_text("\n".join(lines))
    data = {"name": "csv", "path": str(tmp_path / "ill.csv"), "target": "ill", "split": {"group": "person", "test": 0}}
    config = {"name": "x", "data": data, "model": {"name": "mlp", "hidden": [4]}, "train": {"folds": 4, "epochs": 1}}
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    rows = rows_of(run.run_dir / "predictions.csv")
    assert [int(row["row"]) for row in rows] == list(range(96))
    fold_of: dict[int, set[str]] = {}
    for row in rows:
        fold_of.setdefault(int(row["row"]) // 4, set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in fold_of.values())
    assert len(run.model.members) == 4
    assert len({member.metadata.feature_names for member in run.model.members}) > 1
    assert "test/accuracy" not in run.metrics
    samples = {"town": ["t0", "rare22", "never"], "size": [0.1, 2, -1]}
    expected = np.mean([member.predict_proba(samples) for member in run.model.members], axis=0)
    assert np.allclose(run.model.predict_proba(samples), expected, atol=1e-6)
    new = nnzoo.evaluate(run, data=tmp_path / "ill.csv")
    assert new.num_samples == 96


def test_series_folds_are_in_time_order(tmp_path: Path) -> None:
    values = np.sin(np.arange(120) / 4) * 50 + 200
    (tmp_path / "s.csv").write_text("v\n" + "\n".join(f"{value:.6f}" for value in values))
    data = {"name": "series", "path": str(tmp_path / "s.csv"), "target": "v", "window": 4}
    config = {"name": "s", "data": data, "model": "linear", "train": {"folds": 3, "epochs": 1}}
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    rows = rows_of(run.run_dir / "predictions.csv")
    by_fold = [[row for row in rows if row["fold"] == str(number)] for number in (1, 2, 3)]
    targets = [[float(row["target"]) for row in part] for part in by_fold]
    # The last 15 % of the rows are the test split; the others are four blocks, and three of them are held out.
    assert np.concatenate(targets) == pytest.approx(values[25:102], abs=1e-5)
    predicted = [[float(row["prediction"]) for row in part] for part in by_fold]
    expected = [mean_squared_error(*each) ** 0.5 for each in zip(targets, predicted, strict=True)]
    assert run.result["folds"]["metrics"]["rmse"]["values"] == pytest.approx(expected, rel=1e-4)
    assert run.metrics["test/rmse"] == pytest.approx(nnzoo.evaluate(run).metrics["rmse"])


def test_an_expanding_window_of_blocks() -> None:
    division = Division(val=0.25, test=0.2, fold=Fold(2, 3))
    assert division.blocks(100) == {"train": slice(0, 30), "val": slice(30, 40), "test": slice(40, 60)}
    outer = Division(val=0.25, test=0.2, fold=Fold(2, 3, "test")).blocks(100)
    assert outer == {"train": slice(0, 30), "val": slice(30, 40), "test": slice(80, 100)}
    with pytest.raises(nnzoo.DataError, match="too few rows for 9 folds"):
        Division(fold=Fold(1, 9)).blocks(8)
    with pytest.raises(nnzoo.DataError, match=r"too few groups for 3 folds \(got 2\)"):
        Division(val=0, test=0, fold=Fold(1, 3)).rows(10, groups=torch.arange(10) // 5)


def test_averages_equal_their_definition() -> None:
    first, second = torch.tensor([[0.0], [3.0]]), torch.tensor([[2.0], [-1.0]])
    odds = Decoder("classification", "log_odds", 2)
    averaged = odds.probabilities(average_outputs([odds, odds], [first, second]))
    assert torch.allclose(averaged[:, 1], ((first.sigmoid() + second.sigmoid()) / 2)[:, 0])
    margins = Decoder("classification", "margins", 2)
    assert average_outputs([margins, margins], [first, second]).tolist() == [[1.0], [1.0]]
    scales = [
        {"target_shift": torch.tensor([shift], dtype=torch.float64), "target_scale": torch.tensor([scale]).double()}
        for shift, scale in ((10.0, 2.0), (20.0, 4.0))
    ]
    values = [Decoder("regression", "values", preprocess=Preprocess(state)) for state in scales]
    found = values[0].values(average_outputs(values, [first, second]))
    assert found[:, 0].tolist() == pytest.approx([(10 + 28) / 2, (16 + 16) / 2])


def test_a_fold_that_diverges_ends_the_run(tmp_path: Path) -> None:
    config = {
        "name": "d",
        "data": "diabetes",
        "model": "linear",
        "optimizer": {"name": "sgd", "lr": 1e30},
        "train": {"folds": 2, "epochs": 2},
    }
    with pytest.raises(nnzoo.DivergedError):
        nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    result = json.loads((tmp_path / "d" / "result.json").read_text())
    assert (result["status"], result["folds"]["finished"], result["metrics"]) == ("diverged", 0, {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("xor", "the network learns all four rows, so none is held out"),
        ({"name": "language", "path": "x.txt"}, "folds need one target per sample, but this data has one per step"),
        ({"name": "iris", "split": {"fold": {"number": 1, "of": 3}}}, "train.folds trains on every fold"),
    ],
)
def test_what_has_no_folds_is_refused(data: Any, message: str) -> None:
    model = "lstm" if isinstance(data, dict) and data["name"] == "language" else "mlp"
    with pytest.raises(nnzoo.ConfigError, match=message):
        load_config({"data": data, "model": model, "train": {"folds": 3}})
