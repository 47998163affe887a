"""New rows of a series are read as those of training: the same categories, the same time step, the same remarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nnzoo.data import Dataset, Division, Samples, load_series
from nnzoo.errors import DataError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, **columns: Sequence[Any]) -> Path:
    rows = zip(*columns.values(), strict=True)
    Path(path).write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return Path(path)


def trained(**fields: Any) -> Dataset:
    options = {"path": "t.csv", "target": ("y",), "window": 3, "missing": ("",), "division": Division(val=0, test=0)}
    return load_series(**{**options, **fields})


def stamps(first: str, step: str, count: int) -> list[str]:
    size, unit = step.split()
    single: Any = np.timedelta64(1, unit)  # type: ignore[call-overload]
    times = np.datetime64(first) + int(size) * np.arange(count) * single
    return [str(time).replace("T", " ") for time in times]


def read(dataset: Dataset, path: Path, *, labelled: bool = False) -> Samples:
    assert dataset.reader is not None
    return dataset.reader.read([path], dataset.schema, labelled=labelled)


TRUTH = [True, False, True, True, False, True]


@pytest.mark.parametrize("words", [("True", "False"), ("TRUE", "FALSE"), ("yes", "no"), ("1", "0")])
def test_truth_values_are_equal_in_every_spelling(words: tuple[str, str]) -> None:
    write("t.csv", y=range(6), h=TRUTH)
    dataset = trained(categorical=("h",))
    expected = read(dataset, Path("t.csv")).inputs
    assert expected[0, :, 1:].sum(1).tolist() == [1, 1, 1]
    new = read(dataset, write("new.csv", y=range(6), h=[words[not value] for value in TRUTH]))
    assert new.inputs.tolist() == expected.tolist()
    assert new.warnings == ()
    assert dataset.reader is not None
    frame = dataset.reader.from_rows({"y": list(range(6)), "h": TRUTH}, dataset.schema)
    assert frame is not None
    assert frame.inputs.tolist() == expected.tolist()


def test_numbers_that_are_names_are_equal_in_every_spelling() -> None:
    Path("t.csv").write_text("y;h\n1,5;1,5\n2,5;2,50\n3,5;1,5\n4,5;2,5\n")
    dataset = trained(categorical=("h",))
    assert dataset.reader is not None
    frame = dataset.reader.from_rows(pa.table({"y": [1.0, 2.0, 3.0], "h": [1.5, 2.5, 1.5]}), dataset.schema)
    assert frame is not None
    assert frame.inputs[0, :, 1:].tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("labelled", [False, True])
def test_names_that_no_training_row_has_are_told_of_new_data(labelled: bool) -> None:
    write("t.csv", y=range(6), h=list("ababab"))
    dataset = trained(categorical=("h",))
    (warning,) = read(dataset, write("new.csv", y=range(6), h=list("abcaba")), labelled=labelled).warnings
    assert warning == "'h' has categories that no training row has, encoded as all zeros (c)"


@pytest.mark.parametrize(
    ("first", "step", "other", "message"),
    [
        ("2024-01-01", "1 D", "1 h", "got mostly 1 hour; expected 1 day"),
        ("2024-01-01", "1 D", "7 D", "got mostly 7 days; expected 1 day"),
        ("2024-01-01T00:00", "1 h", "30 m", "got mostly 30 minutes; expected 1 hour"),
        ("2024-01", "1 M", "3 M", "got mostly 3 months; expected 1 month"),
    ],
)
@pytest.mark.parametrize("labelled", [False, True])
def test_another_step_is_refused(first: str, step: str, other: str, message: str, labelled: bool) -> None:
    write("t.csv", t=stamps(first, step, 40), y=range(40))
    dataset = trained(time="t")
    begin = first if other[-1] not in "hm" else f"{first[:10]}T00:00"
    new = write("new.csv", t=stamps(begin, other, 10), y=range(10))
    with pytest.raises(DataError, match=message):
        read(dataset, new, labelled=labelled)
    with pytest.raises(DataError, match=message):
        trained(time="t", val_path="new.csv")


def test_numbers_of_another_step_are_refused() -> None:
    write("t.csv", t=[row / 2 for row in range(20)], y=range(20))
    with pytest.raises(DataError, match=r"got mostly 1; expected 0\.5"):
        read(trained(time="t"), write("new.csv", t=range(8), y=range(8)))


@pytest.mark.parametrize("labelled", [False, True])
def test_a_gap_in_a_small_file_is_filled_and_told_of(labelled: bool) -> None:
    write("t.csv", t=stamps("2024-01-01", "1 D", 40), y=range(40))
    dataset = trained(time="t")
    times = stamps("2024-03-01", "1 D", 8)
    del times[4]
    new = read(dataset, write("new.csv", t=times, y=range(7)), labelled=labelled)
    assert "1 rows are missing in 1 places" in new.warnings[0]
    if labelled:
        assert len(new.inputs) == 4  # the windows of 8 rows, but for one whose target is missing
        assert any("1 of 5 windows of new data have missing values" in line for line in new.warnings)
    else:
        assert new.names == ["2024-03-09"]
        assert new.inputs[0, :, 0].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("first", "step", "following"),
    [
        ("2024-01-01", "1 D", "2024-01-31"),
        ("2024-01", "1 M", "2024-03"),
        ("2024-01-01T00:00", "1 h", "2024-01-30 01:00"),
    ],
)
def test_a_window_of_one_row_has_the_step_of_training(first: str, step: str, following: str) -> None:
    write("t.csv", t=stamps(first, step, 40), y=range(40))
    dataset = trained(time="t", window=1)
    last = {"D": "2024-01-30", "M": "2024-02", "h": "2024-01-30 00:00"}[step[-1]]
    assert read(dataset, write("new.csv", t=[last], y=[1])).names == [following]


def test_irregular_steps_count_as_one_step_in_new_data_too() -> None:
    working = [day for day in stamps("2024-01-01", "1 D", 60) if np.is_busday(day)]
    write("t.csv", t=working, y=range(len(working)))
    dataset = trained(time="t")
    new = read(dataset, write("new.csv", t=working[:9], y=range(9)))
    assert new.warnings == ("the time steps are not equal; every row counts as one step",)


def test_what_is_told_of_rows_names_the_file_if_there_are_several() -> None:
    write("t.csv", t=stamps("2024-01-01", "1 D", 40), y=range(40))
    dataset = trained(time="t")
    times = stamps("2024-03-01", "1 D", 8)
    paths = [write("a.csv", t=times[::-1], y=range(8)), write("b.csv", t=times, y=[0, 1, 2, 3, 4, "", 6, 7])]
    assert dataset.reader is not None
    told = dataset.reader.read(paths, dataset.schema, labelled=False).warnings
    assert told == (
        "a.csv: line 3: column 't' is not sorted; the rows were sorted by it",
        "b.csv: 1 of 8 values of 'y' are missing; up to 3 consecutive ones are filled with the last value before them",
    )
