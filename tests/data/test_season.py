"""Detection of the season of a series, and the seasonal naive baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.data.baseline import baseline
from nnzoo.data.series.season import find_season, rows_before

RNG = np.random.default_rng(0)


def wave(rows: int, season: int, *, noise: float = 0.2, trend: float = 0.0, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    shape = rng.normal(size=season)
    return np.resize(shape, rows) + noise * rng.normal(size=rows) + trend * np.arange(rows)


def test_a_season_far_from_zero_is_found() -> None:
    assert find_season(wave(120, 12)[:, None] + 1e9, 1) == 12
    assert find_season(np.full((120, 1), 1e9 + 0.1), 1) == 1


@pytest.mark.parametrize("season", [4, 7, 12, 24, 96])
@pytest.mark.parametrize("trend", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_a_season_is_found(season: int, trend: float, scale: float) -> None:
    values = scale * wave(10 * season, season, trend=trend / season)[:, None]
    assert find_season(values, 1) == season


def test_missing_values_and_several_targets() -> None:
    values = np.stack([wave(300, 12, seed=1), wave(300, 12, seed=2)], axis=1)
    values[[3, 50, 51]] = np.nan
    assert find_season(values, 6) == 12


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=400).cumsum(),  # a random walk
        RNG.normal(size=400),
        np.arange(400.0),
        np.ones(400),
        wave(20, 10),  # two seasons are too few
        np.full(30, np.nan),
        np.arange(3.0),
        np.sin(np.arange(1000) / 40) + 0.05 * RNG.normal(size=1000).cumsum(),  # the last value is the better forecast
    ],
)
def test_series_without_a_season_have_none(values: Any) -> None:
    assert find_season(values[:, None], 1) == 1


def test_the_rows_before_are_known_when_the_forecast_is_made() -> None:
    assert rows_before(np.array([10]), 5, 3).tolist() == [[7, 8, 9, 7, 8]]
    assert rows_before(np.array([10]), 3, 1).tolist() == [[9, 9, 9]]
    assert rows_before(np.array([2]), 2, 5).tolist() == [[1, 1]]
    for season in range(1, 9):
        assert (rows_before(np.arange(20, 40), 12, season) < np.arange(20, 40)[:, None]).all()


def series(tmp_path: Path, **words: Any) -> dict[str, Any]:
    path = tmp_path / "s.csv"
    path.write_text("\n".join(["y", *map(repr, wave(400, 24).tolist())]))
    data = {"name": "series", "path": str(path), "target": "y", "window": 12, "horizon": 3, **words}
    return {"data": data, "model": "linear", "train": {"epochs": 1}}


def test_the_baseline_is_the_seasonal_naive_forecast(tmp_path: Path) -> None:
    seasonal, last = (build_dataset(load_config(series(tmp_path, **words))) for words in ({}, {"season": 1}))
    assert (seasonal.choices["season"], last.choices["season"]) == (24, 1)
    y = wave(400, 24)
    split = seasonal.splits["test"]
    assert split.rows is not None
    assert split.naive is not None
    rows = split.rows.numpy()
    assert np.allclose(split.naive.numpy(), np.stack([y[rows + ahead - 24] for ahead in range(3)], axis=1))
    errors = np.stack([y[rows + ahead] - y[rows + ahead - 24] for ahead in range(3)], axis=1)
    found = baseline(seasonal, "test")
    assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean(axis=0)).mean())
    assert found["rmse"] < 0.5 * baseline(last, "test")["rmse"]


def test_the_season_is_in_the_resolved_config_and_in_the_note(tmp_path: Path) -> None:
    run = nnzoo.train({**series(tmp_path), "optimizer": {"lr": 0.0}}, runs_dir=tmp_path, quiet=True)
    assert "season: 24" in (run.run_dir / "config.yaml").read_text()
    assert any("the seasonal naive forecast (the value 24 rows before)" in note for note in run.result["notes"])
    new = nnzoo.evaluate(run.run_dir, data=tmp_path / "s.csv")
    assert new.baseline["rmse"] < 0.5
