"""What a shell offers after the Tab key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnzoo.cli.app import run


def complete(line: str, folder: Path) -> list[str]:
    """Returns what bash would be offered at the end of a line, and checks that torch stays unimported."""
    words = line.split(" ")
    code = (
        "import sys; from nnzoo.cli.app import run\n"
        "try: run([])\n"
        "finally: assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "_NNZOO_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def make_run(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "config.yaml").write_text("data: iris\nmodel: mlp\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "runs", "iris-mlp")
    make_run(tmp_path / "elsewhere", "digits-cnn")
    (tmp_path / "diabetes_of_mine.yaml").write_text("data: diabetes\nmodel: mlp\n", encoding="utf-8")
    (tmp_path / "table.csv").write_text("x,y\n", encoding="utf-8")
    return tmp_path


def test_configs_and_yaml_files(folder: Path) -> None:
    offered = complete("nnzoo train di", folder)
    assert "digits_mlp" in offered
    assert "diabetes_of_mine.yaml" in offered
    assert all(name.startswith("di") for name in offered)
    assert complete("nnzoo train table", folder) == ["table.csv"]
    assert complete("nnzoo validate table", folder) == []


def test_files_in_folders(folder: Path) -> None:
    assert complete("nnzoo train runs/", folder) == ["runs/iris-mlp/"]
    assert complete("nnzoo train runs/iris-mlp/c", folder) == ["runs/iris-mlp/config.yaml"]
    assert complete("nnzoo train missing/c", folder) == []


def test_runs(folder: Path) -> None:
    assert complete("nnzoo eval iris", folder) == ["iris-mlp"]
    assert complete("nnzoo eval la", folder) == ["latest"]
    assert complete("nnzoo predict --runs-dir elsewhere dig", folder) == ["digits-cnn"]
    assert complete("nnzoo eval --runs-dir missing la", folder) == []


def test_configs_and_runs(folder: Path) -> None:
    for command in ("summary", "doctor"):
        offered = complete(f"nnzoo {command} iris", folder)
        assert "iris-mlp" in offered
        assert "iris_mlp" in offered


def test_kinds_and_their_names(folder: Path) -> None:
    assert complete("nnzoo list mod", folder) == ["models"]
    assert complete("nnzoo list runs iris", folder) == ["iris-mlp"]
    assert complete("nnzoo list models lst", folder) == ["lstm"]
    assert complete("nnzoo list metrics accu", folder) == ["accuracy"]
    assert complete("nnzoo list nothing a", folder) == []
    assert "digits_mlp" in complete("nnzoo init digits", folder)


def test_commands(folder: Path) -> None:
    assert complete("nnzoo su", folder) == ["summary"]


def test_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # Without it typer looks for the shell among the parent processes, which may have none.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert run(["--show-completion", "bash"]) == 0
    assert "_NNZOO_COMPLETE=complete_bash" in capsys.readouterr().out
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["--install-completion", "bash"]) == 0
    assert "nnzoo" in (tmp_path / ".bashrc").read_text(encoding="utf-8")
