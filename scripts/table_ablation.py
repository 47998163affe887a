"""Measures what each ingredient of `model: tabular` contributes, and prints the table of docs/tables.md.

.venv/bin/python scripts/table_ablation.py FOLDER [--limit 3000] [--seeds 3] [--results docs/table_ablation.json]

FOLDER has one subfolder per data set, as for the tests of real data. With `--limit`, only the first rows of each file
are used. Results that are already in the file are not measured again, so a run that was stopped continues.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, patch

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnzoo
from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.data import CsvReader, Dataset

CENSUS = [
    *("age", "work", "weight", "education", "years", "marital", "job", "relation"),
    *("race", "sex", "gain", "loss", "hours", "country", "income"),
]
SETS: dict[str, Any] = {
    "adult": {
        "name": "csv",
        "path": "adult/adult-train.csv",
        "test_path": "adult/adult-test.csv",
        "names": CENSUS,
        "target": "income",
        "replace": {"<=50K.": "<=50K", ">50K.": ">50K"},
    },
    "california_housing": {
        "name": "csv",
        "path": "california_housing/housing.csv",
        "target": "median_house_value",
    },
    "titanic": {"name": "csv", "path": "titanic/train.csv", "target": "Survived"},
    "breast_cancer": "breast_cancer",
    "wine": "wine",
    "diabetes": "diabetes",
}
PLAIN = {"name": "tabular", "numbers": None, "ensemble": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "`mlp`, categories standardized": {"model": "mlp"},
    "`mlp`": {"model": "mlp"},
    "`tabular`, `numbers: null, ensemble: 1`": {"model": PLAIN},
    "+ `numbers: periodic`": {"model": {**PLAIN, "numbers": "periodic"}},
    "+ `numbers: piecewise_linear`": {"model": {**PLAIN, "numbers": "piecewise_linear"}},
    "+ `ensemble: 8`": {"model": {**PLAIN, "ensemble": 8}},
    "`tabular`: both": {"model": "tabular"},
    "`tabular`, `normalize: quantile`": {"model": "tabular", "preprocess": {"normalize": "quantile"}},
    "`tabular`, `normalize: robust`": {"model": "tabular", "preprocess": {"normalize": "robust"}},
}
STANDARDIZED = "`mlp`, categories standardized"
REFERENCES = ("linear or logistic regression", "`HistGradientBoosting`")


def main() -> None:
    """Measures what is missing in the file of results, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--variants", nargs="*", type=int, help="numbers of variants, from 0; default: all")
    parser.add_argument("--results", type=Path, default=Path("table_ablation.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    found: dict[str, dict[str, list[float]]] = (
        json.loads(options.results.read_text()) if options.results.is_file() else {}
    )
    names = list(VARIANTS) if options.variants is None else [list(VARIANTS)[each] for each in options.variants]
    for seed in range(options.seeds):
        for name in options.sets:
            scores = found.setdefault(name, {})
            for variant in (*(REFERENCES if seed == 0 else ()), *names):
                own = scores.setdefault(variant, [])
                if len(own) == seed:
                    own.append(measure(data_of(name, options.folder, options.limit), variant, seed))
                    options.results.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found, options.sets))


def data_of(name: str, folder: Path, limit: int | None) -> Any:
    """Returns the data section of a set."""
    section = SETS[name]
    if not isinstance(section, dict):
        return section
    paths = {key: str(folder / section[key]) for key in ("path", "test_path") if key in section}
    return {**section, **paths, "limit": limit}


def measure(data: Any, variant: str, seed: int) -> float:
    """Returns the accuracy or the RMSE of a variant on the test split."""
    if variant in REFERENCES:
        return reference_score(build_dataset(load_config({"data": data, "model": "linear"})), variant)
    config = {"data": data, "seed": seed, "train": {"probes": False}, **VARIANTS[variant]}
    standardized = patch.object(CsvReader, "one_hot", PropertyMock(return_value=()))
    with tempfile.TemporaryDirectory() as runs_dir:
        if variant == STANDARDIZED:
            with standardized:
                metrics = nnzoo.train(config, runs_dir=runs_dir, quiet=True).metrics
        else:
            metrics = nnzoo.train(config, runs_dir=runs_dir, quiet=True).metrics
    return metrics["test/accuracy"] if "test/accuracy" in metrics else metrics["test/rmse"]


def reference_score(dataset: Dataset, name: str) -> float:
    """Returns the score of a model of scikit-learn on the same features and split."""
    is_class, boosted = dataset.task == "classification", name != REFERENCES[0]
    if boosted:
        kind = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
        model = kind(random_state=0)
    else:
        last = LogisticRegression(max_iter=2000) if is_class else LinearRegression()
        model = make_pipeline(StandardScaler(), last)
    (x, y), (new, truth) = (
        (dataset.splits[split].inputs.double().numpy(), dataset.splits[split].targets.numpy().ravel())
        for split in ("train", "test")
    )
    answers = model.fit(x, y).predict(new)
    return float((answers == truth).mean()) if is_class else math.sqrt(np.square(answers - truth).mean())


def table(found: dict[str, dict[str, list[float]]], sets: list[str]) -> str:
    """Returns the means over the seeds as a Markdown table."""
    lines = [f"| | {' | '.join(sets)} |", f"| --- |{' --- |' * len(sets)}"]
    for variant in (*REFERENCES, *VARIANTS):
        cells = [_cell(found[name].get(variant, [])) for name in sets]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(scores: list[float]) -> str:
    if not scores:
        return ""
    mean = statistics.mean(scores)
    return f"{mean:.4f}" if mean < 1 else f"{mean:,.0f}" if mean > 1000 else f"{mean:.2f}"


if __name__ == "__main__":
    main()
