"""Detects rows of a CSV file inside a quoted cell: an unpaired quote swallows all rows up to the next quote."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from nnzoo.data.files.repairs import Repair

SWALLOWED = Repair(
    "row",
    "inside a quoted cell",
    "read as text of that cell",
    "If the quote is a mistake, remove it, or double it and put quotes around the cell.",
)
_COMPARED_ROWS = 10_000

Rows = Callable[[], Iterable[tuple[int, list[str]]]]


def find_swallowed_rows(rows: Rows, delimiter: str, num_columns: int) -> tuple[int, int]:
    """Finds quoted cells whose line breaks separate rows instead of lines of text.

    Without its quotes, such a cell consists of the end of one row, complete rows, and the start of a further row. Most
    lines must have the right number of delimiters, and most parts must look like other cells of their columns.

    Args:
        rows: Returns each row with its first line, from the beginning of the file.
        delimiter: The delimiter between cells.
        num_columns: The number of columns.

    Returns:
        The number of swallowed rows, and the line of the first cell that contains some; 0 if there are none.
    """
    suspects = []
    for line, cells in rows():
        index = _index_of_lines(cells)
        if index is not None:
            inner = [each for each in cells[index].splitlines() if each.strip()]
            pieces = _pieces(inner, index, delimiter, num_columns)
            if pieces and 2 * len(pieces) > len(inner):
                suspects.append((line, len(inner) - 1, [piece for row in pieces for piece in row]))
    usual = _usual_shapes(rows, num_columns) if suspects else []
    found = [(line, count) for line, count, pieces in suspects if _fit(pieces, usual)]
    return sum(count for _, count in found), found[0][0] if found else 0


def _index_of_lines(cells: Sequence[str]) -> int | None:
    """Returns the index of the first cell with several lines."""
    return next((index for index, cell in enumerate(cells) if "\n" in cell or "\r" in cell), None)


def _pieces(lines: Sequence[str], index: int, delimiter: str, num_columns: int) -> list[list[tuple[int, str]]]:
    """Returns the column and the text of possible cells, for each line that may be part of a row.

    Args:
        lines: The lines of the cell.
        index: The column of the cell.
        delimiter: The delimiter between cells.
        num_columns: The number of columns.
    """
    found = []
    for number, line in enumerate(lines):
        first = index if number == 0 else 0
        last = index if number == len(lines) - 1 else num_columns - 1
        columns = range(first, last + 1)
        parts = line.split(delimiter)
        if len(parts) == len(columns):
            found.append([pair for pair in zip(columns, parts, strict=True) if pair[0] != index])
    return found


def _usual_shapes(rows: Rows, num_columns: int) -> list[set[str]]:
    """Returns the shapes of the cells of each column, in the first single-line rows."""
    shapes: list[set[str]] = [set() for _ in range(num_columns)]
    one_line = (cells for _, cells in rows() if _index_of_lines(cells) is None)
    for cells in itertools.islice(one_line, _COMPARED_ROWS):
        for column, cell in zip(shapes, cells, strict=False):
            column.add(_shape(cell))
    return shapes


def _fit(pieces: Sequence[tuple[int, str]], usual: Sequence[set[str]]) -> bool:
    """Returns whether most texts look like cells of their columns. Empty texts are ignored."""
    known = [_shape(text) in usual[column] for column, text in pieces if text.strip()]
    return 2 * sum(known) > len(known)


def _shape(cell: str) -> str:
    """Returns a cell with 0 for each run of digits, so that numbers and dates have few shapes."""
    return re.sub(r"\d+", "0", cell.strip())
