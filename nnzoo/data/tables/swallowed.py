"""Rows of a CSV file inside the quotes of one cell: a lone quote takes in all rows up to the next quote."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from nnzoo.data.files.repairs import Repair

SWALLOWED = Repair(
    "row",
    "inside the quotes of a cell",
    "read as text of that cell",
    "If that cell begins with a quote by mistake, remove the quote, or write it twice and put quotes around the cell.",
)
_COMPARED_ROWS = 10_000

Rows = Callable[[], Iterable[tuple[int, list[str]]]]


def find_swallowed_rows(rows: Rows, delimiter: str, num_columns: int) -> tuple[int, int]:
    """Finds cells whose line breaks separate rows and not lines of a text.

    Without its quotes, such a cell is the end of one row, whole rows, and the beginning of another row. That is assumed
    if most of its lines have as many delimiters as rows have there, and most of what is between them looks like other
    cells of the same columns. Lines of prose do not.

    Args:
        rows: Returns each row with its first line, from the beginning of the file.
        delimiter: Between cells.
        num_columns: The number of columns.

    Returns:
        The number of rows inside quotes, and the line of the first cell that contains some; 0 if there are none.
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
    """Returns the column and the text of what may be other cells, for each line that may be part of a row.

    Args:
        lines: Of the cell.
        index: The column of the cell.
        delimiter: Between cells.
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
    """Returns the shapes of the cells of each column, in the first rows that have one line."""
    shapes: list[set[str]] = [set() for _ in range(num_columns)]
    one_line = (cells for _, cells in rows() if _index_of_lines(cells) is None)
    for cells in itertools.islice(one_line, _COMPARED_ROWS):
        for column, cell in zip(shapes, cells, strict=False):
            column.add(_shape(cell))
    return shapes


def _fit(pieces: Sequence[tuple[int, str]], usual: Sequence[set[str]]) -> bool:
    """Returns whether most texts look like cells of their columns; empty ones do not count."""
    known = [_shape(text) in usual[column] for column, text in pieces if text.strip()]
    return 2 * sum(known) > len(known)


def _shape(cell: str) -> str:
    """Returns a cell with 0 for digits in a row, so that numbers and dates are alike and different words are not."""
    return re.sub(r"\d+", "0", cell.strip())
