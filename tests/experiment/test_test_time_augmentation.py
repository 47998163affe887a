"""`train.tta`: validation, result.json, eval, predict and the page average the outputs of images and mirror images."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import nnzoo
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.experiment.train.finished import Run

CNN: dict[str, Any] = {"name": "cnn", "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3, "batch_norm": True}}]}


def images() -> dict[str, Any]:
    """Images whose class is the quadrant with a bright spot, so that a mirror image has a different class."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 4, 90)
    x = draw.random((90, 1, 6, 6), dtype=np.float32)
    x[np.arange(90), 0, 1 + 3 * (y // 2), 1 + 3 * (y % 2)] += 2
    parts = {"": slice(60), "_val": slice(60, 75), "_test": slice(75, 90)}
    return {f"{name}{part}": array[rows] for part, rows in parts.items() for name, array in (("x", x), ("y", y))}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config: dict[str, Any] = {
        "model": CNN,
        "optimizer": {"name": "adamw", "lr": 0.01},
        "train": {"epochs": 3, "batch_size": 16, "tta": "horizontal_flip", "early_stopping": None},
    }
    return nnzoo.train(config, data=images(), runs_dir=tmp_path_factory.mktemp("runs"), quiet=True)


def both(run: Run, images: Any) -> tuple[Tensor, Tensor]:
    """Returns the outputs of the network for images, and the average with those of their mirror images."""
    prepared = run.model.preprocess(torch.from_numpy(images))
    with torch.inference_mode():
        once, mirrored = run.model.module(prepared), run.model.module(prepared.flip(3))
    return once, (once + mirrored) / 2


def test_predict_averages_the_outputs_of_both(run: Run) -> None:
    x = images()["x_test"]
    once, average = both(run, x)
    torch.testing.assert_close(run.model.outputs(x), average)
    np.testing.assert_allclose(run.model.predict_proba(x), average.softmax(1), rtol=1e-5)
    assert (once - average).abs().max() > 0.01


def test_every_measure_is_that_of_the_average(run: Run) -> None:
    for split in ("train", "val", "test"):
        x, y = (images()[f"{name}{'' if split == 'train' else f'_{split}'}"] for name in ("x", "y"))
        _, average = both(run, x)
        assert run.metrics[f"{split}/loss"] == pytest.approx(F.cross_entropy(average, torch.from_numpy(y)).item())
        assert run.metrics[f"{split}/accuracy"] == np.mean(average.argmax(1).numpy() == y)
    best = run.history.rows[run.result["best_epoch"] - 1]
    assert best["val/loss"] == pytest.approx(run.metrics["val/loss"], rel=1e-6)
    with (run.run_dir / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shares = [[float(row[f"probability_{name}"]) for name in run.model.classes] for row in rows]
    np.testing.assert_allclose(shares, both(run, images()["x_test"])[1].softmax(1), rtol=1e-5)


def test_eval_gives_the_measures_of_the_run(run: Run) -> None:
    again = evaluate_checkpoint(run.run_dir, training_data=run.data)
    assert again.metrics == {name: run.metrics[f"test/{name}"] for name in again.metrics}


def test_the_page_says_why_the_network_can_not_be_tried(run: Run) -> None:
    page = (run.run_dir / "report.html").read_text()
    assert "be tried in this page: with train.tta, its answers are averages" in page


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data": "iris", "model": "mlp"}, "tta: horizontal_flip mirrors images, but this data is features"),
        (
            {"data": "digits", "model": "mlp", "preprocess": {"pca": {"n_components": 4}}},
            "tta: pca turns images into components",
        ),
    ],
)
def test_other_data_is_refused(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(nnzoo.ConfigError, match=message):
        nnzoo.train(config, overrides={"train.tta": "horizontal_flip"}, runs_dir=tmp_path)
