"""Measures networks for tables beside a linear model and gradient boosting: the first table of docs/tables.md.

.venv/bin/python scripts/table_bars.py [--data FOLDER] [--seeds 3] [--splits 10] [--results FILE]

FOLDER has the subfolders `adult`, `california_housing` and `titanic`; the default is NNZOO_DATA. All rows are used, and
all settings are defaults. For the two large sets, seeds change the network on the same split. titanic is small, so each
of its runs has its own split. The references are fitted on the same features and splits. Results that are already in
the file are not measured again, so a run that was stopped continues.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any

from table_ablation import REFERENCES, data_of, reference_score

import nnzoo
from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.folders import data_folder

NETWORKS = ("mlp", "tabular")
SETS = {"adult": "accuracy", "california_housing": "RMSE", "titanic": "accuracy"}
BARS = {
    ("adult", "tabular"): 0.866,
    ("adult", "mlp"): 0.857,
    ("california_housing", "tabular"): 47_000.0,
}
"""The accuracy that is expected at least, or the RMSE that is expected at most."""
SPLIT_ANEW = "titanic"
"""The set whose runs have different splits. Its bar is the accuracy of the linear model."""

Scores = dict[str, dict[str, list[float]]]


def main() -> None:
    """Measures what is missing in the file of results, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path("table_bars.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    found: Scores = json.loads(options.results.read_text()) if options.results.is_file() else {}
    for name in SETS:
        scores = found.setdefault(name, {})
        for seed in range(options.splits if name == SPLIT_ANEW else options.seeds):
            data = data_of(name, options.data, None)
            if name == SPLIT_ANEW:
                data |= {"split": {"seed": seed}}
            for model in (*REFERENCES, *NETWORKS):
                own = scores.setdefault(model, [])
                # The references do not depend on the seed.
                if len(own) == seed and (seed == 0 or name == SPLIT_ANEW or model in NETWORKS):
                    own.append(score_of(model, data, seed))
                    options.results.write_text(json.dumps(found, indent=1) + "\n")
                    print(f"{name}, {model}, seed {seed}: {own[-1]:.6g}", flush=True)
    print(table(found))


def score_of(model: str, data: dict[str, Any], seed: int) -> float:
    """Returns the accuracy or the RMSE of a model on the test split."""
    if model in REFERENCES:
        return reference_score(build_dataset(load_config({"data": data, "model": "linear"})), model)
    config = {"data": data, "model": model, "seed": seed, "train": {"probes": False, "baselines": False}}
    with tempfile.TemporaryDirectory() as runs_dir:
        metrics = nnzoo.train(config, runs_dir=runs_dir, quiet=True).metrics
    return metrics.get("test/accuracy", metrics.get("test/rmse", float("nan")))


def table(found: Scores) -> str:
    """Returns the means over the seeds as a Markdown table, with the bars below it."""
    lines = ["| | " + " | ".join(f"{name}, {metric}" for name, metric in SETS.items()) + " |"]
    lines.append("| --- |" + " --- |" * len(SETS))
    for model in (*REFERENCES, *NETWORKS):
        shown = f"`model: {model}`" if model in NETWORKS else model
        lines.append(f"| {shown} | {' | '.join(_cell(found[name][model]) for name in SETS)} |")
    return "\n".join([*lines, "", *_compared(found)])


def _cell(scores: list[float]) -> str:
    """Returns the mean, and the standard deviation if there are several runs."""
    mean = statistics.mean(scores)
    places = ".4f" if mean < 1 else ",.0f"
    return f"{mean:{places}}" + (f" ± {statistics.stdev(scores):{places}}" if len(scores) > 1 else "")


def _compared(found: Scores) -> list[str]:
    """Returns a line per bar: the mean, the bar, and whether it is reached."""
    bars = {**BARS, (SPLIT_ANEW, "tabular"): statistics.mean(found[SPLIT_ANEW][REFERENCES[0]])}
    lines = []
    for (name, model), bar in bars.items():
        mean = statistics.mean(found[name][model])
        reached = mean <= bar if SETS[name] == "RMSE" else mean >= bar
        lines.append(f"{name}, {model}: {mean:.6g}, bar {bar:.6g}: {'reached' if reached else 'missed'}")
    return lines


if __name__ == "__main__":
    main()
