"""`nnzoo compare` on small trainings of real data sets."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import nnzoo
from nnzoo.cli.app import run as command

pytestmark = pytest.mark.page

SHORT = {"train.epochs": 4}
FAST = {**SHORT, "optimizer.lr": 0.1}


def train(folder: Path, config: Any, name: str, **overrides: Any) -> None:
    settings = {key.replace("__", "."): value for key, value in overrides.items()}
    nnzoo.train(config, overrides=settings, name=name, runs_dir=folder, quiet=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of two configs on iris, and runs on other data, another split and another task."""
    folder = tmp_path_factory.mktemp("trained")
    for seed in range(3):
        nnzoo.train("iris_mlp", overrides={**SHORT, "seed": seed}, name=f"slow{seed}", runs_dir=folder, quiet=True)
        nnzoo.train("iris_mlp", overrides={**FAST, "seed": seed}, name=f"fast{seed}", runs_dir=folder, quiet=True)
    train(folder, "wine_mlp", "wine", train__epochs=2)
    train(folder, "iris_mlp", "split", train__epochs=2, data__split__seed=5)
    train(folder, "diabetes_mlp", "task", train__epochs=2)
    return folder


@pytest.fixture(autouse=True)
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Changes to a folder with a copy of the runs."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert command(["compare", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def metric(name: str, key: str) -> float:
    value = json.loads((Path("runs") / name / "result.json").read_text())["metrics"][key]
    assert isinstance(value, float)
    return value


def rows(name: str) -> list[dict[str, str]]:
    with (Path("runs") / name / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def welch_p(a: list[float], b: list[float]) -> float:
    figures = [figure for each in (a, b) for figure in (statistics.fmean(each), statistics.stdev(each), len(each))]
    return float(stats.ttest_ind_from_stats(*figures, equal_var=False).pvalue)


SIX = [f"{name}{seed}" for name in ("slow", "fast") for seed in range(3)]


def test_seeds_form_groups(capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, *SIX)
    assert found["metric"] == "test/accuracy"
    assert [(group["name"], [each["seed"] for each in group["runs"]]) for group in found["groups"]] == [
        ("slow0", [0, 1, 2]),
        ("fast0", [0, 1, 2]),
    ]
    assert found["settings"] == {"optimizer.lr": {"slow0": 0.01, "fast0": 0.1}}
    values = [metric(f"slow{seed}", "val/loss") for seed in range(3)]
    spread = found["metrics"]["val/loss"]["slow0"]
    assert spread["values"] == values
    assert spread["mean"] == pytest.approx(statistics.fmean(values))
    assert spread["std"] == pytest.approx(statistics.stdev(values))
    (pair,) = found["pairs"]
    slow, fast = ([metric(f"{name}{seed}", "test/accuracy") for seed in range(3)] for name in ("slow", "fast"))
    assert pair["difference"] == pytest.approx(np.mean(slow) - np.mean(fast))
    assert pair["seeds"]["p"] == pytest.approx(welch_p(slow, fast))
    assert pair["rows"]["name"] == "paired bootstrap"
    assert pair["rows"]["difference"] == pytest.approx(pair["difference"])
    assert pair["rows"]["counts"] == {"rows": 30, "samples": 30}


def test_another_metric(capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, *SIX, "--metric", "test/loss")
    (pair,) = found["pairs"]
    slow, fast = ([metric(f"{name}{seed}", "test/loss") for seed in range(3)] for name in ("slow", "fast"))
    assert pair["seeds"]["p"] == pytest.approx(welch_p(slow, fast))
    assert pair["seeds"]["significant"]
    assert "seeds: fast0 is better by more than the spread of 3 and 3 seeds" in pair["text"][0]
    assert pair["rows"]["quantity"] == "accuracy"


def test_two_runs_get_mcnemars_test(capsys: pytest.CaptureFixture[str]) -> None:
    (pair,) = compared(capsys, "slow0", "fast0")["pairs"]
    right = [[row["target"] == row["prediction"] for row in rows(name)] for name in ("slow0", "fast0")]
    only = [sum(x and not y for x, y in zip(a, b, strict=True)) for a, b in (right, right[::-1])]
    assert pair["seeds"] is None
    assert pair["rows"]["name"] == "McNemar's exact test"
    assert list(pair["rows"]["counts"].values()) == [30, *only]
    assert pair["rows"]["p"] == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0)
    assert command(["compare", "slow0", "fast0"]) == 0
    text = capsys.readouterr().out
    assert "not to be told apart with 30 rows of test (McNemar's exact test of accuracy, p = " in text
    assert "slow0 and fast0 have one seed only" in text


def test_an_untrained_network_is_told_apart(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    train(folder, "iris_mlp", "untrained", train__epochs=1, optimizer__lr=1e-9)
    (pair,) = compared(capsys, "fast0", "untrained")["pairs"]
    assert pair["rows"]["p"] < 0.001
    assert (pair["verdict"], pair["better"]) == ("different", "fast0")


def test_what_cant_be_compared_is_named(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "slow2" / "result.json").unlink()
    (folder / "fast1" / "best.safetensors").write_bytes(b"damaged")
    (folder / "fast2" / "config.yaml").write_text("data: nope\nmodel: mlp\n")
    found = compared(capsys, *SIX, "wine", "split", "task")
    reasons = {Path(each["run_dir"]).name: each["reason"] for each in found["not_comparable"]}
    assert reasons.keys() == {"slow2", "fast1", "fast2", "wine", "split", "task"}
    assert reasons["slow2"] == "it has no result (unfinished)"
    assert "fast1/best.safetensors: damaged" in reasons["fast1"]
    assert "config.yaml can't be used" in reasons["fast2"]
    assert reasons["wine"] == "other data (wine instead of iris)"
    assert reasons["split"] == "other split (data.split.seed: 5 instead of 0)"
    assert reasons["task"] == "other task (regression instead of classification)"
    assert command(["compare", "wine", "task"]) == 0
    assert "can't be compared with wine:\n    runs/task: other task (regression" in capsys.readouterr().out


def test_a_regression_is_compared_by_its_errors(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    train(folder, "diabetes_mlp", "longer", train__epochs=30)
    (pair,) = compared(capsys, "task", "longer", "--metric", "test/rmse")["pairs"]
    assert pair["rows"]["name"] == "paired bootstrap"
    assert pair["rows"]["difference"] == pytest.approx(metric("task", "test/rmse") - metric("longer", "test/rmse"))
    errors = [
        np.array([float(row["prediction"]) - float(row["target"]) for row in rows(name)]) for name in ("task", "longer")
    ]
    rng = np.random.default_rng(7)
    drawn = rng.integers(0, len(errors[0]), (20_000, len(errors[0])))
    resampled = np.sqrt((errors[0][drawn] ** 2).mean(1)) - np.sqrt((errors[1][drawn] ** 2).mean(1))
    assert pair["rows"]["interval"] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), rel=0.05)
    assert pair["better"] == "longer"
    (other,) = compared(capsys, "task", "longer")["pairs"]
    assert (other["metric"], other["rows"]["quantity"]) == ("test/mae", "mae")
    assert other["rows"]["difference"] == pytest.approx(other["difference"])


def test_restarts_have_their_own_spread(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    for name, rate in (("a", 0.01), ("b", 0.1)):
        train(folder, "digits_linear", name, train__epochs=2, train__restarts=3, optimizer__lr=rate)
    found = compared(capsys, "a", "b")
    with (folder / "a" / "restarts.csv").open() as file:
        losses = [float(row["val/loss"]) for row in csv.DictReader(file)]
    assert found["restarts"]["a"]["values"] == losses
    (pair,) = found["pairs"]
    assert (pair["metric"], pair["seeds"]["quantity"]) == ("test/accuracy", "val/accuracy")
    assert pair["seeds"]["counts"] == {"seeds_a": 3, "seeds_b": 3}
    assert command(["compare", "a", "b"]) == 0
    assert "val/loss of restarts" in capsys.readouterr().out


def test_a_repeated_seed_is_not_counted(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    shutil.copytree(folder / "slow0", folder / "copy")
    found = compared(capsys, "slow0", "copy", "slow1")
    assert len(found["metrics"]["test/accuracy"]["slow0"]["values"]) == 2
    assert found["notes"] == ["slow0: 1 of 3 runs repeat a seed and are not counted."]


def table_of(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3))
    y = x @ [1.0, -2.0, 0.5] + rng.normal(size=150)
    path = folder.parent / "table.csv"
    lines = [f"{a},{b},{c},{t},{2 * t}" for (a, b, c), t in zip(x, y, strict=True)]
    path.write_text("\n".join(["a,b,c,t,u", *lines]))
    return path


def test_runs_with_other_columns_are_compared_on_the_same_rows(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    path = str(table_of(folder))
    for name, features in (("one", ["a"]), ("all", ["a", "b", "c"])):
        data = {"name": "csv", "path": path, "target": ["t", "u"], "features": features}
        train(folder, {"data": data, "model": "linear", "train": {"epochs": 20}, "optimizer": {"lr": 0.05}}, name)
    found = compared(capsys, "one", "all", "--metric", "test/rmse")
    (pair,) = found["pairs"]
    assert pair["rows"]["difference"] == pytest.approx(pair["difference"], rel=1e-5)
    assert pair["better"] == "all"
    assert "the same rows of test" in found["notes"][0]


def test_windows_of_a_series_are_resampled_in_blocks(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    path = folder.parent / "series.csv"
    path.write_text("v\n" + "\n".join(str(np.sin(i / 5)) for i in range(300)))
    data = {"name": "series", "path": str(path), "target": "v", "window": 8, "horizon": 5}
    for name, rate in (("low", 1e-3), ("high", 0.03)):
        train(folder, {"data": data, "model": "linear", "train": {"epochs": 3}, "optimizer": {"lr": rate}}, name)
    (pair,) = compared(capsys, "low", "high", "--metric", "test/rmse")["pairs"]
    counts = pair["rows"]["counts"]
    assert counts["samples"] == -(-counts["rows"] // 5)
    assert pair["rows"]["difference"] == pytest.approx(pair["difference"], rel=1e-5)


def test_steps_of_a_text_are_resampled_together(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    path = folder.parent / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the log. " * 40)
    data = {"name": "language", "path": str(path), "tokenizer": "char", "sequence_length": 20}
    for name, size in (("small", 2), ("large", 16)):
        model = {"name": "gru", "hidden_size": size}
        train(folder, {"data": data, "model": model, "train": {"epochs": 2}}, name)
    (pair,) = compared(capsys, "small", "large")["pairs"]
    assert pair["rows"]["name"] == "paired bootstrap"
    assert pair["rows"]["counts"]["rows"] > 5 * pair["rows"]["counts"]["samples"]
    assert pair["rows"]["difference"] == pytest.approx(pair["difference"])


def test_the_page_has_the_numbers(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "slow0").rename(folder / "<script>alert(1)<")
    names = ["<script>alert(1)<", *SIX[1:], "wine"]
    found = compared(capsys, *names, "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    for spread in found["metrics"]["test/accuracy"].values():
        assert f"{spread['mean']:.4f} +- {spread['std']:.4f}" in page
    for text in ("other data (wine instead of iris)", "optimizer.lr", "Welch&#x27;s t-test", "paired bootstrap"):
        assert text in page
    assert page.count("<figure>") > 4


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["slow0"], "at least two runs (got only runs/slow0)"),
        (["slow0", "runs/slow0"], "at least two runs"),
        (["slow0", "nope"], "nope: no such run. Runs in runs: "),
        (["slow0", "runs"], "runs: is not a run directory: it has no config.yaml."),
        (["slow0", "fast0", "--metric", "test/acuracy"], "'test/acuracy' is not a metric of these runs. Did you mean"),
    ],
)
def test_mistakes(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["compare", *arguments]) == 2
    assert part in capsys.readouterr().err


def test_a_page_that_cant_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["compare", "slow0", "fast0", "--html", "no/folder.html"]) == 1
    assert "no/folder.html: can't be written" in capsys.readouterr().err


def test_from_python(folder: Path) -> None:
    run = nnzoo.train("iris_mlp", overrides={**SHORT, "seed": 9}, runs_dir=folder, quiet=True)
    found = nnzoo.compare([run, folder / "slow1", "fast0"])
    assert [(group.name, list(group.by_seed)) for group in found.groups] == [("iris_mlp", [9, 1]), ("fast0", [0])]
    assert found.as_dict()["metric"] == "test/accuracy"
