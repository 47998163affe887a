"""Parquet, Arrow and Excel files are read exactly, like a CSV file with the same values."""

from __future__ import annotations

import datetime as dt
import io
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather, ipc, parquet

from nnzoo.data import CsvReader, Dataset, Division, load_csv, load_series, load_text
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.table import open_table
from nnzoo.errors import DataError

WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(values: dict[str, Any], kind: str, name: str | None = None) -> str:
    table = pa.table(values)
    path = name or f"d.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=2)
    elif kind == "feather":
        feather.write_feather(table, path)
    else:
        with ipc.new_stream(path, table.schema) if kind == "arrows" else ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


KINDS = ["parquet", "feather", "arrow", "arrows"]


def load(path: str, target: str = "y", **fields: Any) -> Dataset:
    return load_csv(path=path, target=[target], division=WHOLE, **{"missing": ("", "NA"), **fields})


def texts(path: str, name: str) -> list[str]:
    table = open_table([Path(path)], TableOptions(), [name], repairs=Repairs())
    return table.cells(name).texts


MIXED = {
    "n": [1.5, None, -20.0, 4.0],
    "b": [True, False, True, None],
    "c": ["red", "green", None, "red"],
    "d": [dt.date(2024, 2, 29), dt.date(2023, 1, 1), dt.date(2024, 2, 28), dt.date(2022, 5, 6)],
    "y": ["no", "yes", "no", "yes"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_columnar_files_are_read_like_csv(kind: str) -> None:
    Path("d.csv").write_text(
        "n,b,c,d,y\n1.5,true,red,2024-02-29,no\n,false,green,2023-01-01,yes\n-20,true,,2024-02-28,no\n4,,red,2022-05-06,yes\n"
    )
    expected, found = load("d.csv"), load(write(MIXED, kind))
    assert found.feature_names == expected.feature_names
    assert found.train.inputs.tolist() == expected.train.inputs.tolist()
    assert found.train.targets.tolist() == expected.train.targets.tolist()
    assert isinstance(found.reader, CsvReader)
    # A network trained on one reads the other.
    for path in ("d.csv", f"d.{kind}"):
        assert (
            found.reader.read([Path(path)], found.schema, labelled=True).inputs.tolist() == found.train.inputs.tolist()
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_type_is_detected_by_content(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MIXED, kind, "d.bin")
    expected = load(path).train.inputs.tolist()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(path).read_bytes())))
    assert load("-").train.inputs.tolist() == expected
    with zipfile.ZipFile("d.zip", "w") as archive:
        archive.write(path, "in/d.parquet")
    assert load("d.zip").train.inputs.tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([2**63 - 1, -(2**63), None]), ["9223372036854775807", "-9223372036854775808", ""]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([123456789012345678, 123456789012345679]), ["123456789012345678", "123456789012345679"]),
        (pa.array([0.1, float("nan"), 1e300, None]), ["0.1", "", "1e+300", ""]),
        (pa.array([0.1], pa.float32()), [repr(float(np.float32(0.1)))]),
        (pa.array([1.5, 2.0], pa.float16()), ["1.5", "2"]),
        (pa.array([Decimal("1.50"), Decimal("-0.01")]), ["1.50", "-0.01"]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array(["a", "b", "a", None]).dictionary_encode(), ["a", "b", "a", ""]),
        (pa.array(["a", None], pa.large_string()), ["a", ""]),
        (pa.array([dt.date(2024, 5, 1)]), ["2024-05-01"]),
        (pa.array([dt.date(1024, 5, 1)]).cast(pa.date64()), ["1024-05-01"]),
        (pa.array([dt.datetime(2024, 5, 1), None]), ["2024-05-01", ""]),
        (
            pa.array([dt.datetime(2024, 5, 1), dt.datetime(2024, 5, 1, 12)]),
            ["2024-05-01T00:00:00", "2024-05-01T12:00:00"],
        ),
        (pa.array([dt.datetime(2024, 5, 1, 0, 0, 0, 500_000)]), ["2024-05-01T00:00:00.500000"]),
        (pa.array([1_714_521_600_000_000_001], pa.timestamp("ns")), ["2024-05-01T00:00:00.000000001"]),
        (pa.array([1_714_521_600], pa.timestamp("s", tz="Europe/Berlin")), ["2024-05-01T02:00:00+02:00"]),
        (pa.array([dt.time(12, 30)]).cast(pa.time32("s")), ["12:30:00"]),
        (pa.array([dt.timedelta(hours=1, milliseconds=500)]), ["3600.5"]),
        (pa.array([None, 1], pa.int8()), ["", "1"]),
    ],
    ids=str,
)
def test_values_of_every_type_are_exact(values: Any, expected: list[str]) -> None:
    assert texts(write({"v": values, "y": pa.array(["p"] * len(values))}, "parquet"), "v") == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=9))
def test_floats_survive_to_the_last_bit(values: list[float | None]) -> None:
    found = texts(write({"v": pa.array(values, pa.float64())}, "parquet"), "v")
    assert [float(text) if text else None for text in found] == values


def test_ids_of_18_digits_stay_distinct() -> None:
    ids = [123456789012345678 + row // 2 for row in range(40)]
    dataset = load(write({"id": ids, "y": ["p", "q"] * 20}, "parquet"), categorical=("id",))
    assert len(dataset.feature_names) == 20
    assert isinstance(dataset.reader, CsvReader)
    new = write({"id": [123456789012345678, 123456789012345698]}, "parquet", "new.parquet")
    inputs = dataset.reader.read([Path(new)], dataset.schema, labelled=False).inputs
    assert inputs.sum(1).tolist() == [1, 0]


def test_nested_columns_and_the_index_of_pandas_are_left_out() -> None:
    values = {
        "x": [1, 2, 4],
        "l": [[1], [2], [3]],
        "s": [{"a": 1}] * 3,
        "__index_level_0__": [7, 8, 9],
        "y": ["p", "q", "p"],
    }
    dataset = load(write(values, "parquet"))
    assert dataset.feature_names == ("x",)
    (warning,) = dataset.warnings
    assert warning.startswith("2 columns of lists, structs or bytes were left out (first: d.parquet: 'l')")


def test_files_of_several_types_are_one_table() -> None:
    Path("p").mkdir()
    write({"x": [1, 2], "y": [0, 1]}, "parquet", "p/p1.parquet")
    write({"y": [1.0, 0.0], "x": [3.5, 4.0]}, "feather", "p/p2.feather")
    Path("p/p10.csv").write_text("x,y\n5,1\n6,0\n")
    dataset = load("p", task="classification")
    assert dataset.train.inputs[:, 0].tolist() == [1, 2, 3.5, 4, 5, 6]
    assert dataset.classes == ("0", "1")


def test_series_and_texts_are_read_too() -> None:
    hours = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=hour) for hour in range(40)]
    path = write({"t": hours, "v": [float(hour % 5) for hour in range(40)]}, "parquet")
    series = load_series(path=path, target=("v",), time="t", window=5, division=Division(0.2, 0.2))
    assert series.train.inputs[0, :, 0].tolist() == [0, 1, 2, 3, 4]
    path = write({"what": ["a red car", None, "blue", "red"], "kind": ["w", "c", "c", None]}, "parquet", "t.parquet")
    dataset = load_text(path=path, target="kind", division=WHOLE)
    assert len(dataset.train) == 3
    assert dataset.reader is not None
    found = dataset.reader.read([Path(path)], dataset.schema, labelled=False)
    assert found.names == ["a red car", "", "blue", "red"]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_named(kind: str) -> None:
    path = Path(write({"x": list(range(500)), "y": ["p", "q"] * 250}, kind))
    raw = path.read_bytes()
    for damaged in (raw[: len(raw) // 2], raw[:8], raw[:40] + bytes(60) + raw[100:]):
        path.write_bytes(damaged)
        try:
            load(str(path))
        except DataError as error:
            assert str(error).startswith(f"d.{kind}: ")  # noqa: PT017  # some damage affects values only


def test_a_small_file_that_claims_billions_of_rows_is_rejected() -> None:
    parquet.write_table(pa.table({"x": pa.array(np.zeros(40_000_000, dtype=np.int8))}), "d.parquet")
    assert Path("d.parquet").stat().st_size < 200_000
    with pytest.raises(DataError, match="decompress to more than 200 times as many"):
        load("d.parquet", target="x")


openpyxl = pytest.importorskip("openpyxl")


def excel(rows: list[list[Any]], path: str = "d.xlsx", sheets: dict[str, list[list[Any]]] | None = None) -> str:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, others in (sheets or {}).items():
        sheet = book.create_sheet(name)
        for row in others:
            sheet.append(row)
    book.save(path)
    return path


TABLE: list[list[Any]] = [
    ["n", "b", "c", "d", "y"],
    [1.5, True, "red", dt.date(2024, 2, 29), "no"],
    [None, False, "green", dt.date(2023, 1, 1), "yes"],
    [-20, True, None, dt.date(2024, 2, 28), "no"],
    [4, None, "red", dt.date(2022, 5, 6), "yes"],
]


def test_excel_files_are_read_like_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(write(MIXED, "parquet"))
    path = excel(TABLE)
    found = load(path)
    assert found.feature_names == expected.feature_names
    assert found.train.inputs.tolist() == expected.train.inputs.tolist()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(path).read_bytes())))
    assert load("-").train.inputs.tolist() == expected.train.inputs.tolist()


def test_sheet_and_skip_rows_apply_to_excel_files() -> None:
    titled: list[list[Any]] = [
        ["Title"],
        [None],
        ["a", "b", "y"],
        ["line\none", "kg", None],
        [1, 2, "p"],
        [None],
        [3, 4, "q"],
        [5, None, "p"],
    ]
    path = excel([["other"]], sheets={"Data": titled})
    for sheet in ("Data", 1):
        dataset = load(path, sheet=sheet, skip_rows=(1, 4))
        assert dict(zip(dataset.feature_names, dataset.train.inputs.T.tolist(), strict=True))["a"] == [1, 3, 5]
    with pytest.raises(DataError, match=r"d\.xlsx: has no column 'y'"):
        load(path)
    with pytest.raises(DataError, match=r"has no sheet 'Dada' \(expected one of: Sheet, Data\)"):
        load(path, sheet="Dada")
    with pytest.raises(DataError, match=r"d\.xlsx: row 6: column 'y': the target is missing"):
        load(excel([[], *titled[2:6], [3, 4]]), skip_rows=(3,), missing_target="error")


def test_integers_times_and_errors_in_excel_files() -> None:
    rows: list[list[Any]] = [["i", "t", "e", "y"], [777, dt.datetime(2024, 5, 1, 12, 30), "#REF!", "p"]]
    rows += [[888, dt.datetime(2024, 5, 1, 12, 45), 0.25, "q"]]
    path = "exact.xlsx"
    # openpyxl rounds to 16 digits. Other writers do not.
    with zipfile.ZipFile(excel(rows)) as archive, zipfile.ZipFile(path, "w") as exact:
        for name in archive.namelist():
            text = archive.read(name).replace(b"<v>777<", b"<v>123456789012345678<")
            exact.writestr(name, text.replace(b"<v>888<", b"<v>123456789012345679<"))
    assert texts(path, "i") == ["123456789012345678", "123456789012345679"]
    assert texts(path, "t") == ["2024-05-01 12:30:00", "2024-05-01 12:45:00"]
    assert texts(path, "e") == ["", "0.25"]
    assert (
        "1 cell with an Excel error such as #REF! was read as missing (exact.xlsx: row 2). Correct the formula."
        in load(path).warnings
    )


def test_unreadable_excel_files_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(excel([["a", "y"], [1, "p"]]))
    raw = path.read_bytes()
    far = openpyxl.Workbook()
    far.active.cell(60_000, 16_000, "far")
    far.save("far.xlsx")
    Path("old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    Path("cut.xlsx").write_bytes(raw[:-60])
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile("odd.xlsx", "w") as odd:
        for name in archive.namelist():
            odd.writestr(name, archive.read(name)[:40])
    for name, message in (
        ("far.xlsx", r"far\.xlsx: nearly all of its 60,000 x 16,000 cells are empty"),
        ("old.xls", r"old\.xls: is an \.xls file"),
        ("cut.xlsx", r"cut\.xlsx: can't be decompressed: it is damaged"),
        ("odd.xlsx", r"odd\.xlsx: can't be read as an \.xlsx file"),
    ):
        with pytest.raises(DataError, match=message):
            load(name)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        DataError, match=r"d\.xlsx: is an Excel file, which needs openpyxl\. Install it: pip install 'nnzoo\[excel\]'"
    ):
        load("d.xlsx")
