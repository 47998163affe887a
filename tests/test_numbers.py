"""Formatting of measured numbers, in progress lines and in tables."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnzoo.cli.app import run
from nnzoo.numbers import number
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.progress import Progress


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (25180889782593279437091921503191040.0, "2.518e+34"),
        (-25180889782593279437091921503191040.0, "-2.518e+34"),
        (0.0, "0.0000"),
        (0.92671, "0.9267"),
        (-0.5, "-0.5000"),
        (123456.78901, "123456.7890"),
        (1e6, "1.000e+06"),
        (1e-3, "0.0010"),
        (3.1e-7, "3.100e-07"),
        (5e-324, "4.941e-324"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_are_short_and_keep_significant_digits(value: float, shown: str) -> None:
    assert number(value) == shown
    assert len(number(value)) <= 12


def test_a_progress_line_is_readable_with_any_loss(caplog: pytest.LogCaptureFixture) -> None:
    row = {"epoch": 3, "step": 30, "lr": 1e-7, "train/loss": 2.5180889e34, "val/loss": math.nan, "val/mse": 3.1e-7}
    with caplog.at_level("INFO", logger="nnzoo"):
        progress = Progress(20, quiet=True)
        best = EarlyStopping(best=0.25, best_epoch=3)
        progress.report({**row, "seconds": 0.5}, EarlyStopping(best=3.1e-7, best_epoch=3, patience=5))
        progress.report({**row, "epoch": 4, "seconds": 99.5}, replace(best, patience=5, waited=2))
        progress.report({**row, "epoch": 5, "seconds": 0.5}, best, seconds_left=30.4)
        progress.report({**row, "epoch": 20, "seconds": 0.5}, best)
        progress.report({**row, "epoch": 8, "seconds": 0.5}, replace(best, patience=5, waited=5))
    metrics = "train/loss 2.518e+34  val/loss nan  val/mse 3.100e-07  lr 1e-07"
    assert caplog.messages == [
        f"epoch  3/20  {metrics}  0.50 s  best 3.100e-07 (epoch 3)  patience 5/5  8 s left  *",
        f"epoch  4/20  {metrics}  99.50 s  best 0.2500 (epoch 3)  patience 3/5  13 min left",
        f"epoch  5/20  {metrics}  0.50 s  best 0.2500 (epoch 3)  30 s left",
        f"epoch 20/20  {metrics}  0.50 s  best 0.2500 (epoch 3)",
        f"epoch  8/20  {metrics}  0.50 s  best 0.2500 (epoch 3)  patience 0/5",
    ]


def test_no_output_has_thirty_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.linspace(-1, 1, 60)
    np.savez(tmp_path / "huge.npz", x=x.reshape(-1, 1), y=1e15 * x)
    arguments = ["train", "sine_mlp", f"data={{name: arrays, path: {tmp_path / 'huge.npz'}}}", "train.epochs=2"]
    assert run([*arguments, "preprocess.scale_target=false", "--runs-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert re.search(r"train/loss \d\.\d{3}e\+\d\d", captured.err)
    assert not re.search(r"\d{15}", captured.err + captured.out.split("run directory")[0])
