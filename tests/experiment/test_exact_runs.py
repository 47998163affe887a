"""Runs on numbers that are equal in float32, and on splits on which a metric is undefined."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import ConfigError
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.run.history import History

SECONDS = 1_700_000_000.0


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def save(x: Any, y: Any, **others: Any) -> dict[str, Any]:
    np.savez("data.npz", x=x, y=y, **others)
    return {"name": "arrays", "path": "data.npz", "layout": "features"}


def predictions(run: nnzoo.Run) -> list[dict[str, str]]:
    with (run.run_dir / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_targets_far_from_0_are_measured_exactly(dtype: Any) -> None:
    a = draw().standard_normal(300)
    y = (SECONDS + np.round(10 * a + draw(1).standard_normal(300), 2)).astype(dtype)
    data = save(a[:, None], y) | {"task": "regression"}
    settings = {
        "optimizer": {"name": "adam", "lr": 0.1},
        "train": {"epochs": 30, "metrics": ["rmse", "mae", "r2", "mape"]},
    }
    run = nnzoo.train({"data": data, "model": "linear", "preprocess": {"scale_target": True}, **settings})
    rows = predictions(run)
    truth = np.array([float(row["target"]) for row in rows])
    values = np.array([float(row["prediction"]) for row in rows])
    assert set(truth) <= set(y.astype(float))
    assert run.metrics["test/rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(truth, values), rel=1e-6)
    assert run.metrics["test/r2"] == pytest.approx(sklearn.metrics.r2_score(truth, values), abs=1e-6)
    assert 0.5 < run.metrics["test/rmse"] < 2
    assert run.metrics["test/r2"] > 0.97
    assert run.result["baseline"]["test/rmse"] == pytest.approx(10, rel=0.3)
    assert run.result["baseline"]["test/r2"] == pytest.approx(0, abs=0.1)
    again = evaluate_checkpoint(run.run_dir)
    assert again.metrics == {name: run.metrics[f"test/{name}"] for name in again.metrics}
    assert run.model.predict(np.zeros((1, 1)))[0] == pytest.approx(SECONDS, abs=2)


def test_an_unscaled_target_is_measured_exactly_with_a_warning() -> None:
    a = draw().standard_normal(200)
    y = SECONDS + 10 * a
    data = save(a[:, None], y)
    with pytest.warns(nnzoo.DataWarning, match="targets lose significant digits.*scale_target: true"):
        run = nnzoo.train(
            {"data": data, "model": "linear", "preprocess": {"scale_target": False}, "train": {"epochs": 1}}
        )
    rows = predictions(run)
    truth = np.array([float(row["target"]) for row in rows])
    assert set(truth) <= set(y)
    values = np.array([float(row["prediction"]) for row in rows])
    assert run.metrics["test/mae"] == pytest.approx(np.abs(truth - values).mean(), rel=1e-12)


@pytest.mark.parametrize(("offset", "gap"), [(SECONDS, 1.0), (1e9, 3.0), (-4e10, 0.5), (1e-12, 1e-16), (1e300, 1e290)])
def test_a_feature_far_from_0_predicts_the_class(offset: float, gap: float) -> None:
    steps = draw().permutation(400)
    x = (offset + gap * steps)[:, None]
    y = (steps > 200).astype(int)
    settings = {"optimizer": {"name": "adam", "lr": 0.1}, "train": {"epochs": 40}}
    data = save(x, y) | {"split": {"deduplicate": True}}
    run = nnzoo.train({"data": data, "model": "linear", **settings})
    assert run.metrics["test/accuracy"] > 0.95
    assert run.model.predict(x).tolist() == [str(each) for each in (run.model.predict(x).astype(int))]
    assert np.mean(run.model.predict(x).astype(int) == y) > 0.95
    assert not run.result["warnings"]


def test_columns_that_lose_digits_in_float32_cause_a_warning() -> None:
    x = np.column_stack([draw().standard_normal(100), SECONDS + np.arange(100.0)])
    data = save(x, np.arange(100) % 2)
    with pytest.warns(
        nnzoo.DataWarning, match=r"1 of 2 columns lose significant digits .*\('1'\).*normalize: standardize"
    ):
        nnzoo.train({"data": data, "model": "linear", "preprocess": {"normalize": "none"}, "train": {"epochs": 1}})


class TestMetricsWithoutAValue:
    def data(self, val: Any) -> dict[str, Any]:
        x = draw().standard_normal((60, 2))
        return save(x, np.arange(60) % 2, x_val=draw(1).standard_normal((8, 2)), y_val=val) | {"split": {"test": 0.2}}

    def test_is_reported_at_the_start_and_its_cells_are_empty(self, capsys: pytest.CaptureFixture[str]) -> None:
        settings = {"data": self.data(np.zeros(8, int)), "train": {"epochs": 3, "metrics": ["auroc", "precision"]}}
        Path("c.json").write_text(json.dumps({**settings, "model": "linear"}))
        assert command(["train", "c.json", "--json"]) == 0
        out, err = capsys.readouterr()
        assert "warning: val/auroc is undefined: val has only one class ('0')" in err
        assert err.count("val/auroc is undefined") == 1
        result = json.loads(out)
        assert result["status"] == "completed"
        assert result["metrics"]["val/auroc"] is None
        assert result["metrics"]["val/precision"] == 0
        assert 0 <= result["metrics"]["test/auroc"] <= 1
        folder = Path(result["run_dir"])
        with (folder / "metrics.csv").open(newline="") as file:
            assert [row["val/auroc"] for row in csv.DictReader(file)] == [""] * 3
        history = History.read(folder / "metrics.csv")
        assert all(np.isnan(history["val/auroc"]))
        assert command(["eval", str(folder), "--split", "val", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["metrics"]["auroc"] is None

    @pytest.mark.parametrize("restarts", [1, 2])
    def test_cannot_be_the_monitor(self, restarts: int) -> None:
        settings = {"monitor": "val/auroc", "metrics": ["auroc"], "restarts": restarts}
        with pytest.raises(
            ConfigError, match=r"train\.monitor: val/auroc is undefined: val has only one class"
        ) as caught:
            nnzoo.train({"data": self.data(np.ones(8, int)), "model": "linear", "train": settings})
        assert "Monitor val/loss" in str(caught.value)
        assert not Path("runs").exists()

    def test_the_loss_can_be_the_monitor(self) -> None:
        settings = {"monitor": "val/loss", "metrics": ["auroc"], "epochs": 2}
        with pytest.warns(nnzoo.DataWarning, match="val/auroc is undefined"):
            run = nnzoo.train({"data": self.data(np.ones(8, int)), "model": "linear", "train": settings})
        assert run.result["best_epoch"]

    def test_r2_of_one_sample(self) -> None:
        x = draw().standard_normal((40, 2))
        data = save(x, x[:, 0], x_val=x[:1], y_val=x[:1, 0], x_test=x[:9], y_test=x[:9, 0])
        with pytest.warns(nnzoo.DataWarning, match="val/r2 is undefined: val has only one sample"):
            run = nnzoo.train({"data": data, "model": "linear", "train": {"epochs": 2}})
        saved = json.loads((run.run_dir / "result.json").read_text())
        assert saved["metrics"]["val/r2"] is None
        assert saved["baseline"]["val/r2"] is None
        assert saved["metrics"]["test/r2"] is not None

    def test_labels_that_are_always_set(self) -> None:
        x, y = draw().standard_normal((40, 2)), draw(1).integers(0, 2, (40, 3))
        data = save(x, y, x_val=x[:5], y_val=np.ones((5, 3), int)) | {"task": "multilabel"}
        with pytest.warns(nnzoo.DataWarning, match="val/auroc is undefined: no label has both values in val"):
            nnzoo.train({"data": data, "model": "linear", "train": {"epochs": 1, "metrics": ["auroc"]}})

    @pytest.mark.filterwarnings("ignore::nnzoo.DataWarning")
    def test_a_run_with_empty_cells_is_resumed(self) -> None:
        settings = {"data": self.data(np.ones(8, int)), "model": "linear"}
        whole, parts = ({"epochs": epochs, "metrics": ["auroc"]} for epochs in (4, 2))
        expected = nnzoo.train({**settings, "train": whole, "name": "whole"})
        nnzoo.train({**settings, "train": parts, "name": "parts"})
        found = nnzoo.train({**settings, "train": whole, "name": "parts"}, resume=True)
        assert found.history["val/loss"] == expected.history["val/loss"]


def test_a_linear_fit_of_large_numbers_equals_least_squares() -> None:
    x = SECONDS + draw().standard_normal((200, 2)) * [3.0, 50.0]
    y = 1e12 + (x - SECONDS) @ [7.0, -0.5]
    settings = {"optimizer": {"name": "lbfgs"}, "train": {"epochs": 30, "batch_size": "full", "early_stopping": None}}
    run = nnzoo.train({"data": save(x, y), "model": "linear", "preprocess": {"scale_target": True}, **settings})
    expected = sklearn.linear_model.LinearRegression().fit(x - SECONDS, y - 1e12).predict(x - SECONDS) + 1e12
    np.testing.assert_allclose(run.model.predict(x) - 1e12, expected - 1e12, atol=0.05)


class TestTables:
    """Files with the inputs of bug reports and similar ones."""

    def write(self, header: str, *columns: Any) -> dict[str, Any]:
        rows = zip(*columns, strict=True)
        Path("t.csv").write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
        return {"name": "csv", "path": "t.csv", "target": header.split(",")[-1]}

    @pytest.mark.parametrize("offset", [SECONDS, 1e12, -1e9])
    def test_a_target_of_seconds(self, offset: float) -> None:
        a = np.round(draw().standard_normal(300), 4)
        noise = np.round(10 * draw(1).standard_normal(300), 2)
        data = self.write("a,y", a, [f"{offset + each:.2f}" for each in noise])
        settings = {"optimizer": {"name": "adam", "lr": 0.1}, "train": {"epochs": 5}}
        run = nnzoo.train({"data": data, "model": "linear", **settings})
        spread = noise.std()
        assert run.metrics["test/rmse"] == pytest.approx(spread, rel=0.3)
        assert run.result["baseline"]["test/rmse"] == pytest.approx(spread, rel=0.3)
        assert abs(run.metrics["test/r2"]) < 0.3
        kept = {round(float(row["target"]) - offset, 2) for row in predictions(run)}
        assert kept <= set(noise)

    @pytest.mark.parametrize(
        ("offset", "gap"), [(1_700_000_000, 1), (10**9, 3), (20_240_101_000_000, 1), (4.1e7, 0.01)]
    )
    def test_a_feature_of_seconds(self, offset: float, gap: float, capsys: pytest.CaptureFixture[str]) -> None:
        steps = draw().permutation(400)
        cells = [repr(round(offset + gap * int(step), 2)) for step in steps]
        data = self.write("ts,y", cells, np.where(steps > 200, "late", "early")) | {"split": {"deduplicate": True}}
        settings = {"optimizer": {"name": "adam", "lr": 0.1}, "train": {"epochs": 40}}
        run = nnzoo.train({"data": data, "model": "linear", **settings})
        assert run.metrics["test/accuracy"] > 0.95
        Path("c.json").write_text(json.dumps({"data": data, "model": "linear", **settings}))
        capsys.readouterr()
        command(["doctor", "c.json", "--json"])
        found = json.loads(capsys.readouterr().out)
        assert not {each["topic"] for each in found["findings"]} & {"duplicates", "constant columns"}
        assert found["data"]["splits"] == {"train": 280, "val": 60, "test": 60}
        assert found["linear"]["accuracy"] > 0.95

    def test_predict_prints_every_digit(self, capsys: pytest.CaptureFixture[str]) -> None:
        a = np.round(draw().standard_normal(200), 4)
        data = self.write("a,y", a, [f"{SECONDS + 10 * each:.3f}" for each in a])
        settings = {"optimizer": "lbfgs", "train": {"epochs": 20, "batch_size": "full"}}
        run = nnzoo.train({"data": data, "model": "linear", **settings})
        Path("new.csv").write_text("a\n0.1234\n-1.5\n")
        capsys.readouterr()
        assert command(["predict", str(run.run_dir), "new.csv", "--json"]) == 0
        answers = [each["prediction"] for each in json.loads(capsys.readouterr().out)["predictions"]]
        np.testing.assert_allclose(np.array(answers) - SECONDS, [1.234, -15.0], atol=1e-3)
        assert run.model.predict({"a": [0.1234, -1.5]}).tolist() == answers


@pytest.mark.parametrize("level", [0.0, 1e9, -1e12])
@pytest.mark.parametrize("difference", [True, False])
def test_a_series_at_any_level_is_forecast_like_one_at_0(level: float, difference: bool) -> None:
    steps = np.arange(300)
    values = np.round(np.sin(steps / 5) * 8 + 0.1 * steps, 3)
    Path("t.csv").write_text("v\n" + "".join(f"{level + value:.3f}\n" for value in values))
    data = {"name": "series", "path": "t.csv", "target": "v", "window": 12, "difference": difference}
    settings = {"optimizer": {"name": "adam", "lr": 0.01}, "train": {"epochs": 20}}
    run = nnzoo.train({"data": data, "model": "linear", **settings})
    naive = np.abs(np.diff(values)[-len(predictions(run)) :]).mean()
    assert run.result["baseline"]["test/mae"] == pytest.approx(naive, rel=1e-3)
    assert 0.001 < run.metrics["test/mae"] < 8
    truth = [float(row["target"]) - level for row in predictions(run)]
    np.testing.assert_allclose(truth, values[-len(truth) :], atol=2e-3)


@pytest.mark.parametrize("level", [1e5, 1e9, -1e11])
@pytest.mark.parametrize("restarts", [1, 2])
def test_a_series_that_moves_far_away_is_forecast_as_before(level: float, restarts: int) -> None:
    """Train is around 0; a later file, a window from Python and the test split are far away."""
    steps = np.arange(300)
    values = np.round(np.sin(steps / 5) * 8, 2)

    def write(name: str, level: float) -> None:
        Path(name).write_text("v,w\n" + "".join(f"{level + each:.2f},{each / 9:.3f}\n" for each in values))

    write("t.csv", 0.0)
    write("far.csv", level)
    data = {"name": "series", "path": "t.csv", "test_path": "far.csv", "target": "v", "features": ["v", "w"]}
    settings = {
        "optimizer": {"name": "adam", "lr": 0.01},
        "train": {"epochs": 5, "restarts": restarts, "metrics": ["mae", "r2"]},
    }
    run = nnzoo.train({"data": {**data, "window": 12, "horizon": 2}, "model": "mlp", **settings})
    near, far = (evaluate_checkpoint(run.run_dir, data=name).metrics for name in ("t.csv", "far.csv"))
    assert far["mae"] == pytest.approx(near["mae"], rel=1e-4)
    assert far["r2"] == pytest.approx(near["r2"], rel=1e-3)
    assert far["loss"] == pytest.approx(near["loss"], rel=1e-4)
    assert run.metrics["test/mae"] == far["mae"] == evaluate_checkpoint(run.run_dir, split="test").metrics["mae"]
    window = np.stack([values[-12:], np.round(values[-12:] / 9, 3)], axis=1)
    moved = window + np.array([level, 0.0])
    np.testing.assert_allclose(run.model.predict(moved[None]) - level, run.model.predict(window[None]), atol=1e-4)
    row = predictions(run)[-1]
    assert float(row["target_v+2"]) == pytest.approx(level + values[-1], abs=1e-2)
    assert abs(float(row["prediction_v+2"]) - level) < 12
