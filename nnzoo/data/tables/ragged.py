"""Repairs rows that have the wrong number of cells or repeat the header, and counts them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.dialect import BLANKS, RaggedRule, is_blank
from nnzoo.errors import DataError

BLANK_ROWS = Repair("row", "without a value", "left out", "Remove it.")
SHORT_ROWS = Repair(
    "row",
    "with fewer cells than columns",
    "filled with missing values",
    "`ragged: skip` leaves such rows out, `ragged: error` makes them an error.",
)
LONG_ENDS = Repair("row", "with extra delimiters at the end", "cut", "`ragged: error` makes such rows an error.")
HEADERS = Repair("row", "that repeats the header", "left out", "Concatenate files without their headers.")
LEFT_OUT = Repair("row", "with the wrong number of cells", "left out", "Correct it.")


@dataclass
class RaggedRows:
    """Rewrites rows so that each has one cell per column. Every row keeps its line number.

    Args:
        names: The column names, from left to right.
        has_header: Whether the first row is a header.
        delimiter: The delimiter between cells.
        rule: How to handle shorter and longer rows. Extra empty cells are always removed, except with `error`.
        fill: A cell that represents a missing value.
        unit: The word for a line in messages.
        where: The file, for messages.
        repairs: Counts the repairs.

    Attributes:
        left_out: The indices of the rows that are left out, from 0 below the header.
    """

    names: Sequence[str]
    has_header: bool
    delimiter: str
    rule: RaggedRule
    fill: str
    unit: str
    where: str
    repairs: Repairs
    left_out: list[int] = field(default_factory=list)

    def rewrite(self, records: Iterable[tuple[int, int, list[str]]]) -> str:
        """Returns the text of all records.

        Args:
            records: The first line of each record, the line after it, and its cells; no cells for a blank line.

        Raises:
            DataError: A row violates the rule.
        """
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        number = 0
        line = 1
        expects_header = self.has_header
        for begin, after, cells in records:
            out.write("\n" * (begin - line))
            line = after
            is_row = not is_blank(cells, len(self.names))
            if is_row and expects_header:
                expects_header = False
                row: list[str] | None = [*self.names]
            elif is_row:
                row = self._row(number, begin, cells)
                number += 1
            else:
                row = None
            if row is None:
                out.write("\n" * (after - begin))
            else:
                writer.writerow(row)
        return out.getvalue()

    def _row(self, number: int, line: int, cells: list[str]) -> list[str] | None:
        """Returns one cell per column; None if the row is left out."""
        size = len(self.names)
        place = f"{self.where}: {self.unit} {line}"
        if len(cells) > 1 and not any(cell.strip(BLANKS) for cell in cells):
            self.left_out.append(number)
            self.repairs.add(BLANK_ROWS, place)
            return None
        if self.has_header and [cell.strip(BLANKS) for cell in cells] == [*self.names]:
            self.left_out.append(number)
            self.repairs.add(HEADERS, place)
            return None
        if len(cells) == size:
            return cells
        if self.rule == "error":
            raise self._wrong_size(line, len(cells))
        if len(cells) > size and not any(cell.strip(BLANKS) for cell in cells[size:]):
            self.repairs.add(LONG_ENDS, place)
            return cells[:size]
        if self.rule == "skip":
            self.left_out.append(number)
            self.repairs.add(LEFT_OUT, place)
            return None
        if len(cells) > size:
            raise self._wrong_size(line, len(cells))
        self.repairs.add(SHORT_ROWS, place)
        return [*cells, *[self.fill] * (size - len(cells))]

    def _wrong_size(self, line: int, got: int) -> DataError:
        size = len(self.names)
        what = "the header" if self.has_header else "the first row"
        return DataError(
            f"{self.unit} {line} has a different number of cells than {what} (got {got}, expected {size}). Put double "
            f"quotes around cells that contain the delimiter {self.delimiter!r}, or leave such rows out with "
            "`ragged: skip`.",
            where=self.where,
        )
