"""Repairs of irregular tables: ragged rows, titles, incomplete headers, stray bytes. All are counted."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnzoo.data import Dataset, Division, load_csv
from nnzoo.errors import DataError

WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes, target: str = "y", **fields: Any) -> Dataset:
    Path("d.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return load_csv(path="d.csv", target=[target], division=WHOLE, **{"missing": ("", "NA"), **fields})


def columns(dataset: Dataset) -> dict[str, list[float]]:
    return dict(zip(dataset.feature_names, dataset.train.inputs.T.tolist(), strict=True))


def told(dataset: Dataset) -> str:
    """Returns the only warning."""
    (warning,) = dataset.warnings
    return warning


CLEAN = "a,b,y\n1,2,p\n3,4,q\n5,6,p\n"


def test_short_rows_are_filled_as_missing() -> None:
    dataset = load("y,a,b\np,1,2\nq,3\np,5,6\nq,7\nq\n")
    assert columns(dataset)["b is missing"] == [0, 1, 0, 1, 1]
    assert columns(dataset)["a"] == [1, 3, 5, 7, 4]
    assert told(dataset).startswith(
        "3 rows with fewer cells than columns were filled with missing values (first: d.csv: line 3)."
    )


def test_short_rows_are_filled_with_the_missing_marker() -> None:
    dataset = load("y,a,c\np,1,u\nq,3\np,5,\nq,7,u\n", missing=("NA",), categorical=("c",))
    assert columns(dataset)["c is missing"] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("rule", "rows"), [("pad", [1, 3, 5]), ("skip", [1, 5]), ("error", "line 3 has a different number of cells")]
)
def test_ragged_applies_to_short_rows(rule: str, rows: list[float] | str) -> None:
    text = "y,a,b\np,1,2\nq,3\nq,5,6\n"
    if isinstance(rows, str):
        with pytest.raises(DataError, match=rows):
            load(text, ragged=rule)
    else:
        assert columns(load(text, ragged=rule))["a"] == rows


def test_longer_rows_are_an_error_unless_skipped() -> None:
    text = "a,y\n1,p\n2,q\n3,p,more\n4,q\n"
    with pytest.raises(DataError, match=r"d\.csv: line 4 has a different number of cells than the header \(got 3"):
        load(text)
    dataset = load(text, ragged="skip")
    assert columns(dataset)["a"] == [1, 2, 4]
    assert "1 row with the wrong number of cells was left out (d.csv: line 4)" in told(dataset)
    assert dataset.train.origin is not None
    assert dataset.train.rows is not None
    assert dataset.train.origin.find(dataset.train.rows.numpy())[1] == [0, 1, 3]


@pytest.mark.parametrize(
    "text",
    [
        "a;b;y\n1;2;p;;\n3;4;q;;\n5;6;p;;\n",  # rows with extra delimiters
        "a;b;y;;\n1;2;p\n3;4;q\n5;6;p\n",  # the header with extra delimiters
        "a;b;y\n1;2;p\n3;4;q;\n5;6;p\n",  # one row
        "a;b;y\n1;2;p\n;;\n3;4;q\n5;6;p\n;;\n;;\n",  # blank rows of delimiters
        ";;\n;;\na;b;y\n1;2;p\n3;4;q\n5;6;p\n",  # also above the header
        "a;b;y\n1;2;p\n3;4;q\n;;;;;;\n5;6;p\n",  # with another number of delimiters
        "a;b;y\r\n1;2;p\r\n;;\r\n3;4;q\r\n5;6;p\r\n",
        "a;b;y\r1;2;p\r;;\r3;4;q\r5;6;p\r",
        "a;b;y\n1;2;p\r\n3;4;q\r5;6;p",  # mixed line ends
        "\ufeffa;b;y\n1;2;p\n3;4;q\n5;6;p\n\x1a",  # a byte order mark, and the DOS end-of-file mark
    ],
)
def test_extra_delimiters_and_blank_rows_are_ignored(text: str) -> None:
    expected = load(CLEAN)
    dataset = load(text)
    assert columns(dataset) == columns(expected)
    assert dataset.train.targets.tolist() == expected.train.targets.tolist()
    assert dataset.classes == ("p", "q")


def test_blank_rows_are_counted_and_are_errors_if_strict() -> None:
    text = "a;b;y\n1;2;p\n;;\n3;4;q\n5;6;p\n;;\n;;\n"
    assert told(load(text)).startswith("3 rows without a value were left out (first: d.csv: line 3)")
    with pytest.raises(DataError, match=r"3 rows without a value.*`strict`"):
        load(text, strict=True)


def test_lines_in_messages_count_rows_left_out() -> None:
    """Lines in messages are those of the file, including rows left out above."""
    with pytest.raises(DataError, match=r"d\.csv: line 9: column 'a'"):
        load('a;b;y\n1;2;p\n;;\n"3\n";4;q\n5;p\n;;\n;;\nx;1;p\n' + "6;7;q\n" * 300, types={"a": "number"})


@pytest.mark.parametrize(
    ("text", "skip"),
    [
        ("Title\n" + CLEAN, 1),
        ('Title, with a comma\n"and a quote\n\n' + CLEAN, 3),
        ("Export of 2024,,\n" + CLEAN, [1]),
        ("a,b,y\nthe first,the second,the class\n1,2,p\n3,4,q\n5,6,p\n", [2]),
        ('a,b,y\n"What is\nthe first?",?,?\n{"Id": 1},{},{}\n1,2,p\n3,4,q\n5,6,p\n', [2, 3]),
        ("Title\na,b,y\n(cm),(kg),\n1,2,p\n3,4,q\n5,6,p\n", [1, 3]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_titles_and_second_headers_are_skipped(text: str, skip: Any, encoding: str) -> None:
    dataset = load(text.encode(encoding), skip_rows=tuple(skip) if isinstance(skip, list) else skip)
    assert columns(dataset) == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert dataset.classes == ("p", "q")
    assert dataset.warnings == ()
    with pytest.raises(DataError):  # the numbers are read as text, or the rows are longer than the title
        columns(load(text.encode(encoding), types={"a": "number", "b": "number"}))


def test_lines_are_counted_from_the_start_of_the_file() -> None:
    with pytest.raises(DataError, match=r"d\.csv: line 5 has a different number of cells"):
        load("Title\n\na,y\n1,p\n2,q,r\n", skip_rows=1)
    with pytest.raises(DataError, match=r"d\.csv: line 6: column 'y': the target is missing"):
        load('Title\na,y\n"x\ny",unit\n1,p\n2,\n', skip_rows=(1, 3), missing_target="error")


def test_a_title_above_the_header_gives_a_hint() -> None:
    with pytest.raises(DataError, match=r"has no column 'y' .* Line 3 contains it\. .* `skip_rows: 2`"):
        load("Title\n\na,b,y\n1,2,p\n3,4,q\n")


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n'])
def test_the_sep_line_of_excel_sets_the_delimiter(first: str) -> None:
    dataset = load(first + "a;b;y\n1.5;2;p\n3.5;4;q\n5.5;6;p\n")
    assert columns(dataset) == {"a": [1.5, 3.5, 5.5], "b": [2, 4, 6]}
    assert dataset.warnings == ()


def test_escaped_quotes_are_literal() -> None:
    quoted = r'"he said \"hi, you\""'
    assert load(f"c,y\n{quoted},p\nplain,q\n{quoted},p\n").feature_names == ('c=he said "hi, you"', "c=plain")
    assert load("c,y\n\\1,p\n2,q\n\\1,p\n").feature_names == ("c=2", "c=\\1")  # other backslashes stay


@pytest.mark.parametrize("delimiter", ["\t", " ", ";"])
def test_an_empty_cell_before_a_quoted_one_stays_a_cell(delimiter: str) -> None:
    rows = ["a,c,x,y", 'u,v,"two words",p', 'w,,"two words",q', 'u,t,"one;more",p', 'w,,"one;more",q']
    dataset = load("\n".join(row.replace(",", delimiter) for row in rows) + "\n", delimiter=delimiter)
    assert dataset.missing_values == {"c": (2, 4)}
    assert dataset.feature_names == ("a=u", "a=w", "c=t", "c=v", "c is missing", "x=one;more", "x=two words")
    assert dataset.warnings == ()


def test_columns_without_a_name_are_named_by_position() -> None:
    dataset = load(",b,,y\n0.5,2,u,p\n1.5,4,v,q\n0.1,6,u,p\n")
    assert dataset.feature_names == ("0", "b", "2=u", "2=v")
    assert told(dataset).startswith("2 columns without a name were numbered from the left, from 0 (first: d.csv: '0'")


def test_repeated_names_are_renamed() -> None:
    dataset = load("x,x,y,x.1,x\n1,2,p,3,4\n5,6,q,7,9\n8,8,q,6,5\n")
    assert dataset.feature_names == ("x", "x.2", "x.1", "x.3")
    assert columns(dataset)["x.1"] == [3, 7, 6]
    assert told(dataset).startswith("2 columns with a repeated name were renamed (first: d.csv: 'x.2', 'x.3'")


def test_row_names_of_r_are_a_column_without_a_name() -> None:
    dataset = load('"b","y"\n"r1",2,"p"\n"r2",4,"q"\n"r1",6,"p"\n')
    assert columns(dataset)["b"] == [2, 4, 6]
    assert dataset.feature_names[:2] == ("0=r1", "0=r2")


def test_stray_bytes_are_counted() -> None:
    raw = "c,y\nStraße,p\nMüller,q\nStraße,p\n".encode() + "Müller,q\n".encode("cp1252")
    dataset = load(raw)
    assert dataset.feature_names == ("c=Müller", "c=Straße")
    assert columns(dataset)["c=Müller"] == [0, 1, 0, 1]
    assert told(dataset).startswith("1 byte in an encoding other than UTF-8 was read as cp1252 (d.csv: line 5)")
    with pytest.raises(DataError, match="`strict`"):
        load(raw, strict=True)


def test_stray_zero_bytes_are_counted() -> None:
    dataset = load(b"a,y\n1,p\n2\0,q\n3,p\n" + b"4,q\n5,p\n" * 10)
    assert columns(dataset)["a"][:3] == [1, 2, 3]
    assert dataset.warnings[0].startswith("1 zero byte in text was removed (d.csv: line 3)")


def test_another_script_is_an_error() -> None:
    with pytest.raises(DataError, match=r"d\.csv: line 2 is neither UTF-8 nor Western text"):
        load("c,y\nМосква,p\nКазань,q\n".encode("cp1251"))
    assert load("c,y\nМосква,p\nКазань,q\n".encode("cp1251"), encoding="cp1251").feature_names[0] == "c=Казань"


@pytest.mark.parametrize("rule", ["auto", "drop"])
def test_rows_without_a_target_are_left_out(rule: str) -> None:
    text = "a,y\n" + "".join(f"{row},{'NA' if row % 7 == 3 else 'pq'[row % 2]}\n" for row in range(70))
    dataset = load(text, missing_target=rule)
    assert len(dataset.train) == 60
    assert 3 not in columns(dataset)["a"]
    (warning, *_) = dataset.warnings
    assert warning.startswith("10 rows without a target were left out (first: d.csv: line 5: column 'y')")
    with pytest.raises(DataError, match=r"line 5: column 'y': the target is missing \(10 of 70 rows\)"):
        load(text, missing_target="error")
    with pytest.raises(DataError, match="`strict`"):
        load(text, strict=True)


def test_many_rows_without_a_target_are_left_out_only_if_configured() -> None:
    text = "a,y\n1,p\n2,q\n3,\n4,\n5,\n"
    with pytest.raises(DataError, match=r"the target is missing \(3 of 5 rows\).*`missing_target: drop`"):
        load(text)
    assert columns(load(text, missing_target="drop"))["a"] == [1, 2]
    with pytest.raises(DataError, match=r"the target is missing \(2 of 2 rows\)"):
        load("a,y\n1,\n2,\n", missing_target="drop")


def test_a_row_with_some_of_several_targets_is_left_out() -> None:
    Path("d.csv").write_text("a,u,v\n1,0.5,1.5\n2,0.5,\n3,,\n4,1.5,2.5\n5,2.5,0.5\n")
    dataset = load_csv(path="d.csv", target=["u", "v"], division=WHOLE)
    assert dataset.train.targets.tolist() == [[0.5, 1.5], [1.5, 2.5], [2.5, 0.5]]
    assert "2 rows without a target were left out (first: d.csv: line 3: column 'v')" in dataset.warnings[0]


def test_sequences_without_a_target_are_left_out() -> None:
    text = "id,a,y\nu,1,p\nu,2,p\nv,3,q\nv,4,\nw,5,q\nx,6,q\n"
    dataset = load(text, sequence_id="id")
    assert dataset.train.lengths is not None
    assert dataset.train.lengths.tolist() == [2, 1, 1]
    assert "1 row without a target" in dataset.warnings[0]


def test_given_splits_are_repaired_too() -> None:
    Path("t.csv").write_text("y,a,b\np,1,2\n,2\nq,3\nq,4,5\n,,\n")
    dataset = load(CLEAN, test_path="t.csv")
    assert dataset.splits["test"].inputs.tolist() == [[1, 2], [3, 4], [4, 5]]
    assert sorted(line[:25] for line in dataset.warnings) == [
        *("1 row without a target wa", "1 row without a value was", "2 rows with fewer cells t")
    ]


def test_part_files_are_read_in_natural_order_with_one_note() -> None:
    Path("p").mkdir()
    for part in range(1, 13):
        Path(f"p/p{part}.csv").write_text(f"a,y\n{part}.5,{'pq'[part % 2]}\n")
    Path("p/p10.csv").write_bytes(gzip.compress(Path("p/p10.csv").read_bytes()))
    dataset = load_csv(path="p", target=["y"], division=WHOLE)
    assert columns(dataset)["a"] == [part + 0.5 for part in range(1, 13)]
    (note,) = [note for note in dataset.notes if "in the order of the numbers" in note]
    assert note.startswith("12 files")


CELL = st.text(alphabet='ab1",;\n ', max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    delimiter=st.sampled_from(",;\t"),
)
def test_short_rows_are_read_like_filled_rows(
    rows: list[list[str]], cuts: list[int], delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Rows without trailing empty cells equal complete rows."""

    def text(rows: list[list[str]]) -> str:
        quoted = [["k", "a", "b", "y"], *(["k", *row] for row in rows), ["k", "z", "z", "z"]]
        return "".join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in quoted)

    whole = [[*row[: 3 - cut], *[""] * cut] for row, cut in zip(rows, cuts, strict=False)]
    short = [row[: 3 - cut] for row, cut in zip(rows, cuts, strict=False)]
    folder = tmp_path_factory.mktemp("rows")
    found = []
    for name, each in (("whole", whole), ("short", short)):
        (folder / f"{name}.csv").write_text(text(each), newline="")
        table = open_for(folder / f"{name}.csv", delimiter)
        found.append([table.cells(column).texts for column in ("a", "b", "y")])
    assert found[0] == found[1]


def open_for(path: Path, delimiter: str) -> Any:
    from nnzoo.data.files.repairs import Repairs
    from nnzoo.data.tables.dialect import TableOptions
    from nnzoo.data.tables.table import open_table

    return open_table([path], TableOptions(delimiter=delimiter), ["a", "b", "y"], repairs=Repairs())


@pytest.mark.parametrize("note", ["SOURCE.txt", "readme.TXT"])
def test_text_files_beside_tables_are_left_out_and_counted(note: str) -> None:
    Path("data").mkdir()
    Path("data/part.csv").write_text(CLEAN)
    Path("data", note).write_text("Downloaded from the internet.\n")
    dataset = load_csv(path="data", target=["y"], division=WHOLE)
    assert len(dataset.train) == 3
    assert "1 file of a different type in a data folder was left out" in told(dataset)
    assert note in told(dataset)


def test_a_folder_of_text_files_is_read() -> None:
    Path("data").mkdir()
    Path("data/1.txt").write_text(CLEAN)
    Path("data/2.txt").write_text(CLEAN)
    assert len(load_csv(path="data", target=["y"], division=WHOLE).train) == 6


def test_empty_cells_as_a_category_are_named() -> None:
    rows = "".join(f"{cell},{label}\n" for cell, label in zip(["u", "v", "", "-"] * 6, "pqq" * 8, strict=True))
    dataset = load("c,y\n" + rows, missing=("-",))
    assert dataset.feature_names == ("c=", "c=u", "c=v", "c is missing")
    assert told(dataset) == "column 'c' has empty cells as a category, since `missing` does not contain ''"
    assert load("c,y\n" + rows, missing=("-", "")).warnings == ()


def test_a_target_of_names_is_an_error() -> None:
    rows = "".join(f"{number},name {number}\n" for number in range(30))
    with pytest.raises(DataError, match=r"'y': has 30 different values in 30 rows.* Is it the right target\?"):
        load("a,y\n" + rows)
    with pytest.raises(DataError, match=r"line 2: column 'y': 'name 0' is text, like all values of the target\."):
        load("a,y\n" + rows, task="regression")
    zips = "".join(
        f"{number},{28000 + 17 * number if number % 3 else f'0{4500 + number}'},{'pq'[number % 2]}\n"
        for number in range(60)
    )
    (warning,) = (text for text in load("a,zip,y\n" + zips).warnings if "'zip'" in text)
    assert re.search(r"has texts such as '28\d+' and '0\d+', which are not numbers in one format", warning)
