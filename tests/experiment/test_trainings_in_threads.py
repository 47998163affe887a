"""Trainings in several threads of one process, and nested trainings."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nnzoo
from nnzoo.experiment.train.finished import Run

FIVE: dict[str, Any] = {
    "name": "five",
    "data": {"name": "moons", "samples": 7, "split": {"val": 0.15, "test": 0.0}},
    "model": {"name": "mlp", "hidden": [6], "dropout": 0.5},
    "train": {"epochs": 5, "batch_size": 2},
}
THREE: dict[str, Any] = {
    "name": "three",
    "data": "iris",
    "model": {"name": "mlp", "hidden": [4, 4], "dropout": 0.2},
    "augment": [{"name": "mixup"}],
    "train": {"epochs": 3},
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def at_once(*calls: Callable[[], Any]) -> None:
    """Calls each function in its own thread."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def epochs_in_log(folder: Path) -> int:
    return (folder / "train.log").read_text().count("INFO epoch ")


def without_seconds(folder: Path) -> list[str]:
    return [line.rpartition(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]


def test_each_has_its_own_log_and_the_results_of_a_single_training(capsys: pytest.CaptureFixture[str]) -> None:
    for config in (FIVE, THREE):
        nnzoo.train(config, runs_dir="alone", quiet=True)
    capsys.readouterr()
    runs: dict[str, Run] = {}
    shown: list[str] = []

    def train_five() -> None:
        runs["five"] = nnzoo.train(FIVE, runs_dir="together", quiet=True)

    def train_three() -> None:
        runs["three"] = nnzoo.train(THREE, runs_dir="together", show=shown.append)

    at_once(train_five, train_three)
    print("the caller's own line")
    captured = capsys.readouterr()
    assert captured.out == "the caller's own line\n"
    assert len(shown) == 1
    assert [line.split("/")[0].strip() for line in captured.err.splitlines() if line.startswith("epoch")] == [
        f"epoch {number}" for number in (1, 2, 3)
    ]
    for name, count in (("five", 5), ("three", 3)):
        alone, together = Path("alone", name), Path("together", name)
        assert epochs_in_log(together) == epochs_in_log(alone) == count
        assert (together / "best.safetensors").read_bytes() == (alone / "best.safetensors").read_bytes()
        assert without_seconds(together) == without_seconds(alone)
        assert (together / "summary.txt").read_text() == (alone / "summary.txt").read_text()
        results = [json.loads((folder / "result.json").read_text()) for folder in (alone, together)]
        assert results[0] | {"seconds": 0, "run_dir": ""} == results[1] | {"seconds": 0, "run_dir": ""}
        assert runs[name].run_dir == together
    assert runs["five"].result["warnings"]
    assert runs["three"].result["warnings"] == []


def test_the_next_training_starts_after_an_error() -> None:
    with pytest.raises(nnzoo.DivergedError):
        nnzoo.train(THREE, overrides={"optimizer": {"name": "sgd", "lr": 1e38}, "augment": []}, quiet=True)
    assert nnzoo.train(THREE, quiet=True).result["status"] == "completed"


def test_a_nested_training_is_refused() -> None:
    def start_another(summary: str) -> None:
        nnzoo.train(THREE, runs_dir="inner", quiet=True)

    with pytest.raises(nnzoo.UsageError, match="a training run can't be started within another one"):
        nnzoo.train(FIVE, show=start_another)
    assert nnzoo.train(FIVE, quiet=True).result["epochs"] == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_can_train_during_a_training_of_its_parent() -> None:
    def fork(summary: str) -> None:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                nnzoo.train(THREE, runs_dir="child", quiet=True)
            os._exit(0)
        os.waitpid(child, 0)

    nnzoo.train(FIVE, show=fork)
    assert epochs_in_log(Path("child/three")) == 3


def test_a_summary_does_not_hide_the_output_of_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output of another thread during the summary is not lost."""
    from nnzoo.summaries import render

    arrived = io.StringIO()
    original = render._StandIn.forward

    def forward(self: Any, x: Any) -> Any:
        at_once(lambda: print("from another thread"))
        return original(self, x)

    monkeypatch.setattr(render._StandIn, "forward", forward)
    with contextlib.redirect_stdout(arrived):
        report = nnzoo.summary(nnzoo.build_model(THREE), input_shape=(4,))
        text = str(report)
    assert "Total params" in text
    assert "from another thread" not in text
    assert arrived.getvalue().splitlines() == ["from another thread"]
