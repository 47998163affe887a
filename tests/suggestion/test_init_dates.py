"""`nnzoo init` writes the order of day, month and year that the whole file shows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import nnzoo
from nnzoo.cli.app import run

FIRST_DAYS = [(day, month) for month in range(1, 13) for day in range(1, 13)]
"""Days and months that can be exchanged."""


def init(file: Path, cells: list[list[str]], capsys: pytest.CaptureFixture[str], sep: str = ",") -> dict[str, Any]:
    """Writes columns of dates in random order with a number and a target, and returns what `init` prints."""
    mix = random.Random(0)
    mix.shuffle(cells)
    sign = "," if sep == ";" else "."
    rows = [[*row, f"{mix.random():.3f}".replace(".", sign), mix.choice(["a", "b"])] for row in cells]
    header = [*(f"day{index}" for index in range(len(cells[0]))), "x", "label"]
    file.write_text("\n".join(sep.join(row) for row in [header, *rows]), encoding="utf-8")
    assert run(["init", str(file), str(file.with_suffix(".yaml")), "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


@pytest.mark.parametrize(
    ("layout", "sep", "extra", "order"),
    [
        ("{d:02}.{m:02}.2024", ",", [], "dmy"),
        ("{d:02}/{m:02}/2024", ";", [], "dmy"),
        ("{d:02}/{m:02}/2024", ",", ["31/12/2024"], "dmy"),
        ("{m:02}/{d:02}/2024", ",", ["12/31/2024"], "mdy"),
        ("{m:02}.{d:02}.2024", ",", ["12.31.2024"], "mdy"),
        ("2024-{m:02}-{d:02}", ",", [], None),
    ],
)
def test_the_order_is_written_and_training_does_not_warn(
    layout: str,
    sep: str,
    extra: list[str],
    order: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cells = [[layout.format(d=day, m=month)] for day, month in FIRST_DAYS] + [[each] for each in extra]
    found = init(tmp_path / "visits.csv", cells, capsys, sep)
    assert found["config"]["data"].get("date_order") == order
    assert found["warnings"] == []
    nnzoo.train(found["path"], dry_run=True, quiet=True)
    assert "ambiguous" not in capsys.readouterr().err


def test_an_order_that_nothing_shows_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = init(tmp_path / "visits.csv", [[f"{day:02}/{month:02}/2024"] for day, month in FIRST_DAYS], capsys)
    assert "date_order" not in found["config"]["data"]
    assert "Set `data.date_order`: mdy or dmy" in found["warnings"][0]


def test_one_column_shows_the_order_of_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [[f"{day:02}/{month:02}/2024", f"{day + 12}/{month:02}/2024"] for day, month in FIRST_DAYS]
    assert init(tmp_path / "visits.csv", cells, capsys)["config"]["data"]["date_order"] == "dmy"


def test_columns_of_different_orders_are_left_to_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [[f"{day + 12}/{month:02}/2024", f"{month:02}/{day + 12}/2024"] for day, month in FIRST_DAYS]
    assert "date_order" not in init(tmp_path / "visits.csv", cells, capsys)["config"]["data"]


def test_the_time_of_a_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [f"{day:02}.{month:02}.2024;{day},5" for month in range(1, 13) for day in range(1, 29)]
    (tmp_path / "load.csv").write_text("Datum;Last\n" + "\n".join(cells), encoding="utf-8")
    assert run(["init", str(tmp_path / "load.csv"), str(tmp_path / "load.yaml"), "--target", "Last", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["config"]["data"]
    assert (data["name"], data["time"], data["date_order"]) == ("series", "Datum", "dmy")
