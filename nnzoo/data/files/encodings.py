"""Detects encodings and decodes text. Invalid bytes are reported."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

from nnzoo.data.files.contents import name_of, read_bytes
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.errors import DataError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, longer ones first: the UTF-16 mark is a prefix of the UTF-32 mark."""
_PROBED_BYTES = 4096

_ADVICE = "If letters are wrong, set `encoding`."
STRAY_BYTES = Repair("byte", "in an encoding other than UTF-8", "read as cp1252", _ADVICE)
ZERO_BYTES = Repair("zero byte", "in text", "removed", "Check how the file was written.")

_STRAY = re.compile("[\udc80-\udcff]")
_STRAY_RUN = re.compile("[\udc80-\udcff]{3,}")


def find_encoding(raw: bytes) -> str:
    """Returns the encoding of a text: by its byte order mark or zero bytes, else UTF-8, else Windows-1252.

    A text with stray bytes is UTF-8 if it has more valid letters than stray bytes.
    """
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return encoding
    if (unmarked := _without_mark(raw[:_PROBED_BYTES])) is not None:
        return unmarked
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "surrogateescape")
        num_stray = len(_STRAY.findall(text))
        num_letters = len(text) - len(text.encode("ascii", "ignore")) - num_stray
        return "utf-8" if num_letters >= num_stray else "cp1252"
    return "utf-8"


def _without_mark(start: bytes) -> str | None:
    """Detects UTF-16 without a byte order mark: every other byte of Western text is zero."""
    half = len(start) // 2
    zeros = start[0 : 2 * half : 2].count(0), start[1 : 2 * half : 2].count(0)
    if half and max(zeros) > 0.4 * half and min(zeros) < 0.05 * half:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return None


def decode(raw: bytes, encoding: str, *, where: str, repairs: Repairs | None = None) -> str:
    """Decodes a text and removes its byte order mark.

    Args:
        raw: The content of a file.
        encoding: An encoding name of Python; `auto` detects it, and reads stray bytes as cp1252.
        where: The file, for messages.
        repairs: Counts stray and zero bytes.

    Raises:
        DataError: The encoding is wrong or unknown, or the bytes are not text.
    """
    chosen = find_encoding(raw) if encoding == "auto" else encoding
    if encoding == "auto" and chosen in ("utf-8", "utf-8-sig", "cp1252"):
        text = _decode_western(raw, chosen, where, repairs)
    else:
        try:
            text = raw.decode(chosen)
        except LookupError:
            problem = f"there is no encoding '{chosen}'. Try utf-8, cp1252 or utf-16."
            raise DataError(problem, where="encoding") from None
        except UnicodeError as error:
            line = raw.count(b"\n", 0, getattr(error, "start", 0)) + 1
            problem = f"line {line} is not valid {chosen}. Set `encoding` to the encoding of the file."
            raise DataError(problem, where=where) from None
    return _without_zeros(text.removeprefix("\ufeff"), where, repairs)


def _decode_western(raw: bytes, encoding: str, where: str, repairs: Repairs | None) -> str:
    """Decodes UTF-8, with stray bytes as cp1252, or the whole text as cp1252. Counts stray bytes."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "surrogateescape")
    stray = _STRAY.findall(text)
    line = text.count("\n", 0, text.index(stray[0])) + 1
    if 2 * sum(map(len, _STRAY_RUN.findall(text))) > len(stray):
        # Western languages have few letters beyond ASCII, and hardly ever three in a row.
        raise DataError(
            f"line {line} is neither UTF-8 nor Western text in cp1252. Set `encoding` to the encoding of the file, "
            "such as cp1251, koi8-r, gb18030, big5, shift_jis or euc-kr.",
            where=where,
        )
    if repairs is not None:
        repairs.add(STRAY_BYTES, f"{where}: line {line}", len(stray))
    if encoding == "cp1252":
        return raw.decode("cp1252", "replace")
    return _STRAY.sub(lambda found: bytes([ord(found[0]) - 0xDC00]).decode("cp1252", "replace"), text)


def _without_zeros(text: str, where: str, repairs: Repairs | None) -> str:
    num_zeros = text.count("\0")
    if not num_zeros:
        return text
    if 10 * num_zeros > len(text):
        problem = "is not text, or has an encoding such as utf-16. Set `encoding` if it is text."
        raise DataError(problem, where=where)
    if repairs is not None:
        repairs.add(ZERO_BYTES, f"{where}: line {text.count(chr(10), 0, text.index(chr(0))) + 1}", num_zeros)
    return text.replace("\0", "")


def read_text(path: Path, encoding: str = "auto", repairs: Repairs | None = None) -> str:
    """Reads and decodes the text of a file.

    Raises:
        DataError: The file can't be read or decoded.
    """
    return decode(read_bytes(path), encoding, where=name_of(path), repairs=repairs)


def common_encoding(texts: Sequence[bytes]) -> str:
    """Returns the common encoding of files; `auto` if they differ. ASCII files are ignored."""
    found = {find_encoding(raw) for raw in texts if not raw.isascii()}
    return "auto" if len(found) > 1 else found.pop() if found else "utf-8"


def lines_of(text: str) -> list[str]:
    """Returns the lines of a text without line ends, and without an empty last line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]
