"""Random series: windows, targets, splits and forecasts are those of an oracle that shares no code with nnzoo.

NNZOO_TABLES says how many are tried: a fifth of it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import predicted, values_in
from hypothesis import HealthCheck, given, seed, settings
from numpy.typing import NDArray
from random_series import SeriesPlan, WrittenSeries, series, write_series
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

import nnzoo
from nnzoo.data import Dataset, baseline
from nnzoo.experiment.prepare import prepare

NUM_SERIES = int(os.environ.get("NNZOO_TABLES", "1000")) // 5


def config_of(written: WrittenSeries) -> dict[str, Any]:
    plan = written.plan
    data: dict[str, Any] = {
        "name": "series",
        "path": str(written.path),
        "target": "c0",
        "features": written.columns,
        "window": plan.window,
        "season": 1,  # the oracle forecasts that everything stays as it is
        "horizon": plan.horizon,
        "split": {"val": plan.val, "test": plan.test},
    }
    data |= {"time": "time"} if plan.form else {}
    data |= {"categorical": ["wind"]} if plan.categorical else {}
    return {"data": data, "model": "linear", "train": {"epochs": 1, "batch_size": "full", "device": "cpu"}}


@pytest.mark.slow
@settings(max_examples=max(1, NUM_SERIES), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@seed(0)
@given(series())
def test_random_series(plan: SeriesPlan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(plan, Path(folder))


class Grid:
    """The rows in time order, an empty one for each that is missing: (R, C) numbers, (R,) names."""

    def __init__(self, written: WrittenSeries) -> None:
        plan = written.plan
        size = plan.num_rows if plan.form else len(written.places)
        self.numbers = np.full((size, plan.num_features), np.nan)
        self.names = np.full(size, "", dtype=object)
        for row, place in enumerate(written.places):
            self.numbers[place] = [np.nan if value is None else float(value) for value in written.numbers[row]]
            self.names[place] = written.names[row]

    def blocks(self, plan: SeriesPlan) -> dict[str, range]:
        """The rows of each split: the last are test, those before val."""
        size, found, stop = len(self.numbers), {}, len(self.numbers)
        for name, share in (("test", plan.test), ("val", plan.val)):
            if share:
                start = stop - round(share * size)
                found[name], stop = range(start, stop), start
        return {"train": range(stop)} | dict(reversed(found.items()))

    def inputs(self, plan: SeriesPlan, train: range) -> NDArray[np.float64]:
        """Missing numbers are the last one known before them, if it is at most a window away; names are one-hot."""
        filled = self.numbers.copy()
        for column in filled.T:
            known = -(10**9)
            for row, value in enumerate(column):
                if np.isfinite(value):
                    known = row
                elif row - known <= plan.window:
                    column[row] = column[known]
        names = sorted(set(self.names[list(train)]) - {""}) if plan.categorical else []
        return np.column_stack([filled, *(self.names == name for name in names)]).astype(np.float64)


def last_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) each value, or the last one before it."""
    found = values.copy()
    for row in range(1, len(found)):
        found[row] = found[row - 1] if np.isnan(found[row]) else found[row]
    return found


def check(plan: SeriesPlan, folder: Path) -> None:
    (folder / "data").mkdir()
    written = write_series(plan, folder / "data")
    experiment = prepare(nnzoo.load_config(config_of(written)))
    dataset, grid = experiment.dataset, Grid(written)
    blocks = grid.blocks(plan)
    inputs, target = grid.inputs(plan, blocks["train"]), grid.numbers[:, 0]
    known = last_known(target)
    assert list(dataset.splits) == list(blocks)
    train: NDArray[np.float64] | None = None
    for name, block in blocks.items():
        firsts = [
            first
            for first in range(max(block.start, plan.window), block.stop - plan.horizon + 1)
            if np.isfinite(inputs[first - plan.window : first]).all()
            and np.isfinite(target[first : first + plan.horizon]).all()
            and np.isfinite(known[first - 1])
        ]
        windows = np.array([inputs[first - plan.window : first] for first in firsts])
        train = windows.reshape(-1, windows.shape[2]) if train is None else train
        ahead = np.array([target[first : first + plan.horizon] for first in firsts])
        check_split(dataset, name, windows, ahead, np.array([known[first - 1] for first in firsts]))
        check_standardised(experiment.splits[name].inputs, windows, train)
    check_forecast(written, folder)


def check_split(dataset: Dataset, name: str, windows: NDArray[Any], ahead: NDArray[Any], last: NDArray[Any]) -> None:
    """Windows and what follows them, and the measures of the forecast that everything stays as it is."""
    split = dataset.splits[name]
    np.testing.assert_allclose(split.inputs.double().numpy(), windows, rtol=1e-15)
    np.testing.assert_allclose(split.targets.double().numpy(), ahead, rtol=1e-15)
    naive = np.repeat(last[:, None], ahead.shape[1], axis=1)
    found = baseline(dataset, name)
    errors = [mean_squared_error(ahead[:, k], naive[:, k]) for k in range(ahead.shape[1])]
    assert found["mae"] == pytest.approx(mean_absolute_error(ahead, naive), rel=1e-6)
    assert found["rmse"] == pytest.approx(np.mean(np.sqrt(errors)), rel=1e-6)
    if len(ahead) > 1:
        assert found["r2"] == pytest.approx(r2_score(ahead, naive), rel=1e-5, abs=1e-5)


def check_standardised(found: torch.Tensor, windows: NDArray[np.float64], train: NDArray[np.float64]) -> None:
    """By mean and deviation of the steps of all training windows, to a millionth of the spread."""
    assert found.dtype == torch.float32
    centre, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(train.max(axis=0) > train.min(axis=0), spread, 1)
    wanted = (windows - centre) / spread
    # NumPy's own mean is off by some of the last places of float64, which 1e9 beside a small spread shows.
    rounding = 8 * np.spacing(np.abs(centre)) / spread
    assert (np.abs(found.numpy() - wanted) <= 1e-6 * np.maximum(1, np.abs(wanted)) + rounding).all()


def check_forecast(written: WrittenSeries, folder: Path) -> None:
    """The rows after the last are named by their times, as those are written."""
    if not np.isfinite([float(value or "nan") for value in written.numbers[int(np.argmax(written.places))]]).all():
        return
    run = nnzoo.train(config_of(written), runs_dir=folder / "runs", quiet=True)
    expected: list[Any] = written.following or [written.plan.num_rows + ahead for ahead in range(written.plan.horizon)]
    assert values_in(predicted(run.run_dir, written.path), "input") == expected
