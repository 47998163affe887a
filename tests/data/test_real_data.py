"""Data as it is found, read by short configs; the folder that holds it is named by NNZOO_TEST_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nnzoo
from nnzoo.config.reader import parse

FOLDER = os.environ.get("NNZOO_TEST_DATA")

pytestmark = [pytest.mark.data, pytest.mark.skipif(FOLDER is None, reason="NNZOO_TEST_DATA names no folder")]

NAMES = """
data: {name: text, path: "names18/*[a-z].txt", tokenizer: char, split: {deduplicate: true}}
model: {name: gru, hidden_size: 64}
optimizer: {name: adamw, lr: 5e-3}
train: {epochs: 2, batch_size: 128}
"""

QUESTIONS = """
data: {name: text, path: trec/TREC.train.all, test_path: trec/TREC.test.all, delimiter: " ", target: 0, min_count: 2}
model:
  name: cnn
  blocks:
    - conv: {out_channels: 64, kernel_size: 3, padding: same}
    - global_pool: max
  dropout: 0.5
optimizer: {name: adamw, lr: 5e-3}
train: {epochs: 5, batch_size: 64}
"""

PASSENGERS = """
data: {name: series, path: ts_forecast/airline-passengers.csv, time: Month, target: Passengers, window: 12}
model: {name: gru, hidden_size: 32}
optimizer: {name: adamw, lr: 1e-2}
train: {epochs: 150, batch_size: 16, early_stopping: {patience: 30}}
"""

POLLUTION = """
data:
  {name: series, path: ts_forecast/pollution.csv, time: "No", target: pm2.5, features: [pm2.5, DEWP, TEMP, PRES, Iws],
   categorical: cbwd, window: 24, horizon: 6}
model: {name: mlp, hidden: [64]}
loss: huber
train: {epochs: 12, batch_size: 128}
"""


def measured(text: str, tmp_path: Path, **overrides: object) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics and the baselines of a config whose paths are in the folder."""
    words = parse(text, "config").plain()
    for key in ("path", "test_path"):
        if key in words["data"]:
            words["data"][key] = f"{FOLDER}/{words['data'][key]}"
    run = nnzoo.train(words, overrides=overrides, runs_dir=tmp_path, quiet=True)
    return run.metrics, run.result["baseline"]


@pytest.mark.slow
def test_names_by_character(tmp_path: Path) -> None:
    metrics, baseline = measured(NAMES, tmp_path)
    assert baseline["test/accuracy"] == pytest.approx(0.519, abs=0.001)  # the Russian share of distinct names
    assert metrics["test/accuracy"] > 0.7


@pytest.mark.slow
def test_questions_by_word(tmp_path: Path) -> None:
    metrics, _ = measured(QUESTIONS, tmp_path)
    assert metrics["test/accuracy"] > 0.75


def test_passengers_a_month_against_the_naive_forecast(tmp_path: Path) -> None:
    metrics, naive = measured(PASSENGERS, tmp_path)
    assert naive["test/rmse"] == pytest.approx(53.725, abs=0.001)
    assert metrics["test/rmse"] < 0.65 * naive["test/rmse"]
    assert metrics["test/mae"] < 0.6 * naive["test/mae"]


def test_air_pollution_against_the_naive_forecast(tmp_path: Path) -> None:
    metrics, naive = measured(POLLUTION, tmp_path)
    assert metrics["test/rmse"] < 0.96 * naive["test/rmse"]
    assert metrics["test/mae"] < naive["test/mae"]
