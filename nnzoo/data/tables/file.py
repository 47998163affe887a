"""A file of delimited columns: how it is written, and its columns as text.

pyarrow cuts it into cells; what it can't cut is written anew for it. What a cell means is decided elsewhere.
"""

from __future__ import annotations

import codecs
import collections
import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnzoo.data.contents import STDIN, name_of, read_bytes
from nnzoo.data.encodings import decode, find_encoding, lines_of
from nnzoo.data.tables.dialect import DELIMITERS, Dialect, Words, find_dialect, is_blank, reader_of
from nnzoo.errors import DataError

_SAMPLE_BYTES = 256 * 1024
_BLOCK_BYTES = 1024 * 1024


@dataclass(eq=False)
class File:
    """A file of delimited columns.

    Attributes:
        path: Of the file.
        dialect: How it is written.
        encoding: Of its text.
        raw: All of it as UTF-8, where it is not to be read from its path: standard input, other encodings.
        delimiter: Between cells as they are read: another one than it is written with where it was written anew.
        num_rows: Known once some column was read.
    """

    path: Path
    dialect: Dialect
    encoding: str
    raw: bytes | None
    delimiter: str
    num_rows: int = 0

    @property
    def where(self) -> str:
        return name_of(self.path)

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
                    skip_rows=dialect.begin,
                    skip_rows_after_names=int(dialect.header),
                    block_size=block_bytes,
                ),
                arrow.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=lambda row: "error" if row.text.strip(' \t"') else "skip",
                ),
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
            raise DataError("has a header and no rows below it. Give rows, or set `header: false`.", where=self.where)
        self.num_rows = table.num_rows
        return table

    def rows(self, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Every row below the header with the line that it begins in: slow, for messages.

        Args:
            strict: Whether quotes have to close as they should.

        Raises:
            csv.Error: They don't; the line is its second argument.
        """
        raw = read_bytes(self.path) if self.raw is None else self.raw
        reader = reader_of(decode(raw, "utf-8-sig", where=self.where), self.delimiter, strict=strict)
        begin, header = 1, self.dialect.header
        try:
            for cells in reader:
                is_row = not is_blank(cells, len(self.dialect.names))
                if is_row and not header:
                    yield begin, cells
                header = header and not is_row
                begin = reader.line_num + 1
        except csv.Error as error:
            raise csv.Error(str(error), begin) from None

    def line(self, row: int) -> int:
        """The line that a row, counted from 0 below the header, begins in."""
        try:
            return next(line for number, (line, _) in enumerate(self.rows()) if number == row)
        except (StopIteration, csv.Error):
            return row + 1 + self.dialect.header

    def check_quotes(self) -> None:
        """Checks that quotes close as they should, and so take no rows in that they should not: slow.

        Raises:
            DataError: The line of one that does not.
        """
        try:
            collections.deque(self.rows(strict=True), maxlen=0)
        except csv.Error as error:
            raise self._open_quote(error) from None

    def _open_quote(self, error: csv.Error) -> DataError:
        reason, line = error.args
        message = f"line {line} has a quote that does not close as it should ({reason})."
        return DataError(f"{message} Write a quote within quotes twice.", where=self.where)

    def _damage(self, reason: str) -> DataError:
        """What pyarrow stumbled over; the first row that is longer or shorter than the others, if there is one."""
        size = len(self.dialect.names)
        try:
            for line, cells in self.rows(strict=True):
                if len(cells) != size:
                    what = "the header" if self.dialect.header else "the first row"
                    return DataError(
                        f"line {line} has another number of cells than {what} (got {len(cells)}; {what} has {size}). "
                        f"A cell with the delimiter {self.dialect.delimiter!r} in it needs double quotes around it.",
                        where=self.where,
                    )
        except csv.Error as error:
            return self._open_quote(error)
        return DataError(f"can't be read as CSV: {reason.split(chr(10))[0][:200]}", where=self.where)


def open_file(
    path: Path,
    words: Words,
    known: Collection[str],
    shorter: Collection[str] = (),
    *,
    beside_text: str | None = None,
    data: bytes | None = None,
    quotes: bool = True,
) -> File:
    """Finds how a file is written.

    Args:
        path: Of the file; `-` is standard input.
        words: What is said of it.
        known: Names of columns that are asked for.
        shorter: Columns that a file without a header may lack.
        beside_text: Of a file with texts, the column that is none. If it is not the last one, and the delimiter is none
            that tables are written with (`,` `;` `|`, tab), then the last column has all that is left of a line, as in
            `label a text of some words`.
        data: What the file holds, if it has been read.
        quotes: Whether there may be quotes around cells.

    Raises:
        DataError: There is no such file, it is empty, no text, or of another encoding.
    """
    said = words.delimiter
    is_foreign = said != "auto" and (
        not quotes or len(said) > 1 or not said.isascii() or (beside_text is not None and said not in DELIMITERS)
    )
    if data is None and path != STDIN and words.encoding in ("auto", "utf-8") and not is_foreign and _is_utf8(path):
        encoding, raw = "utf-8", None
        sample = _start_of(path)
    else:
        data = read_bytes(path) if data is None else data
        encoding = find_encoding(data) if words.encoding == "auto" else words.encoding
        text = decode(data, encoding, where=name_of(path)).removeprefix("\ufeff")
        if is_foreign:
            text = _written_anew(text, said, _num_cuts(text, words, known, beside_text))
        sample, raw = _whole_lines(text), text.encode()
    if "\0" in sample:
        problem = "is not text, or has an encoding such as utf-16, which `encoding` has to say."
        raise DataError(problem, where=name_of(path))
    readable = words.model_copy(update={"delimiter": ","}) if is_foreign else words
    dialect = find_dialect(sample, readable, known, shorter, where=name_of(path))
    found = File(path, dialect, encoding, raw, dialect.delimiter)
    if is_foreign:
        found.dialect = dialect._replace(delimiter=said)
    elif dialect.delimiter == "\t" and not _quotes_close(found):
        tabs = words.model_copy(update={"delimiter": "\t", "encoding": encoding})
        return open_file(path, tabs, known, shorter, beside_text=beside_text, data=data, quotes=False)
    elif words.strip:
        found.raw = _without_blanks_before_quotes(found, sample)
    if beside_text is not None:
        found.check_quotes()
    return found


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


def _without_blanks_before_quotes(file: File, sample: str) -> bytes | None:
    """To pyarrow a quote after a blank is a character like others. What is quoted stays as it is."""
    blanks = rf'(?<={re.escape(file.dialect.delimiter)})[ \t]+(?=")'
    if not re.search(blanks, sample):
        return file.raw
    text = decode(file.raw or read_bytes(file.path), "utf-8-sig", where=file.where)
    return re.sub(rf'("(?:[^"]|"")*")|{blanks}', r"\1", text).encode()


def _written_anew(text: str, delimiter: str, num_cuts: int = -1) -> str:
    """The lines of a text, cut at a delimiter of whatever length, as a CSV file: quotes in them are letters."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for line in lines_of(text):
        writer.writerow(line.split(delimiter, num_cuts) if line.strip() else [])
    return out.getvalue()


def _num_cuts(text: str, words: Words, known: Collection[str], beside_text: str | None) -> int:
    """At how many delimiters a line is cut, so that what is left of it is the text; -1 for all."""
    if beside_text is None:
        return -1
    first = next((line for line in lines_of(text) if line.strip()), "").split(words.delimiter)
    positions = {name for name in known if name.isdecimal()}
    columns = list(words.names or (first if set(first) & (set(known) - positions) else ()))
    columns = columns or [str(index) for index in range(1 + max(1, *map(int, positions), 0))]
    return -1 if beside_text == columns[-1] else len(columns) - 1


def _quotes_close(file: File) -> bool:
    """Whether what looks like quotes is: tabs are hardly ever in a text, so that many write them without."""
    with io.BytesIO(file.raw) if file.raw is not None else file.path.open("rb") as raw:
        if not any(b'"' in block for block in iter(lambda: raw.read(_BLOCK_BYTES), b"")):
            return True
    try:
        return all(len(cells) == len(file.dialect.names) for _, cells in file.rows(strict=True))
    except csv.Error:
        return False


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
        raise DataError(f"can't be read: {error.strerror}.", where=name_of(path)) from error
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
