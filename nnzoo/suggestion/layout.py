"""How a table file is laid out: lines above the header, comments between rows, and unusual delimiters."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from nnzoo.data.files.contents import compression_of, is_on_disk, name_of, read_bytes, start_of
from nnzoo.data.files.encodings import decode
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.tables.dialect import TableOptions, find_delimiter, lines_with_ends, reader_of
from nnzoo.data.tables.file import File
from nnzoo.data.tables.numbers import is_number, may_be_number
from nnzoo.data.tables.opening import is_delimited, open_file
from nnzoo.errors import DataError

_SAMPLE_BYTES = 256 * 1024
_SAMPLE_LINES = 300
_TAIL_LINES = 30
_COMMENTS = ("#", "%", "//", '"#')
_REGULAR = 0.9
"""The share of rows with the same number of cells that a table has."""


class Layout(NamedTuple):
    """The layout of a table.

    Attributes:
        keys: The config keys that the layout needs.
        reasons: Why each key is needed.
        width: The most frequent number of cells per row.
        regular: The share of rows with this number of cells.
    """

    keys: dict[str, Any]
    reasons: dict[str, str]
    width: int
    regular: float

    @property
    def is_table(self) -> bool:
        """Whether the rows have the same number of cells, two or more."""
        return self.width > 1 and self.regular >= _REGULAR


def start_of_text(path: Path) -> str:
    """Returns the first lines of a text file, which may be compressed.

    Raises:
        DataError: The file can't be read or is not text.
    """
    raw = start_of(path, _SAMPLE_BYTES) if is_on_disk(path) else read_bytes(path)[:_SAMPLE_BYTES]
    if len(raw) == _SAMPLE_BYTES and b"\n" in raw:
        raw = raw[: raw.rindex(b"\n") + 1]
    return decode(raw, "auto", where=name_of(path), repairs=Repairs())


def is_text(path: Path) -> bool:
    """Returns whether a file is text, not Parquet, Arrow or Excel."""
    if not is_on_disk(path):
        raw = read_bytes(path)
        return is_delimited(raw[:512]) and compression_of(raw) != "zip"
    return is_delimited(start_of(path))


def find_layout(path: Path, known: Collection[str] = ()) -> Layout:
    """Finds the layout of a table file.

    Args:
        path: A file.
        known: Names of required columns.
    """
    if not is_text(path):
        return _layout_of_sheet(path)
    lines = lines_with_ends(start_of_text(path))[:_SAMPLE_LINES]
    delimiter = find_delimiter("".join(lines), known)
    records = list(_records("".join(lines), delimiter))
    sizes = Counter(len(cells) for _, cells in records if any(cells))
    width = sizes.most_common(1)[0][0] if sizes else 0
    if width < 2:
        return _layout_of_blanks(lines)
    first = _first_row(records, width)
    inner = [record for record in records[first:] if any(record[1])]
    comments = sum(len(cells) != width and cells[0].startswith(_COMMENTS) for _, cells in inner)
    # Rows may be shorter: missing cells at the end are often left out.
    regular = sum(len(cells) in (width, width + 1) for _, cells in inner) / max(len(inner) - comments, 1)
    keys: dict[str, Any] = {}
    reasons = {}
    if skipped := records[first][0]:
        keys["skip_rows"] = skipped
        reasons["skip_rows"] = f"the first {skipped} lines are above the table: title, comments"
    elif _has_units(inner):
        keys["skip_rows"] = [2]
        reasons["skip_rows"] = "row 2 is a second header, such as units"
    if comments:
        keys["ragged"] = "skip"
        reasons["ragged"] = "comment lines between the rows are skipped"
    return Layout(keys, reasons, width, regular)


def _layout_of_sheet(path: Path) -> Layout:
    """Returns the layout of a Parquet, Arrow or Excel file; a sheet may have a title above its header."""
    file = open_file(path, TableOptions(), (), repairs=Repairs())
    if not isinstance(file, File):
        return Layout({}, {}, len(file.names), 1.0)
    rows = list(itertools.islice(file.rows(), _TAIL_LINES))
    widths = Counter(sum(1 for cell in cells if cell) for _, cells in rows)
    width = max(widths.most_common(1)[0][0], 1) if widths else len(file.names)
    named = sum(1 for name in file.names if not name.isdecimal())
    if named >= width or not rows:
        return Layout({}, {}, len(file.names), 1.0)
    header = next((line for line, cells in rows if sum(1 for cell in cells if cell) >= width), 0)
    skipped = header - 1
    reasons = {"skip_rows": f"the first {skipped} rows are above the table"}
    return Layout({"skip_rows": skipped}, reasons, width, 1.0) if skipped > 0 else Layout({}, {}, width, 1.0)


def _layout_of_blanks(lines: list[str]) -> Layout:
    """Returns the layout of lines whose cells are separated by spaces."""
    rows = [line.strip("\r\n").split(" ") for line in lines if line.strip()]
    sizes = Counter(map(len, rows))
    width, count = sizes.most_common(1)[0] if sizes else (0, 0)
    numbers = sum(is_number(cell) for row in rows for cell in row if len(row) == width)
    if width < 2 or count < _REGULAR * len(rows) or not all(all(row) for row in rows) or numbers < count * width / 3:
        return Layout({}, {}, 1, 1.0)
    return Layout({"delimiter": " "}, {"delimiter": "cells are separated by spaces"}, width, count / len(rows))


def _records(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Returns the rows, each with the number of lines above it."""
    reader = reader_of(text, delimiter, skipinitialspace=True)
    found, before = [], 0
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            while len(stripped) > 1 and not stripped[-1] and len(cells) > 1 and all(not cell for cell in stripped[1:]):
                stripped.pop()  # a title in the first cell of a row, exported from a sheet
            found.append((before, stripped))
            before = reader.line_num
    except csv.Error as error:
        raise DataError(f"can't be read as CSV: {error}.", where="init") from None
    return found


def _first_row(records: list[tuple[int, list[str]]], width: int) -> int:
    """Returns the index of the header, or of the first row if there is none."""
    for index, (_, cells) in enumerate(records):
        following = [below for _, below in records[index + 1 : index + 3] if any(below)]
        if len(cells) != width or not any(cells) or any(len(below) != width for below in following):
            continue
        is_comment = cells[0].startswith(_COMMENTS) and any(b[0].startswith(_COMMENTS) for b in following[:1])
        if not is_comment:
            above = [before for _, before in records[:index] if any(before)]
            return index if above else 0
    return 0


def _has_units(records: list[tuple[int, list[str]]]) -> bool:
    """Returns whether the row below the header has texts where all later rows have numbers."""
    rows = [cells for _, cells in records]
    if len(rows) < 4 or any(map(_has_number, rows[0])) or any(map(_has_number, rows[1])):
        return False
    columns = [[row[index] for row in rows[2:] if index < len(row) and row[index]] for index in range(len(rows[0]))]
    numeric = [index for index, column in enumerate(columns) if column and all(map(_has_number, column))]
    return bool(numeric) and all(index < len(rows[1]) for index in numeric) and any(rows[1][i] for i in numeric)


def _has_number(cell: str) -> bool:
    return is_number(cell) or may_be_number(cell)
