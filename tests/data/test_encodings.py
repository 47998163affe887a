"""Encodings are detected, and stray bytes are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnzoo.data.files.encodings import decode, lines_of
from nnzoo.data.files.repairs import Repairs
from nnzoo.errors import DataError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-le", "utf-16-be"])
def test_the_encoding_is_detected(encoding: str) -> None:
    assert decode("Zürich\n5 €, nothing else".encode(encoding), "auto", where="f") == "Zürich\n5 €, nothing else"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf_8_is_read_exactly(text: str) -> None:
    repairs = Repairs()
    assert decode(text.encode(), "auto", where="f", repairs=repairs) == text.removeprefix("\ufeff")
    assert repairs.warnings() == ()


def test_stray_bytes_are_read_as_cp1252_and_counted() -> None:
    raw = "größer\nblå\n".encode() + "Müller\nnaïve\n".encode("cp1252")
    repairs = Repairs()
    assert decode(raw, "auto", where="f", repairs=repairs) == "größer\nblå\nMüller\nnaïve\n"
    (warning,) = repairs.warnings()
    assert warning.startswith("2 bytes in an encoding other than UTF-8 were read as cp1252 (first: f: line 3)")


def test_a_file_in_cp1252_is_reported() -> None:
    repairs = Repairs()
    assert decode(b"a\nM\xfcller \x93quoted\x94\n", "auto", where="f", repairs=repairs) == "a\nMüller “quoted”\n"
    assert "3 bytes in an encoding other than UTF-8 were read as cp1252 (first: f: line 2)" in repairs.warnings()[0]
    repairs = Repairs()
    assert decode(b"M\xfcller", "cp1252", where="f", repairs=repairs) == "Müller"
    assert repairs.warnings() == ()


def test_an_undefined_byte_is_replaced() -> None:
    repairs = Repairs()
    assert decode(b"ab\x81c\n", "auto", where="f", repairs=repairs) == "ab\ufffdc\n"
    assert len(repairs.warnings()) == 1


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "gb18030", "euc-kr", "shift_jis", "iso8859-7"])
def test_other_scripts_are_not_read_as_western_letters(encoding: str) -> None:
    texts = {"gb18030": "名字\n北京大学\n", "euc-kr": "서울특별시\n", "shift_jis": "さくらの木のした\n"}
    text = texts.get(encoding, "αβγδεζη λόγος\n" if encoding == "iso8859-7" else "имя\nМосква\n")
    with pytest.raises(DataError, match=r"f: line 1 is neither UTF-8 nor Western text"):
        decode(text.encode(encoding), "auto", where="f")
    assert decode(text.encode(encoding), encoding, where="f") == text


def test_zero_bytes_are_removed_and_counted() -> None:
    repairs = Repairs()
    assert decode(b"some text\nmore\0 of it\0\n" * 10, "auto", where="f", repairs=repairs).count("\0") == 0
    assert "20 zero bytes in text were removed (first: f: line 2)" in repairs.warnings()[0]
    with pytest.raises(DataError, match="f: is not text"):
        decode(bytes(100), "auto", where="f")


def test_a_wrong_encoding_names_the_line() -> None:
    with pytest.raises(DataError, match=r"f: line 2 is not valid utf-8\. Set `encoding`"):
        decode(b"a\n\xff\n", "utf-8", where="f")
    with pytest.raises(DataError, match="encoding: there is no encoding 'utf-9'"):
        decode(b"a", "utf-9", where="f")


def test_all_line_ends_are_recognized() -> None:
    assert lines_of("a\r\nb\rc\n\nd") == ["a", "b", "c", "", "d"]
