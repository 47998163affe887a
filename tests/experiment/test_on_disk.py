"""Data that stays on the disk: the same results as from memory, to the last bit, with constant memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.doctor import examine, samples
from nnzoo.errors import DataError, InterruptedRunError
from nnzoo.training import checkpoints
from nnzoo.training.batches import reading

RNG = np.random.default_rng(0)
NUM = 150
FEATURES = RNG.normal(2, 3, (NUM, 6))
STEPS = RNG.normal(2, 3, (NUM, 5, 2)).astype("f4")
TOKENS = RNG.integers(0, 9, (NUM, 5))
IMAGES = RNG.integers(0, 256, (NUM, 1, 6, 6), dtype="u1")
LENGTHS = RNG.integers(1, 6, NUM)
TWO = (FEATURES[:, 0] > 2).astype(int)

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "features": ({"x": FEATURES, "y": TWO}, {}),
    "regression": ({"x": FEATURES, "y": FEATURES[:, :2] * 3}, {"preprocess": {"scale_target": True}}),
    "pca": ({"x": FEATURES, "y": TWO}, {"preprocess": {"pca": {"n_components": 3}}}),
    "given splits": ({"x": FEATURES, "y": TWO, "x_test": FEATURES[:9], "y_test": TWO[:9]}, {}),
    "accumulated": ({"x": FEATURES, "y": TWO}, {"train.accumulate_grad_batches": 3}),
    "full batch": ({"x": FEATURES, "y": TWO}, {"train.batch_size": "full"}),
    "restarts": ({"x": FEATURES, "y": TWO}, {"train.restarts": 2}),
    "steps": ({"x": STEPS, "y": TWO, "lengths": LENGTHS}, {"model": {"name": "gru", "hidden_size": 4}}),
    "steps flattened": ({"x": STEPS, "y": TWO, "lengths": LENGTHS}, {}),
    "a class a step": ({"x": TOKENS, "y": TOKENS % 3}, {"model": {"name": "gru", "hidden_size": 4, "pooling": "none"}}),
    "augmented images": (
        {"x": (IMAGES / 255).astype("f4"), "y": TWO},
        {
            "augment": ["horizontal_flip"],
            "model": {"name": "cnn", "blocks": [{"conv": {"out_channels": 3, "kernel_size": 3}}]},
        },
    ),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checkpoints, "MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1500)  # several blocks per epoch


def save(**found: Any) -> None:
    Path("d").mkdir()
    for name, array in found.items():
        np.save(f"d/{name}.npy", array)


def train(cache: str, changes: dict[str, Any] | None = None, **options: Any) -> Path:
    config = {
        "name": "x",
        "data": {"name": "arrays", "path": "d"},
        "model": {"name": "mlp", "hidden": [8], "dropout": 0.2},
        "train": {"epochs": 3, "batch_size": 16},
    }
    overrides = {"data.cache": cache, **(changes or {})}
    return nnzoo.train(config, overrides=overrides, runs_dir=cache, quiet=True, **options).run_dir


def same(first: Path, second: Path) -> None:
    for name in ("best.safetensors", "predictions.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    tables = [
        [line.rsplit(",", 1)[0] for line in (run / "metrics.csv").read_text().splitlines()] for run in (first, second)
    ]
    assert tables[0] == tables[1]
    results = [json.loads((run / "result.json").read_text()) for run in (first, second)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["baseline"] == results[1]["baseline"]


@pytest.mark.parametrize("case", CASES)
def test_training_from_the_disk_equals_training_from_memory(case: str) -> None:
    found, changes = CASES[case]
    save(**found)
    runs = [train(cache, changes) for cache in ("memory", "disk")]
    same(*runs)
    assert "cache: disk" in (runs[1] / "config.yaml").read_text()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nnzoo-read")]


@pytest.mark.parametrize("step", [1, 4, 9])
def test_a_run_interrupted_inside_an_epoch_is_resumed(step: int, at_step: Callable[..., None]) -> None:
    save(**CASES["features"][0])
    uninterrupted = train("memory")
    at_step(step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("disk")
    same(uninterrupted, train("disk", resume=True))


def test_a_run_is_resumed_after_its_data_has_moved(at_step: Callable[..., None]) -> None:
    save(**CASES["features"][0])
    uninterrupted = train("memory")
    at_step(4, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(InterruptedRunError):
        train("disk")
    same(uninterrupted, train("disk", {"data.cache": "memory"}, resume=True))


def test_eval_repeats_the_metrics_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    save(**CASES["features"][0])
    metrics = json.loads((train("disk") / "result.json").read_text())["metrics"]
    for split in ("train", "test"):
        assert command(["eval", "disk/x", "--split", split, "--json"]) == 0
        measured = json.loads(capsys.readouterr().out)["metrics"]
        assert {f"{split}/{name}": value for name, value in measured.items()}.items() <= metrics.items()


def test_a_file_truncated_during_training_is_a_one_line_error(
    at_step: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    save(**CASES["features"][0])
    Path("c.yaml").write_text("data: {name: arrays, path: d, cache: disk}\nmodel: mlp\ntrain: {batch_size: 4}\n")
    at_step(30, lambda: os.truncate("d/x.npy", 500))
    assert command(["train", "c.yaml", "-q"]) == 3
    error = capsys.readouterr().err
    assert "x.npy: changed while it was being read" in error
    assert "Traceback" not in error
    assert Path("runs/c/last.safetensors").exists()
    with pytest.raises(DataError, match="damaged or incomplete"):
        nnzoo.train("c.yaml", resume=True, quiet=True)


def test_doctor_examines_a_part_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    save(**CASES["features"][0])
    Path("c.yaml").write_text("data: {name: arrays, path: d}\nmodel: mlp\n")
    kept, left = (examine("c.yaml", [f"data.cache={cache}"]).as_dict() for cache in ("memory", "disk"))
    for found in (kept, left):
        del found["data"]["chosen"], found["gate"]["cost"]  # the measured time differs
    assert kept == left
    monkeypatch.setattr(samples, "MAX_READ", 50 * 6)
    part = examine("c.yaml", ["data.cache=disk"])
    assert "examined: 50 of 106 train samples" in " ".join(each.message for each in part.findings)
    assert part.data["splits"] == kept["data"]["splits"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data() -> None:
    """Training, evaluating and predicting 400 MB of float32 needs 250 MB in addition to torch; loading needs 1.2 GB."""
    rows, columns = 500_000, 200
    Path("d").mkdir()
    x = np.lib.format.open_memmap("d/x.npy", mode="w+", dtype="f4", shape=(rows, columns))
    for start in range(0, rows, 10_000):
        x[start : start + 10_000] = RNG.standard_normal((10_000, columns), dtype="f4")
    np.save("d/y.npy", (np.asarray(x[:, 0]) > 0).astype("i8"))
    del x
    Path("c.yaml").write_text(
        "data: {name: arrays, path: d, cache: disk, split: {val: 0.02, test: 0.02}}\nmodel: {name: mlp, hidden: [16]}\n"
        "train: {epochs: 1, batch_size: 1024}\n"
    )
    program = """
import resource, torch
weight = torch.nn.Parameter(torch.ones(2))
weight.sum().backward()
torch.optim.AdamW([weight]).step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from nnzoo.cli.app import run
assert run(["train", "c.yaml", "-q"]) == 0
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) < 250
