"""Finding files, and reading text of whatever encoding."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from nnzoo.errors import DataError

STDIN = Path("-")

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, the longer ones first: UTF-16's is the beginning of UTF-32's."""


def name_of(path: Path) -> str:
    """What a file is called in messages."""
    return "standard input" if path == STDIN else str(path)


def find_files(path: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """The files that a path means, sorted by name: itself, those in a folder, or those that match a glob pattern.

    Args:
        path: A file, a folder, a glob pattern such as `part-*.csv`, or `-` for standard input.
        suffixes: Those of a folder's files, in lower case; empty for all but hidden ones.

    Raises:
        DataError: There is no such file, or none in the folder.
    """
    if path == STDIN or path.is_file():
        return [path]
    if path.is_dir():
        files = (file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        found = sorted(file for file in files if not suffixes or file.suffix.lower() in suffixes)
        if not found:
            kinds = f" that ends in {' or '.join(sorted(suffixes))}" if suffixes else ""
            raise DataError(f"a folder without a file{kinds}.", where=str(path))
        return found
    root = Path(path.anchor)
    found = sorted(match for match in root.glob(str(path.relative_to(root))) if match.is_file())
    if not found:
        raise DataError("there is no such file or folder. Check the path.", where=str(path))
    return found


def read_bytes(path: Path) -> bytes:
    """All of a file, or of standard input.

    Raises:
        DataError: There is no such file, or it can't be read.
    """
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except FileNotFoundError:
        raise DataError("there is no such file. Check the path.", where=str(path)) from None
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}.", where=str(path)) from error


def find_encoding(raw: bytes) -> str:
    """The encoding of a text: what its byte order mark says, else UTF-8, else Windows-1252."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return encoding
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def decode(raw: bytes, encoding: str, *, where: str) -> str:
    """A text.

    Args:
        raw: Of a file.
        encoding: A name that Python knows; `auto` finds it.
        where: The file, for messages.

    Raises:
        DataError: The bytes are not of that encoding, or it is not known; the line is named.
    """
    chosen = find_encoding(raw) if encoding == "auto" else encoding
    try:
        return raw.decode(chosen)
    except LookupError:
        raise DataError(f"there is no encoding '{chosen}'. Try utf-8, cp1252 or utf-16.", where="encoding") from None
    except UnicodeError as error:
        line = raw.count(b"\n", 0, getattr(error, "start", 0)) + 1
        tried = "UTF-8, nor cp1252" if encoding == "auto" else chosen
        raise DataError(f"line {line} is not {tried}. Set `encoding` to that of the file.", where=where) from None


def common_encoding(texts: Sequence[bytes]) -> str:
    """The encoding of some files; `auto` where they differ. Plain ASCII is every one of them."""
    found = {find_encoding(raw) for raw in texts if not raw.isascii()}
    return "auto" if len(found) > 1 else found.pop() if found else "utf-8"


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends; what follows the last end is one if there is something."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]
