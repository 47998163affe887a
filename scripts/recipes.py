"""Measures every shipped config over several seeds and prints the table of docs/results.md.

.venv/bin/python scripts/recipes.py [NAME ...] [--seeds 5] [--data FOLDER]

Configs with downloaded data sets are measured only if they are named, or with --data: a folder with one subfolder per
set.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile

import nnzoo
from nnzoo.config import load_config
from nnzoo.config.data import TorchvisionSet
from nnzoo.config.shipped import shipped_configs

BY_HAND = ("backpropagation", "one_unit")
"""Calculations of single steps, which have no score. They are measured only if they are named."""
SHOWN = ("test/accuracy", "test/rmse", "train/accuracy", "train/loss")


def main() -> None:
    """Prints one row per config: median and range of its main metric, baseline, epochs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data")
    arguments = parser.parse_args()
    names = arguments.names or [name for name in shipped_configs() if name not in BY_HAND]
    sections = {name: load_config(name).data for name in names}
    roots = {
        name: {"data.root": f"{arguments.data}/{section.name}"} if arguments.data else {}
        for name, section in sections.items()
        if isinstance(section, TorchvisionSet)
    }
    print("| config | metric | median (range) | baseline | epochs |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as runs_dir:
        for name in sections:
            if name in roots and not (arguments.names or arguments.data):
                continue
            results = [
                nnzoo.train(name, overrides={"seed": seed, **roots.get(name, {})}, runs_dir=runs_dir, quiet=True).result
                for seed in range(arguments.seeds)
            ]
            metric = next(metric for metric in SHOWN if metric in results[0]["metrics"])
            values = [result["metrics"][metric] for result in results]
            epochs = statistics.median(result["epochs"] for result in results)
            baseline = results[0]["baseline"].get(metric, float("nan"))
            print(
                f"| `{name}` | {metric} | {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f}) "
                f"| {baseline:.3f} | {epochs:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
