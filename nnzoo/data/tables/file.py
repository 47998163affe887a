"""A CSV file: how it is written, and its columns as text.

pyarrow cuts it into cells; what a cell means is decided elsewhere.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnzoo.data.files import STDIN, decode, find_encoding, read_bytes
from nnzoo.data.tables.dialect import Dialect, Words, find_dialect
from nnzoo.errors import DataError

_SAMPLE_BYTES = 256 * 1024
_BLOCK_BYTES = 1024 * 1024


@dataclass(eq=False)
class File:
    """A CSV file.

    Attributes:
        path: Of the file.
        dialect: How it is written.
        encoding: Of its text.
        raw: All of it as UTF-8, where it is not to be read from its path: standard input, other encodings.
        num_rows: Known once some column was read.
    """

    path: Path
    dialect: Dialect
    encoding: str
    raw: bytes | None
    num_rows: int = 0

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.raw is None else len(self.raw)

    def read(self, names: Sequence[str], block_bytes: int = _BLOCK_BYTES) -> Any:
        """The columns of these names, a pyarrow.Table of strings.

        Raises:
            DataError: A row has another number of cells, or the file is damaged.
        """
        import pyarrow as pa
        from pyarrow import csv as arrow

        dialect = self.dialect
        try:
            # Block by block: the parser of whole files runs ahead, and takes twice the memory of the result.
            with arrow.open_csv(
                str(self.path) if self.raw is None else pa.BufferReader(self.raw),
                arrow.ReadOptions(
                    column_names=dialect.names,
                    skip_rows_after_names=int(dialect.header),
                    block_size=block_bytes,
                ),
                arrow.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=names,
                    strings_can_be_null=False,
                ),
            ) as reader:
                table = reader.read_all()
        except (pa.ArrowInvalid, OSError) as error:
            if "straddling" in str(error) and block_bytes <= self.size:  # a row is longer than a block
                return self.read(names, 64 * block_bytes)
            raise self._damage(str(error)) from None
        if table.num_rows == 0:
            raise DataError(
                "has a header and no rows below it. Give rows, or set `header: false`.", where=str(self.path)
            )
        self.num_rows = table.num_rows
        return table

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Every row below the header with the line that it begins in: slow, for messages."""
        raw = read_bytes(self.path) if self.raw is None else self.raw
        lines = io.StringIO(decode(raw, "utf-8-sig", where=str(self.path)), newline="")
        reader = csv.reader(lines, delimiter=self.dialect.delimiter)
        begin, header = 1, self.dialect.header
        for cells in reader:
            if cells and not header:
                yield begin, cells
            header = header and not cells
            begin = reader.line_num + 1

    def line(self, row: int) -> int:
        """The line that a row, counted from 0 below the header, begins in."""
        try:
            return next(line for number, (line, _) in enumerate(self.rows()) if number == row)
        except (StopIteration, csv.Error):
            return row + 1 + self.dialect.header

    def _damage(self, reason: str) -> DataError:
        """What pyarrow stumbled over; the first row that is longer or shorter than the others, if there is one."""
        size = len(self.dialect.names)
        try:
            for line, cells in self.rows():
                if len(cells) != size:
                    what = "the header" if self.dialect.header else "the first row"
                    return DataError(
                        f"line {line} has another number of cells than {what} (got {len(cells)}; {what} has {size}). "
                        f"A cell with the delimiter {self.dialect.delimiter!r} in it needs double quotes around it.",
                        where=str(self.path),
                    )
        except csv.Error as error:
            reason = str(error)
        return DataError(f"can't be read as CSV: {reason.split(chr(10))[0][:200]}", where=str(self.path))


def open_file(path: Path, words: Words, known: Collection[str], shorter: Collection[str] = ()) -> File:
    """Finds how a file is written.

    Args:
        path: Of the file; `-` is standard input.
        words: What is said of it.
        known: Names of columns that are asked for.
        shorter: Columns that a file without a header may lack.

    Raises:
        DataError: There is no such file, it is empty, no text, or of another encoding.
    """
    where = str(path)
    encoding, raw = words.encoding, None
    if path != STDIN and encoding in ("auto", "utf-8") and _is_utf8(path):
        encoding = "utf-8"
        with path.open("rb") as file:
            head = file.read(_SAMPLE_BYTES).decode("utf-8", errors="ignore")  # the last character may be cut
        is_whole = path.stat().st_size <= _SAMPLE_BYTES
    else:
        data = read_bytes(path)
        encoding = find_encoding(data) if encoding == "auto" else encoding
        text = decode(data, encoding, where=where).removeprefix("\ufeff")
        head, is_whole, raw = text[:_SAMPLE_BYTES], len(text) <= _SAMPLE_BYTES, text.encode()
    if "\0" in head:
        raise DataError("is no text, or of an encoding such as utf-16, which `encoding` has to say.", where=where)
    sample = head.removeprefix("\ufeff")
    if not is_whole:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    dialect = find_dialect(sample, words, known, shorter, where=where)
    after_delimiter = rf'(?<={re.escape(dialect.delimiter)})[ \t]+(?=")'
    if words.strip and re.search(after_delimiter, sample):
        # To pyarrow a quote after a blank is a character like others. What is quoted stays as it is.
        text = decode(raw or read_bytes(path), "utf-8-sig", where=where)
        raw = re.sub(rf'("(?:[^"]|"")*")|{after_delimiter}', r"\1", text).encode()
    return File(path, dialect, encoding, raw)


def _is_utf8(path: Path) -> bool:
    """Whether all of a file is; it is never in memory as a whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}.", where=str(path)) from error
    return True


def words_for_new_files(file: File, words: Words, known: Collection[str]) -> Words:
    """What is to be said of new files of the kind of one: what is found by itself is left to be found again.

    Args:
        file: One of training.
        words: What was said of it.
        known: Names of columns that were asked for.
    """
    names, header = (
        (None, True) if file.dialect.names_in_header else (file.dialect.names, file.dialect.header or "auto")
    )
    kept = words.model_copy(update={"names": names, "header": header})
    if words.delimiter == words.encoding == "auto":
        return kept
    unsaid = {"delimiter": "auto", "encoding": "auto"}
    try:
        again = open_file(file.path, kept.model_copy(update=unsaid), known)
    except DataError:
        return kept
    is_same = (again.dialect, again.encoding) == (file.dialect, file.encoding)
    return kept.model_copy(update=unsaid) if is_same else kept
