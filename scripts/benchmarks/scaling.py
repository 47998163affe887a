"""Time per sample as the data grows, which should stay constant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.commands import train
from benchmarks.workloads import write_samples

FEATURES = 30
SIZES = (10_000, 100_000, 1_000_000)
BATCH_SIZE = 256
MIN_SAMPLES = 200_000
"""Minimum number of samples to train on per size, over all epochs, so that small sizes take measurable time."""


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Measures microseconds per training sample, by number of samples; the best round, because noise only adds time."""
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        for size in SIZES:
            data = folder / f"{size}.npz"
            if number == 0:
                write_samples(data, (FEATURES,), size, size // 10)
            config = folder / f"{size}.yaml"
            epochs = 1 + max(2, MIN_SAMPLES // size)
            section = {
                "data": {"name": "arrays", "path": str(data), "split": {"test": 0}},
                "model": {"name": "mlp", "hidden": [64, 32]},
                "train": {"epochs": epochs, "batch_size": BATCH_SIZE, "early_stopping": None, "device": "cpu"},
            }
            config.write_text(json.dumps(section), encoding="utf-8")
            seconds = train(config, [], folder).epoch_seconds
            found.setdefault(str(size), []).append(1e6 * seconds / size)
    return {"microseconds": found, "best": {size: min(values) for size, values in found.items()}}
