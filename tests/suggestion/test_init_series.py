"""`nnzoo init` for series: quick linear forecasts of the train rows choose inputs, window and network."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nnzoo
from nnzoo.cli.app import run

RNG = np.random.default_rng(0)


def init(
    file: Path,
    columns: dict[str, NDArray[Any]],
    target: str,
    capsys: pytest.CaptureFixture[str],
    *,
    is_shuffled: bool = False,
) -> Any:
    """Writes daily rows, and returns what `nnzoo init` prints."""
    days = [str(date(2020, 1, 1) + timedelta(day)) for day in range(len(columns[target]))]
    rows = list(zip(days, *(column.tolist() for column in columns.values()), strict=True))
    if is_shuffled:
        rows = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    lines = [",".join(["day", *columns]), *(",".join(map(str, row)) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run(["init", str(file), str(file.with_suffix(".yaml")), "--target", target, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def autoregressive(count: int) -> NDArray[np.float64]:
    """Returns x_t = .6 x_(t-1) - .5 x_(t-2) + noise."""
    values, noise = np.zeros(count), RNG.normal(size=count)
    for step in range(2, count):
        values[step] = 0.6 * values[step - 1] - 0.5 * values[step - 2] + noise[step]
    return values.round(4)


def test_a_linear_forecast_is_as_good_as_the_closed_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"load": autoregressive(900), "other": RNG.normal(size=900).round(3)}
    found = init(tmp_path / "load.csv", columns, "load", capsys)
    assert found["config"]["model"] == "linear"
    assert "features" not in found["config"]["data"]
    trained = nnzoo.train(found["path"], overrides={"train.probes": False}, runs_dir=tmp_path / "runs", quiet=True)
    mae = trained.result["metrics"]["test/mae"]
    assert mae < 0.8 * trained.result["baseline"]["test/mae"]
    assert mae < 1.03 * trained.result["baselines"]["linear"]["test/mae"]


def test_a_column_that_comes_before_the_target_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = RNG.normal(size=500).round(3)
    columns = {"orders": orders, "sold": (np.roll(orders, 1) + 0.2 * RNG.normal(size=500)).round(3)}
    found = init(tmp_path / "sold.csv", columns, "sold", capsys)
    assert found["config"]["data"]["features"] == ["sold", "orders"]
    # No forecast of changes: the last value says nothing about the next one.
    assert found["config"]["data"]["difference"] is False


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    week = np.array([3, 4, 5, 4, 6, 9, 8])
    columns = {"guests": (np.tile(week, 60) + 0.3 * np.random.default_rng(0).normal(size=420)).round(2)}
    ordered = init(tmp_path / "guests.csv", columns, "guests", capsys)["config"]
    shuffled = init(tmp_path / "shuffled.csv", columns, "guests", capsys, is_shuffled=True)["config"]
    assert ordered["data"]["window"] % 7 == 0
    assert {**shuffled["data"], "path": ordered["data"]["path"]} == ordered["data"]


def test_rows_without_a_memory_are_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heat = RNG.uniform(0, 30, size=300).round(1)
    found = init(tmp_path / "sold.csv", {"heat": heat, "ice": (10 + 3 * heat).round(1)}, "ice", capsys)
    assert found["config"]["data"]["name"] == "csv"
    assert any("the past says little" in note for note in found["notes"])


def test_a_random_walk_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = init(tmp_path / "price.csv", {"price": RNG.normal(size=400).cumsum().round(3)}, "price", capsys)
    assert found["config"]["data"]["name"] == "series"
    assert "not clearly better than the last value" in found["warnings"][0]


def test_a_curved_series_gets_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [0.3]
    for _ in range(800):
        values.append(3.9 * values[-1] * (1 - values[-1]))
    found = init(tmp_path / "map.csv", {"x": np.array(values).round(6)}, "x", capsys)
    assert found["config"]["model"]["name"] == "mlp"
