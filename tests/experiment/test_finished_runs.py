"""`--resume` of a finished run says so, and how to train it further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run as nnzoo

CONFIG = """
data: {name: blobs, samples: 60}
model: linear
train: {epochs: 3, batch_size: 8}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)


def resume_output(capsys: pytest.CaptureFixture[str], *settings: str) -> str:
    capsys.readouterr()
    assert nnzoo(["train", "c.yaml", "--resume", *settings]) == 0
    return capsys.readouterr().err


ENDS: dict[str, tuple[list[str], str, list[str]]] = {
    "epochs": ([], "all 3 epochs are done. To train further, increase train.epochs.", ["train.epochs=5"]),
    "stopped": (
        ["train.early_stopping={patience: 1, min_delta: 9.0}", "train.epochs=9"],
        "early stopping ended it after epoch 2. To train further, increase train.early_stopping.patience.",
        ["train.early_stopping=null", "train.epochs=9"],
    ),
    "time": (
        ["train.max_minutes=1e-9", "train.epochs=9"],
        "train.max_minutes was reached after epoch 1. To train further, increase train.max_minutes, or set it to null.",
        ["train.max_minutes=null", "train.epochs=9"],
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_the_reason_of_the_end_and_the_advice(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings, message, more = ENDS[case]
    assert "is finished" not in resume_output(capsys, *settings)
    before = Path("runs/c/best.safetensors").read_bytes()
    found = resume_output(capsys, *settings)
    assert f"runs/c is finished: {message}" in found
    assert "resuming" not in found
    assert Path("runs/c/best.safetensors").read_bytes() == before
    # The advice works.
    assert "resuming runs/c after epoch" in resume_output(capsys, *more)
    assert [path.name for path in Path("runs").iterdir()] == ["c"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["scheduler=cosine"], "start a new run without --resume: the length of its cosine schedule is train.epochs."),
        (
            ["train.restarts=2"],
            "is finished: its 2 restarts have ended. To train further, start a new run without --resume.",
        ),
        (
            ["train.restarts=2", "model={name: lstm, hidden_size: 3}", "data={name: adding, samples: 40, length: 5}"],
            "its 2 restarts have ended",
        ),
    ],
)
def test_runs_that_cannot_be_trained_further(
    settings: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resume_output(capsys, *settings)
    assert message in resume_output(capsys, *settings)


def test_a_run_killed_before_its_result_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnzoo.experiment.train.record import Recorder

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    finish = Recorder.finish
    monkeypatch.setattr(Recorder, "finish", killed)
    assert nnzoo(["train", "c.yaml", "--resume"]) == 130
    monkeypatch.setattr(Recorder, "finish", finish)
    assert not Path("runs/c/result.json").exists()
    found = resume_output(capsys)
    assert "resuming runs/c after epoch 3" in found
    assert Path("runs/c/result.json").exists()
