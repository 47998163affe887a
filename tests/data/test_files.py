"""The files that match a path, and their order."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnzoo.data.files.find import find_files, natural_key, order_note
from nnzoo.data.files.repairs import Repairs
from nnzoo.errors import DataError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def names_of(folder: Path, *suffixes: str, repairs: Repairs | None = None) -> list[str]:
    return [str(file.relative_to(folder)) for file in find_files(folder, suffixes, repairs)]


def test_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "b.csv", "a.csv", "c.txt", ".hidden.csv", "deep.csv/x")
    assert find_files(tmp_path / "c.txt") == [tmp_path / "c.txt"]
    assert names_of(tmp_path, ".csv") == ["a.csv", "b.csv"]
    assert names_of(tmp_path) == ["a.csv", "b.csv", "c.txt"]
    assert find_files(tmp_path / "[ab].csv") == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert find_files(tmp_path / "*.csv") == [tmp_path / "a.csv", tmp_path / "b.csv"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.csv", "none.csv: there is no such file"),
        ("*.csv", "no such file"),
        ("empty", r"without a file that ends"),
        ("x.txt/none.csv", "there is no such file"),
    ],
)
def test_a_path_without_files_is_an_error(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "x.txt")
    with pytest.raises(DataError, match=message):
        find_files(tmp_path / path, {".csv"})


@pytest.mark.parametrize(
    "names",
    [
        ["p1.csv", "p2.csv", "p10.csv", "p12.csv"],
        ["2019-12.csv", "2020-1.csv", "2020-2.csv", "2020-11.csv"],
        ["part-0009.csv", "part-010.csv", "part-11.csv"],
        ["fold2/a1.csv", "fold2/a9.csv", "fold10/a1.csv"],
        ["a.csv", "a2.csv", "b1.csv"],
    ],
)
def test_files_are_read_in_natural_order(names: list[str], tmp_path: Path) -> None:
    touch(tmp_path, *random.Random(0).sample(names, len(names)))
    assert [str(file.relative_to(tmp_path)) for file in find_files(tmp_path / "**" / "*.csv")] == names


@given(st.lists(st.integers(0, 10**6), min_size=1), st.text(max_size=3))
def test_numbers_in_names_sort_by_value(numbers: list[int], text: str) -> None:
    names = [f"week {number} {text}" for number in numbers]
    assert sorted(names, key=natural_key) == [f"week {number} {text}" for number in sorted(numbers)]


@given(st.lists(st.text(alphabet="ab01٣² -", max_size=6)))
def test_natural_order_is_total(texts: list[str]) -> None:
    assert sorted(texts, key=natural_key) == sorted(sorted(texts, reverse=True), key=natural_key)


def test_thousands_of_digits_are_sorted() -> None:
    assert natural_key("9" * 5000) < natural_key("1" + "0" * 5000)


def test_a_note_names_the_order_if_it_is_not_alphabetical() -> None:
    assert order_note([Path("a1"), Path("a2")]) == ()
    paths = [Path(f"p{number}.csv") for number in range(1, 13)]
    (note,) = order_note(paths)
    assert "12 files" in note
    assert "p1.csv, p2.csv, p3.csv, ..., p12.csv" in note


def test_other_entries_of_a_folder_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "notes.md", "b.json", "Thumbs.db", "desktop.ini", "__MACOSX/a.csv", "year=2020/c.csv")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    repairs = Repairs()
    assert names_of(tmp_path, ".csv", repairs=repairs) == ["a.csv"]
    others, folders, links = repairs.warnings()
    assert others.startswith("2 files of a different type in a data folder were left out (first: ")
    assert "b.json" in others
    assert folders.startswith(f"1 folder in a data folder was left out ({tmp_path / 'year=2020'})")
    assert links.startswith(f"1 link to a file that does not exist was left out ({tmp_path / 'gone.csv'})")


def test_a_linked_file_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "far/a.csv")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/a.csv").symlink_to(tmp_path / "far/a.csv")
    assert names_of(tmp_path / "near", ".csv") == ["a.csv"]


def test_a_compressed_copy_is_not_read(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "a.csv.gz", "b.csv.bz2", "c.md.gz", "d.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "x")
    repairs = Repairs()
    assert names_of(tmp_path, ".csv", repairs=repairs) == ["a.csv", "b.csv.bz2", "d.gz"]
    warnings = repairs.warnings()
    assert any("2 compressed files next to its uncompressed copy were left out" in line for line in warnings)


def test_a_zip_archive_stands_for_its_files(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("in/p10.csv", "in/p9.csv", "README.md", "__MACOSX/._p9.csv", ".DS_Store"):
            archive.writestr(name, "x")
    repairs = Repairs()
    assert find_files(path, {".csv"}, repairs) == [path / "in/p9.csv", path / "in/p10.csv"]
    assert "1 file of a different type" in repairs.warnings()[0]
    assert find_files(path / "in/p10.csv") == [path / "in/p10.csv"]
    with pytest.raises(DataError, match=r"without a file that ends in \.txt"):
        find_files(path, {".txt"})
