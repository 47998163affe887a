"""The simple models beside the result of a run: equal to scikit-learn, and fitted to the train samples only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, mean_absolute_error

import nnzoo
from nnzoo.cli.app import run as run_command
from nnzoo.config import Facts, load_config, resolve
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.reference.baselines import fit_baselines

pytestmark = pytest.mark.boosting


def prepared(data: Any, **train: Any) -> Experiment:
    return prepare(load_config({"data": data, "model": "linear", "train": train}))


def raw(experiment: Experiment, split: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    part = experiment.dataset.splits[split]
    return part.inputs.numpy(), part.targets.numpy()


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the run directory of a short training."""
    folder = tmp_path_factory.mktemp("runs")
    arguments = ["train", "breast_cancer_linear", "train.epochs=1", "--runs-dir", str(folder), "-q"]
    assert run_command(arguments) == 0
    return folder / "breast_cancer_linear"


def test_metrics_equal_scikit_learn_fitted_to_train(cancer: Path) -> None:
    found = json.loads((cancer / "result.json").read_text())["baselines"]
    experiment = prepared("breast_cancer")
    (x, y), (x_test, y_test) = raw(experiment, "train"), raw(experiment, "test")
    boosting = HistGradientBoostingClassifier(random_state=0, early_stopping=False).fit(x, y).predict(x_test)
    scaled, penalty = (x - x.mean(0)) / x.std(0), len(y) / 1000
    regression = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000).fit(scaled, y)
    linear = regression.predict((x_test - x.mean(0)) / x.std(0))
    for name, predicted in {"linear": linear, "gradient_boosting": boosting}.items():
        assert found[name]["test/accuracy"] == np.mean(predicted == y_test)
        assert found[name]["test/f1"] == pytest.approx(f1_score(y_test, predicted))


def test_the_command_and_the_page_show_them(cancer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads((cancer / "result.json").read_text())
    shown = {name: f"{scores['test/accuracy']:.4f}" for name, scores in result["baselines"].items()}
    assert run_command(["train", str(cancer), "--runs-dir", str(cancer.parent), "--resume", "-q"]) == 0
    line = f"on test: linear model {shown['linear']}, gradient boosting {shown['gradient_boosting']}\n"
    assert f"accuracy of simple models {line}" in capsys.readouterr().out
    page = (cancer / "report.html").read_text()
    assert re.search(r"<th[^>]*>(<[^>]+>)*gradient boosting<", page)
    assert result["baselines"] == json.loads((cancer / "result.json").read_text())["baselines"]


def test_regression_without_a_test_split_is_measured_on_val() -> None:
    experiment = prepared({"name": "diabetes", "split": {"test": 0}})
    y, y_val = raw(experiment, "train")[1], raw(experiment, "val")[1]
    # Rounded features and targets may change a split, so the reference is fitted to scaled targets, too.
    shift, scale = y.mean(), y.std()
    inputs = (experiment.splits[name].inputs.numpy() for name in ("train", "val"))
    model = HistGradientBoostingRegressor(random_state=0).fit(next(inputs), (y[:, 0] - shift) / scale)
    found = fit_baselines(experiment, "val").metrics["gradient_boosting"]
    assert found.keys() == {"val/mae", "val/rmse", "val/r2"}
    assert found["val/mae"] == pytest.approx(mean_absolute_error(y_val, model.predict(next(inputs)) * scale + shift))


def test_multilabel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5))
    y = np.stack([x[:, 0] > 0, x[:, 1] * x[:, 2] > 0, np.ones(400)], axis=1).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=y)
    experiment = prepared({"name": "arrays", "path": str(tmp_path / "d.npz"), "task": "multilabel"})
    found = fit_baselines(experiment, "test").metrics
    (x, y), (x_test, y_test) = raw(experiment, "train"), raw(experiment, "test")
    expected = [HistGradientBoostingClassifier(random_state=0).fit(x, y[:, k]).predict(x_test) for k in (0, 1)]
    accuracy = np.mean(np.stack([*expected, np.ones(len(x_test))], axis=1) == y_test)
    assert found["gradient_boosting"]["test/accuracy"] == pytest.approx(accuracy)
    assert 0.7 < found["linear"]["test/accuracy"] < found["gradient_boosting"]["test/accuracy"]


def test_they_use_no_global_random_numbers() -> None:
    experiment = prepared("breast_cancer")
    torch.manual_seed(3)
    state, found = torch.get_rng_state(), fit_baselines(experiment, "test").metrics
    assert torch.equal(torch.get_rng_state(), state)
    np.random.seed(5)
    assert fit_baselines(experiment, "test").metrics == found


def chosen(data: Any, **facts: Any) -> Any:
    config = load_config({"data": data, "model": "mlp"})
    known = vars(config.data.facts()) | facts
    return resolve(config, Facts(**known)).train.baselines


def test_auto_depends_on_the_data() -> None:
    both, linear = ("linear", "gradient_boosting"), ("linear",)
    table = {"input_shape": (100,), "num_classes": 2, "task": "classification", "layout": "features", "num_train": 500}
    frame = {"name": "csv", "path": "x.csv", "target": "y"}
    assert chosen(frame, **table) == both
    assert chosen(frame, **table | {"num_train": 199}) == linear
    assert chosen(frame, **table | {"num_train": 40_000}) == linear
    assert chosen(frame, **table | {"num_train": 40_000, "input_shape": (20,)}) == both
    assert chosen(frame, **table | {"num_classes": 100}) == linear
    assert chosen("moons", num_train=500) == linear
    assert chosen("digits", num_train=500) == linear
    assert chosen(frame, **table | {"per": "step"}) == ()
    assert chosen("breast_cancer") == "auto"


def test_a_large_table_is_left_out_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(800, 40)), y=rng.integers(0, 60, size=800))
    caplog.set_level("INFO", "nnzoo")
    experiment = prepared({"name": "arrays", "path": str(tmp_path / "d.npz")})
    assert experiment.config.train.baselines == ("linear",)
    assert "gradient boosting is not a baseline of this run, since it would take about" in caplog.text


def test_named_models_and_none() -> None:
    assert fit_baselines(prepared("breast_cancer", baselines=False), "test").metrics == {}
    assert list(fit_baselines(prepared("wine", baselines=["gradient_boosting"]), "test").metrics) == [
        "gradient_boosting"
    ]
    assert fit_baselines(prepared("breast_cancer", metrics=[]), "test").metrics == {}


@pytest.mark.parametrize(
    ("data", "baselines", "message"),
    [
        ("digits", ["gradient_boosting"], "gradient_boosting needs a table of features, but this data is of the kind"),
        ("iris", ["linear", "linear"], "linear is listed twice"),
        ("iris", ["forest"], "'forest'"),
        ("iris", True, "baselines"),
        ({"name": "language", "path": "x.txt"}, ["linear"], "linear needs one target per sample"),
    ],
)
def test_what_does_not_fit_is_refused(data: Any, baselines: Any, message: str) -> None:
    with pytest.raises(nnzoo.ConfigError, match=message):
        load_config({"data": data, "model": "mlp", "train": {"baselines": baselines}})
