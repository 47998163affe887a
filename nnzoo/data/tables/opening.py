"""Opens table files: detects the file type, the encoding and the dialect."""

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
from nnzoo.data.tables.dialect import TableOptions, find_delimiter, find_dialect
from nnzoo.data.tables.excel import OLD_FORMAT, read_sheet
from nnzoo.data.tables.file import BLOCK_BYTES, File
from nnzoo.data.tables.number_forms import usual_decimal
from nnzoo.errors import DataError

_SAMPLE_BYTES = 256 * 1024
_ANNOUNCED = re.compile(r'"?sep=([,;|\t])"?[ \t]*[\r\n]')
"""A first line that tells Excel the delimiter of the file."""

AnyFile = File | ColumnarFile


@dataclass
class _Text:
    """The text of a file.

    Attributes:
        sample: The first lines, complete.
        encoding: The encoding of the file.
        raw: The full text as UTF-8; None if the file itself is clean UTF-8.
    """

    sample: str
    encoding: str
    raw: bytes | None


def open_file(
    path: Path,
    options: TableOptions,
    known: Collection[str],
    optional: Collection[str] = (),
    *,
    repairs: Repairs,
    label_column: str | None = None,
    data: bytes | None = None,
) -> AnyFile:
    """Opens a file and detects its format.

    Args:
        path: The file; `-` is standard input.
        options: How the file is read.
        known: Names of required columns.
        optional: Columns that a file without a header may lack.
        repairs: Counts rows and columns that are left out or repaired.
        label_column: For text data, the column of labels. If it is not the last column, and the delimiter is not a
            usual one (`,` `;` `|`, tab), the last column is the rest of the line, as in `label the words of a text`.
        data: The content of the file, if it has been read already.

    Raises:
        DataError: The file does not exist, is empty, damaged or not text, or has a different encoding than expected.
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
        return _open_sheet(path, data, options, known, optional, repairs)
    return _open_text(path, data, options, known, optional, repairs, label_column)


def is_delimited(start: bytes) -> bool:
    """Returns whether a file is text, not columnar or Excel, by its first bytes."""
    is_excel = compression_of(start) == "zip" or start.startswith(OLD_FORMAT)
    return not is_excel and columnar.kind_of(start) is None


def _open_sheet(
    path: Path, data: bytes, options: TableOptions, known: Collection[str], optional: Collection[str], repairs: Repairs
) -> File:
    skipped = range(1, options.skip_rows + 1) if isinstance(options.skip_rows, int) else options.skip_rows
    text, strings = read_sheet(data, options.sheet, skipped, where=name_of(path), repairs=repairs)
    plain = options.model_copy(update={"delimiter": ",", "skip_rows": 0})
    dialect = find_dialect(text, plain, known, optional, where=name_of(path))
    above = dialect.begin + dialect.header
    typed = {
        name: frozenset(text for text, last in strings.get(index, {}).items() if last > above)
        for index, name in enumerate(dialect.names)
    }
    # Numeric cells have a decimal point and say nothing about the strings.
    dialect = dialect._replace(usual_decimal=usual_decimal([*typed.values()], dialect.delimiter))
    return File(path, dialect, "utf-8", text.encode(), ",", plain, repairs, is_sheet=True, typed=typed)


def _open_text(
    path: Path,
    data: bytes | None,
    options: TableOptions,
    known: Collection[str],
    optional: Collection[str],
    repairs: Repairs,
    label_column: str | None,
) -> File:
    is_foreign = options.delimiter != "auto" and rewriting.is_foreign(options.delimiter, label_column)
    text = _read(path, data, options, repairs, read_all=is_foreign or not isinstance(options.skip_rows, int))
    announced = _ANNOUNCED.match(text.sample)
    if announced is not None and options.delimiter == "auto" and options.skip_rows == 0:
        options = options.model_copy(update={"delimiter": announced[1], "skip_rows": 1})
    if not isinstance(options.skip_rows, int):
        assert text.raw is not None
        delimiter = find_delimiter(text.sample, known) if options.delimiter == "auto" else options.delimiter
        text = _rewritten(text, rewriting.without_rows(text.raw.decode(), options.skip_rows, delimiter[:1]))
    if is_foreign:
        file = _split_lines(path, text, options, known, optional, repairs, label_column)
    else:
        dialect = find_dialect(text.sample, options, known, optional, where=name_of(path))
        file = File(path, dialect, text.encoding, text.raw, dialect.delimiter, options, repairs)
        if dialect.delimiter == "\t" and file.has(b'"') and not file.quotes_close():
            tabs = options.model_copy(update={"delimiter": "\t"})
            text_of_tabs = _read(path, file.raw, tabs.model_copy(update={"encoding": "utf-8"}), repairs, read_all=True)
            text_of_tabs.encoding = text.encoding
            file = _split_lines(path, text_of_tabs, tabs, known, optional, repairs, label_column)
        elif options.strip and rewriting.has_blanks_before_quotes(text.sample, dialect.delimiter):
            decoded = decode(file.raw or read_bytes(path), "utf-8", where=file.where)
            file.raw = rewriting.without_blanks_before_quotes(decoded, dialect.delimiter).encode()
    if label_column is not None:
        file.check_quotes()
    return file


def _read(path: Path, data: bytes | None, options: TableOptions, repairs: Repairs, *, read_all: bool) -> _Text:
    """Reads the text of a file: only its first lines if the file is clean UTF-8 and `read_all` is false."""
    is_utf8 = options.encoding in ("auto", "utf-8")
    if data is None and not read_all and is_utf8 and _is_clean_utf8(path):
        return _Text(_start_of(path), "utf-8", None)
    data = read_bytes(path) if data is None else data
    encoding = find_encoding(data) if options.encoding == "auto" else options.encoding
    text = decode(data, options.encoding, where=name_of(path), repairs=repairs)
    return _Text(_first_lines(text), encoding, text.encode())


def _rewritten(text: _Text, new: str) -> _Text:
    return _Text(_first_lines(new), text.encoding, new.encode())


def _split_lines(
    path: Path,
    text: _Text,
    options: TableOptions,
    known: Collection[str],
    optional: Collection[str],
    repairs: Repairs,
    label_column: str | None,
) -> File:
    """Returns a file whose lines are split at the delimiter. Quotes are literal."""
    assert text.raw is not None
    text = _rewritten(text, rewriting.split_lines(text.raw.decode(), options, known, label_column))
    commas = options.model_copy(update={"delimiter": ","})
    dialect = find_dialect(text.sample, commas, known, optional, where=name_of(path))
    return File(path, dialect._replace(delimiter=options.delimiter), text.encoding, text.raw, ",", commas, repairs)


def _start_of(path: Path) -> str:
    """Returns the first lines of a UTF-8 file, complete, at least one."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
        start += b"" if b"\n" in start or b"\r" in start else file.readline()
        is_complete = not file.read(1)
    # The last character may be cut.
    text = start.decode("utf-8", errors="ignore").removeprefix("\ufeff")
    return text if is_complete else _up_to_line_end(text)


def _first_lines(text: str) -> str:
    """Returns the first lines of a text, complete, at least one."""
    first_end = re.search(r"[\r\n]", text)
    head = text[: max(_SAMPLE_BYTES, first_end.end() if first_end else len(text))]
    return text if len(head) == len(text) else _up_to_line_end(head)


def _up_to_line_end(text: str) -> str:
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text


def _is_clean_utf8(path: Path) -> bool:
    """Returns whether a file is UTF-8 without zero bytes. The file is read in blocks."""
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


def options_for_new_files(file: AnyFile | None, options: TableOptions, known: Collection[str]) -> TableOptions:
    """Returns the options for reading new files. Options that detection would find again are reset to auto.

    Args:
        file: A training file; None for a table from Python.
        options: The options that the file was read with.
        known: Names of required columns.
    """
    if file is None or isinstance(file, ColumnarFile):
        return options.model_copy(update={"names": None, "header": True})
    names, header = (
        (None, True) if file.dialect.names_in_header else (file.dialect.names, file.dialect.header or "auto")
    )
    explicit = options.model_copy(update={"names": names, "header": header})
    if file.is_sheet or options.delimiter == options.encoding == "auto":
        return explicit
    detected = {"delimiter": "auto", "encoding": "auto"}
    try:
        again = open_file(file.path, explicit.model_copy(update=detected), known, repairs=Repairs())
    except DataError:
        return explicit
    is_same = isinstance(again, File) and (again.dialect, again.encoding) == (file.dialect, file.encoding)
    return explicit.model_copy(update=detected) if is_same else explicit
