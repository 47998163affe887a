"""A short run of scripts/benchmark.py, without other frameworks. CONTRIBUTING.md has the command of the full run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"
SHORT = ["--samples", "512", "--rounds", "1", "--threads", "1"]


def benchmark(output: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """Returns the contents of benchmark.json and benchmark.md."""
    command = [sys.executable, str(SCRIPT), *SHORT, "--output", str(output), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((output / "benchmark.json").read_text()), (output / "benchmark.md").read_text()


@pytest.mark.slow
def test_all_contenders_are_measured(tmp_path: Path) -> None:
    contenders = ["limit", "nnzoo", "dataloader"]
    found, text = benchmark(
        tmp_path, "--parts", "epochs", "--networks", "mlp", "--batch-sizes", "32", "--contenders", ",".join(contenders)
    )

    [result] = found["epochs"]
    assert list(result["turns"]) == contenders
    assert all(len(turn) == 3 for turns in result["turns"].values() for turn in turns)
    assert all(second > 0 for turns in result["turns"].values() for turn in turns for second in turn)
    assert all(accuracy > 0.5 for accuracy in result["accuracy"].values())
    for title in ("hand-written loop (limit)", "nnzoo", "DataLoader loop"):
        assert title in text
    assert "there is no CUDA device" in text or found["machine"]["gpu"]


@pytest.mark.slow
def test_batch_size_one_is_scaled_and_a_failed_contender_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['keras'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    command = [
        sys.executable,
        str(SCRIPT),
        *SHORT,
        "--output",
        str(tmp_path),
        "--parts",
        "epochs",
        "--networks",
        "small",
    ]
    done = subprocess.run(
        [*command, "--batch-sizes", "1", "--contenders", "limit,keras"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr

    [result] = json.loads((tmp_path / "benchmark.json").read_text())["epochs"]
    assert result["scale"] == 20
    assert list(result["turns"]) == ["limit"]
    assert "keras" in result["missing"]["keras"]
    text = (tmp_path / "benchmark.md").read_text()
    assert "batch size 1 (25 samples, seconds times 20)" in text
    assert "pip install -e '.[bench]'" in text


def test_unknown_contender_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--contenders", "limit,theano"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "theano" in done.stderr


def test_the_performance_page_has_the_markers_of_the_tables() -> None:
    page = (SCRIPT.parents[1] / "docs" / "performance.md").read_text(encoding="utf-8")
    for mark in ("<!-- benchmark -->", "<!-- end of benchmark -->"):
        assert page.count(mark) == 1
