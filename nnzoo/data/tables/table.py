"""Tables as columns of text: from CSV files, or from Python values.

pyarrow cuts the files into cells, on all cores; what a cell means is decided here. Columns are read some at a time, so
that a table is never in memory as text all at once, and a file is read more often for it.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnzoo.data.files import STDIN, decode, find_encoding, find_files, read_bytes
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.dialect import Dialect, Words, find_dialect
from nnzoo.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".data")

_SAMPLE_BYTES = 256 * 1024
_BLOCK_BYTES = 1024 * 1024
_GROUP_BYTES = 48 * 1024 * 1024
"""About as much text is in memory at a time."""


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

    def read(self, names: Sequence[str], block_bytes: int = 1024 * 1024) -> Any:
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
    if words.strip and (blanks := re.compile(rf'(?<={re.escape(dialect.delimiter)})[ \t]+(?=")')).search(sample):
        # To pyarrow a quote after a blank is a character like others. Within quotes this only loses blanks.
        raw = blanks.sub("", decode(raw or read_bytes(path), "utf-8-sig", where=where)).encode()
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


@dataclass(eq=False)
class Table:
    """Rows of one or several files, below one another; or those of a Python value.

    Attributes:
        names: The columns.
        words: What is said of cells.
        files: In order.
        values: The columns as pyarrow arrays of strings, where they come from Python.
    """

    names: tuple[str, ...]
    words: Words
    files: Sequence[File] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return str(self.files[0].path) if self.files else "predict"

    @property
    def num_rows(self) -> int:
        """Rows in all, once some column was read."""
        return sum(file.num_rows for file in self.files) if self.files else len(next(iter(self.values.values())))

    def require(self, names: Iterable[str], what: str = "") -> None:
        """Checks that there are such columns.

        Args:
            names: That have to be there.
            what: Who asks for them.

        Raises:
            DataError: Some are missing; all are named.
        """
        lacking = [name for name in names if name not in self.names]
        if not lacking:
            return
        listed = ", ".join(f"'{name}'" for name in lacking)
        shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        close = difflib.get_close_matches(lacking[0], self.names, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        if lacking[0].isdecimal() and int(lacking[0]) < len(self.names):
            hint = f" With a header, columns go by their names: that one is '{self.names[int(lacking[0])]}'."
        plural = "s" if len(lacking) > 1 else ""
        raise DataError(f"has no column{plural} {listed}{what} (it has: {shown}).{hint}", where=self.where)

    def read(self, names: Sequence[str]) -> Iterator[Cells]:
        """The columns of these names, one after the other; each is forgotten when the next one is asked for."""
        import pyarrow as pa

        size = sum(file.size for file in self.files)
        at_once = max(1, len(self.names) * _GROUP_BYTES // max(size, 1))
        for start in range(0, len(names), at_once):
            group = names[start : start + at_once]
            columns = self._read(group)
            for name in group:
                yield Cells(name, self._clean(columns.pop(name)), self.where, self.locate)
        pa.default_memory_pool().release_unused()

    def cells(self, name: str) -> Cells:
        """One column."""
        return next(self.read([name]))

    def locate(self, row: int) -> str:
        """The file and the line of a row."""
        for file in self.files:
            if row < file.num_rows:
                return f"{file.path}: line {file.line(row)}"
            row -= file.num_rows
        return f"row {row}"

    def _read(self, names: Sequence[str]) -> dict[str, Any]:
        import pyarrow as pa

        if not self.files:
            return {name: self.values[name] for name in names}
        parts = [file.read(names) for file in self.files]
        return {name: pa.chunked_array([c for part in parts for c in part[name].chunks], pa.string()) for name in names}

    def _clean(self, cells: Any) -> Any:
        """Stripped, replaced, and null where missing."""
        import pyarrow as pa
        from pyarrow import compute

        words = self.words
        if words.strip:
            cells = compute.utf8_trim_whitespace(cells)
        if words.replace:
            found = compute.index_in(cells, value_set=pa.array(words.replace, pa.string()))
            replaced = compute.take(pa.array(words.replace.values(), pa.string()), found)
            cells = compute.if_else(found.is_valid(), replaced, cells)
        is_missing = compute.is_in(cells, value_set=pa.array(words.missing, pa.string()))
        return compute.if_else(is_missing, pa.scalar(None, pa.string()), cells)


def open_table(paths: Sequence[Path], words: Words, known: Collection[str], shorter: Collection[str] = ()) -> Table:
    """The files that some paths mean, as one table.

    Args:
        paths: Files, folders, glob patterns; `-` is standard input.
        words: What is said of them.
        known: Names of columns that are asked for.
        shorter: Columns that a file without a header may lack.

    Raises:
        DataError: A file that can't be used, or has other columns than the first one.
    """
    found = [file for path in paths for file in find_files(path, SUFFIXES)]
    files = [open_file(path, words, known, shorter) for path in found]
    names = files[0].dialect.names
    for file in files[1:]:
        if len(file.dialect.names) != len(names) and not file.dialect.header:
            raise DataError(
                f"has another number of columns than {files[0].path} (got {len(file.dialect.names)}; {len(names)}).",
                where=str(file.path),
            )
        Table(file.dialect.names, words, [file]).require(names, f", as {files[0].path} has")
    return Table(names, words, files)


def table_of(raw: object, words: Words) -> Table | None:
    """A data frame, a dict of lists or a list of dicts as a table; None if it is something else.

    None and NaN are missing; whatever else is no text is read as Python writes it.

    Raises:
        DataError: It has no rows, or lists of different lengths.
    """
    import pyarrow as pa

    names = list(raw) if isinstance(raw, Mapping) else getattr(raw, "columns", None)
    columns: dict[str, list[Any]]
    if names is not None:
        columns = {str(name): list(raw[name]) for name in names}  # type: ignore[index]
    elif isinstance(raw, Sequence) and raw and all(isinstance(row, Mapping) for row in raw):
        keys = dict.fromkeys(key for row in raw for key in row)
        columns = {str(key): [row.get(key) for row in raw] for key in keys}
    else:
        return None
    sizes = {len(values) for values in columns.values()}
    if len(sizes) != 1 or sizes == {0}:
        raise DataError(f"expected columns of one length with some rows, got lengths {sorted(sizes)}.", where="predict")
    values = {name: pa.chunked_array([[_as_cell(cell) for cell in cells]]) for name, cells in columns.items()}
    return Table(tuple(columns), words.model_copy(update={"missing": ("", *words.missing)}), values=values)


def _as_cell(value: object) -> str:
    # Pandas' own NA compares to neither true nor false.
    is_missing = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
    return "" if is_missing else str(value)
