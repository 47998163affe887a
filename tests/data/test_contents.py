"""Reading of compressed, archived, damaged and malicious files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from nnzoo.data.files.contents import members_of, read_bytes
from nnzoo.errors import DataError

TEXT = b"x,y\n" + b"".join(b"%d,%d\n" % (row, row % 2) for row in range(200))


def zipped(raw: bytes, *names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("d.csv",):
            archive.writestr(name, raw)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("called", ["d.csv", "d.bin"])
def test_compression_is_detected_by_content(name: str, called: str, tmp_path: Path) -> None:
    path = tmp_path / called
    path.write_bytes(PACKERS[name](TEXT))
    (found,) = members_of(path) or [path]
    assert read_bytes(found) == TEXT


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_standard_input(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PACKERS[name](TEXT))))
    assert read_bytes(Path("-")) == TEXT


def test_zstandard(tmp_path: Path) -> None:
    path = tmp_path / "d.zst"
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        stream.write(TEXT)
    assert read_bytes(path) == TEXT


@pytest.mark.parametrize("name", ["gz", "bz2", "xz"])
def test_concatenated_streams_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_bytes(PACKERS[name](TEXT) + PACKERS[name](b"more"))
    assert read_bytes(path) == TEXT + b"more"


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_files_are_rejected(name: str, damage: str, tmp_path: Path) -> None:
    raw = bytearray(PACKERS[name](random.Random(0).randbytes(5000)))
    if damage == "cut":
        raw = raw[: len(raw) // 2]
    else:
        raw[len(raw) // 2] ^= 0xFF
    path = tmp_path / "d"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"d.*: can't be decompressed: it is damaged"):
        [read_bytes(each) for each in members_of(path) or [path]]


@pytest.mark.parametrize("name", PACKERS)
def test_decompression_bombs_are_rejected_early(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACKERS[name](bytes(2**20) * 600))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"bomb.*: its [\d,]+ bytes decompress to more than 200 times as many"):
        [read_bytes(each) for each in members_of(path) or [path]]
    assert tracemalloc.get_traced_memory()[1] < 2**29
    tracemalloc.stop()


def test_the_declared_size_of_a_member_is_not_trusted(tmp_path: Path) -> None:
    raw = bytearray(zipped(bytes(1000)))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = raw.index(signature) + offset
        raw[place : place + 4] = struct.pack("<I", 2**31)
    path = tmp_path / "d.zip"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="decompress to more than 200 times"):
        members_of(path)


def test_an_encrypted_archive(tmp_path: Path) -> None:
    raw = bytearray(zipped(TEXT))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    path = tmp_path / "d.zip"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="damaged or encrypted"):
        read_bytes(path / "d.csv")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (gzip.compress(gzip.compress(TEXT)), "is compressed more than once"),
        (zipped(TEXT, "a.csv", "b.csv"), r"is a zip archive of several files \(got a\.csv, b\.csv, expected one"),
        (b"%PDF-1.7 ...", "is a PDF document"),
        (b"7z\xbc\xaf\x27\x1c...", "is a 7z archive"),
        (gzip.compress(bytes(257) + b"ustar\x0000"), "is a tar archive"),
    ],
    ids=["twice", "several", "pdf", "7z", "tar"],
)
def test_unsupported_file_types_are_named(raw: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    with pytest.raises(DataError, match=f"standard input: {message}"):
        read_bytes(Path("-"))


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    path.write_bytes(zipped(TEXT, "in/a.csv"))
    with pytest.raises(DataError, match=r"no such file in the archive \(expected one of: in/a\.csv\)"):
        read_bytes(path / "b.csv")
    path.write_bytes(zipped(TEXT, ".hidden"))
    with pytest.raises(DataError, match="is an empty zip archive"):
        members_of(path)
