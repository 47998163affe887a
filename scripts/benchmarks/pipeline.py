"""Compares an epoch of LeNet on Fashion-MNIST in the usual pipeline of torchvision and in `nnzoo train`.

The pipeline is that of most tutorials: Pillow images, ToTensor, Normalize and a DataLoader, without workers, and with
one worker per core. Both train on all 60,000 images without validation.
"""

from __future__ import annotations

import gzip
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.commands import CommandError, train
from benchmarks.workloads import NETWORKS

FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
WARM_EPOCHS = 1
BATCH_SIZE = 64

USUAL = """
import sys, time, torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import FashionMNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from benchmarks.networks import build_network

root, workers, batch_size, epochs = sys.argv[1], *map(int, sys.argv[2:])
images = FashionMNIST(root, transform=Compose([ToTensor(), Normalize((0.286,), (0.353,))]))
loader = DataLoader(images, batch_size=batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
model = build_network("lenet")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
for epoch in range(epochs):
    start = time.perf_counter()
    for x, y in loader:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    print(time.perf_counter() - start)
"""


def has_files(folder: Path) -> bool:
    """Returns whether the four files exist, gzipped or not."""
    return all((folder / name).exists() or (folder / f"{name}.gz").exists() for name in FILES)


def measure(images: Path, rounds: int, cores: int, folder: Path) -> dict[str, Any]:
    """Measures the seconds of each warm epoch, by contender."""
    unpack(images, folder / "FashionMNIST" / "raw")
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for workers in (0, cores):
            seconds.setdefault(f"torchvision, {workers} workers", []).append(_usual(folder, workers))
        seconds.setdefault("nnzoo", []).append(_nnzoo(images, folder))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {name: medians[name] / medians["nnzoo"] for name in medians}
    return {"seconds": seconds, "medians": medians, "ratios": ratios}


def _usual(folder: Path, workers: int) -> float:
    arguments = [str(folder), str(workers), str(BATCH_SIZE), str(1 + WARM_EPOCHS)]
    scripts = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(scripts)!r})\n{USUAL}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"the pipeline of torchvision failed: {done.stderr.strip()}")
    return statistics.median(float(line) for line in done.stdout.splitlines()[1:])


def _nnzoo(images: Path, folder: Path) -> float:
    config = folder / "lenet.yaml"
    section = {
        "data": {"name": "fashion_mnist", "root": str(images), "download": False, "split": {"val": 0}},
        "model": NETWORKS["lenet"].section,
        "optimizer": {"name": "adam", "lr": 1e-3},
        "train": {"epochs": 1 + WARM_EPOCHS, "batch_size": BATCH_SIZE, "device": "cpu"},
    }
    config.write_text(json.dumps(section), encoding="utf-8")
    return train(config, [], folder).epoch_seconds


def unpack(images: Path, target: Path) -> None:
    """Writes the uncompressed files, as torchvision expects them."""
    target.mkdir(parents=True)
    for name in FILES:
        plain = images / name
        if plain.exists():
            shutil.copy(plain, target)
        else:
            (target / name).write_bytes(gzip.decompress((images / f"{name}.gz").read_bytes()))
