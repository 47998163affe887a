"""Trains a config with and without each ingredient of its recipe, over several seeds, and prints a table.

.venv/bin/python scripts/ablation.py CONFIG [--set KEY=VALUE ...] [--vary "KEY=VALUE ..." ...] [--seeds 3]
    [--metric test/accuracy] [--cache FILE]

`--set` changes all trainings, such as `data.limit=15000`. Each text of `--vary` is one row: the config with these keys
changed, separated by spaces. Without `--vary`, a row switches off each of `train.ema`, `train.tta`,
`loss.label_smoothing`, `scheduler`, `augment` and `init: whitening` that the config uses. A difference is the mean over
seeds of (changed - unchanged) for the same seed. With `--cache`, finished trainings are stored, so that the same
command continues after an interruption.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import nnzoo
from nnzoo.config import Config, load_config
from nnzoo.config.loss import CrossEntropy
from nnzoo.experiment.whitening import whitening_of

Trained = dict[str, float]
"""The metric and the CPU seconds of a training."""


def main() -> None:
    """Prints one row per variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--vary", nargs="+", default=[], metavar="KEY=VALUE ...")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--metric", default="test/accuracy")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    changes = [vary.split() for vary in arguments.vary] or switched_off(load_config(arguments.config, arguments.set))
    known: dict[str, Trained] = {}
    if arguments.cache and arguments.cache.is_file():
        known = json.loads(arguments.cache.read_text())
    print(f"| changed | {arguments.metric} | difference | CPU seconds |\n| --- | --- | --- | --- |", flush=True)
    unchanged: list[float] = []
    for change in [[], *changes]:
        results = []
        for seed in range(arguments.seeds):
            overrides = [*arguments.set, *change, f"seed={seed}"]
            key = " ".join([arguments.config, *overrides])
            if key not in known:
                known[key] = trained(arguments.config, overrides, arguments.metric)
                if arguments.cache:
                    arguments.cache.write_text(json.dumps(known, indent=1))
            results.append(known[key])
        values = [result["value"] for result in results]
        unchanged = unchanged or values
        differences = [value - before for value, before in zip(values, unchanged, strict=True)]
        shown = "" if not change else f"{statistics.mean(differences):+.4f} ± {spread(differences):.4f}"
        seconds = statistics.mean(result["seconds"] for result in results)
        name = f"`{' '.join(change)}`" if change else "nothing"
        print(
            f"| {name} | {statistics.mean(values):.4f} ± {spread(values):.4f} | {shown} | {seconds:.0f} |", flush=True
        )


def switched_off(config: Config) -> list[list[str]]:
    """Returns the change that switches off each ingredient that a config uses."""
    smoothed = isinstance(config.loss, CrossEntropy) and config.loss.label_smoothing > 0
    used = {
        "augment=[]": bool(config.augment),
        "scheduler=constant": config.scheduler.name != "constant",
        "loss.label_smoothing=0": smoothed,
        "train.ema=null": config.train.ema is not None,
        "train.tta=null": config.train.tta is not None,
        "model.blocks.0.conv.init=auto": whitening_of(config) is not None,
    }
    return [[change] for change, is_used in used.items() if is_used]


def trained(config: str, overrides: list[str], metric: str) -> Trained:
    """Trains once, and returns the metric and the CPU seconds of the process."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as runs_dir:
        run: Any = nnzoo.train(config, overrides=overrides, runs_dir=runs_dir, quiet=True)
    return {"value": run.metrics[metric], "seconds": time.process_time() - start}


def spread(values: list[float]) -> float:
    """Returns the standard deviation over seeds; 0 for a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
