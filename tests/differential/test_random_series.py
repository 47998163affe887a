"""Random series: windows, targets, splits and forecasts equal those of an independent oracle.

NNZOO_TABLES sets their number: one series per five tables.
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
from nnzoo.data import Dataset
from nnzoo.data.baseline import baseline
from nnzoo.experiment.prepare import prepare

NUM_SERIES = int(os.environ.get("NNZOO_TABLES", "120")) // 5


def config_of(written: WrittenSeries) -> dict[str, Any]:
    plan = written.plan
    data: dict[str, Any] = {
        "name": "series",
        "path": str(written.path),
        "target": "c0",
        "features": written.columns,
        "window": plan.window,
        "horizon": plan.horizon,
        "split": {"val": plan.val, "test": plan.test},
    }
    data |= {"time": "time"} if plan.form else {}
    data |= {"categorical": ["wind"]} if plan.categorical else {}
    data |= {"season": plan.season} if plan.season else {}
    return {"data": data, "model": "linear", "train": {"epochs": 1, "batch_size": "full", "device": "cpu"}}


@pytest.mark.slow
@settings(max_examples=max(1, NUM_SERIES), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@seed(0)
@given(series())
def test_random_series(plan: SeriesPlan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(plan, Path(folder))


class Grid:
    """The rows in time order, with an empty row for each missing one: (R, C) numbers, (R,) categories."""

    def __init__(self, written: WrittenSeries) -> None:
        plan = written.plan
        size = plan.num_rows if plan.form else len(written.places)
        self.numbers = np.full((size, plan.num_features), np.nan)
        self.names = np.full(size, "", dtype=object)
        for row, place in enumerate(written.places):
            self.numbers[place] = [np.nan if value is None else float(value) for value in written.numbers[row]]
            self.names[place] = written.names[row]

    def blocks(self, plan: SeriesPlan) -> dict[str, range]:
        """Returns the rows of each split: the last are test, those before them val."""
        size, found, stop = len(self.numbers), {}, len(self.numbers)
        for name, share in (("test", plan.test), ("val", plan.val)):
            if share:
                start = stop - round(share * size)
                found[name], stop = range(start, stop), start
        return {"train": range(stop)} | dict(reversed(found.items()))

    def inputs(self, plan: SeriesPlan, train: range) -> NDArray[np.float64]:
        """Returns inputs: missing numbers become the last value within a window before, categories are one-hot."""
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
    """Returns (R,) values, with missing ones replaced by the last value before."""
    found = values.copy()
    for row in range(1, len(found)):
        found[row] = found[row - 1] if np.isnan(found[row]) else found[row]
    return found


def rows_before(first: int, horizon: int, season: int, known: NDArray[np.float64]) -> list[int]:
    """Returns the rows of the naive forecasts: the fewest seasons before that are known, or the last row."""
    found = []
    for row in range(first, first + horizon):
        before = row - season
        while before >= first:
            before -= season
        found.append(before if before >= 0 and np.isfinite(known[before]) else first - 1)
    return found


def season_of(train: NDArray[np.float64], horizon: int) -> int:
    """Returns the lag of the highest autocorrelation of the detrended rows; 1 if there is no season.

    It is a local maximum of at least 0.3 with three seasons in the rows, and the value one season before forecasts the
    rows better than the last value does.
    """
    rows = train[np.isfinite(train)]
    places = np.arange(len(rows))
    centred = rows - rows[0]
    rest = centred - np.polyval(np.polyfit(places, centred, 1), places)
    correlation = np.correlate(rest, rest, "full")[len(rows) - 1 :] / (rest @ rest)
    peaks = [
        lag
        for lag in range(2, len(rows) // 3 + 1)
        if correlation[lag] >= 0.3 and correlation[lag - 1] < correlation[lag] >= correlation[lag + 1]
    ]
    season = max(peaks, key=lambda lag: correlation[lag], default=1)
    return season if season == 1 or error_of(rows, season, horizon) < error_of(rows, 1, horizon) else 1


def error_of(rows: NDArray[np.float64], season: int, horizon: int) -> float:
    """Returns the mean squared error of the naive forecasts inside the rows."""
    errors = [
        rows[first + step] - rows[before]
        for first in range(season, len(rows) - horizon + 1)
        for step, before in enumerate(rows_before(first, horizon, season, rows))
    ]
    return float(np.square(errors).mean())


def check(plan: SeriesPlan, folder: Path) -> None:
    (folder / "data").mkdir()
    written = write_series(plan, folder / "data")
    experiment = prepare(nnzoo.load_config(config_of(written)))
    dataset, grid = experiment.dataset, Grid(written)
    blocks = grid.blocks(plan)
    inputs, target = grid.inputs(plan, blocks["train"]), grid.numbers[:, 0]
    known = last_known(target)
    season = plan.season or season_of(known[: blocks["train"].stop], plan.horizon)
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
        naive = np.array([[known[row] for row in rows_before(first, plan.horizon, season, known)] for first in firsts])
        check_split(dataset, name, windows, ahead, naive)
        check_standardized(experiment.splits[name].inputs, windows, train, num_numbers=grid.numbers.shape[1])
    check_forecast(written, folder)


def check_split(dataset: Dataset, name: str, windows: NDArray[Any], ahead: NDArray[Any], naive: NDArray[Any]) -> None:
    """Checks windows, targets, and the metrics of the naive forecasts."""
    split = dataset.splits[name]
    np.testing.assert_allclose(split.inputs.double().numpy(), windows, rtol=1e-15)
    np.testing.assert_allclose(split.targets.double().numpy(), ahead, rtol=1e-15)
    found = baseline(dataset, name)
    errors = [mean_squared_error(ahead[:, k], naive[:, k]) for k in range(ahead.shape[1])]
    assert found["mae"] == pytest.approx(mean_absolute_error(ahead, naive), rel=1e-6)
    assert found["rmse"] == pytest.approx(np.mean(np.sqrt(errors)), rel=1e-6)
    if len(ahead) > 1:
        assert found["r2"] == pytest.approx(r2_score(ahead, naive), rel=1e-5, abs=1e-5)


def check_standardized(
    found: torch.Tensor, windows: NDArray[np.float64], train: NDArray[np.float64], *, num_numbers: int
) -> None:
    """Checks scaling of numbers by mean and deviation over all training windows, to a millionth of the spread."""
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found[..., num_numbers:].numpy(), windows[..., num_numbers:])
    found, windows, train = found[..., :num_numbers], windows[..., :num_numbers], train[:, :num_numbers]
    # Sums of values far from 0 would lose precision.
    windows, train = windows - train[0], train - train[0]
    spread = np.where(train.max(axis=0) > train.min(axis=0), train.std(axis=0), 1)
    wanted = (windows - train.mean(axis=0)) / spread
    assert (np.abs(found.numpy() - wanted) <= 1e-6 * np.maximum(1, np.abs(wanted))).all()


def check_forecast(written: WrittenSeries, folder: Path) -> None:
    """Forecasts are named by their times in the format of the file."""
    if not np.isfinite([float(value or "nan") for value in written.numbers[int(np.argmax(written.places))]]).all():
        return
    run = nnzoo.train(config_of(written), runs_dir=folder / "runs", quiet=True)
    expected: list[Any] = written.following or [written.plan.num_rows + ahead for ahead in range(written.plan.horizon)]
    assert values_in(predicted(run.run_dir, written.path), "input") == expected
