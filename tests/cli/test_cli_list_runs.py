"""`nnzoo list runs`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import nnzoo
from nnzoo.cli.app import run as command

pytestmark = pytest.mark.page


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    for name, rate, units in (("b #1", 1e-4, 8), ("a", 0.1, 4)):
        settings = {"optimizer.lr": rate, "model.hidden": [units], "train.epochs": 3}
        run = nnzoo.train("iris_mlp", overrides=settings, runs_dir=folder, quiet=True)
        run.run_dir.rename(folder / name)
    nnzoo.train("diabetes_mlp", overrides={"train.epochs": 1}, name="c", runs_dir=folder, quiet=True)
    shutil.copytree(folder / "c", folder / "unfinished")
    (folder / "unfinished" / "result.json").unlink()
    shutil.copytree(folder / "c", folder / "damaged")
    (folder / "damaged" / "result.json").write_text('{"metrics": 3}')
    return folder


@pytest.fixture(autouse=True)
def _folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert command(["list", "runs", *arguments, "--json"]) == 0
    runs: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["runs"]
    return runs


def result(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path("runs") / name / "result.json").read_text())
    return content


def test_each_run_has_its_first_metric_on_test(capsys: pytest.CaptureFixture[str]) -> None:
    runs = {run["name"]: run for run in listed(capsys)}
    assert runs["a"]["best_metric"] == "test/accuracy"
    assert runs["a"]["best_value"] == result("a")["metrics"]["test/accuracy"]
    assert runs["c"]["best_metric"] == "test/mae"
    assert runs["c"]["metrics"] == result("c")["metrics"]
    assert {name: run["status"] for name, run in runs.items() if not run["metrics"]} == {
        "unfinished": "unfinished",
        "damaged": "damaged",
    }
    assert command(["list", "runs"]) == 0
    rows = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["a"].split()[-3:] == [
        "test/accuracy",
        f"{result('a')['metrics']['test/accuracy']:.4f}",
        f"{result('a')['baseline']['test/accuracy']:.4f}",
    ]
    assert rows["damaged"].split() == ["damaged", "damaged"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("test/accuracy", ["a", "b #1"]),
        ("val/loss", ["a", "b #1", "c"]),
        ("best", ["a", "b #1", "c"]),
        ("num_parameters", ["a", "b #1", "c"]),
        ("epochs", ["c"]),
        ("name", ["a", "b #1", "c", "damaged", "unfinished"]),
    ],
)
def test_sorting(key: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Runs without a value come last."""
    runs = listed(capsys, "--sort", key)
    assert len(runs) == 5
    assert [run["name"] for run in runs][: len(expected)] == expected
    if key not in ("name", "best", "num_parameters", "epochs"):
        values = [run["metrics"].get(key) for run in runs]
        numbers = [value for value in values if value is not None]
        assert numbers == sorted(numbers, reverse=key.endswith("accuracy"))
        assert values[len(numbers) :] == [None] * (len(runs) - len(numbers))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["runs", "--sort", "test/acuracy"], "--sort: 'test/acuracy' is not a key to sort by. Did you mean 'test/acc"),
        (["models", "--sort", "name"], "--sort: is an option of `nnzoo list runs` only."),
        (["--html", "x.html"], "--html: is an option of `nnzoo list runs` only."),
    ],
)
def test_mistakes(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["list", *arguments]) == 2
    assert part in capsys.readouterr().err


def test_the_index_page_links_to_the_pages_of_the_runs() -> None:
    (Path("runs") / "a").rename("runs/<b>x")
    assert (Path("runs") / "<b>x" / "report.html").is_file()
    (Path("runs") / "c" / "report.html").unlink()
    Path("pages").mkdir()
    assert command(["list", "runs", "--sort", "best", "--html", "pages/index.html"]) == 0
    page = Path("pages/index.html").read_text(encoding="utf-8")
    targets = re.findall(r'<a href="(\.\./[^"]*)"><bdi>([^<]*)', page)
    assert ("../runs/%3Cb%3Ex/report.html", "&lt;b&gt;x") in targets
    assert ("../runs/b%20%231/report.html", "b #1") in targets
    assert "c" not in [name for _, name in targets]
    assert re.findall(r"<h2[^>]*>([^<]*)", page) == ["iris", "diabetes"]
    assert f"{result('b #1')['metrics']['test/accuracy']:.4g}" in page
    assert "<b>x" not in page


def test_an_empty_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["list", "runs", "--runs-dir", "nothing", "--html", "index.html"]) == 0
    assert capsys.readouterr().out == "no runs in nothing\n"
    assert "0 runs" in Path("index.html").read_text(encoding="utf-8")
