"""Numbers and dates of Excel files and data frames mean the same whatever the text of the training file was like."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from nnzoo.data import Dataset, Division, load_csv
from nnzoo.errors import DataError

pd: Any = pytest.importorskip("pandas")
pytest.importorskip("openpyxl")

WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained_on(text: str, **fields: Any) -> Dataset:
    Path("d.csv").write_text(text)
    return load_csv(path="d.csv", target=["y"], division=WHOLE, **fields)


def read(dataset: Dataset, values: dict[str, list[Any]], kind: str) -> list[list[float]]:
    """The features of new rows that have these values."""
    assert dataset.reader is not None
    values = {**values, "other": ["z"] * max(map(len, values.values()))}
    frame = pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in values.items()})
    if kind == "xlsx":
        frame.to_excel("new.xlsx", index=False)
        samples = dataset.reader.read([Path("new.xlsx")], dataset.schema, labelled=False)
    else:
        found = dataset.reader.from_rows(frame, dataset.schema)
        assert found is not None
        samples = found
    inputs: list[list[float]] = samples.inputs.tolist()
    return inputs


KINDS = pytest.mark.parametrize("kind", ["xlsx", "frame"])
COMMAS = "w;y\n1,234;a\n2,500;b\n0,75;a\n"


@KINDS
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1.234, 2], [1.234, 2.0]),
        ([1.234, "2,5"], [1.234, 2.5]),  # texts are written as in training
        ([1.234, "NA"], [1.234, 1.234]),  # missing: the median
        ([1.234, None], [1.234, 1.234]),
        (["1.234", 1.5], [1234.0, 1.5]),  # a text has thousands
    ],
)
def test_a_number_is_not_read_by_the_decimal_comma_of_training(
    cells: list[Any], expected: list[float], kind: str
) -> None:
    dataset = trained_on(COMMAS, decimal=",", missing=("", "NA"))
    assert read(dataset, {"w": cells}, kind) == [[value] for value in expected]


@KINDS
def test_a_text_that_is_not_written_as_in_training_is_refused(kind: str) -> None:
    with pytest.raises(DataError, match="'2,5' is not a number"):
        read(trained_on("w,y\n1.5,a\n2.5,b\n3.75,a\n"), {"w": [1.5, "2,5"]}, kind)


@KINDS
def test_dates_are_not_read_by_the_layout_of_training(kind: str) -> None:
    dataset = trained_on("d;y\n25.12.2020;a\n26.11.2021;b\n27.10.2022;a\n")
    day = dt.datetime(2021, 3, 4)
    expected = read(dataset, {"d": ["04.03.2021"]}, kind)
    assert read(dataset, {"d": [day, "04.03.2021"]}, kind) == expected * 2
    assert read(dataset, {"d": [day]}, kind) == expected


@KINDS
def test_numbers_among_names_are_the_names_that_training_has(kind: str) -> None:
    dataset = trained_on("c;y\n1,5;a\n2,5;b\nx;a\n1,50;b\n", categorical=("c",))
    names = read(dataset, {"c": ["1,5", "2,5", "x"]}, kind)
    assert read(dataset, {"c": ["1,5", "2,5", "x"]}, kind) == names
    numbers = trained_on("c;y\n1,5;a\n2,5;b\n1,50;b\n", categorical=("c",))
    assert read(numbers, {"c": [1.5, 2.5]}, kind) == read(numbers, {"c": ["1,5", "2,5"]}, kind)
    assert read(numbers, {"c": [1.5, "2,5"]}, kind) == read(numbers, {"c": ["1,5", "2,5"]}, kind)


def test_new_rows_of_several_files_are_each_read_as_their_file_is() -> None:
    dataset = trained_on(COMMAS, decimal=",")
    Path("new").mkdir()
    Path("new/a.csv").write_text("w;z\n1,234;0\n2.000;0\n")
    pd.DataFrame({"w": [1.234], "z": [0]}).to_excel("new/b.xlsx", index=False)
    pd.DataFrame({"w": [1.234], "z": [0]}).to_parquet("new/c.parquet")
    assert dataset.reader is not None
    samples = dataset.reader.read([Path("new")], dataset.schema, labelled=False)
    assert samples.inputs.flatten().tolist() == [1.234, 2000.0, 1.234, 1.234]


def test_a_column_of_texts_in_a_sheet_is_read_as_texts() -> None:
    pd.DataFrame({"w": ["1,234", "2,5"], "n": [0.5, 1.5], "y": ["a", "b"]}).to_excel("t.xlsx", index=False)
    dataset = load_csv(path="t.xlsx", target=["y"], division=WHOLE)
    assert dataset.train.inputs.tolist() == [[1.234, 0.5], [2.5, 1.5]]


def test_blank_rows_of_a_sheet_count_and_are_told_of() -> None:
    frame = pd.DataFrame({"a": [1, 2, None, None, 5, 6], "y": ["p", "q", None, None, "p", "q"]})
    frame.to_excel("t.xlsx", index=False)
    dataset = load_csv(path="t.xlsx", target=["y"], division=WHOLE)
    assert dataset.train.inputs.flatten().tolist() == [1, 2, 5, 6]
    assert dataset.train.origin is not None
    assert dataset.train.rows is not None
    numbers = dataset.train.origin.find(dataset.train.rows.numpy())[1]
    assert numbers == pd.read_excel("t.xlsx", engine="openpyxl").dropna().index.tolist() == [0, 1, 4, 5]
    assert dataset.warnings == ("2 rows without a value were left out (first: t.xlsx: row 4). Remove it.",)
    assert dataset.reader is not None
    new = dataset.reader.read([Path("t.xlsx")], dataset.schema, labelled=False)
    assert list(new.names) == [0, 1, 4, 5]
    assert new.warnings == dataset.warnings
