"""The page of a run: written by training and by `nnzoo report`, with the numbers of result.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from accessibility import problems_of

import nnzoo
from nnzoo.cli.app import run as run_command
from nnzoo.report import write
from nnzoo.report.inside import saliency
from nnzoo.report.inside.importance import importance_parts

pytestmark = pytest.mark.page


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the run directory of a short training."""
    folder = tmp_path_factory.mktemp("runs")
    return nnzoo.train("digits_mlp", overrides={"train.epochs": 3}, runs_dir=folder, quiet=True).run_dir


def exact_values(html: str, row: str) -> list[float]:
    """Returns the exact numbers of the first table row with a name."""
    found = re.search(rf'<tr><th scope="row"><bdi>{re.escape(row)}</bdi></th>(.*?)</tr>', html)
    assert found is not None
    return [float(value) for value in re.findall(r'<data value="([^"]+)">', found[1])]


def test_numbers_equal_the_result(digits: Path) -> None:
    html = (digits / "report.html").read_text()
    result: dict[str, Any] = json.loads((digits / "result.json").read_text())
    metrics, baseline, linear = result["metrics"], result["baseline"], result["linear"]
    expected = [metrics["test/accuracy"], baseline["test/accuracy"], linear["test/accuracy"]]
    assert exact_values(html, "accuracy") == expected
    for split in ("train", "val", "test"):
        assert exact_values(html, split) == [metrics[f"{split}/loss"], metrics[f"{split}/accuracy"]]


def test_the_interval_is_that_of_eval(digits: Path) -> None:
    low, high = nnzoo.evaluate(digits).confidence["accuracy"]
    assert f"{low:.4f} to {high:.4f}" in (digits / "report.html").read_text()


def test_the_command_writes_the_same_page(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page.html"
    assert run_command(["report", str(digits), "--output", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(file), "bytes": file.stat().st_size}
    assert file.read_text() == (digits / "report.html").read_text()


def test_the_page_is_readable_by_screen_readers(digits: Path) -> None:
    assert problems_of((digits / "report.html").read_text()) == []
    bad = (
        '<html><main><h1>a</h1><h3>b</h3><img><svg></svg><figure></figure><input><a href="#x">y</a><p id="a"></p>'
        '<p id="a" aria-labelledby="z"></p><table></table></main></html>'
    )
    assert len(problems_of(bad)) == 10  # so that the check is known to find faults


def test_the_page_repeats_the_run(digits: Path) -> None:
    html = (digits / "report.html").read_text()
    assert f"nnzoo train {digits / 'config.yaml'}" in html
    digests = re.findall(r"[0-9a-f]{64}", html)
    assert len(set(digests)) == 3  # of train, val and test


def test_an_error_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: object) -> None:
        raise ZeroDivisionError("no page")

    monkeypatch.setattr(write, "sections", fail)
    with pytest.warns(nnzoo.NnzooWarning, match="the page of the run was not written"):
        run = nnzoo.train("xor_mlp", overrides={"train.epochs": 2}, runs_dir=tmp_path, quiet=True)
    assert run.result["status"] == "completed"
    assert not (run.run_dir / "report.html").exists()


@pytest.mark.parametrize(
    ("broken", "name", "title"),
    [
        ("nnzoo.report.learning._marks", "curves", "Curves"),
        ("nnzoo.report.svg.heatmap", "classes", "Predictions"),
        ("nnzoo.report.inside.saliency.saliency_parts", "saliency", "Inside the network"),
    ],
)
def test_a_section_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, name: str, title: str
) -> None:
    def saliency_parts(*_: object) -> None:
        raise ZeroDivisionError("<b> by zero")

    monkeypatch.setattr(broken, saliency_parts)
    monkeypatch.setattr("nnzoo.report.inside.section.PARTS", (importance_parts, saliency.saliency_parts))
    config = {"data": "iris", "model": "linear", "train": {"epochs": 2}}
    with pytest.warns(nnzoo.NnzooWarning, match=rf"section '{name}' .* \(ZeroDivisionError: <b> by zero\)"):
        run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert run.result["status"] == "completed"
    html = (run.run_dir / "report.html").read_text()
    assert html.count("This section could not be made: ZeroDivisionError: &lt;b&gt; by zero") == 1
    titles = re.findall(r"<h2 id[^>]*>([^<]*)", html)
    expected = ["Result", "Learning curves", "Predictions", "Inside the network", "The network", "Data"]
    assert title in titles
    assert len({*expected, title} - set(titles)) <= 1
    lines = (run.run_dir / "train.log").read_text()
    assert "Traceback (most recent call last)" in lines
    assert lines.count("ZeroDivisionError: <b> by zero") == 2


def test_data_from_python_is_on_the_page(tmp_path: Path) -> None:
    x, y = [[0.0, 1.0], [1.0, 0.0]] * 20, ["yes", "no"] * 20
    config = {"model": "linear", "train": {"epochs": 2}}
    run = nnzoo.train(config, data=(x, y), runs_dir=tmp_path, quiet=True)
    assert "no samples" not in (run.run_dir / "report.html").read_text()
    assert run_command(["report", str(run.run_dir), "-q"]) == 0
    html = (run.run_dir / "report.html").read_text()
    assert "The page has no samples" in html
    assert exact_values(html, "accuracy")[0] == run.metrics["test/accuracy"]


def test_there_is_no_page_without_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", "none", "--runs-dir", str(tmp_path)]) == 2
    assert "no such file or run" in capsys.readouterr().err
