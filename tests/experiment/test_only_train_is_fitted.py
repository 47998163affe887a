"""Nothing is learned from val and test: other samples there do not change the artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nnzoo
from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.run.artifact import load_artifact

N = 60
FITTED = {"normalize": "standardize", "pca": {"n_components": 2}}
Rows = np.ndarray[Any, np.dtype[np.bool_]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def draw() -> tuple[np.random.Generator, Any, Any]:
    rng = np.random.default_rng(0)
    return rng, rng.normal(size=(N, 3)), rng.integers(0, 2, N)


def csv(changed: Rows) -> dict[str, Any]:
    rng, x, y = draw()
    words = rng.choice(["red", "green"], N)
    cells = [f"{row[0]},{row[1]},{word},200{label}-01-01" for row, word, label in zip(x, words, y, strict=True)]
    cells = [
        f"{',1e9,blue,1900-05-05' if other else cell},{label}"
        for cell, label, other in zip(cells, y, changed, strict=True)
    ]
    Path("d.csv").write_text("a,b,c,d,y\n" + "\n".join(cells))
    return {"data": {"name": "csv", "path": "d.csv", "target": "y"}, "model": "linear", "preprocess": FITTED}


def regression(changed: Rows) -> dict[str, Any]:
    _, x, _ = draw()
    cells = [f"{row[0]},{row[1]},{row[2] + 50 * other}" for row, other in zip(x, changed, strict=True)]
    Path("d.csv").write_text("a,b,y\n" + "\n".join(cells))
    return {"data": {"name": "csv", "path": "d.csv", "target": "y"}, "model": "linear"}


def text(changed: Rows) -> dict[str, Any]:
    rng, _, y = draw()
    words = rng.choice(["a", "b", "c"], (N, 4))
    cells = [
        f"{'unheard of ' * 9 if other else ' '.join(row)},{label}"
        for row, label, other in zip(words, y, changed, strict=True)
    ]
    Path("d.csv").write_text("text,y\n" + "\n".join(cells))
    return {"data": {"name": "text", "path": "d.csv", "target": "y"}, "model": {"name": "gru", "hidden_size": 3}}


def series(changed: Rows) -> dict[str, Any]:
    _, x, _ = draw()
    cells = [f"{row[0] + 50 * other},{'new' if other else 'old'}" for row, other in zip(x, changed, strict=True)]
    Path("d.csv").write_text("y,c\n" + "\n".join(cells))
    data = {"name": "series", "path": "d.csv", "target": "y", "categorical": "c", "window": 2}
    return {"data": data, "model": "linear", "preprocess": {"normalize": "minmax"}}


def arrays(changed: Rows) -> dict[str, Any]:
    _, x, y = draw()
    x[changed] *= 100
    np.savez("d.npz", x=x, y=y)
    return {"data": {"name": "arrays", "path": "d.npz"}, "model": "linear", "preprocess": FITTED}


def image_folder(changed: Rows) -> dict[str, Any]:
    rng, _, y = draw()
    pixels = rng.integers(0, 255, (N, 4, 4), dtype=np.uint8)
    pixels[changed] //= 9
    for index, row in enumerate(sorted(range(N), key=lambda row: y[row])):
        path = Path(f"photos/{y[row]}/{index:02}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(path)
    return {
        "data": {"name": "image_folder", "path": "photos"},
        "model": "linear",
        "preprocess": {**FITTED, "zca": False},
    }


def number_of(name: str) -> int:
    """Returns the index in `d.csv: line 7`, after a header, or in `photos/a/7.png`."""
    _, is_line, line = name.partition(": line ")
    return int(line) - 2 if is_line else int(Path(name).stem)


@pytest.mark.parametrize("write", [csv, regression, text, series, arrays, image_folder])
def test_other_samples_in_val_and_test_do_not_change_the_artifact(write: Any) -> None:
    changed = np.zeros(N, dtype=np.bool_)
    # One epoch, so that val does not select weights.
    config = {**write(changed), "name": "r", "train": {"epochs": 1}}
    dataset = build_dataset(load_config(config))
    for name in ("val", "test"):
        rows = dataset.splits[name].rows
        assert rows is not None
        if dataset.sample_names:
            rows = torch.tensor([number_of(dataset.sample_names[row]) for row in rows.tolist()])
        changed[rows.numpy()] = True
    assert 0.2 * N < changed.sum() < 0.4 * N
    artifacts, metrics = [], []
    for _ in range(2):
        metrics.append(nnzoo.train(config, overwrite=True, quiet=True).metrics)
        artifacts.append(load_artifact(Path("runs/r/best.safetensors")))
        write(changed)
    first, second = artifacts
    for key in ("weights", "preprocess"):
        tensors, again = getattr(first, key), getattr(second, key)
        assert tensors.keys() == again.keys()
        assert all(torch.equal(tensor, again[name]) for name, tensor in tensors.items())
    depend = ("metrics", "data_digests")  # on val and test
    digests = [each.metadata["data_digests"]["train"] for each in artifacts]
    assert digests[0] == digests[1]
    fitted = [{key: value for key, value in each.metadata.items() if key not in depend} for each in artifacts]
    assert fitted[0] == fitted[1]
    assert metrics[0]["train/loss"] == metrics[1]["train/loss"]
    assert metrics[0]["val/loss"] != metrics[1]["val/loss"]
    assert metrics[0]["test/loss"] != metrics[1]["test/loss"]
