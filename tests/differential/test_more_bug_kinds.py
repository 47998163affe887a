"""Inputs from the bug trackers of other tools, each with the right answer.

They include ids that pandas turned into floats, spellings of Excel, and files of macOS.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from command_line import answer_of, predicted, values_in

import nnzoo
from nnzoo.builders import build_dataset
from nnzoo.cli.app import run
from nnzoo.data import Dataset
from nnzoo.errors import DataError
from nnzoo.experiment.load import TrainedModel

NUM_ROWS = 40


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def noise(count: int = NUM_ROWS, seed: int = 0) -> list[str]:
    random = Random(seed)
    return [f"{random.gauss(0, 1):.4f}" for _ in range(count)]


def cycle(values: Sequence[str], count: int = NUM_ROWS) -> list[str]:
    """Returns values in random order with about equal frequency."""
    found = [values[index % len(values)] for index in range(count)]
    Random(1).shuffle(found)
    return found


def write(columns: dict[str, Sequence[str]], name: str = "d.csv", delimiter: str = ",") -> None:
    """Writes columns to a file. Callers quote cells if needed."""
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    Path(name).write_text("".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8", newline="")


def config(name: str = "d.csv", target: str = "y", **data: Any) -> dict[str, Any]:
    data_section = {"name": "csv", "path": name, "target": target, "split": {"val": 0, "test": 0}, **data}
    return {"data": data_section, "model": "linear", "train": {"epochs": 1, "device": "cpu"}}


def dataset_of(name: str = "d.csv", target: str = "y", **data: Any) -> Dataset:
    return build_dataset(nnzoo.load_config(config(name, target, **data)))


def message_of(name: str) -> str:
    """Returns the error message for a file, or its warnings."""
    try:
        return "\n".join(dataset_of(name).warnings)
    except DataError as error:
        return str(error)


def types_of(dataset: Dataset) -> dict[str, str]:
    assert dataset.reader is not None
    return dataset.reader.column_types


def feature(dataset: Dataset, name: str) -> list[float]:
    return dataset.train.inputs[:, dataset.feature_names.index(name)].tolist()


def trained(name: str = "d.csv", target: str = "y", **data: Any) -> TrainedModel:
    return nnzoo.train(config(name, target, **data), quiet=True).model


def inputs_of(model: TrainedModel, name: str) -> list[list[float]]:
    """Returns the features of new rows, before standardization."""
    samples = model.reader.read([Path(name)], model.metadata.data_schema, labelled=False)
    return samples.inputs.tolist()


Y = cycle(["no", "yes"])


def test_ids_that_pandas_made_floats_are_the_same_ids() -> None:
    """A missing cell turns a column of integers into floats, only in the new file."""
    write({"id": cycle(["101", "102", "103"]), "x": noise(), "y": Y})
    model = trained(categorical=["id"])
    write({"id": ["101.0", "", "103.0", "104.0"], "x": ["0", "0", "0", "0"]}, "new.csv")
    names = [name for name in model.metadata.feature_names if name.startswith("id=")]
    assert names == ["id=101", "id=102", "id=103"]
    assert [row[:3] for row in inputs_of(model, "new.csv")] == [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_classes_that_pandas_made_floats_are_the_same_classes() -> None:
    write({"x": noise(), "y": cycle(["0", "1"])})
    model = trained()
    write({"x": noise(4), "y": ["0.0", "1.0", "1.0", "0.0"]}, "new.csv")
    found = answer_of("eval", model.path, "--data", "new.csv")
    assert [(row["class"], row["support"]) for row in found["per_class"]] == [("0", 2), ("1", 2)]


def test_booleans_in_another_spelling_at_predict() -> None:
    write({"b": cycle(["Yes", "No"]), "x": noise(), "y": Y})
    model = trained()
    for name, cells in {"true": ["True", "False"], "digits": ["1", "0"], "letters": ["y", "n"]}.items():
        write({"b": cells, "x": ["0", "0"]}, f"{name}.csv")
        assert [row[0] for row in inputs_of(model, f"{name}.csv")] == [1, 0], name


def test_spaces_within_quotes_are_not_part_of_a_class() -> None:
    write(
        {
            "b": cycle(['"TRUE"', '"True "', '" FALSE"', '"false"']),
            "x": noise(),
            "y": cycle(['"yes "', '" yes"', "yes", "no"]),
        }
    )
    dataset = dataset_of()
    assert dataset.classes == ("no", "yes")
    assert types_of(dataset)["b"] == "boolean"


def test_no_break_spaces_are_not_part_of_a_class() -> None:
    write({"x": noise(), "y": cycle(["yes\u00a0", "yes", "no", "\u00a0no"])})
    assert dataset_of().classes == ("no", "yes")


def test_accounting_negatives_are_negative() -> None:
    write({"x": ['"(1,234.50)"', '"2,000.00"', "(3.25)", "10"] * 10, "y": Y})
    assert feature(dataset_of(), "x")[:4] == [-1234.5, 2000, -3.25, 10]


@pytest.mark.parametrize("minus", ["\u2212", "\u2013"])
def test_typographic_minus_signs_are_read(minus: str) -> None:
    write({"x": [f"{minus}5.5", "3", f"{minus}2", "0.5"] * 10, "y": Y})
    assert feature(dataset_of(), "x")[:4] == [-5.5, 3, -2, 0.5]


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2009"])
def test_typographic_spaces_separate_thousands(space: str) -> None:
    write(
        {"x": [f'"1{space}234,5"', f'"12{space}000"', '"7,25"', f'"1{space}000{space}000"'] * 10, "y": Y}, delimiter=";"
    )
    assert feature(dataset_of(), "x")[:4] == [1234.5, 12000, 7.25, 1e6]


@pytest.mark.parametrize(
    ("known", "new"),
    [
        (["999.5", "1.5", "3"], ["1,090.41", "1 090.41", "1'090.41"]),
        (['"999,5"', '"1,5"', "3"], ["1.090,41", "1 090,41"]),
    ],
)
def test_thousands_signs_may_occur_only_in_new_data(known: list[str], new: list[str]) -> None:
    """Unambiguous thousands signs are read even if no training row has any."""
    write({"x": cycle(known), "y": Y})
    model = trained()
    write({"x": [f'"{cell}"' for cell in new]}, "new.csv")
    assert inputs_of(model, "new.csv") == [[1090.41]] * len(new)


def test_exponents_with_a_decimal_comma() -> None:
    write({"x": ["1,5E+03", "2,25E-01", "7E+00", "1,0E+01"] * 10, "y": Y}, delimiter=";")
    assert feature(dataset_of(), "x")[:4] == [1500, 0.225, 7, 10]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["-$5.00", "$1,200.50", "$0.99", "$10"], [-5, 1200.5, 0.99, 10]),
        (["$-5.00", "$1,200.50", "$0.99", "$10"], [-5, 1200.5, 0.99, 10]),
        (["($5.00)", "$1,200.50", "$0.99", "$10"], [-5, 1200.5, 0.99, 10]),
        (["EUR 5", "EUR 1,200.50", "EUR 0.99", "EUR 10"], [5, 1200.5, 0.99, 10]),
    ],
)
def test_money_is_a_number_with_the_sign_anywhere(cells: list[str], values: list[float]) -> None:
    write({"x": [f'"{cell}"' for cell in cells] * 10, "y": Y})
    assert feature(dataset_of(), "x")[:4] == values


def test_hexadecimal_ids_that_look_like_exponents_stay_distinct() -> None:
    """As numbers, 0e12 and 0e34 are both 0, and 1e10 equals 10e9."""
    codes = ["0e12", "0e34", "1e10", "10e9", "a3f1"]
    write({"code": cycle(codes), "x": noise(), "y": Y})
    found = [name for name in dataset_of().feature_names if name.startswith("code=")]
    assert found == [f"code={each}" for each in codes]


def test_a_dash_among_numbers_is_missing_or_reported() -> None:
    """The dash of spreadsheets among numbers must not silently become a category."""
    cells = noise(200)
    for row in range(0, 200, 5):
        cells[row] = "-"
    write({"x": cells, "z": noise(200, 1), "y": cycle(["no", "yes"], 200)})
    message = message_of("d.csv")
    assert "'x'" in message
    assert "'-'" in message
    configured = dataset_of(missing=["", "-"])
    assert types_of(configured)["x"] == "number"
    assert sum(feature(configured, "x is missing")) == 40


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity"])
def test_infinite_cells_are_named(cell: str) -> None:
    cells = noise(100)
    cells[7] = cell
    write({"x": cells, "z": noise(100, 1), "y": cycle(["no", "yes"], 100)})
    with pytest.raises(DataError, match=rf"d\.csv: line 9: column 'x': '{cell}'"):
        dataset_of()


def test_a_repeated_header_is_not_a_row() -> None:
    """As from `cat p1.csv p2.csv` with headers."""
    write({"x": noise(), "c": cycle(["red", "green"]), "y": Y}, "p1.csv")
    Path("d.csv").write_text(Path("p1.csv").read_text() * 2)
    assert "line 42" in message_of("d.csv")


def test_a_repeated_header_among_texts_is_not_a_class() -> None:
    write({"c": cycle(["red", "green"]), "y": Y}, "p1.csv")
    Path("d.csv").write_text(Path("p1.csv").read_text() * 2)
    dataset = dataset_of()
    assert dataset.classes == ("no", "yes")
    assert any("line 42" in warning for warning in dataset.warnings)


def test_columns_that_differ_in_case_are_different_columns() -> None:
    first, second = noise(), noise(seed=1)
    write({"Age": first, "age": second, "Y": noise(seed=2), "y": Y})
    dataset = dataset_of()
    assert dataset.feature_names == ("Age", "age", "Y")
    assert feature(dataset, "age") == [float(cell) for cell in second]


def test_the_index_that_pandas_writes_is_reported() -> None:
    """`to_csv` writes an index without a name; after a shuffle it is not sorted."""
    index = [str(number) for number in range(NUM_ROWS)]
    Random(0).shuffle(index)
    write({"": index, "x": noise(), "y": Y})
    assert any("'0'" in warning and "ignore" in warning for warning in dataset_of().warnings)


def test_a_class_that_occurs_once_does_not_stop_training() -> None:
    write({"x": noise(61), "y": [*cycle(["no", "yes"], 60), "maybe"]})
    dataset = dataset_of(split={"val": 0.2, "test": 0.2})
    assert dataset.classes == ("maybe", "no", "yes")
    assert 0 in dataset.train.targets.tolist()
    result = nnzoo.train(config(split={"val": 0.2, "test": 0.2}), quiet=True).result
    assert result["status"] == "completed"
    assert any("maybe" in warning for warning in result["warnings"])


def test_classes_with_another_ending_in_the_test_file_are_named() -> None:
    """The test file of the census income data has `<=50K.` instead of `<=50K`."""
    write({"x": noise(), "y": cycle(["<=50K", ">50K"])})
    write({"x": noise(), "y": cycle(["<=50K.", ">50K."])}, "test.csv")
    with pytest.raises(DataError, match=r"'[<>]=?50K\.' .*<=50K, >50K.*replace"):
        dataset_of(test_path="test.csv")


def test_a_constant_column_far_from_zero_is_divided_by_one() -> None:
    """The rounding error of its mean is not a spread."""
    constant = ["0.1"] * 30
    write({"x": [*constant, ""], "z": noise(31), "y": cycle(["no", "yes"], 31)})
    write({"x": ["0.2"], "z": ["0"]}, "new.csv")
    model = trained()
    samples = model.reader.read([Path("new.csv")], model.metadata.data_schema, labelled=False)
    assert float(model.preprocess(samples.inputs)[0, 0]) == pytest.approx(0.1)


def test_groups_of_long_ids_stay_distinct() -> None:
    """Floats lose the last of 18 digits, which would merge groups."""
    write(
        {
            "g": [f"1234567890123456{index % 20:02d}" for index in range(80)],
            "x": noise(80),
            "y": cycle(["no", "yes"], 80),
        }
    )
    dataset = dataset_of(split={"val": 0.2, "test": 0.2, "group": "g"})
    groups = [
        {int(row) % 20 for row in split.rows.tolist()} for split in dataset.splits.values() if split.rows is not None
    ]
    assert len(groups) == 3
    assert sum(map(len, groups)) == 20


def test_a_group_in_two_spellings_is_one_group() -> None:
    Path("parts").mkdir()
    for part, ending in (("p1", ""), ("p2", ".0")):
        write(
            {"g": [f"{index}{ending}" for index in range(20)], "x": noise(20), "y": cycle(["no", "yes"], 20)},
            f"parts/{part}.csv",
        )
    dataset = dataset_of("parts", split={"val": 0.2, "test": 0.2, "group": "g"})
    groups = [
        {int(row) % 20 for row in split.rows.tolist()} for split in dataset.splits.values() if split.rows is not None
    ]
    assert sum(map(len, groups)) == 20


def test_a_duplicate_in_another_spelling_is_dropped() -> None:
    write(
        {
            "x": ["1", "1.0", "1e0", "2"],
            "b": ["true", "TRUE", "True", "false"],
            "z": ["5", "5.00", "5", "6"],
            "y": ["no", "no", "no", "yes"],
        }
    )
    dataset = dataset_of(split={"val": 0, "test": 0, "deduplicate": True})
    assert dataset.train.rows is not None
    assert dataset.train.rows.tolist() == [0, 3]


def test_lines_within_quotes_are_in_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Windows line ends within cells do not change the lines in messages."""
    rows = "".join(f'{value},"two\r\nlines",{label}\r\n' for value, label in zip(noise(), Y, strict=True))
    Path("d.csv").write_bytes(f"x,c,y\r\n{rows}much,one,no\r\n".encode())
    with pytest.raises(DataError, match=rf"d\.csv: line {2 + 2 * NUM_ROWS}: column 'x': 'much'"):
        dataset_of()


def test_a_byte_order_mark_is_not_part_of_a_name() -> None:
    Path("parts").mkdir()
    for part, encoding in (("p1", "utf-8"), ("p2", "utf-8-sig"), ("p10", "utf-16")):
        text = "".join(f"{value},{label}\n" for value, label in zip(noise(), Y, strict=True))
        Path(f"parts/{part}.csv").write_bytes(f"x,y\n{text}".encode(encoding))
    assert len(dataset_of("parts").train) == 3 * NUM_ROWS


def test_metadata_of_macos_in_an_archive_is_ignored() -> None:
    write({"x": noise(), "y": Y})
    with zipfile.ZipFile("d.zip", "w") as archive:
        archive.writestr("__MACOSX/._d.csv", b"\0\5\x16\7Mac OS X")
        archive.write("d.csv", "folder/d.csv")
        archive.writestr("folder/.DS_Store", b"\0\1")
    assert feature(dataset_of("d.zip"), "x") == feature(dataset_of(), "x")


def test_compression_is_detected_by_content() -> None:
    write({"x": noise(), "y": Y})
    Path("download.csv").write_bytes(gzip.compress(Path("d.csv").read_bytes()))
    assert feature(dataset_of("download.csv"), "x") == feature(dataset_of(), "x")


def test_a_series_across_the_start_of_summer_time_has_no_gap() -> None:
    """At 02:00, clocks changed to 03:00, and the offset from +01:00 to +02:00."""
    stamps = [f"2024-03-30T{hour:02d}:00:00+01:00" for hour in range(24)]
    stamps += ["2024-03-31T00:00:00+01:00", "2024-03-31T01:00:00+01:00"]
    stamps += [f"2024-03-31T{hour:02d}:00:00+02:00" for hour in range(3, 24)]
    found = series_of({"t": stamps, "v": noise(len(stamps))}, window=3)
    assert found.warnings == ()
    assert len(found.train) == len(stamps) - 3


def series_of(columns: dict[str, Sequence[str]], **data: Any) -> Dataset:
    write(columns, "s.csv")
    data_section = {
        "name": "series",
        "path": "s.csv",
        "time": "t",
        "target": "v",
        "split": {"val": 0, "test": 0},
        **data,
    }
    return build_dataset(nnzoo.load_config({"data": data_section, "model": "linear"}))


@pytest.mark.parametrize(
    ("stamps", "following"),
    [
        (["20240226", "20240227", "20240228"], ["20240229", "20240301"]),
        (["2023-11-30", "2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"]),
        (["2024-W51", "2024-W52", "2025-W01"], ["2025-W02", "2025-W03"]),
        (["2023Q3", "2023Q4", "2024Q1"], ["2024Q2", "2024Q3"]),
    ],
)
def test_forecasts_across_leap_days_and_ends_of_months_and_years(stamps: list[str], following: list[str]) -> None:
    days = stamps_before(stamps, 20)
    write({"t": days, "v": noise(len(days))}, "s.csv")
    data_section = {"name": "series", "path": "s.csv", "time": "t", "target": "v", "window": 3, "horizon": 2}
    run = nnzoo.train({"data": data_section, "model": "linear", "train": {"epochs": 1, "device": "cpu"}}, quiet=True)
    assert values_in(predicted(run.run_dir, "s.csv"), "input") == following


def stamps_before(stamps: list[str], count: int) -> list[str]:
    """Returns the stamps after `count` earlier ones."""
    if "W" in stamps[0]:
        return [f"2024-W{week:02d}" for week in range(51 - count, 51)] + stamps
    if "Q" in stamps[0]:
        quarters = [f"{year}Q{quarter}" for year in range(2015, 2024) for quarter in range(1, 5)]
        return quarters[quarters.index(stamps[0]) - count : quarters.index(stamps[0])] + stamps
    if "-" in stamps[0]:
        first = np.datetime64(stamps[0][:7])
        return [str((first - ahead + 1).astype("datetime64[D]") - 1) for ahead in range(count, 0, -1)] + stamps
    start = np.datetime64(f"{stamps[0][:4]}-{stamps[0][4:6]}-{stamps[0][6:]}")
    return [str(start - ahead).replace("-", "") for ahead in range(count, 0, -1)] + stamps


def test_a_data_frame_is_read_like_the_file() -> None:
    """Booleans, integers, dates and missing values from Python equal those of a file."""
    days = [f"2024-{1 + index % 12:02d}-15" for index in range(NUM_ROWS)]
    write({"b": cycle(["true", "false"]), "n": cycle(["1", "2", "3"]), "c": cycle(["7", "8"]), "d": days, "y": Y})
    model = trained(categorical=["c"])
    write({"b": ["true", "false"], "n": ["2", "3"], "c": ["7", ""], "d": days[:2]}, "new.csv")
    rows: dict[str, Sequence[Any]] = {
        "b": [True, np.bool_(False)],
        "n": [2, np.float64(3)],
        "c": [7.0, None],
        "d": [np.datetime64("2024-01-15"), np.datetime64("2024-02-15T00:00:00")],
    }
    assert (
        model.outputs(rows).tolist()
        == model.outputs_of(
            model.reader.read([Path("new.csv")], model.metadata.data_schema, labelled=False).inputs
        ).tolist()
    )


def test_a_column_in_another_case_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write({"Age": noise(), "y": Y})
    nnzoo.train(config(), name="r", quiet=True)
    write({"age": noise(3)}, "new.csv")
    assert run(["predict", "runs/r", "new.csv", "--json"]) == 3
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "'Age'" in message
    assert "'age'" in message


@pytest.mark.parametrize("header", ["x y\n", ""])
def test_a_space_delimiter_gives_a_hint(header: str) -> None:
    rows = "".join(f"{value} {label}\n" for value, label in zip(noise(), Y, strict=True))
    Path("d.csv").write_text(header + rows)
    target = "y" if header else "1"
    with pytest.raises(DataError, match='set `delimiter: " "`'):
        dataset_of(target=target)
    assert dataset_of(target=target, delimiter=" ").classes == ("no", "yes")


def test_old_macintosh_line_ends() -> None:
    write({"x": noise(), "y": Y})
    Path("mac.csv").write_bytes(Path("d.csv").read_bytes().replace(b"\n", b"\r"))
    assert feature(dataset_of("mac.csv"), "x") == feature(dataset_of(), "x")


def test_integers_of_more_than_64_bits_stay_distinct_categories() -> None:
    ids = [f"1234567890123456789012345{digit}" for digit in "123"]
    write({"id": cycle(ids), "x": noise(), "y": Y})
    names = [name for name in dataset_of(categorical=["id"]).feature_names if name.startswith("id=")]
    assert names == [f"id={each}" for each in ids]


def test_categories_that_look_like_missing_values_can_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """NA is Namibia."""
    write({"country": cycle(["NA", "ZA", "BW"]), "x": noise(), "y": Y})
    assert dataset_of().missing_values["country"][0] > 0
    names = [name for name in dataset_of(missing=[""]).feature_names if name.startswith("country")]
    assert names == ["country=BW", "country=NA", "country=ZA"]
