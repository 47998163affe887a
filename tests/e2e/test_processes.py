"""Tests that need a separate process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
name: x
data: digits
model: {name: mlp, hidden: [16], dropout: 0.1}
train: {epochs: 2}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    for name in ("first", "second"):
        done = python("-m", "nnzoo", "train", "c.yaml", "-q", "--name", name)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    files = [Path(f"runs/{name}/best.safetensors").read_bytes() for name in ("first", "second")]
    assert files[0] == files[1]
    done = python("-m", "nnzoo", "eval", "latest", "--fail-under", "loss=0.0001")
    assert done.returncode == 5
    assert done.stderr.startswith("nnzoo: latest: loss ")


def test_importing_nnzoo_does_not_import_torch() -> None:
    code = (
        "import sys, nnzoo; assert dir(nnzoo); assert 'torch' not in sys.modules; "
        "nnzoo.load_config; assert 'torch' in sys.modules"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_is_not_an_error() -> None:
    command = f"{sys.executable} -m nnzoo train c.yaml --dry-run 2>errors | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in Path("errors").read_text()
    assert "Exception" not in Path("errors").read_text()
