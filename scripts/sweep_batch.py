"""Measures sweeps whose trials are trained in batches against the same sweeps with one trial after another.

    PYTHONPATH=. .venv/bin/python scripts/sweep_batch.py FOLDER

Prints the table of docs/sweep.md: processor time, the best value, and the values of the best trials. Sweeps that have
finished in the folder are not run again. Processor time is measured, since other processes use the machine, too.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

SPACE = ("optimizer.lr=log(1e-5,1)", "optimizer.weight_decay=log(1e-5,1)", "model.dropout=uniform(0,0.6)")
OPTIONS = ("train.epochs=30", "train.early_stopping=null", "train.num_threads=1", "--trials", "32", "--no-prune")
BEST = 5


def seconds_of(arguments: list[str]) -> float:
    """Returns the processor time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "nnzoo", *arguments], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path, method: str, how: str) -> dict[str, Any]:
    """Runs a sweep, and returns its result with its processor time."""
    file = folder / f"{method}-{how}.json"
    if not file.is_file():
        own = ["--method", method, f"--{how}", "--name", f"{method}-{how}", "--runs-dir", str(folder), "-q"]
        seconds = seconds_of(["sweep", "digits_mlp", *SPACE, *OPTIONS, *own])
        result = json.loads((folder / f"{method}-{how}" / "result.json").read_text())
        file.write_text(json.dumps({**result, "cpu_seconds": seconds}))
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    fixed = seconds_of(["sweep", "xor_mlp", "optimizer.lr=0.1,0.2", "train.epochs=1", "--runs-dir", str(folder), "-q"])
    print(f"processor time of a sweep of two tiny trials: {fixed:.1f} s")
    print(f"| method | trials | processor time | best val/loss | learning rates of the best {BEST} |")
    print("| --- | --- | --- | --- | --- |")
    for method in ("random", "tpe"):
        for how, title in (("batch", "in batches"), ("no-batch", "one after another")):
            result = measure(folder, method, how)
            trials = [trial for trial in result["trials"] if trial["value"] is not None]
            best = sorted(trials, key=lambda trial: trial["value"])[:BEST]
            rates = [trial["values"]["optimizer.lr"] for trial in best]
            middle = math.exp(sum(map(math.log, rates)) / len(rates))
            print(
                f"| {method} | {title} | {result['cpu_seconds']:.0f} s | {best[0]['value']:.4f} | "
                f"{min(rates):.2g} to {max(rates):.2g}, mean {middle:.2g} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
