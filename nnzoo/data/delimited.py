"""Files of delimited columns: their delimiter and header are found, and a row that does not fit is named."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nnzoo.data.files import STDIN, decode, find_encoding, read_bytes
from nnzoo.errors import DataError

Column = int | str

_DELIMITERS = (",", "\t", ";", "|")
_LOOKED_AT = 50
"""Rows that are enough to know a delimiter by."""


@dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
        path: The file.
        columns: Their names; positions from 0 where the file has none.
        rows: Cells as they are written, as many as there are columns.
        lines: The line that each row begins in, from 1.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def position(self, column: Column) -> int:
        """Where a column is, by its name or its position.

        Raises:
            DataError: There is none.
        """
        if column in self.columns:
            return self.columns.index(str(column))
        place = int(column) if str(column).isdecimal() else -1
        if not 0 <= place < len(self.columns):
            listed = ", ".join(self.columns[:20]) + (", ..." if len(self.columns) > 20 else "")
            raise DataError(f"there is no column '{column}' (there is: {listed}).", where=name_of(self.path))
        return place

    def where(self, row: int) -> str:
        """The place of a row, for messages."""
        return f"{name_of(self.path)}: line {self.lines[row]}"


class Format(BaseModel):
    """How files of delimited columns are written.

    Attributes:
        names: Of the columns, where a file does not have them.
        header: Whether the first row names the columns.
        delimiter: Between columns.
        encoding: As Python names it.
        strip: Whether blanks around a cell are left out.
        replace: Cells to read as others.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    names: tuple[str, ...] | None = None
    header: bool | Literal["auto"] = "auto"
    delimiter: str = "auto"
    encoding: str = "auto"
    strip: bool = True
    replace: dict[str, str] = {}

    def found_in(self, paths: Sequence[Path], wanted: Sequence[Column]) -> Format:
        """The same with delimiter and header as the first file has them, and the encoding that all have in common."""
        texts = [read_bytes(path) for path in paths]
        encoding = common_encoding(texts) if self.encoding == "auto" else self.encoding
        first = decode(texts[0], encoding, where=name_of(paths[0]))
        delimiter = self._delimiter(first, wanted)
        header = self._has_header([row for _, row in _some_rows(first, delimiter)], wanted)
        return self.model_copy(update={"encoding": encoding, "delimiter": delimiter, "header": header})

    def read(
        self, path: Path, wanted: Sequence[Column], *, target: Column | None = None, raw: bytes | None = None
    ) -> Table:
        """The rows of a file.

        Args:
            path: The file; `-` is standard input.
            wanted: Columns that it should have: they tell a header from a row.
            target: Of a file with texts, the column that is none. If it is not the last one, and the delimiter is none
                that tables are written with (`,` `;` `|`, tab), then the last column has all that is left of a line,
                as in `label a text of some words`.
            raw: What the file holds, if it has been read.

        Raises:
            DataError: It is empty, can't be decoded, or has a row with more or fewer cells than columns.
        """
        where = name_of(path)
        text = decode(read_bytes(path) if raw is None else raw, self.encoding, where=where)
        delimiter = self._delimiter(text, wanted)
        head = [row for _, row in _some_rows(text, delimiter)]
        if not head:
            raise DataError("is empty.", where=where)
        header = self._has_header(head, wanted)
        limit = None
        if target is not None and delimiter not in _DELIMITERS:
            limit = self._columns_before_text(target, wanted, head[0] if header else None)
        rows = list(_rows(text, delimiter, where, limit=limit))
        if self.strip:
            rows = [(line, [cell.strip() for cell in row]) for line, row in rows]
        columns = self._columns(rows[0][1], header=header, where=where)
        rows = rows[1:] if header else rows
        if not rows:
            raise DataError("has a header and no rows below it.", where=where)
        for line, row in rows:
            if len(row) != len(columns):
                raise DataError(
                    f"has {len(row)} cells, and there are {len(columns)} columns ({', '.join(columns[:20])}). "
                    f"Put cells that hold the delimiter ({delimiter!r}) in quotes, or set another `delimiter`.",
                    where=f"{where}: line {line}",
                )
        cells = [[self.replace.get(cell, cell) for cell in row] for _, row in rows] if self.replace else None
        return Table(path, columns, cells or [row for _, row in rows], [line for line, _ in rows])

    def _delimiter(self, text: str, wanted: Sequence[Column]) -> str:
        """As said, or the one by which the most rows have as many cells as the first."""
        if self.delimiter != "auto":
            said = "\t" if self.delimiter == r"\t" else self.delimiter
            if any(sign in said for sign in '"\r\n'):
                raise DataError(f"{said!r} can't be one. Use `,`, `;`, `|`, a tab or a space.", where="delimiter")
            return said
        best, best_score = ",", (0, 0, 0.0, 0)
        for delimiter in _DELIMITERS:
            rows = [row for _, row in _some_rows(text, delimiter)]
            width = len(rows[0]) if rows else 0
            if width < 2:
                continue
            named = sum(column in [cell.strip() for cell in rows[0]] for column in wanted)
            alike = sum(len(row) == width for row in rows) / len(rows)
            score = (named, int(self.names is not None and width == len(self.names)), alike, width)
            if score > best_score:
                best, best_score = delimiter, score
        return best

    def _has_header(self, rows: Sequence[Sequence[str]], wanted: Sequence[Column]) -> bool:
        """As said, or whether columns are asked for by names, or the first row has words above numbers."""
        if self.header != "auto":
            return self.header
        if not rows:
            return False
        first = [cell.strip() for cell in rows[0]]
        if self.names is not None:
            return tuple(first) == self.names
        if any(column in first or not str(column).isdecimal() for column in wanted):
            return True  # nothing else could name them
        below = [row for row in rows[1:] if len(row) == len(first)]
        return bool(below) and any(
            not is_number(cell) and all(is_number(row[place]) for row in below) for place, cell in enumerate(first)
        )

    def _columns(self, first: Sequence[str], *, header: bool, where: str) -> tuple[str, ...]:
        columns = self.names or (tuple(first) if header else tuple(map(str, range(len(first)))))
        if len(set(columns)) < len(columns):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise DataError(f"there are two columns '{twice}'. Name them otherwise with `names`.", where=where)
        return columns

    def _columns_before_text(
        self, target: Column, wanted: Sequence[Column], header: Sequence[str] | None
    ) -> int | None:
        """How many columns stand before the text; None if the target is the last one."""
        columns = self.names or header
        if columns is None:
            last = max(1, *(int(column) for column in (*wanted, target) if str(column).isdecimal()), 0)
            columns = tuple(map(str, range(last + 1)))
        return None if target in (columns[-1], len(columns) - 1) or str(target) == columns[-1] else len(columns) - 1


def name_of(path: Path) -> str:
    """What a file is called in messages."""
    return "standard input" if path == STDIN else str(path)


def is_number(cell: str) -> bool:
    """Whether a cell is a finite or infinite number or NaN, as Python reads one."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends; what follows the last end is one if there is something."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def common_encoding(texts: Sequence[bytes]) -> str:
    """The encoding of some files; `auto` where they differ. Plain ASCII is every one of them."""
    found = {find_encoding(raw) for raw in texts if not raw.isascii()}
    return "auto" if len(found) > 1 else found.pop() if found else "utf-8"


def _some_rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in _rows(text, delimiter, ""):
            rows.append(row)
            if len(rows) == _LOOKED_AT:
                break
    except DataError:  # told when it is read whole
        pass
    return rows


def _rows(text: str, delimiter: str, where: str, *, limit: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with the line that each begins in.

    Args:
        text: Of the file.
        delimiter: One character or more.
        where: The file, for messages.
        limit: Cut a line at no more delimiters than this, and take quotes for letters.

    Raises:
        DataError: Quotes that don't close.
    """
    if limit is not None or len(delimiter) > 1:
        for number, line in enumerate(lines_of(text), start=1):
            if line.strip():
                yield number, line.split(delimiter, -1 if limit is None else limit)
        return
    csv.field_size_limit(2**31 - 1)
    # Tabs are hardly ever in a text, so that many write such files without quoting: what does not read as quotes, is
    # none.
    plain = delimiter == "\t" and not _quotes_close(text, delimiter)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        strict=True,
        skipinitialspace=True,
    )
    begin = 1
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"has a quote that does not close as it should ({error}). Write a quote within quotes twice.",
            where=f"{where}: line {begin}",
        ) from None


def _quotes_close(text: str, delimiter: str) -> bool:
    try:
        widths = {
            len(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row
        }
    except csv.Error:
        return False
    return len(widths) <= 1
