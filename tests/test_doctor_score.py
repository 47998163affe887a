"""A short run of scripts/doctor_score.py. docs/doctor.md has the results of the full run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "doctor_score.py"
PLANTED = ("dead units", "unscaled columns", "leak")
NUM_RECIPES = 1


def score(folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """Runs the script in the folder; returns the contents of the JSON file and what it prints."""
    output = folder / "score.json"
    command = [sys.executable, str(SCRIPT), "--processes", "1", "--folder", str(folder), "--output", str(output)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text(encoding="utf-8")), done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("score")


@pytest.fixture(scope="module")
def scored(folder: Path) -> tuple[dict[str, Any], str]:
    only = [argument for topic in PLANTED for argument in ("--only", topic)]
    return score(folder, "--seed", "2", "--cases", str(len(PLANTED)), "--healthy", str(NUM_RECIPES), *only)


@pytest.mark.slow
def test_planted_illnesses_are_found_and_healthy_runs_have_none(scored: tuple[dict[str, Any], str]) -> None:
    found = scored[0]
    assert sorted(each["truth"] for each in found["planted"]) == sorted(PLANTED)
    assert found["rows"]["all"]["found"] == len(PLANTED), found["planted"]
    assert [each["topics"] for each in found["healthy"]] == [[]] * NUM_RECIPES
    assert all(
        ill < 0.8 * twin for each in found["planted"] if each["truth"] == "dead units" for ill, twin in [each["gain"]]
    )


@pytest.mark.slow
def test_the_table_has_the_counts_of_the_verdicts(scored: tuple[dict[str, Any], str]) -> None:
    found, text = scored
    total = found["rows"]["all"]
    wrong = [topic for each in (*found["planted"], *found["healthy"]) for topic in each["wrong"]]
    right = [topic for each in found["planted"] for topic in each["right"]]
    assert (total["right"], total["wrong"]) == (len(right), len(wrong))
    recall, precision = total["found"] / total["cases"], len(right) / (len(right) + len(wrong))
    first = sum(each["is_first"] for each in found["planted"]) / total["cases"]
    assert f"| all | {len(PLANTED)} | {recall:.2f} | {first:.2f} | {precision:.2f} |" in text
    assert f"0 of {NUM_RECIPES} healthy runs" in text


@pytest.mark.slow
def test_a_repeated_score_trains_nothing_and_writes_the_same_page(
    folder: Path, scored: tuple[dict[str, Any], str]
) -> None:
    page = folder / "page.md"
    page.write_text("Before.\n\n<!-- score -->\nold\n<!-- end of score -->\n\nAfter.\n", encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.parent != folder}
    only = [argument for topic in PLANTED for argument in ("--only", topic)]
    arguments = ("--seed", "2", "--cases", str(len(PLANTED)), "--healthy", str(NUM_RECIPES), "--page", str(page), *only)
    again, text = score(folder, *arguments)

    assert before == {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.parent != folder
    }
    assert again == scored[0]
    assert text == scored[1]
    assert page.read_text(encoding="utf-8") == (
        f"Before.\n\n<!-- score -->\n\n{text.strip()}\n\n<!-- end of score -->\n\nAfter.\n"
    )


def test_the_page_of_the_doctor_has_the_markers_of_the_table() -> None:
    page = (SCRIPT.parents[1] / "docs" / "doctor.md").read_text(encoding="utf-8")
    for mark in ("<!-- score -->", "<!-- end of score -->"):
        assert page.count(mark) == 1


@pytest.mark.slow
def test_the_table_of_the_page_has_the_form_of_the_output(scored: tuple[dict[str, Any], str]) -> None:
    page = (SCRIPT.parents[1] / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = page.partition("<!-- score -->")[2].partition("<!-- end of score -->")[0].strip().splitlines()
    assert table[:2] == scored[1].splitlines()[:2]
    rows = [line for line in table if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {8}
    assert sum(row.startswith("| all | ") for row in rows) == 1
