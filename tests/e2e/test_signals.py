"""Interrupts, kills and resumes training in a separate process."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.run.checkpoint import load_checkpoint

CONFIG = """
name: x
data: {name: blobs, samples: 600, noise: 3.0}
model: {name: mlp, hidden: [16, 8], batch_norm: true, dropout: 0.2}
optimizer: {name: sgd, lr: 0.01, momentum: 0.9}
scheduler: {name: step, step_size: 50, gamma: 0.9, interval: step, warmup_epochs: 2}
train: {epochs: 100000, batch_size: 16, accumulate_grad_batches: 2, early_stopping: null}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)


@pytest.fixture
def training() -> Iterator[subprocess.Popen[str]]:
    """Starts an endless training and waits for its third epoch."""
    command = [sys.executable, "-m", "nnzoo", "train", "c.yaml", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("epoch      2/"):
            break
    yield process
    process.kill()
    process.communicate()


def check_resumed_run(epochs: int) -> None:
    """Resumes x up to an epoch and compares it with an uninterrupted run."""
    assert nnzoo(["train", "c.yaml", "-q", f"train.epochs={epochs}", "--resume"]) == 0
    assert nnzoo(["train", "c.yaml", "-q", f"train.epochs={epochs}", "--name", "whole"]) == 0
    first, second = (Path("runs") / name for name in ("x", "whole"))
    assert (first / "best.safetensors").read_bytes() == (second / "best.safetensors").read_bytes()
    tables = []
    for folder in (first, second):
        with (folder / "metrics.csv").open(newline="") as file:
            tables.append([{**row, "seconds": ""} for row in csv.DictReader(file)])
    assert len(tables[0]) == epochs
    assert tables[0] == tables[1]
    assert not list(first.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_writes_a_checkpoint_to_resume_from(
    number: signal.Signals, code: int, training: subprocess.Popen[str]
) -> None:
    training.send_signal(number)
    out, err = training.communicate(timeout=60)
    assert training.returncode == code
    assert "Traceback" not in err
    printed = json.loads(out)
    assert printed["error"]["kind"] == "interrupted"
    assert "--resume continues" in printed["error"]["message"]
    result = json.loads(Path("runs/x/result.json").read_text())
    assert {key: value for key, value in printed.items() if key != "error"} == result
    assert result["status"] == "interrupted"
    assert result["epochs"] >= 2
    check_resumed_run(result["epochs"] + 2)


@pytest.mark.slow
def test_a_kill_loses_no_more_than_the_last_checkpoint(training: subprocess.Popen[str]) -> None:
    training.kill()
    training.wait(timeout=60)
    assert training.returncode == -signal.SIGKILL
    assert not Path("runs/x/result.json").exists()
    check_resumed_run(load_checkpoint(Path("runs/x/last.safetensors"))["epoch"] + 3)


TWICE = """
import contextlib, os, signal, sys
from nnzoo.cli.app import run
from nnzoo.run import tensor_file

plain = tensor_file.atomic_file
count = 0

@contextlib.contextmanager
def atomic_file(path, *, keep=None):
    global count
    count += 1
    with plain(path, keep=keep) as file:
        if count == 2:  # the checkpoint at the end: the first signal came in the epoch before
            file.write(b"half of it")
            file.flush()
            os.kill(os.getpid(), signal.SIGINT)
            raise SystemExit("still alive")
        yield file
    os.kill(os.getpid(), signal.SIGINT)

tensor_file.atomic_file = atomic_file
sys.exit(run(["train", "c.yaml", "-q"]))
"""


@pytest.mark.slow
def test_a_second_signal_exits_immediately_without_partial_files() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert load_checkpoint(Path("runs/x/last.safetensors"))["epoch"] == 0
    assert len(list(Path("runs/x").glob(".last.safetensors.*.tmp"))) == 1
    check_resumed_run(3)


def test_signal_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert nnzoo(["train", "c.yaml", "-q", "train.epochs=3"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
