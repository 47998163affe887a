"""Measures every shipped config over several seeds and prints the table that README.md and the configs' headers quote.

.venv/bin/python scripts/recipes.py [NAME ...] [--seeds 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile

import nnzoo
from nnzoo.config.shipped import shipped_configs

SHOWN = ("test/accuracy", "test/rmse", "train/accuracy")


def main() -> None:
    """Prints a row a config: median and range of its first metric, baseline, epochs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(shipped_configs()))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print("| config | metric | median (range) | baseline | epochs |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as runs_dir:
        for name in arguments.names:
            results = [
                nnzoo.train(name, overrides={"seed": seed}, runs_dir=runs_dir, quiet=True).result
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
