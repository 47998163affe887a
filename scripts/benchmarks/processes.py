"""Wall time of entire processes, from start to result."""

from __future__ import annotations

import csv
import random
import statistics
from pathlib import Path
from typing import Any

from benchmarks.commands import one_step, train

ROWS, COLUMNS, CATEGORIES = 30_000, 8, ("red", "green", "blue", "grey")


def measure(table: Path | None, rounds: int, folder: Path) -> dict[str, Any]:
    """Measures the seconds of each process, in turns.

    Args:
        table: A config whose data is a CSV; None for a synthetic table with 30,000 rows, 8 numbers and 4 categories.
        rounds: The number of turns.
        folder: The folder for temporary files.
    """
    config = table or write_table(folder)
    seconds: dict[str, list[float]] = {"one step": [], "digits": [], "table": []}
    for _ in range(rounds):
        seconds["one step"].append(one_step().seconds)
        seconds["digits"].append(train("digits_mlp", ["train.epochs=20"], folder).seconds)
        seconds["table"].append(train(config, ["train.epochs=3"], folder).seconds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {"seconds": seconds, "medians": medians, "table": table.name if table else f"{ROWS:,} synthetic rows"}


def write_table(folder: Path) -> Path:
    """Writes a CSV with numbers, categories and two classes, and its config; returns the config."""
    rng = random.Random(0)
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"number{i}" for i in range(COLUMNS)), *(f"kind{i}" for i in range(4)), "answer"])
        for _ in range(ROWS):
            numbers = [round(rng.gauss(0, 1), 4) for _ in range(COLUMNS)]
            kinds = [rng.choice(CATEGORIES) for _ in range(4)]
            writer.writerow([*numbers, *kinds, "yes" if sum(numbers) + (kinds[0] == "red") > 0 else "no"])
    config = folder / "table.yaml"
    config.write_text(
        "data: {name: csv, path: table.csv, target: answer}\n"
        "model: {name: mlp, hidden: [32]}\n"
        "train: {batch_size: 256}\n",
        encoding="utf-8",
    )
    return config
