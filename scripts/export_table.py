"""Exports a small network of every model, and prints the table of docs/export.md.

    PYTHONPATH=.:scripts .venv/bin/python scripts/export_table.py --cache FOLDER

Networks that are in the folder already are not exported again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import nnzoo
from nnzoo.errors import NnzooError
from nnzoo.export import export_network
from nnzoo.export.export import Format

CONV = [{"conv": {"out_channels": 6, "kernel_size": 3, "padding": "same", "batch_norm": True}}, {"global_pool": "avg"}]
NETWORKS: dict[str, tuple[str, Any]] = {
    "`perceptron`": ("features", "perceptron"),
    "`linear`": ("features", "linear"),
    "`linear` with `kernel: rbf`": ("features", {"name": "linear", "kernel": "rbf"}),
    "`mlp`": ("features", "mlp"),
    "`tabular`": ("features", "tabular"),
    "`cnn`, images": ("image", {"name": "cnn", "blocks": CONV}),
    "`cnn`, sequences": ("sequence", {"name": "cnn", "blocks": CONV}),
    "`cnn`, tokens": ("tokens", {"name": "cnn", "blocks": CONV}),
    "`lenet5`": ("image", "lenet5"),
    "`rnn`, sequences": ("sequence", "rnn"),
    "`rnn`, tokens, both directions": ("tokens", {"name": "rnn", "bidirectional": True}),
    "`lstm`, sequences": ("sequence", "lstm"),
    "`lstm`, tokens, both directions": ("tokens", {"name": "lstm", "bidirectional": True, "num_layers": 2}),
    "`gru`, sequences": ("sequence", "gru"),
    "`gru`, tokens, both directions": ("tokens", {"name": "gru", "bidirectional": True}),
    "`resnet20`": ("image", "resnet20"),
    "`resnet110`": ("image", "resnet110"),
    "`torchvision`, `resnet18`": ("image", {"name": "torchvision", "arch": "resnet18"}),
    "`torchvision`, `mobilenet_v3_small`": ("image", {"name": "torchvision", "arch": "mobilenet_v3_small"}),
    "`torchvision`, `vit_b_16`": ("image", {"name": "torchvision", "arch": "vit_b_16"}),
    "`alexnet`": ("large image", "alexnet"),
    "`vgg11`": ("image", "vgg11"),
}


SHAPES = {"features": (5,), "sequence": (7, 3), "tokens": (7,), "image": (3, 32, 32), "large image": (3, 64, 64)}


def main() -> None:
    """Exports the networks that are missing in the cache, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the results")
    parser.add_argument("--only", nargs="*", help="names of the networks; by default, all")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    for number, (name, (layout, model)) in enumerate(NETWORKS.items()):
        cached = options.cache / f"{number}.json"
        if not cached.exists() and (options.only is None or name.strip("`") in options.only):
            with tempfile.TemporaryDirectory() as folder:
                cached.write_text(json.dumps({"name": name, **measured(layout, model, Path(folder))}), encoding="utf-8")
    print("| model | parameters | ONNX: difference | size | `torch.export`: difference | size |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = [options.cache / f"{number}.json" for number in range(len(NETWORKS))]
    for row in (json.loads(path.read_text(encoding="utf-8")) for path in found if path.exists()):
        print(f"| {row['name']} | {row['parameters']:,} | {' | '.join(row[form] for form in ('onnx', 'torch'))} |")


def measured(layout: str, model: Any, folder: Path) -> dict[str, Any]:
    """Trains a network for two epochs, and returns its size and the two cells of each format."""
    config = {"data": data_of(layout, folder), "model": model, "train": {"epochs": 2, "batch_size": 8}}
    trained = nnzoo.train(config, runs_dir=folder, quiet=True).model
    cells: dict[str, Any] = {"parameters": sum(each.numel() for each in trained.module.parameters())}
    formats: tuple[Format, ...] = ("onnx", "torch")
    for form in formats:
        try:
            exported = export_network(trained, form=form, output=folder / f"network.{form}")
        except NnzooError as error:
            cells[form] = f"{error.message} | "
            continue
        cells[form] = f"{exported.parity.difference:.1e} | {size(next(iter(exported.files.values())))}"
    return cells


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def data_of(layout: str, folder: Path) -> dict[str, Any]:
    """Writes random samples of two classes, and returns their config section."""
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    shape = (24, *SHAPES[layout])
    x = rng.integers(0, 9, shape) if layout == "tokens" else rng.normal(size=shape).astype(np.float32)
    arrays = {"x": x, "y": y}
    if layout in ("sequence", "tokens"):
        arrays["lengths"] = rng.integers(1, 8, 24)
    np.savez(folder / "data.npz", allow_pickle=False, **arrays)
    return {"name": "arrays", "path": str(folder / "data.npz"), "layout": layout.split()[-1]}


if __name__ == "__main__":
    main()
