"""nnzoo by its own command line, with everything that is on by default: `nnzoo train` on the arrays of a job."""

import json
from pathlib import Path

from benchmarks.commands import train
from benchmarks.laps import Epoch
from benchmarks.workloads import LEARNING_RATE, NETWORKS, Job


def turn(job: Job, epochs: int, overrides: list[str], folder: Path) -> list[Epoch]:
    """The epochs of a process but for its first: seconds of metrics.csv, which validation is part of."""
    config = folder / "job.yaml"
    section = {
        "data": {"name": "arrays", "path": str(job.data), "split": {"test": 0}},
        "model": NETWORKS[job.network].section,
        "optimizer": {"name": "adam", "lr": LEARNING_RATE},
        # Early stopping watches, and is not to stop it.
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
