"""Tests that configs of at most ten lines beat the baseline on real datasets.

NNZOO_TEST_DATA is the folder with the datasets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import nnzoo

FOLDER = os.environ.get("NNZOO_TEST_DATA")

pytestmark = [pytest.mark.data, pytest.mark.skipif(FOLDER is None, reason="NNZOO_TEST_DATA is not set")]


class Case(NamedTuple):
    """A config with paths below the folder, and the score that it must reach on the test split."""

    metric: str
    baseline: float
    """The score of the majority class, the mean, or the naive forecast."""
    reaches: float
    config: str


TITANIC = """
data: {name: csv, path: titanic/train.csv, target: Survived}
model: {name: mlp, hidden: [32]}
"""

ADULT = """
data:
  name: csv
  path: adult/adult-train.csv
  test_path: adult/adult-test.csv
  names: [age, work, weight, education, years, marital, job, relation, race, sex, gain, loss, hours, country, income]
  target: income
  replace: {<=50K.: <=50K, ">50K.": ">50K"}
model: {name: mlp, hidden: [32]}
train: {epochs: 3, batch_size: 256}
"""

HOUSING = """
data: {name: csv, path: california_housing/housing.csv, target: median_house_value}
model: {name: mlp, hidden: [32]}
train: {epochs: 10, batch_size: 128}
"""

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
  blocks: [{conv: {out_channels: 64, kernel_size: 3, padding: same}}, {global_pool: max}]
  dropout: 0.5
optimizer: {name: adamw, lr: 5e-3}
train: {epochs: 5, batch_size: 64}
"""

# Three of the images have 9 megapixels.
SIGNS = """
data: {name: image_folder, path: sign_digits/Dataset, size: 32, channels: 1}
model: {name: mlp, hidden: [64]}
train: {epochs: 10}
"""

VOWELS = """
data: {name: arrays, path: japanese_vowels.npz}
model: {name: gru, hidden_size: 32, bidirectional: true, pooling: mean}
optimizer: {name: adamw, lr: 1e-2}
train: {epochs: 20, batch_size: 16}
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

FASHION = """
data: {name: fashion_mnist, root: fashion_mnist, download: false, limit: 6000}
model: linear
train: {epochs: 3}
"""

SHAKESPEARE = """
data: {name: language, path: tiny_shakespeare/input.txt, limit: 3000}
model: {name: lstm, hidden_size: 128}
optimizer: {name: adam, lr: 0.01}
train: {epochs: 3, batch_size: 32}
"""

# Socher et al. (2013) report an accuracy of 0.432 with five labels and of 0.824 with two.
TREES = """
data: {name: trees, path: sst_trees/train.txt, val_path: sst_trees/dev.txt, test_path: sst_trees/test.txt}
model: recursive
optimizer: {name: adagrad, lr: 0.02}
train: {epochs: 4, batch_size: 32, monitor: val/accuracy}
"""

CASES = {
    "titanic": Case("accuracy", 0.619, 0.74, TITANIC),
    "adult": Case("accuracy", 0.764, 0.83, ADULT),
    "california_housing": Case("r2", 0.0, 0.65, HOUSING),
    "names18": Case("accuracy", 0.519, 0.74, NAMES),
    "trec": Case("accuracy", 0.188, 0.8, QUESTIONS),
    "sign_digits": Case("accuracy", 0.1, 0.7, SIGNS),
    "japanese_vowels": Case("accuracy", 0.078, 0.93, VOWELS),
    "airline": Case("rmse", 53.725, 35.0, PASSENGERS),
    "pollution": Case("rmse", 39.290, 37.5, POLLUTION),
    "fashion_mnist": Case("accuracy", 0.095, 0.75, FASHION),
    "tiny_shakespeare": Case("perplexity", 28.150, 9.0, SHAKESPEARE),
    "sst_trees": Case("accuracy", 0.231, 0.38, TREES),
    "sst_trees_2": Case("accuracy", 0.499, 0.76, TREES.replace("test.txt}", "test.txt, labels: 2}")),
}
SLOW = ("names18", "trec", "tiny_shakespeare", "sst_trees", "sst_trees_2", "pollution")


@pytest.mark.parametrize("name", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in CASES])
def test_a_few_lines_beat_the_baseline(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric, baseline, reaches, text = CASES[name]
    assert len(text.strip().splitlines()) <= 10
    for entry in Path(FOLDER or "").iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    if name in CONVERTERS:
        CONVERTERS[name](tmp_path)
    (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    run = nnzoo.train(f"{name}.yaml", overrides={"train.device": "cpu"}, quiet=True)
    reached = run.metrics[f"test/{metric}"]
    assert run.result["baseline"][f"test/{metric}"] == pytest.approx(baseline, abs=0.001)
    assert reached < reaches if reaches < baseline else reached > reaches


def write_vowels(folder: Path) -> None:
    """Converts the utterances, one line `channel:channel:..:speaker` each with channels `x,x,..`, to padded arrays."""
    arrays = {}
    for end, part in (("", "TRAIN"), ("_test", "TEST")):
        lines = (folder / "japanese_vowels" / f"JapaneseVowels_{part}.ts").read_text().splitlines()
        rows = [line.split(":") for line in lines if line and line[0] not in "#@"]
        samples = [np.array([channel.split(",") for channel in row[:-1]], dtype=np.float32).T for row in rows]
        arrays[f"x{end}"] = np.stack([np.pad(each, ((0, 29 - len(each)), (0, 0))) for each in samples])
        arrays[f"y{end}"] = np.array([int(row[-1]) for row in rows])
        arrays[f"lengths{end}"] = np.array(list(map(len, samples)))
    np.savez(folder / "japanese_vowels.npz", allow_pickle=False, **arrays)


CONVERTERS: dict[str, Callable[[Path], None]] = {"japanese_vowels": write_vowels}
