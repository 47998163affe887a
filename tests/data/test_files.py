from __future__ import annotations

from pathlib import Path

import pytest

from nnzoo.data.files import decode, find_files
from nnzoo.errors import DataError


def test_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", ".hidden.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "deep.csv").mkdir()
    assert find_files(tmp_path / "c.txt") == [tmp_path / "c.txt"]
    assert find_files(tmp_path, {".csv"}) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert find_files(tmp_path) == [tmp_path / name for name in ("a.csv", "b.csv", "c.txt")]
    assert find_files(tmp_path / "[ab].csv") == [tmp_path / "a.csv", tmp_path / "b.csv"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.csv", "none.csv: there is no such file"),
        ("*.csv", "no such file"),
        ("empty", r"without a file that ends"),
    ],
)
def test_nothing_found(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        find_files(tmp_path / path, {".csv"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_the_encoding_is_found(encoding: str) -> None:
    assert decode("Zürich\n5 €".encode(encoding), "auto", where="f") == "Zürich\n5 €"


def test_another_encoding_names_the_line() -> None:
    with pytest.raises(DataError, match=r"f: line 2 is not utf-8\. Set `encoding`"):
        decode(b"a\n\xff\n", "utf-8", where="f")
    with pytest.raises(DataError, match="f: line 2 is not UTF-8, nor cp1252"):
        decode(b"a\n\xff\x81\n", "auto", where="f")
    with pytest.raises(DataError, match="encoding: there is no encoding 'utf-9'"):
        decode(b"a", "utf-9", where="f")
