"""A split that is not the one of training is not measured as if it were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run as command

ROWS = [f"{value:.4f},{'pq'[int(value > 0)]}" for value in np.random.default_rng(0).normal(size=120)]
TEXTS = [
    f"{'red' if index % 3 else 'blue'} {'thing ' * (1 + index % 5)},{'pq'[int(index % 3 > 0)]}" for index in range(120)
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(rows: list[str], header: str = "x,y") -> None:
    Path("d.csv").write_text("\n".join([header, *rows]) + "\n")


def train(section: dict[str, Any], model: dict[str, Any]) -> nnzoo.Run:
    config = {"name": "r", "data": {"path": "d.csv", "target": "y", **section}, "model": model, "train": {"epochs": 1}}
    return nnzoo.train(config, quiet=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[::-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [*rows[:50], rows[0], *rows[51:]],
    ],
)
@pytest.mark.parametrize("source", ["csv", "text"])
def test_eval_refuses_a_split_of_changed_data(source: str, change: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ROWS if source == "csv" else TEXTS
    write(rows)
    run = train({"name": source}, {"name": "gru", "hidden_size": 4} if source == "text" else {"name": "linear"})
    expected = run.metrics["test/accuracy"]
    write(change(rows))
    assert command(["eval", "r"]) == 3
    assert "split has changed since the network was trained (by checksum)" in capsys.readouterr().err
    with pytest.raises(nnzoo.DataError, match=r"evaluate the network on new data \(--data PATH\)"):
        nnzoo.evaluate(run, split="val")
    assert command(["predict", "r", "d.csv", "--threshold", "auto"]) == 3
    capsys.readouterr()
    assert command(["eval", "r", "--data", "d.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_samples"] == len(change(rows))
    write([row.replace(",", " , ") for row in rows] if source == "csv" else rows)
    assert command(["eval", "r", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"] == expected
