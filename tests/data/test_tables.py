"""CSV files as features: dialects, cells, types, targets, sequences, and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnzoo.data import CsvReader, Dataset, Division, load_csv
from nnzoo.errors import DataError

WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "d.csv", encoding: str = "utf-8") -> None:
    Path(name).write_bytes(text.encode(encoding))


def load(text: str | None = None, target: str = "y", division: Division = WHOLE, **fields: Any) -> Dataset:
    """Returns the dataset of a CSV text, with the default missing values of the config."""
    if text is not None:
        write(text)
    words = {"missing": ("", "?", "NA"), **fields}
    return load_csv(path="d.csv", target=target.split("+"), division=division, **words)


def table(columns: dict[str, list[Any]], delimiter: str = ",") -> str:
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def numbers(count: int, seed: int = 0) -> list[float]:
    return [round(float(value), 3) for value in np.random.default_rng(seed).normal(size=count)]


def feature(dataset: Dataset, name: str) -> list[float]:
    return [round(float(value), 4) for value in dataset.train.inputs[:, dataset.feature_names.index(name)]]


Y = ["no", "yes"]


def test_every_column_type_is_encoded() -> None:
    dataset = load(
        "n,b,c,d,y\n"
        "1.5,true,red,2024-02-29 13:00,no\n"
        ",FALSE,green,2023-01-01,yes\n"
        "-2e1,Yes,,2024-02-29 07:30,no\n"
        "4,?,red,,yes\n"
    )
    assert dataset.feature_names == (
        *("n", "n is missing", "b", "b is missing", "c=green", "c=red", "c is missing"),
        *("d year", "d month", "d day", "d weekday", "d hour", "d minute", "d is missing"),
    )
    assert feature(dataset, "n") == [1.5, 1.5, -20, 4]  # the median of 1.5, -20 and 4
    assert feature(dataset, "n is missing") == [0, 1, 0, 0]
    assert feature(dataset, "b") == [1, 0, 1, 1]
    assert feature(dataset, "b is missing") == [0, 0, 0, 1]
    assert feature(dataset, "c=red") == [1, 0, 0, 1]
    assert feature(dataset, "c=green") == [0, 1, 0, 0]
    assert feature(dataset, "c is missing") == [0, 0, 1, 0]
    assert feature(dataset, "d weekday") == [3, 6, 3, 3]  # a Thursday, a Sunday, a Thursday
    assert feature(dataset, "d hour") == [13, 0, 7, 7]
    assert feature(dataset, "d minute") == [0, 0, 30, 0]
    assert feature(dataset, "d is missing") == [0, 0, 0, 1]
    assert dataset.classes == ("no", "yes")
    assert dataset.train.targets.tolist() == [0, 1, 0, 1]
    assert dataset.reader is not None
    assert dataset.reader.column_types == {"n": "number", "b": "boolean", "c": "category", "d": "date"}


@pytest.mark.parametrize(
    ("dates", "parts"),
    [
        (["31/12/2020", "01/02/2021"], [[2020, 12, 31], [2021, 2, 1]]),
        (["12/31/2020", "02/01/2021"], [[2020, 12, 31], [2021, 2, 1]]),
        (["31.1.2020", "1.2.2021"], [[2020, 1, 31], [2021, 2, 1]]),
        (["2020-01-31T10:00:00.5Z", "2021-02-01T10:00:00+02:00"], [[2020, 1, 31], [2021, 2, 1]]),
        (["0020-01-31", "9999-02-01"], [[20, 1, 31], [9999, 2, 1]]),
    ],
)
def test_the_order_of_a_date_is_inferred(dates: list[str], parts: list[list[float]]) -> None:
    dataset = load(table({"d": dates, "y": Y}))
    found = [[feature(dataset, f"d {part}")[row] for part in ("year", "month", "day")] for row in (0, 1)]
    assert found == parts


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiter_and_encoding_are_detected(delimiter: str, encoding: str) -> None:
    write(
        table({"größe": [1, 2, 3], "farbe": ["grün", "rot", "grün"], "y": ["a", "b", "b"]}, delimiter),
        "d.csv",
        encoding,
    )
    dataset = load()
    assert dataset.feature_names == ("größe", "farbe=grün", "farbe=rot")
    assert dataset.choices["delimiter"] == delimiter
    assert dataset.choices["encoding"] == ("utf-8" if encoding == "utf-8-sig" else encoding)
    assert load(delimiter=delimiter, encoding=encoding).train.inputs.tolist() == dataset.train.inputs.tolist()


@pytest.mark.parametrize(
    ("text", "target", "header"),
    [
        ("x,c,y\n1,a,p\n2,b,q\n", "y", True),
        ("1,a,p\n2,b,q\n", "2", False),
        ("a,b,y\nu,v,p\nw,z,q\n", "y", True),
        ("2019,2020,y\n1,2,p\n2,3,q\n", "y", True),
        ("u,v,p\nu,z,q\n", "2", False),
        (",x,y\n0,5,p\n1,6,q\n", "y", True),
        ("1999,2000\n1,p\n2,q\n", "2000", True),
    ],
)
def test_a_header_is_detected(text: str, target: str, header: bool) -> None:
    dataset = load(text, target)
    assert dataset.choices["header"] is header
    assert len(dataset.train) == 2


def test_configured_names_replace_the_header() -> None:
    rows = "1,p\n2,q\n3,p\n"
    plain = load(rows, names=("x", "y"))
    renamed = load("other,names\n" + rows, names=("x", "y"), header=True)
    same = load("y,x\np,1\nq,2\np,3\n", names=("x", "y"))
    for dataset in (plain, renamed, same):
        assert dataset.feature_names == ("x",)
        assert feature(dataset, "x") == [1, 2, 3]
        assert dataset.train.targets.tolist() == [0, 1, 0]


def test_quotes_blanks_and_empty_lines() -> None:
    dataset = load('x,c,y\n\n1, "a, ""b""",p\n2,"two\nlines" ,q\n  3 ,"a, ""b""", p\n\n', categorical=("c",))
    assert dataset.feature_names == ("x", 'c=a, "b"', "c=two\nlines")
    assert feature(dataset, "x") == [1, 2, 3]
    assert dataset.classes == ("p", "q")
    assert load("x,y\n1, p\n2,p\n3, p\n", strip=False).classes == (" p", "p")


@pytest.mark.parametrize("blank", ["\n", "\n\n", "  \n", "\t\r\n", '""\n'])
@pytest.mark.parametrize("text", ["x,y\n1,p\n2,q\n", '"x\nz",y\n1,p\n2,q\n', "x;y\n1;p\n2;q\n"])
def test_blank_lines_are_not_rows(blank: str, text: str) -> None:
    lines = text.split("\n1")
    for raw in (blank + text, f"{lines[0]}\n{blank}1{lines[1]}", text + blank):
        dataset = load(raw)
        assert dataset.train.inputs.tolist() == [[1], [2]]
        assert dataset.classes == ("p", "q")
    with pytest.raises(DataError, match=rf"line {(blank + text).count(chr(10)) + 1} has a different number of cells"):
        load(blank + text + "3\n", ragged="error")


def test_cells_are_stripped_then_replaced_then_missing() -> None:
    dataset = load(
        "x,y\n 1 ,a.\n-999,b\nNA, a\nnone,b.\n5,a\n",
        replace={"a.": "a", "b.": "b", "none": "-999"},
        missing=("-999", "NA"),
    )
    assert dataset.classes == ("a", "b")
    assert feature(dataset, "x is missing") == [0, 1, 1, 1, 0]
    assert feature(dataset, "x") == [1, 3, 3, 3, 5]


def test_only_complete_decimal_numbers_are_numbers() -> None:
    write(
        table(
            {
                "x": ["1", "+2.", ".5", "-1e3", "0"],
                "z": ["inf", "nan", "0x1", "1_0", "1"],
                "y": ["a", "b", "a", "b", "a"],
            }
        )
    )
    dataset = load(missing=("",), categorical=("z",))
    assert feature(dataset, "x") == [1, 2, 0.5, -1000, 0]
    kinds = load(missing=("",)).reader
    assert kinds is not None
    assert kinds.column_types == {"x": "number", "z": "category"}


def test_only_training_rows_determine_the_columns() -> None:
    """The reader does not depend on the other rows, and unknown values in them are encoded."""
    count = 60
    columns: dict[str, list[Any]] = {
        "x": numbers(count),
        "c": [("red", "green", "blue")[index % 3] for index in range(count)],
        "y": [Y[index % 2] for index in range(count)],
    }
    division = Division(val=0.25, test=0.25)
    first = load(table(columns), division=division)
    held_out = [int(row) for name in ("val", "test") for row in first.splits[name].rows]  # type: ignore[union-attr]
    for row in held_out:
        columns["x"][row], columns["c"][row] = 1e6 if row % 2 else "", "violet" if row % 2 else ""
    second = load(table(columns), division=division)
    assert second.reader == first.reader
    assert torch.equal(second.train.inputs, first.train.inputs)
    median = float(np.median(second.train.inputs[:, 0]))
    for row, inputs in zip(held_out, torch.cat([second.splits[name].inputs for name in ("val", "test")]), strict=True):
        assert inputs.tolist() == pytest.approx([1e6 if row % 2 else median, 0, 0, 0])


def test_a_bad_cell_outside_the_training_rows_is_named() -> None:
    columns: dict[str, list[Any]] = {"x": numbers(40), "y": [Y[index % 2] for index in range(40)]}
    division = Division(val=0.25, test=0)
    row = int(load(table(columns), division=division).splits["val"].rows[0])  # type: ignore[index]
    columns["x"][row] = "much"
    with pytest.raises(DataError, match=rf"d\.csv: line {row + 2}: column 'x': 'much' is not a number"):
        load(table(columns), division=division)


def test_rare_categories_share_one_feature() -> None:
    values = [f"c{index}" for index in range(80) for _ in range(1 + (index < 64))]
    columns: dict[str, list[Any]] = {
        "c": values,
        "x": numbers(len(values)),
        "y": [Y[index % 2] for index in range(len(values))],
    }
    dataset = load(table(columns), features=("c",))
    assert len(dataset.feature_names) == 65
    assert dataset.feature_names[-1] == "c=other"
    assert feature(dataset, "c=other") == [0] * 128 + [1] * 16
    assert any("'c' has 80 categories: the 64 most frequent" in warning for warning in dataset.warnings)


def test_columns_unlikely_to_be_features_are_reported() -> None:
    count = 100
    columns: dict[str, list[Any]] = {
        "id": list(range(1, count + 1)),
        "name": [f"person {index}" for index in range(count)],
        "constant": ["same"] * count,
        "one": [1] * count,
        "copy": ["yes" if index % 3 else "no" for index in range(count)],
        "score": [index % 3 + index / 1000 for index in range(count)],
        "x": numbers(count),
        "y": [Y[bool(index % 3)] for index in range(count)],
    }
    dataset = load(table(columns))
    for column, part in {
        "id": "seems to number the rows",
        "name": "has 100 distinct texts in 100 training rows",
        "constant": "has a single value (same): it is left out",
        "one": "has a single value (1): it is left out",
        "copy": "determines the target",
        "score": "determines the target",
    }.items():
        assert [warning for warning in dataset.warnings if f"'{column}' {part}" in warning], column
    assert len(dataset.warnings) == 6
    assert dataset.feature_names == ("id", "copy", "score", "x")
    kept = load(ignore=("id", "copy", "score", "constant", "one"), categorical=("name",))
    assert len(kept.feature_names) == 65 + 1
    assert len(kept.warnings) == 1


@pytest.mark.parametrize("of_x", ["2 * x - 1", "x"])
def test_a_column_that_determines_the_regression_target_is_reported(of_x: str) -> None:
    x = numbers(50)
    columns = {"x": x, "z": numbers(50, seed=1), "y": [eval(of_x, {"x": value}) for value in x]}
    dataset = load(table(columns))
    assert dataset.task == "regression"
    assert [warning for warning in dataset.warnings if "'x' determines the target" in warning]
    assert len(dataset.warnings) == 1


X = numbers(60)


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        ({"y": ["b", "a", "c"] * 20}, "classification", ("a", "b", "c")),
        ({"y": [10, 9, 2] * 20}, "classification", ("2", "9", "10")),
        ({"y": [1.0, 0.0] * 30}, "classification", ("0.0", "1.0")),
        ({"y": [True, False] * 30}, "classification", ("False", "True")),
        ({"y": [0.5, 1.5] * 30}, "regression", ()),
        ({"y": list(range(60))}, "regression", ()),
        ({"y": list(range(30)) * 2}, "regression", ()),
        ({"a": [0, 1] * 30, "b": [1, 1, 0] * 20}, "multilabel", ("a", "b")),
        ({"a": [True, False] * 30, "b": ["yes", "no", "no"] * 20}, "multilabel", ("a", "b")),
        ({"a": [0, 1] * 30, "b": [1, 2, 0] * 20}, "regression", ()),
    ],
)
def test_the_task_is_inferred(target: dict[str, list[Any]], task: str, classes: tuple[str, ...]) -> None:
    dataset = load(table({"x": X, **target}), "+".join(target))
    assert dataset.task == dataset.choices["task"] == task
    assert dataset.classes == classes
    assert dataset.target_names == (tuple(target) if task == "regression" else ())
    assert any(note.startswith(f"task: {task}") for note in dataset.notes)
    if task == "multilabel":
        expected = [
            [str(cell) in ("1", "True", "yes") for cell in cells] for cells in zip(*target.values(), strict=True)
        ]
        assert dataset.train.targets.tolist() == expected
    if task == "regression":
        assert dataset.train.targets.T.tolist() == [list(map(float, cells)) for cells in target.values()]


def test_the_task_can_be_configured() -> None:
    write(table({"x": X, "y": [1, 2, 3] * 20}))
    dataset = load(task="regression")
    assert dataset.train.targets.flatten().tolist() == [1, 2, 3] * 20
    assert dataset.notes == ()
    assert load(table({"x": X, "y": [0.5 * (index % 4) for index in range(60)]}), task="classification").classes == (
        *("0.0", "0.5", "1.0", "1.5"),
    )


def test_a_category_matches_another_spelling_of_its_number() -> None:
    dataset = load("c,y\n3,p\n4,q\n5.0,p\n", categorical=("c",))
    assert dataset.reader is not None
    samples = dataset.reader.from_rows({"c": [3.0, 4, 5, "5.0", 6, None]}, dataset.schema)
    assert samples is not None
    assert samples.inputs.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_a_class_matches_another_spelling_of_its_number() -> None:
    write("x,y\n1,1.0\n2,0.0\n3,1\n", "test.csv")
    dataset = load("x,y\n1,1\n2,0\n3,1\n", test_path="test.csv")
    assert dataset.classes == ("0", "1")
    assert dataset.splits["test"].targets.tolist() == [1, 0, 1]


def test_files_of_a_folder_or_a_pattern_are_one_table() -> None:
    Path("parts").mkdir()
    write("x,y\n1,a\n2,b\n", "parts/a.csv")
    write("y;x;more\na;3;u\nb;4;v\n", "parts/b.csv")
    expected = [[1], [2], [3], [4]]
    for path in ("parts", "parts/*.csv"):
        dataset = load_csv(path=Path(path).absolute(), target=["y"], division=WHOLE)
        assert dataset.train.inputs.tolist() == expected
        assert "delimiter" not in dataset.choices
    write("x\n5\n", "parts/c.csv")
    with pytest.raises(DataError, match=r"c\.csv: has no column 'y', which .*a\.csv has"):
        load_csv(path=Path("parts").absolute(), target=["y"], division=WHOLE)


def test_given_splits_and_limit() -> None:
    write(table({"x": numbers(40), "y": Y * 20}))
    write("y,x,more\nno,7,1\nyes,8,1\nno,9,1\n", "t.csv")
    dataset = load(division=Division(val=0.2, test=0.2), test_path="t.csv")
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 32, "val": 8, "test": 3}
    assert dataset.splits["test"].inputs.flatten().tolist() == [7, 8, 9]
    short = load(division=Division(val=0.2, test=0.2), test_path="t.csv", limit=10)
    assert {name: len(split) for name, split in short.splits.items()} == {"train": 8, "val": 2, "test": 3}


SEQUENCES = "id,x,c,y\nb,1,u,p\na,2,v,q\nb,3,v,p\nb,5,u,p\na,7,u,q\nc,9,v,q\n"


def test_rows_with_the_same_id_are_a_sequence() -> None:
    dataset = load(SEQUENCES, sequence_id="id")
    assert dataset.layout == "sequence"
    assert dataset.feature_names == ("x", "c=u", "c=v")
    assert dataset.train.inputs.tolist() == [
        [[1, 1, 0], [3, 0, 1], [5, 1, 0]],
        [[2, 0, 1], [7, 1, 0], [0, 0, 0]],
        [[9, 0, 1], [0, 0, 0], [0, 0, 0]],
    ]
    assert dataset.train.lengths is not None
    assert dataset.train.lengths.tolist() == [3, 2, 1]
    assert dataset.train.targets.tolist() == [0, 1, 1]
    assert dataset.warnings == ()


def test_sequences_are_not_split_and_have_the_same_padding() -> None:
    ids = [f"s{index}" for index in range(20) for _ in range(1 + index % 4)]
    division = Division(val=0.25, test=0.25)
    dataset = load(
        table({"id": ids, "x": numbers(len(ids)), "y": [Y[int(each[1:]) % 2] for each in ids]}),
        sequence_id="id",
        division=division,
    )
    assert {name: tuple(split.inputs.shape) for name, split in dataset.splits.items()} == {
        "train": (10, 4, 1),
        "val": (5, 4, 1),
        "test": (5, 4, 1),
    }
    rows = torch.cat([split.rows for split in dataset.splits.values()])  # type: ignore[misc]
    lengths = torch.cat([split.lengths for split in dataset.splits.values()])  # type: ignore[misc]
    assert sorted(rows.tolist()) == list(range(20))
    assert lengths.tolist() == [1 + row % 4 for row in rows.tolist()]


def test_the_target_of_a_sequence_is_that_of_its_last_row() -> None:
    dataset = load("id,x,y\na,1,p\na,2,q\nb,3,p\nb,4,p\n", sequence_id="id")
    assert dataset.train.targets.tolist() == [1, 0]
    assert "column 'y' changes within 1 of 2 sequences" in dataset.warnings[0]


def test_groups_stay_together_and_are_not_a_feature() -> None:
    groups = [f"g{index % 17}" for index in range(200)]
    write(table({"g": groups, "x": numbers(200), "y": Y * 100}))
    dataset = load(division=Division(val=0.2, test=0.2, group="g"))
    assert dataset.feature_names == ("x",)
    parts = [{groups[int(row)] for row in split.rows} for split in dataset.splits.values()]  # type: ignore[union-attr]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 17
    assert sum(map(len, dataset.splits.values())) == 200
    assert len(load(division=Division(val=0.2, test=0.2, group="g"), features=("g", "x")).feature_names) > 2


@pytest.mark.parametrize(("first", "told"), [(0, "17 groups of 'g' are"), (16, "1 group of 'g' is"), (17, "")])
def test_groups_of_train_in_a_given_split_are_told(first: int, told: str) -> None:
    groups = [f"{index % 17}.0" for index in range(200)]
    write(table({"g": groups, "x": numbers(200), "y": Y * 100}))
    others = [str(first + index % 17) for index in range(34)]
    write(table({"g": others, "x": numbers(34), "y": Y * 17}), name="test.csv")
    dataset = load(division=Division(val=0, test=0, group="g"), test_path="test.csv")
    shown = [warning for warning in dataset.warnings if "in both train and test" in warning]
    assert [f"{told} in both train and test (first: '{first}')" in warning for warning in shown] == [True] * bool(told)
    write(table({"x": numbers(34), "y": Y * 17}), name="test.csv")
    dataset = load(division=Division(val=0, test=0, group="g"), test_path="test.csv")
    assert not [warning for warning in dataset.warnings if "in both" in warning]


def test_equal_rows_are_dropped() -> None:
    text = "x,c,y\n1,a,p\n1,b,p\n 1 ,a,p\n1,a,q\n2,a,q\n1,b,p\n,a,q\n?,a,q\n"
    dataset = load(text, division=Division(val=0, test=0, deduplicate=True))
    assert dataset.train.rows is not None
    assert dataset.train.rows.tolist() == [0, 1, 3, 4, 6]
    assert "deduplicate: dropped 3 of 8 samples, each equal to an earlier one" in dataset.notes
    again = load(
        "id,x,y\na,1,p\na,2,p\nb,1,p\nb,2,p\nc,2,q\nc,1,q\n",
        sequence_id="id",
        division=Division(0, 0, deduplicate=True),
    )
    assert again.train.inputs.tolist() == [[[1], [2]], [[2], [1]]]


BAD = {
    "empty": (b"", {}, "d.csv: is empty"),
    "blank": (b"\n\n", {}, "d.csv: is empty"),
    "header alone": (b"x,y\n", {}, "d.csv: has a header but no rows"),
    "other names": (b"x,Y\n1,p\n2,q\n", {}, "d.csv: has no column 'y' (it has: x, Y). Did you mean 'Y'?"),
    "position": (b"x,y\n1,p\n2,q\n", {"target": "1"}, "With a header, columns are named: this one is 'y'."),
    "one class": (b"x,y\n1,p\n2,p\n", {}, "d.csv: line 2: column 'y': all 2 training samples have the class 'p'"),
    "no target": (
        b"x,y\n1,p\n2,q\n3,?\n",
        {"missing_target": "error"},
        "d.csv: line 4: column 'y': the target is missing (1 of 3 rows)",
    ),
    "all missing": (
        b"x,z,y\n1,,p\n2,?,q\n",
        {},
        "column 'z': has no value in any of the 2 training rows. `ignore: [z]`",
    ),
    "longer": (
        b"x,y\n1,p\n\n2,q,r\n",
        {},
        "d.csv: line 4 has a different number of cells than the header (got 3, expected",
    ),
    "shorter": (
        b'x,y\n1,"p\nq"\n2\n',
        {"ragged": "error"},
        "d.csv: line 4 has a different number of cells than the header (got 1, expected",
    ),
    "latin": (b"x,y\n1,p\n2,\xfc\n", {"encoding": "utf-8"}, "d.csv: line 3 is not valid utf-8. Set `encoding`"),
    "binary": (b"\x89XYZ\0\0" * 9, {}, "d.csv: is not text"),
    "damaged": (b"PK\x03\x04\0\0" * 9, {}, "d.csv: can't be decompressed: it is damaged"),
    "names": (b"1,p\n2,q\n", {"names": ("a", "b", "y")}, "(got 2, expected 3)"),
    "large": (b"x,y\n1,p\n1e101,q\n", {}, "d.csv: line 3: column 'x': '1e101' is too large (expected at most 1e+100)"),
    "label": (
        b"a,b,x\n1,0,1\n1,2,3\n",
        {"target": "a+b", "task": "multilabel"},
        "line 3: column 'b': '2' is not a boolean",
    ),
    "texts": (b"a,b,x\n1,0,1\n1,u,3\n", {"target": "a+b"}, "several targets must be labels (0 and 1) or numbers"),
    "no group": (
        b"g,x,y\n1,0,p\n,2,q\n",
        {"division": Division(0.5, 0, group="g")},
        "line 3: column 'g': the group is",
    ),
    "no id": (b"g,x,y\n1,0,p\n,2,q\n", {"sequence_id": "g"}, "line 3: column 'g': the sequence id is missing"),
    "nothing": (b"x,y\n1,p\n1,q\n", {}, "no column is left to learn from (column 'x' has a single value (1)"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_name_their_location(case: str) -> None:
    raw, fields, message = BAD[case]
    Path("d.csv").write_bytes(raw)
    with pytest.raises(DataError) as caught:
        load(**fields)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert caught.value.where


def test_text_among_many_numbers_is_an_error() -> None:
    columns: dict[str, list[Any]] = {"x": numbers(100), "y": Y * 50}
    columns["x"][41] = "unknown"
    with pytest.raises(DataError, match=r"line 43: column 'x': 'unknown' is not a number, as 99\.0% of the column are"):
        load(table(columns))
    assert "x is missing" in load(missing=("unknown",)).feature_names
    columns["y"] = [*numbers(99, seed=1), "oops"]
    with pytest.raises(DataError, match="line 101: column 'y': 'oops' is not a number"):
        load(missing=("unknown",), text=table(columns))


def test_rows_longer_than_a_block_are_read() -> None:
    long = "z" * 3_000_000
    dataset = load(f"x,t,y\n1,{long},p\n2,short,q\n", categorical=("t",))
    assert dataset.train.inputs.tolist() == [[1, 0, 1], [2, 1, 0]]
    bare = load(f"1,{long},p\n2,short,q\n", target="2", categorical=("1",), header=False)
    assert bare.train.inputs.tolist() == [[1, 0, 1], [2, 1, 0]]


def test_a_saved_reader_is_checked_against_the_metadata() -> None:
    dataset = load("x,c,y\n1,a,p\n2,b,q\n")
    reader, schema = dataset.reader, dataset.schema
    assert isinstance(reader, CsvReader)
    assert reader.fits(schema)
    assert not reader.fits(schema._replace(input_shape=(4,)))
    assert not reader.fits(schema._replace(layout="sequence"))
    assert not reader.model_copy(update={"columns": reader.columns[:1]}).fits(schema)
    assert not reader.model_copy(update={"target": ("y", "z")}).fits(schema)
