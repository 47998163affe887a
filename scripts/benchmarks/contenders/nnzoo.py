"""The command `nnzoo train` with its defaults, on the arrays of a job."""

import json
from pathlib import Path

from benchmarks.commands import train
from benchmarks.laps import Epoch
from benchmarks.workloads import LEARNING_RATE, NETWORKS, Job


def turn(job: Job, epochs: int, overrides: list[str], folder: Path) -> list[Epoch]:
    """Returns all epochs of a process except the first, with the seconds of metrics.csv, validation included."""
    config = folder / "job.yaml"
    section = {
        "data": {"name": "arrays", "path": str(job.data), "split": {"test": 0}},
        "model": NETWORKS[job.network].section,
        "optimizer": {"name": "adam", "lr": LEARNING_RATE},
        # Early stopping is on, but never stops.
        "train": {
            "epochs": 1 + epochs,
            "batch_size": job.batch_size or "full",
            "early_stopping": {"patience": 1000},
            "device": job.device,
        },
    }
    config.write_text(json.dumps(section), encoding="utf-8")
    rows = train(config, overrides, folder).rows
    return [Epoch(row["seconds"], row["val/accuracy"]) for row in rows[1:]]
