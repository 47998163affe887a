"""Short runs of scripts/torture.py and scripts/fuzz.py. CONTRIBUTING.md has the results of long runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script(name: str, *arguments: str) -> list[str]:
    """Returns the lines that a script prints."""
    done = subprocess.run([sys.executable, SCRIPTS / name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_killed_and_resumed_trainings_have_identical_results() -> None:
    lines = script("torture.py", "--kills", "2", "--seed", "1")
    assert [line.split(":")[0] for line in lines] == ["mlp", "cnn", "lstm"]
    assert all("all results identical" in line for line in lines)


@pytest.mark.slow
def test_killing_one_of_two_processes_has_identical_results() -> None:
    lines = script("torture.py", "--kills", "3", "--seed", "1", "--processes", "2")
    assert [line.split(":")[0] for line in lines] == ["mlp", "cnn", "lstm"]
    assert all("all results identical" in line for line in lines)
    assert all(f"of rank {rank}" in "".join(lines) for rank in (0, 1))


@pytest.mark.slow
def test_hostile_files_are_used_or_refused() -> None:
    [line] = script("fuzz.py", "--mutations", "100", "--seed", "1")
    assert line.startswith("100 mutations, 0 went wrong")
