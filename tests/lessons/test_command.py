"""`nnzoo lesson` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run
from nnzoo.lessons import schema
from nnzoo.lessons.results import run_lesson
from nnzoo.lessons.schema import CATALOG, Lesson, catalog, find_lesson, read_lesson


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def changed(tmp_path: Path, file: str, *changes: tuple[str, str]) -> Lesson:
    """Returns a lesson with a changed file."""
    text = (CATALOG / file).read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    return read_lesson(path)


def test_the_list_is_in_the_order_of_the_course(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == list(catalog())
    assert run(["lesson", "--lang", "zh", "--json"]) == 0
    assert [each["claim"] for each in printed(capsys)["lessons"]] == [each.zh.claim for each in catalog().values()]


def test_a_lesson_prints_its_numbers_and_leaves_only_its_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson", "neuron", "--no-open"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"output y_hat +0.5174928\d +0.51749286\n", shown)
    assert re.search(r"change of w1 and w2 in one step +\(-0.00396380\d*, -0.01189140?\d*\)", shown)
    assert "The claim held here." in shown
    assert shown.endswith("lesson_neuron.html\n")
    assert run(["lesson", "2", "--no-open", "--lang", "zh", "-q"]) == 0
    assert "论断在这里成立" in capsys.readouterr().out
    assert run(["lesson", "neuron", "--json"]) == 0
    found = printed(capsys)
    assert found["page"] == "lesson_neuron-2.html"
    assert found["measured"]["y_hat"] == pytest.approx(0.5174928577, abs=1e-7)
    assert found["measured"]["change"] == pytest.approx([-0.0039638031, -0.0118914092], rel=2e-5)
    assert (found["held"], found["judged"]) == (True, True)
    names = ["lesson_neuron-2.html", "lesson_neuron.html", "lesson_neuron.zh.html"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_with_changed_settings_the_claim_is_observed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson", "neuron", "--no-open", "--set", "optimizer.lr=0.5", "--output", "twice.html"]) == 0
    shown = capsys.readouterr().out
    assert "observed, not judged: it does not hold here" in shown
    assert "--set optimizer.lr=0.5" in Path("twice.html").read_text(encoding="utf-8")


def test_a_claim_that_fails_exits_with_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    wrong = changed(tmp_path, "02_neuron.yaml", ("expect: 0.5174928577", "expect: 0.6"))
    monkeypatch.setattr(schema, "catalog", lambda: {"neuron": wrong})
    assert run(["lesson", "neuron", "--json"]) == 5
    found = printed(capsys)
    assert (found["held"], found["error"]["kind"]) == (False, "gate")
    assert "y_hat = 0.6" in found["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["neurn"], "'neurn' is not a lesson. Did you mean 'neuron'?"),
        (["neuron", "--lang", "fr"], "expected en or zh, got 'fr'"),
        (["--all"], "--all and --site DIR belong together"),
        (["neuron", "--all", "--site", "x"], "does not work with a NAME"),
        (["--set", "a=1"], "need the NAME of a lesson"),
        (["neuron", "--set", "optimizer.lrr=1"], "Did you mean 'lr'?"),
    ],
)
def test_wrong_arguments_exit_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_site_has_an_index_and_whole_links(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second = changed(folder, "02_neuron.yaml", ("number: 2", "number: 3"), ("name: neuron", "name: again"))
    both = {"neuron": find_lesson("neuron"), "again": second}
    monkeypatch.setattr(schema, "catalog", lambda: both)
    assert run(["lesson", "--all", "--site", "course", "--json"]) == 0
    found = printed(capsys)
    site = folder / "course"
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    expected = ["again.html", "index.html", "neuron.html", "zh/again.html", "zh/index.html", "zh/neuron.html"]
    assert (pages, found["pages"]) == (expected, 6)
    assert found["bytes"] == sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    for page in site.rglob("*.html"):
        links = re.findall(r'href="(?!#|data:)([^"]+)"', page.read_text(encoding="utf-8"))
        assert links
        assert all((page.parent / link).resolve().is_file() for link in links), page
    neuron = (site / "neuron.html").read_text(encoding="utf-8")
    assert 'href="again.html"' in neuron
    assert 'href="zh/neuron.html"' in neuron
    assert run(["lesson", "--all", "--site", "course", "-q"]) == 0
    (folder / "other").mkdir()
    (folder / "other" / "notes.txt").write_text("mine")
    assert run(["lesson", "--all", "--site", "other"]) == 2
    assert "has other files" in capsys.readouterr().err


def test_files_of_a_lesson_are_read_by_its_configs(tmp_path: Path) -> None:
    """Besides samples, a lesson may ship a small file. A training that diverges is a result, not an error."""
    lesson = changed(
        tmp_path,
        "02_neuron.yaml",
        ("samples: {x: [[0.1, 0.3]], y: [[0.2]]}", 'files: {"line.csv": "x1,x2,y\\n1,0,1\\n0,3,1\\n"}'),
        (
            "data: {split: {val: 0, test: 0}}",
            "data: {name: csv, path: line.csv, target: y, task: regression, split: {val: 0, test: 0}}",
        ),
        ("{activation: sigmoid, bias", "{bias"),
        ("metrics: [mse]", "metrics: [mse], restarts: 2"),
        ("epochs: 1,", "epochs: 2000,"),
        ("lr: 0.25", "lr: 0.25, momentum: 0.0"),
    )
    result = run_lesson(lesson)
    assert not result.held
    assert result.evaluate('diverged("network")') is True
    assert result.evaluate('final("network", "train/loss")') == float("inf")
    assert result.evaluate('samples("network")') == 2
    assert find_lesson("neuron").files == {}
