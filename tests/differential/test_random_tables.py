"""Random tables are read like an independent oracle reads them.

NNZOO_TABLES sets their number; the default is 120.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from natural_order import natural
from numpy.typing import NDArray
from random_tables import Plan, Written, tables, write_table
from round_trip import NEVER_SEEN, Answers, answers_of, check_measured, linear_outputs, probabilities, write_permuted
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score, mean_absolute_error, mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler
from table_oracle import Features, Targets, Value, features_of, read_cells, size_of, targets_of, value_of, values_of

import nnzoo
from nnzoo.data import Dataset
from nnzoo.data.baseline import baseline
from nnzoo.experiment.prepare import Experiment, prepare

NUM_TABLES = int(os.environ.get("NNZOO_TABLES", "120"))
NUM_PARTS = 4
"""Test cases that can run in parallel."""


def config_of(written: Written) -> dict[str, Any]:
    """Returns a minimal config, with only what can't be inferred."""
    plan = written.plan
    split: dict[str, Any] = {
        "val": plan.split.val,
        "test": plan.split.test,
        "seed": plan.split.seed,
        "stratify": plan.split.stratify,
    }
    split |= {"deduplicate": plan.split.deduplicate} | ({"group": written.title("g")} if plan.split.grouped else {})
    targets = [written.title(name) for name in written.names if name[0] == "y"]
    columns = [name for name in written.names if name[0] == "c"]
    digits = [written.title(name) for name in columns if written.plan_of(name).style == "18 digits"]
    data = {"name": "csv", "path": str(written.path), "target": targets, "categorical": digits, "split": split}
    return {"data": data, "model": "linear", "train": {"epochs": 1, "batch_size": "full", "device": "cpu"}}


class Truth:
    """The results of the oracle for a table."""

    def __init__(self, written: Written) -> None:
        self.written = written
        self.columns: dict[str, list[Value]] = {
            name: list(cells) if name == "g" else values_of(written.plan_of(name), cells)
            for name, cells in read_cells(written).items()
        }
        self.targets: Targets = targets_of(written.plan, self.columns)

    def name_classes(self, names: Sequence[str]) -> None:
        """Numbers classes in the order of their names: numbers by value, other classes in natural order."""
        if self.targets.task != "classification":
            return
        values = [value_of(self.written.plan.target[0], name) for name in names]
        is_sorted = (
            values == self.targets.classes
            if isinstance(values[0], Decimal)
            else list(names) == sorted(names, key=natural)
        )
        assert is_sorted
        assert sorted(values) == self.targets.classes  # type: ignore[type-var]
        index = {float(self.targets.classes.index(value)): float(index) for index, value in enumerate(values)}
        counted = np.array([index.get(value, np.nan) for value in self.targets.values.tolist()])
        self.targets = replace(self.targets, classes=values, values=counted)

    def features(self, train: list[int], further: dict[str, Value] | None = None) -> dict[str, Features]:
        """Returns the features of all rows and of a further row, by column title."""
        found = {}
        for name, values in self.columns.items():
            if name[0] == "c":
                title, more = self.written.title(name), [] if further is None else [further[name]]
                found[title] = features_of(title, self.written.plan_of(name), [*values, *more], train)
        return {title: each for title, each in found.items() if each is not None}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(NUM_PARTS))
def test_random_tables(part: int) -> None:
    @settings(
        max_examples=NUM_TABLES // NUM_PARTS, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @seed(part)
    @given(tables())
    def of_part(plan: Plan) -> None:
        with tempfile.TemporaryDirectory() as folder:
            check(plan, Path(folder))

    of_part()


def check(plan: Plan, folder: Path) -> None:
    (folder / "data").mkdir()
    written = write_table(plan, folder / "data")
    truth = Truth(written)
    experiment = prepare(nnzoo.load_config(config_of(written)))
    dataset = experiment.dataset
    truth.name_classes(dataset.classes)
    rows = {name: _rows(dataset, name, len(truth.targets.rows)) for name in dataset.splits}
    check_division(truth, rows)
    check_features(truth, experiment, rows)
    check_targets(truth, dataset, rows)
    check_baselines(truth, dataset, rows)
    if plan.depth != "data":
        check_round_trip(truth, rows, folder)


def _rows(dataset: Dataset, split: str, count: int) -> list[int]:
    found = dataset.splits[split].rows
    return list(range(count)) if found is None else found.tolist()


def check_division(truth: Truth, rows: dict[str, list[int]]) -> None:
    """Splits are disjoint, complete, ordered, of the configured sizes, stratified, and keep groups together."""
    plan, targets = truth.written.plan.split, truth.targets
    sizes = {name: share for name, share in (("val", plan.val), ("test", plan.test)) if share}
    assert list(rows) == ["train", *sizes]
    assert sorted(row for part in rows.values() for row in part) == targets.rows
    for part in rows.values():
        assert part == sorted(part)
    if plan.grouped:
        groups = [{truth.columns["g"][row] for row in part} for part in rows.values()]
        assert sum(map(len, groups)) == len(set().union(*groups))
        return
    for name, share in sizes.items():
        assert len(rows[name]) == size_of(share, len(targets.rows))
    if plan.stratify and targets.task == "classification":
        in_all = Counter(targets.values[targets.rows, ...].tolist())
        for name in sizes:
            found = Counter(targets.values[rows[name]].tolist())
            for value, count in in_all.items():
                assert abs(found[value] - count * len(rows[name]) / len(targets.rows)) <= 1 + 1e-9
                assert found[value] > 0 or count <= len(sizes) or len(rows[name]) < len(in_all)


def check_features(truth: Truth, experiment: Experiment, rows: dict[str, list[int]]) -> None:
    """Checks types, names, and features before and after standardization."""
    dataset, expected = experiment.dataset, truth.features(rows["train"])
    assert dataset.reader is not None
    assert dataset.reader.column_types == {name: each.kind for name, each in expected.items()}
    assert list(dataset.feature_names) == [name for each in expected.values() for name in each.names]
    matrix = np.column_stack([each.matrix for each in expected.values()])
    scaled = standardized(expected, rows["train"])
    spread = matrix[rows["train"]].std(axis=0)
    for name, part in rows.items():
        before = dataset.splits[name].inputs.double().numpy()
        assert_close(before, matrix[part], scale=np.where(spread > 0, spread, 1))
        after = experiment.splits[name].inputs
        assert after.dtype == torch.float32
        assert_close(after.numpy(), scaled[part], scale=np.maximum(1, np.abs(scaled[part])))


def standardized(features: dict[str, Features], train: list[int]) -> NDArray[np.float64]:
    """Standardizes the numbers with scikit-learn, shifted first, since it sums squares."""
    matrix = np.column_stack([each.matrix for each in features.values()])
    centred = matrix - np.median(matrix[train], axis=0)
    numbers = np.concatenate([each.are_numbers for each in features.values()])
    return np.where(numbers, StandardScaler().fit(centred[train]).transform(centred), matrix)


def assert_close(found: NDArray[Any], expected: NDArray[Any], *, scale: NDArray[Any] | float = 1.0) -> None:
    """Checks equality to a millionth of the scale."""
    assert found.shape == expected.shape
    off = np.abs(found - expected) / scale
    assert not off.size or off.max() <= 1e-6, (float(off.max()), found[off == off.max()], expected[off == off.max()])


def check_targets(truth: Truth, dataset: Dataset, rows: dict[str, list[int]]) -> None:
    targets = truth.targets
    assert dataset.task == targets.task
    assert len(dataset.classes) == (
        len(targets.classes) or (targets.values.shape[1] if targets.task == "multilabel" else 0)
    )
    for name, part in rows.items():
        found, expected = dataset.splits[name].targets.double().numpy(), targets.values[part]
        if targets.task == "regression":
            assert_close(found, expected, scale=np.maximum(targets.values[rows["train"]].std(axis=0), 1e-300))
        else:
            assert found.tolist() == expected.tolist()


def check_baselines(truth: Truth, dataset: Dataset, rows: dict[str, list[int]]) -> None:
    """Checks the baseline of every split against scikit-learn's dummy estimators fitted on train."""
    task, values, train = truth.targets.task, truth.targets.values, rows["train"]
    for name, part in rows.items():
        found, actual = baseline(dataset, name), values[part]
        if task == "classification":
            guess = DummyClassifier(strategy="most_frequent").fit(train, values[train]).predict(part)
            assert found == pytest.approx({"accuracy": accuracy_score(actual, guess)})
        elif task == "multilabel":
            guesses = [
                DummyClassifier(strategy="most_frequent").fit(train, values[train, k]).predict(part)
                for k in columns_of(values)
            ]
            assert found["accuracy"] == pytest.approx(accuracy_score(actual.ravel(), np.array(guesses).T.ravel()))
        else:
            check_regression_baseline(found, actual, DummyRegressor().fit(train, values[train]).predict(part))


def columns_of(values: NDArray[Any]) -> Iterable[int]:
    return range(values.shape[1])


def check_regression_baseline(found: dict[str, float], actual: NDArray[Any], guess: NDArray[Any]) -> None:
    guess = guess.reshape(actual.shape)
    errors = [mean_squared_error(actual[:, k], guess[:, k]) for k in columns_of(actual)]
    assert found["mse"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert found["rmse"] == pytest.approx(np.mean(np.sqrt(errors)), rel=1e-6)
    assert found["mae"] == pytest.approx(mean_absolute_error(actual, guess), rel=1e-6)
    assert found["r2"] == pytest.approx(r2_score(actual, guess), rel=1e-6, abs=1e-6)


def check_round_trip(truth: Truth, rows: dict[str, list[int]], folder: Path) -> None:
    """Checks predictions for the file itself, and for one with other rows, columns and format."""
    written, targets, train = truth.written, truth.targets, rows["train"]
    run = nnzoo.train(config_of(written), runs_dir=folder / "runs", quiet=True)
    cells = read_cells(written)
    new = {name: NEVER_SEEN if is_category(written, name) else cells[name][0] for name in cells}
    values = {name: NEVER_SEEN if is_category(written, name) else truth.columns[name][0] for name in cells}
    outputs = linear_outputs(run.run_dir, standardized(truth.features(train, values), train))
    if targets.task == "regression":
        spread = targets.values[train].std(axis=0)
        spread = np.where(spread > 0, spread, 1)
        wanted, scale = outputs * spread + targets.values[train].mean(axis=0), np.maximum(1, np.abs(outputs)) * spread
    else:
        wanted, scale = probabilities(targets.task, outputs), np.ones(outputs.shape)
    check_predictions(truth, rows, run)
    answers = answers_of(run.run_dir, written.path)
    assert_close(answers.numbers, wanted[:-1], scale=10 * scale[:-1])
    order = np.random.default_rng(written.plan.seed).permutation(len(wanted))
    write_permuted(written, {name: [*cells[name], new[name]] for name in cells}, order.tolist(), folder / "new.csv")
    assert_close(answers_of(run.run_dir, folder / "new.csv").numbers, wanted[order], scale=10 * scale[order])
    if written.plan.depth == "predict":
        return
    there = np.isfinite(targets.values.reshape(len(answers.numbers), -1)).all(axis=1)
    known = Answers(answers.shown[there], answers.numbers[there])
    check_measured(run.run_dir, written.path, targets.task, known, targets.values[there])


def check_predictions(truth: Truth, rows: dict[str, list[int]], run: nnzoo.Run) -> None:
    """predictions.csv has each row of the last split with its location and exact target."""
    part = next(rows[name] for name in ("test", "val", "train") if name in rows)
    with (run.run_dir / "predictions.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [truth.written.row_of(row) for row in table] == part
    targets = truth.targets
    for row, cells in zip(part, table, strict=True):
        found = [cell for name, cell in cells.items() if name.startswith("target")]
        if targets.task == "classification":
            value = value_of(truth.written.plan.target[0], found[0])
            assert targets.classes.index(value) == targets.values[row]
        else:
            assert list(map(float, found)) == targets.values[row].tolist()


def is_category(written: Written, name: str) -> bool:
    return name[0] == "c" and written.plan_of(name).kind in ("category", "code")
