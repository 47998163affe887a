"""Opening files of tables: what kind each is, how its text is encoded, and how it is cut into cells."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nnzoo.data.files.contents import compression_of, is_on_disk, name_of, read_bytes, start_of
from nnzoo.data.files.encodings import decode, find_encoding
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.tables import columnar, rewriting
from nnzoo.data.tables.columnar import ColumnarFile
from nnzoo.data.tables.dialect import Words, find_delimiter, find_dialect
from nnzoo.data.tables.excel import OLD_FORMAT, read_sheet
from nnzoo.data.tables.file import BLOCK_BYTES, File
from nnzoo.data.tables.number_forms import usual_decimal
from nnzoo.errors import DataError

_SAMPLE_BYTES = 256 * 1024
_ANNOUNCED = re.compile(r'"?sep=([,;|\t])"?[ \t]*[\r\n]')
"""The first line by which Excel is told the delimiter of a file."""

AnyFile = File | ColumnarFile


@dataclass
class _Text:
    """The text of a file.

    Attributes:
        sample: The first lines, whole.
        encoding: Of the file.
        raw: All of it as UTF-8; None if the file has it so.
    """

    sample: str
    encoding: str
    raw: bytes | None


def open_file(
    path: Path,
    words: Words,
    known: Collection[str],
    shorter: Collection[str] = (),
    *,
    repairs: Repairs,
    beside_text: str | None = None,
    data: bytes | None = None,
) -> AnyFile:
    """Finds how a file is written.

    Args:
        path: Of the file; `-` is standard input.
        words: What is said of it.
        known: Names of columns that are asked for.
        shorter: Columns that a file without a header may lack.
        repairs: Counts what is left out or repaired.
        beside_text: Of a file with texts, the column that is not a text. If it is not the last one, and the delimiter
            is not one that tables are written with (`,` `;` `|`, tab), then the last column has all that is left of a
            line, as in `label a text of some words`.
        data: What the file holds, if it has been read.

    Raises:
        DataError: There is no such file; it is empty, damaged, not text, or of another encoding.
    """
    on_disk = data is None and is_on_disk(path)
    start = start_of(path) if on_disk else b""
    if not on_disk or compression_of(start) or start.startswith(OLD_FORMAT):
        data = start = read_bytes(path) if data is None else data
    kind = columnar.kind_of(start)
    if kind is not None:
        return ColumnarFile(path, kind, data, repairs)
    if compression_of(start) == "zip" or start.startswith(OLD_FORMAT):
        assert data is not None
        return _open_sheet(path, data, words, known, shorter, repairs)
    return _open_text(path, data, words, known, shorter, repairs, beside_text)


def is_delimited(start: bytes) -> bool:
    """Whether a file is text by its first bytes, and not a columnar or an Excel file."""
    is_excel = compression_of(start) == "zip" or start.startswith(OLD_FORMAT)
    return not is_excel and columnar.kind_of(start) is None


def _open_sheet(
    path: Path, data: bytes, words: Words, known: Collection[str], shorter: Collection[str], repairs: Repairs
) -> File:
    skipped = range(1, words.skip_rows + 1) if isinstance(words.skip_rows, int) else words.skip_rows
    text, texts = read_sheet(data, words.sheet, skipped, where=name_of(path), repairs=repairs)
    plain = words.model_copy(update={"delimiter": ",", "skip_rows": 0})
    dialect = find_dialect(text, plain, known, shorter, where=name_of(path))
    above = dialect.begin + dialect.header
    typed = {
        name: frozenset(text for text, last in texts.get(index, {}).items() if last > above)
        for index, name in enumerate(dialect.names)
    }
    # Numbers of the sheet have a point, however those in texts are written.
    dialect = dialect._replace(usual_decimal=usual_decimal(typed.values()))
    return File(path, dialect, "utf-8", text.encode(), ",", plain, repairs, is_sheet=True, typed=typed)


def _open_text(
    path: Path,
    data: bytes | None,
    words: Words,
    known: Collection[str],
    shorter: Collection[str],
    repairs: Repairs,
    beside_text: str | None,
) -> File:
    is_foreign = words.delimiter != "auto" and rewriting.is_foreign(words.delimiter, beside_text)
    text = _read(path, data, words, repairs, whole=is_foreign or not isinstance(words.skip_rows, int))
    announced = _ANNOUNCED.match(text.sample)
    if announced is not None and words.delimiter == "auto" and words.skip_rows == 0:
        words = words.model_copy(update={"delimiter": announced[1], "skip_rows": 1})
    if not isinstance(words.skip_rows, int):
        assert text.raw is not None
        delimiter = find_delimiter(text.sample, known) if words.delimiter == "auto" else words.delimiter
        text = _rewritten(text, rewriting.without_rows(text.raw.decode(), words.skip_rows, delimiter[:1]))
    if is_foreign:
        file = _cut(path, text, words, known, shorter, repairs, beside_text)
    else:
        dialect = find_dialect(text.sample, words, known, shorter, where=name_of(path))
        file = File(path, dialect, text.encoding, text.raw, dialect.delimiter, words, repairs)
        if dialect.delimiter == "\t" and file.has(b'"') and not file.quotes_close():
            tabs = words.model_copy(update={"delimiter": "\t"})
            whole = _read(path, file.raw, tabs.model_copy(update={"encoding": "utf-8"}), repairs, whole=True)
            whole.encoding = text.encoding
            file = _cut(path, whole, tabs, known, shorter, repairs, beside_text)
        elif words.strip and rewriting.has_blanks_before_quotes(text.sample, dialect.delimiter):
            found = decode(file.raw or read_bytes(path), "utf-8", where=file.where)
            file.raw = rewriting.without_blanks_before_quotes(found, dialect.delimiter).encode()
    if beside_text is not None:
        file.check_quotes()
    return file


def _read(path: Path, data: bytes | None, words: Words, repairs: Repairs, *, whole: bool) -> _Text:
    """The text of a file; all of it only where it has to be, or is not clean UTF-8."""
    is_utf8 = words.encoding in ("auto", "utf-8")
    if data is None and not whole and is_utf8 and _is_clean_utf8(path):
        return _Text(_start_of(path), "utf-8", None)
    data = read_bytes(path) if data is None else data
    encoding = find_encoding(data) if words.encoding == "auto" else words.encoding
    text = decode(data, words.encoding, where=name_of(path), repairs=repairs)
    return _Text(_whole_lines(text), encoding, text.encode())


def _rewritten(text: _Text, found: str) -> _Text:
    return _Text(_whole_lines(found), text.encoding, found.encode())


def _cut(
    path: Path,
    text: _Text,
    words: Words,
    known: Collection[str],
    shorter: Collection[str],
    repairs: Repairs,
    beside_text: str | None,
) -> File:
    """A file whose lines are cut at its delimiter, whatever quotes are in them."""
    assert text.raw is not None
    text = _rewritten(text, rewriting.cut_at(text.raw.decode(), words, known, beside_text))
    commas = words.model_copy(update={"delimiter": ","})
    dialect = find_dialect(text.sample, commas, known, shorter, where=name_of(path))
    return File(path, dialect._replace(delimiter=words.delimiter), text.encoding, text.raw, ",", commas, repairs)


def _start_of(path: Path) -> str:
    """The first lines of a UTF-8 file, whole, one at least."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
        start += b"" if b"\n" in start or b"\r" in start else file.readline()
        is_whole = not file.read(1)
    # The last character may be cut.
    text = start.decode("utf-8", errors="ignore").removeprefix("\ufeff")
    return text if is_whole else _up_to_line_end(text)


def _whole_lines(text: str) -> str:
    """The first lines of a text, whole, one at least."""
    first_end = re.search(r"[\r\n]", text)
    head = text[: max(_SAMPLE_BYTES, first_end.end() if first_end else len(text))]
    return text if len(head) == len(text) else _up_to_line_end(head)


def _up_to_line_end(text: str) -> str:
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text


def _is_clean_utf8(path: Path) -> bool:
    """Whether all of a file is UTF-8 without zero bytes; it is never in memory as a whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                if b"\0" in block:
                    return False
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}.", where=name_of(path)) from error
    return True


def words_for_new_files(file: AnyFile | None, words: Words, known: Collection[str]) -> Words:
    """What is to be said of new files of the kind of one: what is found by itself is left to be found again.

    Args:
        file: One of training; None for a table from Python.
        words: What was said of it.
        known: Names of columns that were asked for.
    """
    if file is None or isinstance(file, ColumnarFile):
        return words.model_copy(update={"names": None, "header": True})
    names, header = (
        (None, True) if file.dialect.names_in_header else (file.dialect.names, file.dialect.header or "auto")
    )
    kept = words.model_copy(update={"names": names, "header": header})
    if file.is_sheet or words.delimiter == words.encoding == "auto":
        return kept
    unsaid = {"delimiter": "auto", "encoding": "auto"}
    try:
        again = open_file(file.path, kept.model_copy(update=unsaid), known, repairs=Repairs())
    except DataError:
        return kept
    is_same = isinstance(again, File) and (again.dialect, again.encoding) == (file.dialect, file.encoding)
    return kept.model_copy(update=unsaid) if is_same else kept
