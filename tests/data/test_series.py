"""Time series: windows, splits, gaps, categories, and forecasts compared with the naive forecast."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.cli.app import run as cli
from nnzoo.config.data.delimited import MISSING
from nnzoo.data import Dataset, Division, load_series
from nnzoo.data.series.stamps import BadStampError, parse_stamps

TREND = {"name": "series", "path": "t.csv", "time": "day", "target": "y", "window": 4, "horizon": 2}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, path: str = "t.csv") -> None:
    Path(path).write_text(text)


def write_columns(path: str = "t.csv", **columns: Any) -> None:
    rows = zip(*columns.values(), strict=True)
    write("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n", path)


def days(count: int) -> list[str]:
    return [str(np.datetime64("2023-12-01") + day) for day in range(count)]


def read(**words: Any) -> Dataset:
    split = words.pop("split", {"val": 0, "test": 0})
    words = {"path": "t.csv", "missing": MISSING} | words
    return load_series(division=Division(**split), **words)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_no_target_of_val_or_test_is_in_a_training_window() -> None:
    write_columns(y=range(100))
    dataset = read(target=("y",), window=5, horizon=3, split={"val": 0.2, "test": 0.1})
    rows = {name: (split.inputs[:, :, 0], split.targets) for name, split in dataset.splits.items()}
    for inputs, targets in rows.values():
        assert torch.equal(inputs[:, -1] + 1, targets[:, 0])
        assert torch.equal(inputs, inputs[:, :1] + torch.arange(5))
        assert torch.equal(targets, targets[:, :1] + torch.arange(3))
    ranges = {name: (int(targets.min()), int(targets.max())) for name, (_, targets) in rows.items()}
    assert ranges == {"train": (5, 69), "val": (70, 89), "test": (90, 99)}
    assert int(rows["train"][0].max()) < 70
    assert int(rows["val"][0].min()) == 65
    assert dataset.target_names == ("y+1", "y+2", "y+3")


def test_unused_columns_are_noted() -> None:
    write_columns(t=days(30), y=range(30), x=range(30), z=range(30))
    assert read(target=("y",), time="t", window=3).notes == (
        "columns that are not used: x, z; `features` and `categorical` add inputs",
    )
    assert read(target=("y",), time="t", features=("x", "z"), window=3).notes == ()


def test_several_columns_in_and_out() -> None:
    write_columns(a=range(20), b=range(100, 120), c=range(200, 220))
    dataset = read(target=("c", "a"), features=("a", "b"), window=3, horizon=2)
    assert dataset.feature_names == ("a", "b")
    assert dataset.target_names == ("c+1", "a+1", "c+2", "a+2")
    assert dataset.train.inputs[0].tolist() == [[0, 100], [1, 101], [2, 102]]
    assert dataset.train.targets[0].tolist() == [203, 3, 204, 4]
    assert dataset.train.naive is not None
    assert dataset.train.naive[0].tolist() == [202, 2, 202, 2]


def test_missing_values_are_filled_from_the_past_only() -> None:
    nan = "NA"
    write_columns(x=[nan, 1, nan, nan, 4, 5, nan, nan, nan, 9, 10, 11], y=[0, 1, 2, 3, nan, 5, 6, 7, 8, 9, 10, 11])
    dataset = read(target=("y",), features=("x",), window=2)
    # Targets from row 3 on, with a value at most two rows before. The gap of three rows excludes rows 9 and 10.
    assert dataset.train.targets.flatten().tolist() == [3, 5, 6, 7, 8, 11]
    assert dataset.train.inputs[:, :, 0].tolist() == [[1, 1], [1, 4], [4, 5], [5, 5], [5, 5], [9, 10]]
    assert dataset.train.naive is not None
    assert dataset.train.naive.flatten().tolist() == [2, 3, 5, 6, 7, 10]
    assert dataset.warnings == (
        "6 of 12 values of 'x' are missing; up to 2 consecutive ones are filled with the last value before them",
        "1 of 12 values of 'y' are missing; up to 2 consecutive ones are filled with the last value before them",
        "4 of 10 windows of train have missing values and are left out",
    )


def test_gaps_in_time_are_missing_rows() -> None:
    stamps = [*days(60)[:30], *days(90)[32:80]]
    write_columns(day=stamps, y=range(len(stamps)))
    dataset = read(time="day", target=("y",), window=3)
    assert dataset.warnings[0] == "2 rows are missing in 1 places, according to the time steps"
    inputs = dataset.train.inputs[:, :, 0].tolist()
    assert [29, 29, 29] in inputs  # the target of the row after the gap
    assert [29, 29, 30] in inputs
    assert len(inputs) == len(stamps) - 3  # the two rows in the gap are not targets
    working_days = [day for day in days(70) if np.is_busday(day)]
    write_columns(day=working_days, y=range(len(working_days)))
    assert read(time="day", target=("y",), window=3).warnings == (
        "the time steps are not equal; every row counts as one step",
    )


def test_cells_are_replaced() -> None:
    write_columns(y=[1, 2, -999, "trace", 5, 6])
    dataset = read(target=("y",), window=2, missing=("-999",), replace={"trace": "0"})
    assert dataset.train.targets.flatten().tolist() == [0, 5, 6]


def test_rows_are_sorted_by_time_with_a_warning() -> None:
    write_columns(day=[3, 1, 2, 4, 5], y=[30, 10, 20, 40, 50])
    dataset = read(time="day", target=("y",), window=2)
    assert dataset.train.targets.flatten().tolist() == [30, 40, 50]
    assert "line 3: column 'day' is not sorted; the rows were sorted by it" in dataset.warnings[0]


def test_categories_are_those_of_the_training_rows() -> None:
    write_columns(y=range(10), wind=[*"NSNSN", "", *"SWWN"])
    split = {"val": 0, "test": 0.3}
    dataset = read(target=("y",), categorical=("wind",), window=2, split=split)
    assert dataset.feature_names == ("y", "wind=N", "wind=S")
    assert dataset.train.inputs[0].tolist() == [[0, 1, 0], [1, 0, 1]]
    assert dataset.splits["test"].inputs[0].tolist() == [[5, 0, 0], [6, 0, 1]]
    assert dataset.splits["test"].inputs[-1].tolist() == [[7, 0, 0], [8, 0, 0]]
    assert dataset.warnings == ("'wind' has categories that no training row has, encoded as all zeros (W)",)


def test_separate_files_for_val_and_test() -> None:
    write_columns(y=range(20))
    write_columns("v.csv", y=range(100, 110))
    dataset = read(target=("y",), window=3, val_path="v.csv", limit=8, split={"val": 0.3, "test": 0.25})
    assert dataset.train.targets.flatten().tolist() == [3, 4, 5]
    assert dataset.splits["test"].targets.flatten().tolist() == [6, 7]
    assert dataset.splits["val"].targets.flatten().tolist() == [103, 104, 105, 106, 107]


def test_eval_needs_only_the_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=200)).round(3)
    wind = rng.choice(["N", "S"], 200)
    write_columns(day=days(200), y=values, wind=wind)
    data = {**TREND, "categorical": "wind", "split": {"val": 0.2, "test": 0.2}}
    config = {"name": "r", "data": data, "model": {"name": "gru", "hidden_size": 4}, "train": {"epochs": 2}}
    run = nnzoo.train({**config, "train": {"epochs": 2, "metrics": ["mae", "mse", "rmse", "r2"]}}, quiet=True)
    naive = np.stack([np.abs(values[160 + ahead : 199 + ahead] - values[159:198]) for ahead in (0, 1)])
    assert run.result["baseline"]["test/mae"] == pytest.approx(naive.mean(), rel=1e-5)
    # The test rows and the window before them give the same test windows.
    write_columns("new.csv", day=days(200)[156:], y=values[156:], wind=wind[156:])
    shutil.move("runs/r/best.safetensors", "best.safetensors")
    shutil.rmtree("runs")
    Path("t.csv").unlink()
    assert cli(["eval", "best.safetensors", "--data", "new.csv", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["num_samples"] == 39
    for key, value in measured["metrics"].items():
        assert value == pytest.approx(run.metrics[f"test/{key}"], rel=1e-5)
    for key, value in measured["baseline"].items():
        assert value == pytest.approx(run.result["baseline"][f"test/{key}"], rel=1e-5)


def test_a_network_of_zeros_is_the_naive_forecast() -> None:
    values = np.sin(np.arange(120) / 5) * 50 + np.arange(120) * 7
    write_columns(day=days(120), y=values, x=np.cos(np.arange(120)))
    data = {**TREND, "features": ["x", "y"], "horizon": 3}
    for normalize in ("standardize", "minmax", "none"):
        config = {"name": "r", "data": data, "model": "linear", "init": "zeros", "preprocess": {"normalize": normalize}}
        still = {"optimizer": {"name": "sgd", "lr": 1e-30}, "train": {"epochs": 1, "metrics": ["mae", "r2"]}}
        run = nnzoo.train({**config, **still}, overwrite=True, quiet=True)
        assert run.config.data.difference is True  # type: ignore[union-attr]
        assert run.metrics["test/mae"] == pytest.approx(run.result["baseline"]["test/mae"], rel=1e-4)
        assert run.metrics["test/r2"] == pytest.approx(run.result["baseline"]["test/r2"], rel=1e-3)


def test_a_series_that_leaves_the_range_of_its_training_rows(capsys: pytest.CaptureFixture[str]) -> None:
    write_columns(day=days(150), y=5 + 3 * np.arange(150))
    model = {"name": "gru", "hidden_size": 4}
    config = {"name": "r", "data": TREND, "model": model, "optimizer": {"lr": 0.03}, "train": {"epochs": 40}}
    run = nnzoo.train(config, quiet=True)
    assert run.metrics["test/mae"] < 0.1 * run.result["baseline"]["test/mae"]
    assert cli(["predict", "r", "t.csv"]) == 0
    found = table(capsys.readouterr().out)
    assert [row["input"] for row in found] == ["2024-04-29", "2024-04-30"]
    assert [float(row["prediction"]) for row in found] == pytest.approx([455, 458], abs=1)
    plain = nnzoo.train({**config, "data": {**TREND, "difference": False}}, name="plain", quiet=True)
    assert plain.metrics["test/mae"] > 3 * run.metrics["test/mae"]
    rotated = nnzoo.train({**config, "preprocess": {"pca": {"n_components": 1}}, "train": {"epochs": 1}}, quiet=True)
    assert rotated.config.data.difference is False  # type: ignore[union-attr]


def test_forecasts_of_several_columns(capsys: pytest.CaptureFixture[str]) -> None:
    write_columns(a=range(40), b=range(80, 40, -1))
    data = {"name": "series", "path": "t.csv", "target": ["a", "b"], "window": 4, "horizon": 3}
    nnzoo.train({"name": "r", "data": data, "model": "linear", "train": {"epochs": 1}}, quiet=True)
    write_columns("new.csv", b=range(9), a=range(9))
    assert cli(["predict", "r", "new.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_samples"] == 3
    assert [row["input"] for row in found["predictions"]] == [9, 10, 11]
    assert set(found["predictions"][0]) == {"input", "prediction_a", "prediction_b"}
    window = torch.stack([torch.arange(5.0, 9), torch.arange(5.0, 9)], 1).unsqueeze(0)
    expected = nnzoo.load("r").predict(window).reshape(3, 2)
    shown = [[row["prediction_a"], row["prediction_b"]] for row in found["predictions"]]
    np.testing.assert_allclose(shown, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("stamps", "following"),
    [
        (["2024-01", "2024-02", "2024-03"], ["2024-04", "2024-05"]),
        (["31.10.2023", "30.11.2023", "31.12.2023"], ["31.01.2024", "29.02.2024"]),
        (["2020-03-15", "2020-06-15"], ["2020-09-15", "2020-12-15"]),
        (["13/01/2024", "14/01/2024"], ["15/01/2024", "16/01/2024"]),
        (["01/02/2024", "01/03/2024", "01/04/2024"], ["01/05/2024", "01/06/2024"]),
        ([f"{m:02d}/01/{y}" for y in (2019, 2020) for m in range(1, 13)], ["01/01/2021", "02/01/2021"]),
        (["1/1/2024", "1/2/2024", "1/3/2024", "1/13/2024"], None),
        (["12/30/2023 11:00 PM", "12/30/2023 11:30 PM", "12/31/2023 12:00 AM"], ["12/31/2023 12:30 AM"]),
        (["2024-02-28 22:30", "2024-02-28 23:15"], ["2024-02-29 00:00", "2024-02-29 00:45"]),
        (["2024-01-01T00:00:00+00:00", "2024-01-01T01:00:00+00:00"], ["2024-01-01T02:00:00+00:00"]),
        (["2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.250Z"], ["2024-01-01T00:00:00.500Z"]),
        (["2024-01-01T23:00:00+01:00", "2024-01-02T00:00:00+01:00"], ["2024-01-02T01:00:00+01:00"]),
        (["2024-01-01 00:00:00.000000001", "2024-01-01 00:00:00.000000004"], ["2024-01-01 00:00:00.000000007"]),
        (["20240530", "20240531"], ["20240601", "20240602"]),
        (["202411", "202412"], ["202501", "202502"]),
        (["202412312300", "202412312330"], ["202501010000"]),
        (["2024-W51", "2024-W52"], ["2025-W01", "2025-W02"]),
        (["2024Q3", "2024Q4"], ["2025Q1", "2025Q2"]),
        (["Q3 2024", "Q4 2024"], ["Q1 2025"]),
        (["January 30, 2018", "January 31, 2018"], ["February 1, 2018"]),
        (["30-JAN-18", "31-JAN-18"], ["01-FEB-18"]),
        (["Nov 2023", "Dec 2023"], ["Jan 2024"]),
        (["1999", "2000", "2001"], ["2002", "2003"]),
        (["0.5", "0.75"], ["1", "1.25"]),
        (["0.50", "0.75"], ["1.00", "1.25"]),
        (["0,5", "0,75"], ["1", "1,25"]),
        (["0.1", "0.2", "0.3"], ["0.4", "0.5"]),
        (["123456789012345677", "123456789012345678"], ["123456789012345679", "123456789012345680"]),
        (["9223372036854775807", "9223372036854775808"], ["9223372036854775809"]),
        (
            ["1234567890123456789012345678901234", "1234567890123456789012345678901236"],
            ["1234567890123456789012345678901238"],
        ),
        (["1e-30", "2e-30"], ["0.000000000000000000000000000003"]),
        (["1e300", "2e300", "3e300"], ["4e+300"]),
        (["1704067200", "1704070800"], ["1704074400", "1704078000"]),
        (["1704067237000", "1704067237250"], ["1704067237500", "1704067237750", "1704067238000"]),
        (["1704067200000000", "1704067200000001"], ["1704067200000002"]),
        (["1704067200000000000", "1704067200000000001"], ["1704067200000000002"]),
        (["1704067200", "1706745600", "1709251200"], ["1711929600", "1714521600"]),  # firsts of months
        (["1704067200000", "1706745600000", "1709251200000"], ["1711929600000"]),
        (["2024-01-01", "2024-01-03", "2024-01-04", "2024-01-09"], None),
        (["7"], None),
    ],
)
def test_time_stamps_are_continued(stamps: list[str], following: list[str] | None) -> None:
    parsed = parse_stamps(stamps)
    assert parsed.following(2 if following is None else len(following)) == following
    assert parse_stamps(stamps, parsed.form).following(2) == parsed.following(2)


@pytest.mark.parametrize(
    ("stamps", "told"),
    [
        ([f"{month:02d}/01/2015" for month in range(1, 13)], True),
        ([f"{month:02d}/01/{year}" for year in (2015, 2016) for month in range(1, 13)], False),
        (["13/01/2024", "14/01/2024"], False),
        (["05.01.2024", "03.02.2024", "04.03.2024", "02.04.2024", "06.05.2024"], False),
        (["01.02.2024", "02.02.2024", "03.02.2024", "04.02.2024", "05.02.2024", "06.02.2024", "08.02.2024"], True),
    ],
)
def test_an_ambiguous_order_of_dates_is_reported(stamps: list[str], told: bool) -> None:
    write_columns(day=stamps, y=range(len(stamps)))
    dataset = read(time="day", target=("y",), window=1)
    assert any("`data.date_order: " in line for line in dataset.warnings) == told
    if told:
        for order in ("mdy", "dmy"):
            given = read(time="day", target=("y",), window=1, date_order=order)
            assert not any("date_order" in line for line in given.warnings)


def test_forecasts_are_named_in_the_format_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """The new file uses the date order of training, which would be ambiguous; values have decimal commas."""
    stamps = [f"{month:02d}/01/{year}" for year in (2019, 2020) for month in range(1, 13)]
    lines = [f"{stamp};{index},25" for index, stamp in enumerate(stamps)]
    write("\n".join(["day;y", *lines]) + "\n")
    data = {"name": "series", "path": "t.csv", "time": "day", "target": "y", "window": 3, "horizon": 2}
    nnzoo.train({"name": "r", "data": data, "model": "linear", "train": {"epochs": 1}}, quiet=True)
    write("\n".join(["day;y", *lines[12:15]]) + "\n", "new.csv")
    capsys.readouterr()
    assert cli(["predict", "r", "new.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["input"] for row in found["predictions"]] == ["04/01/2020", "05/01/2020"]
    write(json.dumps({"data": data, "model": "linear"}), "c.yaml")
    assert cli(["doctor", "c.yaml", "--json"]) == 0
    forms = json.loads(capsys.readouterr().out)["data"]["forms"]
    assert forms == {"day": "month first, %m/%d/%Y", "y": "decimal comma"}
    write("day;y\n25/01/2020;1,5\n26/01/2020;1,5\n27/01/2020;1,5\n", "new.csv")
    assert cli(["predict", "r", "new.csv"]) == 3
    assert "new.csv: line 2: column 'day': '25/01/2020'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stamps", "row"), [(["soon", "later"], 0), (["1", "2", "x"], 2), (["2024-01-01", "2024-13-01"], 1), (["nan"], 0)]
)
def test_bad_time_stamps_are_named(stamps: list[str], row: int) -> None:
    with pytest.raises(BadStampError) as caught:
        parse_stamps(stamps)
    assert caught.value.row == row


GOOD = "day,y\n" + "".join(f"{day},{day}\n" for day in range(1, 31))


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (None, {}, "t.csv: there is no such file"),
        ("", {}, "t.csv: is empty"),
        ("day,y\n", {}, "t.csv: has a header but no rows"),
        (GOOD, {"target": "z"}, "t.csv: has no column 'z' (it has: day, y)"),
        (GOOD, {"time": "date"}, "t.csv: has no column 'date'"),
        (GOOD.replace("7,7", "7,abc"), {}, "t.csv: line 8: column 'y': 'abc' is not a number"),
        (GOOD.replace("7,7", "7,inf"), {}, "t.csv: line 8: column 'y': 'inf' is not a number"),
        (
            GOOD.replace("7,7", "7,7,7"),
            {},
            "t.csv: line 8 has a different number of cells than the header (got 3, expected",
        ),
        (GOOD.replace("7,7", "6,7"), {}, "t.csv: line 8: column 'day': '6' occurs twice, here and in"),
        (GOOD.replace("7,7", "x,7"), {}, "t.csv: line 8: column 'day': 'x' is neither a number nor a date"),
        (
            "day,y\n" + "".join(f"{day},NA\n" for day in range(30)),
            {},
            "t.csv: no training row has a value in column 'y'",
        ),
        (GOOD, {"window": 40}, "train has 22 rows, but no window of 40"),
        (GOOD, {"horizon": 5}, "val has 4 rows, but no window"),
        (GOOD, {"split": {"val": 0.01}}, "data.split: val would have no samples"),
        (GOOD, {"test_path": "none.csv"}, "none.csv: there is no such file"),
    ],
)
def test_bad_files_are_named(
    content: str | None, words: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        write(content)
    write(json.dumps({"data": {**TREND, **words}, "model": "linear"}), "c.yaml")
    assert cli(["train", "c.yaml"]) == 3
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("day,y\n1,1\n2,2\n", "new.csv: has too few rows to forecast from (got 2, expected 4 or more)"),
        (
            "day,y\n" + "".join(f"{day},{day if day < 9 else ''}\n" for day in range(20)),
            "more than 4 consecutive values of",
        ),
        ("day,z\n1,1\n", "new.csv: has no column 'y'"),
    ],
)
def test_too_few_rows_to_forecast_from(content: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    nnzoo.train({"name": "r", "data": TREND, "model": "linear", "train": {"epochs": 1}}, quiet=True)
    write(content, "new.csv")
    capsys.readouterr()
    assert cli(["predict", "r", "new.csv"]) == 3
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("split: {deduplicate: true}", "data.split.deduplicate: equal rows of a series are not duplicates"),
        ("features: x, difference: true", "data.difference: the last value of a target is an input only if"),
        ("features: [x, x]", "data.features: 'x' is listed twice"),
        ("categorical: y", "data.categorical: 'y' is also given as a numeric column"),
        ("difference: true}\npreprocess: {zca: true", "data.difference: pca and zca mix the columns"),
    ],
)
def test_bad_configs_are_rejected(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(f"data: {{name: series, path: t.csv, target: y, {words}}}\nmodel: linear\n", "c.yaml")
    assert cli(["validate", "c.yaml"]) == 2
    assert message in capsys.readouterr().err


def test_a_backbone_is_reused_for_another_horizon() -> None:
    write_columns(day=days(80), y=np.sin(np.arange(80)), x=np.cos(np.arange(80)))
    data = {**TREND, "features": ["x", "y"]}
    config = {"data": data, "model": {"name": "gru", "hidden_size": 4}, "train": {"epochs": 1}}
    nnzoo.train({**config, "name": "first"}, quiet=True)
    model = {**config["model"], "pretrained": "first", "freeze": "backbone"}  # type: ignore[dict-item]
    second = nnzoo.train({**config, "name": "second", "data": {**data, "horizon": 5}, "model": model}, quiet=True)
    first, kept = (nnzoo.load(name).module.state_dict() for name in ("first", "second"))
    names = [name for name in first if "recurrent" in name]
    assert names
    assert all(torch.equal(first[name], kept[name]) for name in names)
    assert second.config.data.horizon == 5  # type: ignore[union-attr]


def test_random_restarts_of_a_forecast() -> None:
    write_columns(day=days(60), y=5 + 3 * np.arange(60))
    short = {"epochs": 1, "restarts": 2, "metrics": ["mae"]}
    config = {"name": "r", "data": TREND, "model": {"name": "mlp", "hidden": [3]}, "init": "zeros", "train": short}
    run = nnzoo.train({**config, "optimizer": {"name": "sgd", "lr": 1e-30}}, quiet=True)
    assert run.metrics["test/mae"] == pytest.approx(run.result["baseline"]["test/mae"], rel=1e-4)
