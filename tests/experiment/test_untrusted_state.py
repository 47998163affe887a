"""Intact checkpoints with content that does not fit the training."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import InterruptedRunError
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint
from nnzoo.training.progress import Progress

CONFIG: dict[str, Any] = {
    "name": "x",
    "data": {"name": "blobs", "samples": 60},
    "model": {"name": "mlp", "hidden": [4]},
    "optimizer": "adam",
    "train": {"epochs": 3, "batch_size": 8},
}
LONG = 10**12


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def interrupt(monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any]) -> None:
    """Interrupts a run in its second epoch."""
    plain, count = Progress.step, 0

    def step(self: Progress) -> None:
        nonlocal count
        plain(self)
        count += 1
        if count == 8:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", step)
        with pytest.raises(InterruptedRunError):
            nnzoo.train(CONFIG, overrides=overrides, quiet=True)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: Any) -> None:
        *parents, last = path.split("/")
        for key in parents:
            state = state[int(key) if key.isdigit() else key]
        state[int(last) if last.isdigit() else last] = value

    return change


WRONG_EPOCHS: list[Any] = [-1, 2, 0.5, None, "1", True, LONG**2]
CHANGES = [
    *(put("epoch", value) for value in WRONG_EPOCHS),
    *(put("batch", value) for value in (-1, None, 1.5)),
    *(put("step", value) for value in ("x", -3)),
    *(put("seconds", value) for value in (None, "x")),
    *(put("history/table", value) for value in (torch.zeros(3), torch.full((1, 8), torch.nan), None)),
    put("history/columns", ["epoch"]),
    put("history/columns/4", None),
    *(put("early_stopping/best_epoch", value) for value in (5, -1, "x", 0)),
    put("early_stopping/waited", []),
    put("early_stopping/best", None),
    put("best", None),
    *(put("train_loss", value) for value in ([], ["x", 1.0], [1.0, 0.0])),
    *(put("train_metrics", value) for value in ({}, None, {"count": "x", "sums": {}, "kept": [], "scores": []})),
    *(put("train_metrics/count", value) for value in (-1, LONG**2)),
    put("optimizer", {}),
    put("optimizer/state", {99: {}}),
    *(put("optimizer/state/0/exp_avg", value) for value in (torch.zeros(7), None, "x")),
    put("optimizer/param_groups/0/lr", "x"),
    put("optimizer/param_groups", []),
    put("schedule", {}),
    *(put("rng/torch", value) for value in (torch.zeros(3), None)),
    put("rng/numpy/1", torch.zeros(624)),
    put("rng/numpy/2", 10**6),
    put("rng/python/1", torch.full((2500,), 255, dtype=torch.uint8)),
    *(put(key, value) for key in ("num_threads", "data_threads") for value in (0, LONG, 1.0, None)),
    put("data", None),
]


def refused(change: Callable[[dict[str, Any]], None], capsys: pytest.CaptureFixture[str], *overrides: str) -> None:
    path = Path("runs/x/last.safetensors")
    state = load_checkpoint(path)
    change(state)
    save_checkpoint(path, state)
    assert command(["train", "runs/x", "--resume", "-q", *overrides]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        ("nnzoo: runs/x/last.safetensors: does not fit this run: ", "nnzoo: last.safetensors: does not fit this run: ")
    )
    path.with_name("previous.safetensors").replace(path)


def test_invalid_content_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    interrupt(monkeypatch, {})
    for change in CHANGES:
        refused(change, capsys)
    assert command(["train", "runs/x", "--resume", "-q"]) == 0


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        (
            {"train.restarts": 3},
            [put("restarts/epoch", -1), put("restarts/stopping", []), put("restarts/networks", {})],
        ),
        (
            {"train.restarts": 2, "scheduler": {"name": "plateau"}},
            [put("restarts/current/epoch", LONG), put("restarts/current/best", None), put("restarts", [])],
        ),
    ],
)
def test_invalid_content_of_restarts_is_refused(
    overrides: dict[str, Any],
    changes: list[Callable[[dict[str, Any]], None]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt(monkeypatch, overrides)
    for change in changes:
        refused(change, capsys)
    assert command(["train", "runs/x", "--resume", "-q"]) == 0
