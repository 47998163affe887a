"""A file of delimited columns: its columns as text.

pyarrow cuts it into cells. Only where pyarrow stumbles is the file read by Python's own reader, to be repaired or to
name the line. What a cell means is decided elsewhere.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files.contents import name_of, read_bytes
from nnzoo.data.files.encodings import decode
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.tables.dialect import BLANKS, Dialect, Words, is_blank, reader_of
from nnzoo.data.tables.ragged import RaggedRows
from nnzoo.data.tables.swallowed import SWALLOWED, find_swallowed_rows
from nnzoo.errors import DataError

BLOCK_BYTES = 1024 * 1024
_TITLE_ROWS = 50


@dataclass(eq=False)
class File:
    """A file of delimited columns.

    Attributes:
        path: Of the file.
        dialect: How it is written.
        encoding: Of its text.
        raw: All of it as UTF-8, where it is not to be read from its path: it is compressed, has another encoding, ..
        delimiter: Between cells as they are read: another one than it is written with where it was rewritten.
        words: What is said of it.
        repairs: Counts what is left out or repaired.
        is_sheet: Whether it is a sheet of an Excel file, whose rows have numbers and no lines.
        num_rows: Known once some column was read.
        left_out: The numbers of the rows that are left out.
        typed: Columns that have numbers, times or truth values, and not texts.
    """

    path: Path
    dialect: Dialect
    encoding: str
    raw: bytes | None
    delimiter: str
    words: Words
    repairs: Repairs
    is_sheet: bool = False
    num_rows: int = 0
    left_out: list[int] = field(default_factory=list)
    typed: tuple[str, ...] = ()
    _is_repaired: bool = False
    _is_checked: bool = False

    @property
    def where(self) -> str:
        return name_of(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, from left to right."""
        return self.dialect.names

    @property
    def names_in_header(self) -> bool:
        """Whether the names are those of the header."""
        return self.dialect.names_in_header

    @property
    def _unit(self) -> str:
        """What a line is called in messages."""
        return "row" if self.is_sheet else "line"

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return self.path.stat().st_size if self.raw is None else len(self.raw)

    @property
    def choices(self) -> dict[str, object]:
        """How the file is written, by the fields of the config."""
        written = {} if self.is_sheet else {"delimiter": self.dialect.delimiter, "encoding": self.encoding}
        return {**written, "header": self.dialect.header}

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """(N,) the number of each row in the file, from 0 below the header: those left out count too."""
        numbers = np.arange(self.num_rows + len(self.left_out))
        return np.delete(numbers, self.left_out)

    def read(self, names: Sequence[str]) -> dict[str, Any]:
        """The columns of these names, each a pyarrow.ChunkedArray of strings.

        Raises:
            DataError: A row has another number of cells, and it can't be repaired; or the file is damaged.
        """
        import pyarrow as pa

        try:
            table = self._parse(names, BLOCK_BYTES)
        except (pa.ArrowInvalid, OSError) as error:
            if self._is_repaired:
                raise self._damage(str(error)) from None
            self.repair()
            return self.read(names)
        if not self._is_checked:
            self._is_checked = True
            if self._has_blank_rows(table) or self._may_repeat_header(table):
                self.repair()
                return self.read(names)
        if table.num_rows == 0:
            raise DataError("has a header and no rows below it. Give rows, or set `header: false`.", where=self.where)
        if not self.num_rows:
            self._count_swallowed_rows(table.num_rows)
        self.num_rows = table.num_rows
        return dict(zip(names, table.columns, strict=True))

    def _count_swallowed_rows(self, num_rows: int) -> None:
        """Counts rows inside the quotes of a cell; slow only if there are quotes, and more lines than rows."""
        if self.is_sheet or not self.has(b'"') or self._num_lines() <= num_rows + self.dialect.header:
            return
        with contextlib.suppress(csv.Error):
            count, line = find_swallowed_rows(self.rows, self.delimiter, len(self.names))
            self.repairs.add(SWALLOWED, f"{self.where}: line {line}", count)

    def _num_lines(self) -> int:
        """The number of lines that are not empty."""
        count, before = 1, b"\n"
        for block in self._blocks():
            signs = np.frombuffer(before + block, np.uint8)
            is_end = (signs == ord("\n")) | (signs == ord("\r"))
            count += int(np.count_nonzero(is_end[1:] & ~is_end[:-1]))
            before = block[-1:]
        return count - (before in b"\r\n")

    def _has_blank_rows(self, table: Any) -> bool:
        """Whether some line begins with nothing but delimiters. Where each row has some value it is not looked for."""
        if len(self.names) == 1 or not _has_row(table, [""] * table.num_columns):
            return False
        begin = self.delimiter.encode() * min(len(self.names) - 1, 4)
        return self.has(b"\n" + begin) or self.has(b"\r" + begin)

    def _may_repeat_header(self, table: Any) -> bool:
        """Whether some row of these columns has their names for cells, as in files that were joined with headers."""
        return self.names_in_header and _has_row(table, table.column_names)

    def has(self, part: bytes) -> bool:
        """Whether the text has some bytes."""
        before = b""
        for block in self._blocks():
            if part in before + block:
                return True
            before = block[-len(part) :]
        return False

    def _blocks(self) -> Iterator[bytes]:
        """The text, block by block."""
        if self.raw is not None:
            yield from (self.raw[start : start + BLOCK_BYTES] for start in range(0, self.size, BLOCK_BYTES))
            return
        with self.path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def _parse(self, names: Sequence[str], block_bytes: int) -> Any:
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
                    invalid_row_handler=lambda row: "error" if row.text.strip(f'{BLANKS}"') else "skip",
                ),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=names,
                    strings_can_be_null=False,
                ),
            ) as reader:
                return reader.read_all()
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and block_bytes <= self.size:  # a row is longer than a block
                return self._parse(names, 64 * block_bytes)
            raise

    def repair(self) -> None:
        """Rewrites the rows so that each has a cell for every column, and leaves out blank ones: slow.

        Raises:
            DataError: A row has another number of cells and can't be repaired, or a quote does not close.
        """
        try:
            self._rewrite(escapes=False)
        except DataError:
            # Databases write a backslash before quotes within quotes.
            if not self.has(b'\\"'):
                raise
            self._rewrite(escapes=True)
        self._is_repaired = self._is_checked = True

    def _rewrite(self, *, escapes: bool) -> None:
        rows = RaggedRows(
            names=self.names,
            has_header=self.dialect.header,
            delimiter=self.delimiter,
            rule=self.words.ragged,
            fill=self.words.fill,
            unit=self._unit,
            where=self.where,
            repairs=Repairs(),
        )
        try:
            self.raw = rows.rewrite(self._records(strict=True, escapes=escapes)).encode()
        except csv.Error as error:
            raise self._open_quote(error) from None
        self.repairs.add_all(rows.repairs)
        self.left_out = rows.left_out

    def _records(self, *, strict: bool = False, escapes: bool = False) -> Iterator[tuple[int, int, list[str]]]:
        """The line that each record begins in, the line after it, and its cells, from the first row on: slow.

        Of a sheet, the lines are its rows.

        Args:
            strict: Whether quotes have to close as they should.
            escapes: Whether a backslash makes the sign after it part of the cell.

        Raises:
            csv.Error: Strict, and quotes don't close as they should; the line is its second argument.
        """
        raw = read_bytes(self.path) if self.raw is None else self.raw
        text = decode(raw, "utf-8", where=self.where)
        reader = reader_of(text, self.delimiter, strict=strict, skip=self.dialect.begin, escapes=escapes)
        begin = 1 + self.dialect.begin
        try:
            for cells in reader:
                after = begin + 1 if self.is_sheet else reader.line_num + 1 + self.dialect.begin
                yield begin, after, cells
                begin = after
        except csv.Error as error:
            raise csv.Error(str(error), begin) from None

    def rows(self, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Every row below the header with the line that it begins in: slow, for messages.

        Raises:
            csv.Error: As of `_records`.
        """
        header = self.dialect.header
        for line, _, cells in self._records(strict=strict):
            is_row = not is_blank(cells, len(self.names))
            if is_row and not header:
                yield line, cells
            header = header and not is_row

    def place(self, row: int) -> str:
        """What a row, counted from 0 among those that are not left out, is called in messages."""
        try:
            line = next(line for number, (line, _) in enumerate(self.rows()) if number == row)
        except (StopIteration, csv.Error):
            line = row + 1 + self.dialect.header
        return f"{self._unit} {line}"

    def line_with(self, names: Collection[str]) -> int | None:
        """The line of a row near the beginning that has these cells: the header, behind a title."""
        try:
            rows = itertools.islice(self.rows(), _TITLE_ROWS)
            return next((line for line, cells in rows if set(names) <= set(map(str.strip, cells))), None)
        except csv.Error:
            return None

    def has_spaces(self) -> bool:
        """Whether the first row has spaces between texts."""
        try:
            return any(" " in cell.strip() for _, cells in itertools.islice(self.rows(), 1) for cell in cells)
        except csv.Error:
            return False

    def check_quotes(self) -> None:
        """Checks that quotes close as they should, and so take no rows in that they should not: slow.

        Raises:
            DataError: The line of one that does not.
        """
        try:
            collections.deque(self.rows(strict=True), maxlen=0)
        except csv.Error as error:
            raise self._open_quote(error) from None

    def quotes_close(self) -> bool:
        """Whether quotes stand around cells, and are not letters: no row of a wrong length has rows within quotes."""
        try:
            return not any(
                len(cells) != len(self.names) and any("\n" in cell and self.delimiter in cell for cell in cells)
                for _, cells in self.rows(strict=True)
            )
        except csv.Error:
            return False

    def _open_quote(self, error: csv.Error) -> DataError:
        reason, line = error.args
        message = f"line {line} has a quote that does not close as it should ({reason})."
        return DataError(f"{message} Write a quote within quotes twice.", where=self.where)

    def _damage(self, reason: str) -> DataError:
        return DataError(f"can't be read as CSV: {reason.split(chr(10))[0][:200]}", where=self.where)


def _has_row(table: Any, cells: Sequence[str]) -> bool:
    """Whether some row of a pyarrow.Table has these cells."""
    from pyarrow import compute

    found: Any = True
    for column, cell in zip(table.columns, cells, strict=True):
        found = compute.and_(found, compute.equal(column, cell))
        if not compute.any(found).as_py():
            return False
    return True
