"""A delimited text file, read as columns of strings.

pyarrow parses the file. If pyarrow fails, Python's csv reader reads it, to repair it or to find the bad line. Types are
inferred later.
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
from nnzoo.data.tables.dialect import BLANKS, Dialect, TableOptions, is_blank, reader_of
from nnzoo.data.tables.ragged import RaggedRows
from nnzoo.data.tables.swallowed import SWALLOWED, find_swallowed_rows
from nnzoo.errors import DataError

BLOCK_BYTES = 1024 * 1024
_TITLE_ROWS = 50


@dataclass(eq=False)
class File:
    """A file of delimited columns.

    Attributes:
        path: The path of the file.
        dialect: The dialect of the file.
        encoding: The encoding of the file.
        raw: The full text as UTF-8 if it can't be read from the path (compressed, or not UTF-8); otherwise None.
        delimiter: The delimiter of the text that is read. It differs from the dialect's if the text was rewritten.
        options: The options that the file is read with.
        repairs: Counts rows that are left out or repaired.
        is_sheet: Whether the file is an Excel sheet, whose messages name rows instead of lines.
        num_rows: The number of rows; valid after the first `read`.
        left_out: The indices of the rows that are left out.
        typed: For each column of numbers, times or booleans, the cells that are strings.
        categorical: Categorical columns. Delimited text has none.
    """

    path: Path
    dialect: Dialect
    encoding: str
    raw: bytes | None
    delimiter: str
    options: TableOptions
    repairs: Repairs
    is_sheet: bool = False
    num_rows: int = 0
    left_out: list[int] = field(default_factory=list)
    typed: dict[str, frozenset[str]] = field(default_factory=dict)
    categorical: tuple[str, ...] = ()
    _is_repaired: bool = False
    _is_checked: bool = False

    @property
    def where(self) -> str:
        return name_of(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, from left to right."""
        return self.dialect.names

    @property
    def names_in_header(self) -> bool:
        """Whether the names come from the header."""
        return self.dialect.names_in_header

    @property
    def _unit(self) -> str:
        """The word for a line in messages."""
        return "row" if self.is_sheet else "line"

    @property
    def size(self) -> int:
        """The size of the text in bytes."""
        return self.path.stat().st_size if self.raw is None else len(self.raw)

    @property
    def choices(self) -> dict[str, object]:
        """The format of the file, by config key."""
        text_format = {} if self.is_sheet else {"delimiter": self.dialect.delimiter, "encoding": self.encoding}
        return {**text_format, "header": self.dialect.header}

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """(N,) the index of each row in the file, from 0 below the header. Rows that are left out are counted."""
        numbers = np.arange(self.num_rows + len(self.left_out))
        return np.delete(numbers, self.left_out)

    def read(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns columns by name, each a pyarrow.ChunkedArray of strings.

        Raises:
            DataError: A row has the wrong number of cells and can't be repaired, or the file is damaged.
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
            raise DataError("has a header but no rows. Add rows, or set `header: false`.", where=self.where)
        if not self.num_rows:
            self._count_swallowed_rows(table.num_rows)
        self.num_rows = table.num_rows
        return dict(zip(names, table.columns, strict=True))

    def _count_swallowed_rows(self, num_rows: int) -> None:
        """Counts rows inside a quoted cell. Slow only if there are quotes and more lines than rows."""
        if self.is_sheet or not self.has(b'"') or self._num_lines() <= num_rows + self.dialect.header:
            return
        with contextlib.suppress(csv.Error):
            count, line = find_swallowed_rows(self.rows, self.delimiter, len(self.names))
            self.repairs.add(SWALLOWED, f"{self.where}: line {line}", count)

    def _num_lines(self) -> int:
        """Returns the number of lines that are not empty."""
        count, before = 1, b"\n"
        for block in self._blocks():
            characters = np.frombuffer(before + block, np.uint8)
            is_end = (characters == ord("\n")) | (characters == ord("\r"))
            count += int(np.count_nonzero(is_end[1:] & ~is_end[:-1]))
            before = block[-1:]
        return count - (before in b"\r\n")

    def _has_blank_rows(self, table: Any) -> bool:
        """Returns whether any row is blank. Searches the text only if all the given columns are empty in some row."""
        if len(self.names) == 1 or not _has_row(table, [""] * table.num_columns):
            return False
        begin = self.delimiter.encode() * min(len(self.names) - 1, 4)
        return self.has(b"\n" + begin) or self.has(b"\r" + begin)

    def _may_repeat_header(self, table: Any) -> bool:
        """Returns whether a row repeats the header, as in concatenated files."""
        return self.names_in_header and _has_row(table, table.column_names)

    def has(self, part: bytes) -> bool:
        """Returns whether the text contains `part`."""
        before = b""
        for block in self._blocks():
            if part in before + block:
                return True
            before = block[-len(part) :]
        return False

    def _blocks(self) -> Iterator[bytes]:
        """Yields the text in blocks."""
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
            # The streaming reader: `read_csv` reads ahead and takes twice the memory of the result.
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
        """Rewrites the rows so that each has one cell per column, and leaves out blank rows. Slow.

        Raises:
            DataError: A row has the wrong number of cells and can't be repaired, or a quote is not closed.
        """
        try:
            self._rewrite(escapes=False)
        except DataError:
            # Databases escape quotes with a backslash.
            if not self.has(b'\\"'):
                raise
            self._rewrite(escapes=True)
        self._is_repaired = self._is_checked = True

    def _rewrite(self, *, escapes: bool) -> None:
        rows = RaggedRows(
            names=self.names,
            has_header=self.dialect.header,
            delimiter=self.delimiter,
            rule=self.options.ragged,
            fill=self.options.fill,
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
        """Yields the first line of each record, the line after it, and its cells, including the header. Slow.

        For a sheet, lines are rows.

        Args:
            strict: Whether bad quoting is an error.
            escapes: Whether a backslash escapes the next character.

        Raises:
            csv.Error: The quoting is bad, and `strict` is set. The second argument is the line.
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
        """Yields the first line and the cells of each row below the header. Slow, for messages.

        Raises:
            csv.Error: The quoting is bad, and `strict` is set.
        """
        header = self.dialect.header
        for line, _, cells in self._records(strict=strict):
            is_row = not is_blank(cells, len(self.names))
            if is_row and not header:
                yield line, cells
            header = header and not is_row

    def place(self, row: int) -> str:
        """Returns the line of a row for messages. Rows count from 0, without those that are left out."""
        try:
            line = next(line for number, (line, _) in enumerate(self.rows()) if number == row)
        except (StopIteration, csv.Error):
            line = row + 1 + self.dialect.header
        return f"{self._unit} {line}"

    def line_with(self, names: Collection[str]) -> int | None:
        """Returns the line of the first of the top rows with these cells, for a header below a title; or None."""
        try:
            rows = itertools.islice(self.rows(), _TITLE_ROWS)
            return next((line for line, cells in rows if set(names) <= set(map(str.strip, cells))), None)
        except csv.Error:
            return None

    def has_spaces(self) -> bool:
        """Returns whether a cell of the first row contains spaces."""
        try:
            return any(" " in cell.strip() for _, cells in itertools.islice(self.rows(), 1) for cell in cells)
        except csv.Error:
            return False

    def check_quotes(self) -> None:
        """Checks that all quotes are closed, since an open quote swallows the rows after it. Slow.

        Raises:
            DataError: A quote is not closed. The message names its line.
        """
        try:
            collections.deque(self.rows(strict=True), maxlen=0)
        except csv.Error as error:
            raise self._open_quote(error) from None

    def quotes_close(self) -> bool:
        """Returns whether quotes delimit cells.

        They are literal characters if they are not closed correctly, or if a row with the wrong number of cells has a
        cell that contains a line break and a delimiter: it has probably swallowed the rows after it.
        """
        try:
            return not any(
                len(cells) != len(self.names) and any("\n" in cell and self.delimiter in cell for cell in cells)
                for _, cells in self.rows(strict=True)
            )
        except csv.Error:
            return False

    def _open_quote(self, error: csv.Error) -> DataError:
        reason, line = error.args
        message = f"line {line} has a quote that is not closed correctly ({reason})."
        return DataError(f"{message} Double each quote inside a quoted cell.", where=self.where)

    def _damage(self, reason: str) -> DataError:
        return DataError(f"can't be read as CSV: {reason.split(chr(10))[0][:200]}", where=self.where)


def _has_row(table: Any, cells: Sequence[str]) -> bool:
    """Returns whether a row of a pyarrow.Table has these cells."""
    from pyarrow import compute

    matches: Any = True
    for column, cell in zip(table.columns, cells, strict=True):
        matches = compute.and_(matches, compute.equal(column, cell))
        if not compute.any(matches).as_py():
            return False
    return True
