"""Memory of training on Fashion-MNIST, and on a folder of .npy files, which may be larger than memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.commands import Finished, one_step, train
from benchmarks.pipeline import FILES, unpack

FEATURES = 1024
CHUNK = 16_384
"""Number of samples per write: 64 MB."""
PART = 0.1
"""Fraction of the large folder that is trained on in memory, for comparison."""


def measure_images(images: Path, folder: Path) -> dict[str, Any]:
    """Measures the peak memory of `nnzoo train` on Fashion-MNIST above that of one step, relative to the data size."""
    unpack(images, folder / "raw")
    raw = sum((folder / "raw" / name).stat().st_size for name in FILES)
    overrides = [f"data.root={json.dumps(str(images))}", "data.download=false", "train.epochs=2", "train.device=cpu"]
    trained = train("fashion_mnist_mlp", overrides, folder)
    baseline = one_step().peak_bytes
    above = trained.peak_bytes - baseline
    return {
        "raw_bytes": raw,
        "baseline_bytes": baseline,
        "peak_bytes": trained.peak_bytes,
        "multiple": above / raw,
    }


def measure_large(gigabytes: float, folder: Path) -> dict[str, Any]:
    """Measures memory and throughput on a folder of .npy files, and on a tenth of it in memory."""
    samples = int(gigabytes * 1e9 / (4 * FEATURES))
    large, part = folder / "large", folder / "part.npz"
    large.mkdir()
    _write(large, samples)
    few = max(1, int(PART * samples))
    files = {name: np.load(large / f"{name}.npy", mmap_mode="r") for name in ("x", "y", "x_val", "y_val")}
    counts = {name: _val_count(few) if "val" in name else few for name in files}
    np.savez(part, **{name: array[: counts[name]] for name, array in files.items()})
    del files
    of_part, of_all = _train(part, "memory", folder), _train(large, "disk", folder)
    throughputs = {"memory": few / of_part.epoch_seconds, "folder": samples / of_all.epoch_seconds}
    return {
        "bytes": 4 * FEATURES * samples,
        "baseline_bytes": one_step().peak_bytes,
        "peak_bytes": of_all.peak_bytes,
        "anonymous_bytes": of_all.anonymous_bytes,
        "samples_a_second": throughputs,
        "ratio": throughputs["folder"] / throughputs["memory"],
    }


def _train(data: Path, cache: str, folder: Path) -> Finished:
    config = folder / "large.yaml"
    section = {
        "data": {"name": "arrays", "path": str(data), "cache": cache, "split": {"test": 0}},
        "preprocess": {"normalize": "none"},
        "model": {"name": "mlp", "hidden": [256, 128]},
        "train": {"epochs": 2, "batch_size": 64, "early_stopping": None, "device": "cpu"},
    }
    config.write_text(json.dumps(section), encoding="utf-8")
    return train(config, [], folder)


def _val_count(samples: int) -> int:
    return max(1, samples // 100)


def _write(folder: Path, samples: int) -> None:
    """Writes two Gaussian classes chunk by chunk. Memory maps are closed in between, so that their pages are freed."""
    rng = np.random.default_rng(0)
    for suffix, count in (("", samples), ("_val", _val_count(samples))):
        shapes = {"x": ((count, FEATURES), np.float32), "y": ((count,), np.int64)}
        for name, (shape, kind) in shapes.items():
            np.lib.format.open_memmap(folder / f"{name}{suffix}.npy", mode="w+", dtype=kind, shape=shape)
        for start in range(0, count, CHUNK):
            x = np.lib.format.open_memmap(folder / f"x{suffix}.npy", mode="r+")
            y = np.lib.format.open_memmap(folder / f"y{suffix}.npy", mode="r+")
            rows = slice(start, min(start + CHUNK, count))
            labels = rng.integers(2, size=rows.stop - rows.start)
            y[rows] = labels
            x[rows] = rng.standard_normal((len(labels), FEATURES), dtype=np.float32) + 0.1 * labels[:, None]
