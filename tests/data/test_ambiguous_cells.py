"""Cells that can be read in two ways: they are read right, or the warning says how they are read."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from nnzoo.data import CsvReader, Dataset, Division, load_csv, load_frame, load_series, load_text
from nnzoo.errors import DataError

pd = pytest.importorskip("pandas")
WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(columns: dict[str, list[Any]], target: str = "y", **fields: Any) -> Dataset:
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    Path("d.csv").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return load_csv(path="d.csv", target=[target], **{"missing": ("", "NA"), "division": WHOLE, **fields})


def framed(columns: Any, target: str = "y", **fields: Any) -> Dataset:
    return load_frame(frames={"train": columns}, target=[target], division=WHOLE, **fields)


def kinds(dataset: Dataset) -> dict[str, str]:
    assert isinstance(dataset.reader, CsvReader)
    return dataset.reader.column_types


def feature(dataset: Dataset, name: str) -> list[float]:
    return dataset.train.inputs[:, dataset.feature_names.index(name)].tolist()


def labels(count: int) -> list[str]:
    """Classes that no other column tells."""
    return random.Random(7).choices(("no", "yes"), k=count)


def spread(cells: list[Any], count: int = 60) -> list[Any]:
    """The cells again and again, in no order."""
    return [cells[index * 7919 % len(cells)] for index in range(count)]


def test_integers_beyond_float64_as_a_target() -> None:
    first = 2**60
    rows = {"x": [index % 5 for index in range(40)], "y": [first + index for index in range(40)]}
    for task in ("auto", "regression"):
        with pytest.raises(DataError, match="column 'y': has 40 distinct integers, of which 1 are distinct in float64"):
            load(rows, task=task)
    names = load({**rows, "y": [first + index % 3 for index in range(40)]})
    assert (names.task, len(names.classes), names.warnings) == ("classification", 3, ())
    some = load({**rows, "y": [2**53 + index for index in range(40)]})
    assert some.task == "regression"
    (warning,) = some.warnings
    assert "'y' has 40 distinct integers, of which 21 are distinct in float64" in warning
    assert not load({**rows, "y": [2**53 - index for index in range(40)]}).warnings


@pytest.mark.parametrize("cells", [["3.1", "3.10", "3.9"], ["-0.5", "-0.500", "2"], ["2.30", "2.3", "2.31"]])
def test_versions_that_are_equal_as_numbers_are_told(cells: list[str]) -> None:
    (warning,) = load({"v": spread(cells), "y": labels(60)}, categorical=("v",)).warnings
    pair = [cell for cell in cells if float(cell) == float(cells[0])]
    assert all(f"'{cell}'" in warning for cell in pair)
    assert "categories" in warning
    classes = load({"x": list(range(7)) * 8 + [1, 2, 3, 5], "y": spread(cells)}, task="classification")
    assert len(classes.classes) == 2
    assert any("has the classes" in line for line in classes.warnings)
    longer = max(pair, key=len)
    apart = load({"v": spread(cells), "y": labels(60)}, categorical=("v",), replace={longer: f"v{longer}"})
    assert (len(apart.feature_names), apart.warnings) == (3, ())


def test_sequences_whose_ids_are_equal_as_numbers_are_told() -> None:
    rows: dict[str, list[Any]] = {
        "v": ["3.1", "3.10", "3.9", "4.0"] * 15,
        "x": list(range(60)),
        "y": ["no"] * 30 + ["yes"] * 30,
    }
    dataset = load(rows, sequence_id="v", target="x")
    assert any("has the sequences '3.1' and '3.10', which are the same" in line for line in dataset.warnings)


@pytest.mark.parametrize("cells", [["1", "1.0", "2.00"], ["3.1", "3.9", "3.11"], ["1.50", "2.25", "3.10"]])
def test_other_numbers_as_names_are_not_told(cells: list[str]) -> None:
    assert load({"v": spread(cells), "y": labels(60)}, categorical=("v",)).warnings == ()


@pytest.mark.parametrize(
    ("word", "cells"),
    [
        ("-999", ["-999.0", "-999.00", "-9.99E+02", "-999"]),
        ("-999.0", ["-999", "-999."]),
        ("0", ["0.0", "-0", "0"]),
        ("99.9", ["99.90", "+99.9"]),
        ("1e20", ["100000000000000000000", "1E+20"]),
    ],
)
def test_missing_numbers_are_found_in_every_spelling(word: str, cells: list[str]) -> None:
    amounts = spread(["1.5", "2.5", "999", "100", *cells])
    dataset = load({"x": amounts, "y": labels(60)}, missing=(word,))
    assert feature(dataset, "x is missing") == [float(cell in cells) for cell in amounts]
    parquet.write_table(pa.table({"x": [float(cell) for cell in amounts], "y": labels(60)}), "d.parquet")
    same = load_csv(path="d.parquet", target=["y"], division=WHOLE, missing=(word,))
    assert same.train.inputs.tolist() == dataset.train.inputs.tolist()


def test_missing_numbers_are_found_in_a_file_with_decimal_commas() -> None:
    Path("d.csv").write_text("x;y\n" + "1,5;a\n-999,0;b\n2,25;a\n" * 4)
    dataset = load_csv(path="d.csv", target=["y"], division=WHOLE, missing=("-999",))
    assert feature(dataset, "x is missing") == [0, 1, 0] * 4


def test_what_is_no_such_number_is_not_missing() -> None:
    ids = ["0501", "501a", "5.01", "5010", "-501"]
    assert kinds(load({"x": spread(ids), "y": labels(60)}, missing=("501",), categorical=("x",)))
    dataset = load({"x": spread(ids), "y": labels(60)}, missing=("501",), categorical=("x",))
    assert sorted(dataset.feature_names) == sorted(f"x={each}" for each in ids)


def test_integers_are_replaced_in_every_spelling_and_versions_as_they_are_written() -> None:
    rows = {"x": spread(["1.0", "2", "1"]), "y": labels(60)}
    assert set(load(rows, replace={"1": "one"}).feature_names) == {"x=one", "x=2"}
    rows = {"x": spread(["3.1", "3.10"]), "y": labels(60)}
    assert set(load(rows, replace={"3.10": "ten"}, categorical=("x",)).feature_names) == {"x=3.1", "x=ten"}


def instants(zone: Any) -> list[datetime]:
    return [datetime(2024, 1, 1, 0, 30, tzinfo=zone) + timedelta(days=31 * index, hours=index) for index in range(12)]


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=2)), timezone(timedelta(hours=-5.5)), UTC, "Europe/Berlin"])
def test_times_with_a_zone_are_those_of_its_clocks_from_every_source(zone: Any) -> None:
    times = instants(ZoneInfo(zone) if isinstance(zone, str) else zone)
    y = labels(len(times))
    dataset = load({"t": [time.isoformat() for time in times], "y": y})
    assert feature(dataset, "t hour") == [float(time.hour) for time in times]
    frame = pd.DataFrame({"t": pd.Series(times), "y": y})
    assert frame["t"].dtype.tz is not None
    frame.to_parquet("d.parquet")
    kept = load_csv(path="d.parquet", target=["y"], division=WHOLE)
    assert isinstance(dataset.reader, CsvReader)
    read = [dataset.reader.from_rows(each, dataset.schema) for each in (frame, {"t": times}, {"t": frame["t"]})]
    for inputs in [kept.train.inputs, framed(frame).train.inputs, *(each.inputs for each in read if each)]:
        assert inputs.tolist() == dataset.train.inputs.tolist()


def test_zones_of_single_values_are_kept() -> None:
    zones = [timezone(timedelta(hours=index % 5 - 2)) for index in range(12)]
    times = [datetime(2024, 1 + index, 3, 23, 15, tzinfo=zone) for index, zone in enumerate(zones)]
    dataset = load({"t": [time.isoformat() for time in times], "y": labels(12)})
    for values in (times, pd.Series(times, dtype=object)):
        same = framed({"t": values, "y": labels(12)})
        assert same.train.inputs.tolist() == dataset.train.inputs.tolist()
        assert "t hour" not in same.feature_names


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([f"rs{index}" for index in range(1, 20)], "'rs1', read as the number 1."),
        ([f"{index}A" for index in range(1, 12)], "'1A', read as the number 1."),
        (["1B", "2B", "3T", "2K"], "'1B', read as the number 1000000000."),
        ([f"{month} {day}" for month in ("Jan", "Mar", "Apr") for day in range(10, 29)], "read as the month 20"),
        (["2:10", "16:10", "16:09"], "'2:10', read as the time of day 02:10."),
        ([f"{minute}:{second:02d}" for minute in range(2, 7) for second in range(10, 59, 8)], "as the time of day"),
        (["25/07/42", "25/05/70", "13/01/99"], "'25/07/42' is read as 2042-07-25, in the future"),
        (["03/04/61", "05/06/59", "07/08/75"], "'03/04/61' is read as 2061-0"),
    ],
)
def test_names_that_look_like_numbers_or_dates_are_told(cells: list[str], told: str) -> None:
    rows = {"x": spread(cells, 200), "y": labels(200)}
    dataset = load(rows)
    kind = kinds(dataset)["x"]
    assert any(told in line and f"`types: {{x: {kind}}}` silences this warning" in line for line in dataset.warnings)
    assert not [line for line in load(rows, types={"x": kind}).warnings if "read as" in line and "order" not in line]
    assert kinds(load(rows, types={"x": "category"}))["x"] == "category"


@pytest.mark.parametrize(
    "cells",
    [
        [f"Rs{index}" for index in range(1, 20)],
        [f"USD{index}" for index in range(1, 20)],
        ["5 m", "7 m", "12 m"],
        ["1.5A", "2A", "16A"],
        ["19M", "2.5M", "850K"],
        ["$1B", "$2B", "$3B"],
        ["20k", "35k", "50k"],
        [f"{month}-{year}" for year in ("11", "12", "13") for month in ("Jan", "Feb", "Mar", "Apr", "May", "Jun")],
        [f"{hour}:{minute}" for hour in range(8, 20) for minute in ("05", "17", "40")],
        ["9:00", "10:30", "13:45"],
        ["08:10", "16:10", "21:09"],
        ["25/07/98", "13/01/05", "14/02/12", "15/03/24"],
    ],
)
def test_usual_numbers_and_dates_are_not_told(cells: list[str]) -> None:
    count = len(cells) * (60 // len(cells))
    rows = {"x": cells * (60 // len(cells)) if cells[0].startswith("Jan") else spread(cells, count)}
    rows["x"] = sorted(rows["x"], key=cells.index)  # monthly data rises with the rows
    dataset = load({**rows, "y": labels(count)})
    assert kinds(dataset)["x"] in ("number", "date")
    assert not [line for line in dataset.warnings if "determines" not in line]


def test_units_differ_by_case_where_it_has_a_meaning() -> None:
    dataset = load({"x": spread(["5 mW", "7.5 mW", "10 mW"]), "z": spread(["5 kg", "7 Kg", "9 KG"]), "y": labels(60)})
    assert kinds(dataset) == {"x": "number", "z": "number"}
    assert isinstance(dataset.reader, CsvReader)
    with pytest.raises(DataError, match="'5 MW' is not a number in the format that the column has"):
        dataset.reader.from_rows({"x": ["5 MW"], "z": ["1 kg"]}, dataset.schema)
    mixed = load({"x": spread(["5 mW", "7.5 mW", "10 MW"]), "y": labels(60)})
    assert kinds(mixed) == {"x": "category"}


@pytest.mark.parametrize(
    ("cells", "odd", "kind"),
    [
        ([f"2024-01-{day:02d}" for day in range(1, 29)], "2024-02-31", "dates"),
        ([f"{day}.{month}.2024" for day in range(1, 5) for month in range(1, 5)], "soon", "dates"),
        ([str(index) for index in range(1, 16)], "unknown", "numbers"),
        (["1", "2", "3"], "x", "numbers"),
        (["1.5", "2.5", "4"], "-inf", "numbers"),
    ],
)
def test_one_odd_cell_among_numbers_or_dates_is_told_with_its_row(cells: list[str], odd: str, kind: str) -> None:
    rows = {"x": spread(cells, 200), "y": labels(200)}
    rows["x"][5] = odd
    dataset = load(rows)
    assert kinds(dataset)["x"] == "category"
    (warning,) = dataset.warnings
    told = f"has {kind} in 99.5% of its rows, and texts such as '{odd}' (d.csv: line 7) in the others"
    assert told in warning
    assert load(rows, categorical=("x",)).warnings == ()


def test_infinity_is_told_however_often_it_is_there() -> None:
    (warning,) = load({"x": spread(["inf", "1", "2"]), "y": labels(60)}).warnings
    assert "texts such as 'inf'" in warning


@pytest.mark.parametrize("cells", [["0", "1", "2", "3+"], ["red", "blue", "7"], ["1a", "2b", "3"], ["10-12", "13-15"]])
def test_usual_categories_are_not_told(cells: list[str]) -> None:
    assert load({"x": spread(cells, 200), "y": labels(200)}).warnings == ()


@pytest.mark.parametrize("values", [[3, 1, 2], [2.5, 1.0, 7.0], ["10", "20", "9"], [True, False, True]])
def test_categories_of_a_frame_are_categories(values: list[Any]) -> None:
    frame = pd.DataFrame({"c": pd.Categorical(spread(values)), "x": spread([1.0, 2.0, 4.5, 7.0]), "y": labels(60)})
    frame.to_parquet("d.parquet")
    for dataset in (framed(frame), load_csv(path="d.parquet", target=["y"], division=WHOLE)):
        assert kinds(dataset) == {"c": "category", "x": "number"}
        assert sum(name.startswith("c=") for name in dataset.feature_names) == len(set(values))
        assert isinstance(dataset.reader, CsvReader)
        plain = dataset.reader.from_rows({"c": list(frame["c"]), "x": frame["x"]}, dataset.schema)
        assert plain is not None
        assert plain.inputs.tolist() == dataset.train.inputs.tolist()
    as_target = framed(pd.DataFrame({"x": np.arange(60.0) % 7, "y": pd.Categorical(list(range(30)) * 2)}))
    assert (as_target.task, len(as_target.classes)) == ("classification", 30)
    if not isinstance(values[0], bool):
        assert kinds(framed(frame, types={"c": "number"}))["c"] == "number"


def test_new_categories_are_counted_with_the_first_place() -> None:
    dataset = load({"c": spread(["a", "b"]), "d": spread(["u", "v", "w"]), "y": labels(60)})
    assert isinstance(dataset.reader, CsvReader)
    Path("new.csv").write_text("c,d,y\na,u,no\nzzz,v,yes\nb,q,no\nyyy,u,no\n")
    for labelled in (True, False):
        samples = dataset.reader.read([Path("new.csv")], dataset.schema, labelled=labelled)
        assert samples.warnings == (
            "2 cells have a category that no training row has (first: new.csv: line 3: column 'c': 'zzz'): the network "
            "sees none of the known categories there",
            "1 cell has a category that no training row has (first: new.csv: line 4: column 'd': 'q'): the network "
            "sees none of the known categories there",
        )
    known = dataset.reader.from_rows({"c": ["a", None, "b"], "d": ["u", "v", "w"]}, dataset.schema)
    assert known is not None
    assert known.warnings == ()


def test_labels_of_texts_that_are_equal_as_numbers_are_told() -> None:
    lines = [f"word {index},{label}" for index, label in enumerate(spread(["3.1", "3.10", "3.9"]))]
    Path("d.csv").write_text("text,version\n" + "\n".join(lines) + "\n")
    dataset = load_text(path="d.csv", target="version", division=WHOLE)
    assert dataset.classes == ("3.1", "3.9")
    assert any("'3.1' and '3.10' in d.csv" in line for line in dataset.warnings)


def test_integers_beyond_float64_in_a_frame_and_in_a_series() -> None:
    y = [2**60 + index for index in range(40)]
    with pytest.raises(DataError, match="has 40 distinct integers, of which 1 are distinct in float64"):
        framed({"x": [index % 5 for index in range(40)], "y": y})
    Path("s.csv").write_text("y\n" + "\n".join(map(str, y)) + "\n")
    dataset = load_series(path="s.csv", target=("y",), window=3, horizon=1, division=WHOLE)
    assert any("'y' has 40 distinct integers, of which 1 are distinct in float64" in line for line in dataset.warnings)
