"""The four networks, their synthetic data, and jobs: one network at one batch size on one device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_CLASSES = 10
LEARNING_RATE = 1e-3
EVAL_NUMBERS = 2**17
"""Numbers per validation batch on the CPU, so that it stays in the cache."""
EVAL_BATCH_SIZES = (64, 4096)
EVAL_BATCH_SIZE_ON_CUDA = 1024
SCALE_OF_SINGLES = 20
"""Factor by which batch size 1 has fewer samples, because it needs far more steps."""


@dataclass(frozen=True)
class Network:
    """A network: its title in the tables, the shape of a sample, and its `model` section for nnzoo."""

    title: str
    shape: tuple[int, ...]
    section: dict[str, Any]


NETWORKS = {
    "small": Network("4-16-10", (4,), {"name": "mlp", "hidden": [16]}),
    "mlp": Network("784-256-128-10", (784,), {"name": "mlp", "hidden": [256, 128]}),
    "lenet": Network(
        "LeNet, 28x28",
        (1, 28, 28),
        {
            "name": "cnn",
            "blocks": [
                {"conv": {"out_channels": 6, "kernel_size": 5, "padding": 2}},
                {"pool": {"kind": "max", "kernel_size": 2}},
                {"conv": {"out_channels": 16, "kernel_size": 5}},
                {"pool": {"kind": "max", "kernel_size": 2}},
            ],
            "head": [120, 84],
        },
    ),
    "lstm": Network("LSTM(28, 64), 28 steps", (28, 28), {"name": "lstm", "hidden_size": 64}),
}


@dataclass(frozen=True)
class Job:
    """The job of a contender.

    Attributes:
        network: A name in `NETWORKS`.
        batch_size: The training batch size; None for a single batch of all samples.
        data: An .npz with x, y, x_val and y_val.
        device: cpu or cuda.
    """

    network: str
    batch_size: int | None
    data: Path
    device: str

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Returns `x` (N, *shape) float32, `y` (N,) int64, and `x_val` and `y_val` of the same form."""
        with np.load(self.data) as file:
            return tuple(file[name] for name in ("x", "y", "x_val", "y_val"))

    @property
    def eval_batch_size(self) -> int:
        """Returns a fast batch size for validation, the same for all contenders."""
        least, most = EVAL_BATCH_SIZES
        size = max(least, min(most, EVAL_NUMBERS // math.prod(NETWORKS[self.network].shape)))
        return max(size if self.device == "cpu" else EVAL_BATCH_SIZE_ON_CUDA, self.batch_size or 0)


def samples_at(batch_size: int | None, samples: int) -> int:
    """Returns the number of training samples per epoch at a batch size."""
    return max(1, samples // SCALE_OF_SINGLES) if batch_size == 1 else samples


def write_samples(path: Path, shape: tuple[int, ...], num_train: int, num_val: int) -> None:
    """Writes ten Gaussian classes with random centres, which each of the networks learns in a few epochs."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((NUM_CLASSES, *shape), dtype=np.float32) * (
        4 / np.sqrt(np.prod(shape), dtype=np.float32)
    )
    y = rng.integers(NUM_CLASSES, size=num_train + num_val)
    x = centres[y] + rng.standard_normal((len(y), *shape), dtype=np.float32)
    np.savez(path, x=x[:num_train], y=y[:num_train], x_val=x[num_train:], y_val=y[num_train:])
