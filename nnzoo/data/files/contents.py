"""Reads files from disk, standard input and zip archives, and decompresses them.

Compression is detected by content, not by file name. A member of a zip archive has a path like a file in a folder:
`data.zip/part1.csv`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast

from nnzoo.errors import DataError

STDIN = Path("-")

Compression = Literal["gzip", "bzip2", "xz", "zstd", "zip"]

SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
"""The usual suffixes of compressed files."""

_MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b\x08": "gzip",
    **{b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)},
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
_UNREADABLE = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"%PDF-": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
}
_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""Exceptions raised by decompressing a damaged or encrypted file."""

_BLOCK_BYTES = 2**20
_ALWAYS_ALLOWED_BYTES = 2**28
"""The decompressed size in bytes that is always allowed."""
_MAX_RATIO = 200
"""The maximum compression ratio of larger files. Tables and texts have 3 to 30, zeros 1,000 and more."""
_XZ_MEMORY = 2**28
"""The memory limit of the xz decoder in bytes; `xz -9` needs 65 MB."""


def name_of(path: Path) -> str:
    """Returns the name of a file for messages."""
    return "standard input" if path == STDIN else str(path)


def plain_name(path: Path) -> str:
    """Returns the name of a file without a compression suffix: `a.csv` for `a.csv.gz`."""
    return path.name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else path.name


def compression_of(start: bytes) -> Compression | None:
    """Returns the compression of a file by its first bytes; None if it is not compressed."""
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def is_spreadsheet(names: Iterable[str]) -> bool:
    """Returns whether a zip archive with these members is an Excel or OpenDocument spreadsheet."""
    found = set(names)
    return any(name.startswith("xl/workbook.") for name in found) or {"content.xml", "mimetype"} <= found


def start_of(path: Path, size: int = 512) -> bytes:
    """Returns the first bytes of a file on disk, without decompression.

    Raises:
        DataError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise _unreadable(error, path) from error


def is_on_disk(path: Path) -> bool:
    """Returns whether a file can be read directly, because it is not standard input, compressed or in an archive."""
    return path != STDIN and path.is_file() and compression_of(start_of(path)) is None


def members_of(path: Path) -> list[Path]:
    """Returns the members of a zip archive as paths, except hidden ones; empty if the file is not a zip archive.

    Raises:
        DataError: The archive is damaged, empty, or exceeds the compression limit.
    """
    if path == STDIN or compression_of(start_of(path)) != "zip":
        return []
    names = _check_archive(path, path.stat().st_size, str(path))
    if is_spreadsheet(names):
        return []
    shown = [name for name in names if not _is_hidden(name)]
    if not shown:
        raise DataError("is an empty zip archive. Pass one that contains data.", where=str(path))
    return [path / name for name in shown]


def check_archive(raw: bytes, *, where: str) -> None:
    """Checks a zip archive before a different library reads it.

    Raises:
        DataError: The archive is damaged or exceeds the compression limit.
    """
    _check_archive(io.BytesIO(raw), len(raw), where)


def _check_archive(file: Path | IO[bytes], size: int, where: str) -> list[str]:
    """Returns the names of the files in a zip archive of `size` bytes."""
    try:
        with zipfile.ZipFile(file) as archive:
            files = [each for each in archive.infolist() if not each.is_dir()]
    except _DAMAGE as error:
        raise _damaged("zip", error, where) from error
    # The sum is checked, since members may overlap. No member is read beyond its declared size.
    check_size(sum(each.file_size for each in files), size, where)
    return [each.filename for each in files]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def read_bytes(path: Path) -> bytes:
    """Reads and decompresses a file, standard input, or a member of a zip archive.

    Raises:
        DataError: The file does not exist, can't be read, is damaged, or exceeds the compression limit.
    """
    where = name_of(path)
    try:
        if path == STDIN:
            raw = sys.stdin.buffer.read()
        else:
            archive = _archive_of(path)
            raw = path.read_bytes() if archive is None else _read_member(archive, path)
    except FileNotFoundError:
        raise DataError("there is no such file. Check the path.", where=where) from None
    except OSError as error:
        raise _unreadable(error, path) from error
    return expand(raw, where=where)


def expand(raw: bytes, *, where: str) -> bytes:
    """Decompresses bytes. Uncompressed bytes and spreadsheets are returned unchanged.

    Raises:
        DataError: The bytes are damaged, exceed the compression limit, or have an unsupported file type.
    """
    kind = compression_of(raw)
    found = raw if kind is None else _expanded(kind, io.BytesIO(raw), len(raw), where)
    if found is not raw and compression_of(found) not in (None, "zip"):
        raise DataError("is compressed more than once. Decompress it first.", where=where)
    for magic, name in _UNREADABLE.items():
        if found.startswith(magic):
            raise DataError(f"is {name}, which is not supported. Export it as CSV, or unpack it.", where=where)
    if found[257:262] == b"ustar":
        raise DataError("is a tar archive, which is not supported. Unpack it, or repack it as .zip.", where=where)
    return found


def _unreadable(error: OSError, path: Path) -> DataError:
    return DataError(f"can't be read: {error.strerror or error}.", where=name_of(path))


def _damaged(kind: str, error: BaseException, where: str) -> DataError:
    return DataError(f"can't be decompressed: it is damaged or encrypted ({kind}: {error}).", where=where)


def _archive_of(path: Path) -> Path | None:
    """Returns the zip archive that contains a path; None if there is none or the path is a file."""
    return None if path.exists() else next((each for each in path.parents if each.is_file()), None)


def _read_member(archive: Path, path: Path) -> bytes:
    """Reads a member of a zip archive.

    Raises:
        DataError: The member does not exist, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = {archive / each: each for each in opened.namelist()}
            if path not in names:
                raise DataError(
                    f"there is no such file in the archive (expected one of: {_listed(names.values())}).",
                    where=str(path),
                )
            info = opened.getinfo(names[path])
            with opened.open(info) as member:
                return _joined(_read(member), info.compress_size, str(path))
    except _DAMAGE as error:
        raise _damaged("zip", error, str(path)) from error


def _expanded(kind: Compression, file: IO[bytes], size: int, where: str) -> bytes:
    """Decompresses a file of `size` bytes. A zip archive must have one member."""
    try:
        if kind != "zip":
            return _joined(_blocks(kind, file), size, where)
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if is_spreadsheet(names):
                file.seek(0)
                return file.read()
            shown = [name for name in names if not _is_hidden(name) and not name.endswith("/")]
            if len(shown) != 1:
                raise DataError(f"is a zip archive of several files (got {_listed(shown)}, expected one).", where=where)
            with archive.open(shown[0]) as member:
                return _joined(_read(member), size, where)
    except _DAMAGE as error:
        raise _damaged(kind, error, where) from error


def _blocks(kind: Compression, file: IO[bytes]) -> Iterator[bytes]:
    """Yields the decompressed blocks of a file."""
    if kind == "gzip":
        return _read(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))
    if kind == "bzip2":
        return _read(cast("IO[bytes]", bz2.BZ2File(file)))
    if kind == "xz":
        return _xz_blocks(file)
    import pyarrow as pa

    return _read(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"))


def _read(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_BLOCK_BYTES), b"")


def _xz_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yields decompressed blocks with a memory limit, which Python's LZMAFile does not have."""
    decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    for block in _read(file):
        rest = block
        while rest or not (decoder.needs_input or decoder.eof):
            yield decoder.decompress(rest, _BLOCK_BYTES)
            # A file may have several streams, with zero padding between them.
            rest = decoder.unused_data.lstrip(b"\0") if decoder.eof else b""
            if rest:
                decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    if not decoder.eof:
        raise EOFError("the file is truncated")


def _joined(blocks: Iterable[bytes], size: int, where: str) -> bytes:
    """Joins blocks, and checks the compression limit for `size` compressed bytes."""
    found = io.BytesIO()
    for block in blocks:
        found.write(block)
        check_size(found.tell(), size, where)
    return found.getvalue()


def check_size(expanded: int, size: int, where: str) -> None:
    """Checks the compression limit, against decompression bombs.

    Raises:
        DataError: The file exceeds the limit.
    """
    if expanded > max(_ALWAYS_ALLOWED_BYTES, _MAX_RATIO * size):
        raise DataError(
            f"its {size:,} bytes decompress to more than {_MAX_RATIO} times as many ({expanded:,} or more), which is "
            "unusual for data. If this is intended, decompress it first.",
            where=where,
        )


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:5]) + (f", ... {len(shown)} in all" if len(shown) > 5 else "") if shown else "none"
