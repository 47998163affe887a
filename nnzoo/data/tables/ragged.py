"""Rows that are not like the others: filled, cut, left out or refused, and always counted.

They have another length than the header, or repeat it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.dialect import BLANKS, Rule, is_blank
from nnzoo.errors import DataError

BLANK_ROWS = Repair("row", "without a value", "left out", "Remove it.")
SHORT_ROWS = Repair(
    "row",
    "with fewer cells than there are columns",
    "filled with missing values",
    "`ragged: skip` leaves such rows out, `ragged: error` refuses them.",
)
LONG_ENDS = Repair("row", "with delimiters too many at the end", "cut", "`ragged: error` refuses such rows.")
HEADERS = Repair("row", "that repeats the header", "left out", "Join files without their headers.")
LEFT_OUT = Repair("row", "with another number of cells than there are columns", "left out", "Correct it.")


@dataclass
class RaggedRows:
    """Rewrites rows so that each has a cell for every column, and every row stays in its line.

    Args:
        names: The columns, from left to right.
        has_header: Whether the first row holds names.
        delimiter: Between cells.
        rule: What is done with rows that are shorter or longer. Empty cells too many are always cut, but for `error`.
        fill: The cell that means: no value.
        unit: What a line is called in messages.
        where: The file, for messages.
        repairs: Counts what is done.

    Attributes:
        left_out: The numbers of the rows that are left out, counted from 0 below the header.
    """

    names: Sequence[str]
    has_header: bool
    delimiter: str
    rule: Rule
    fill: str
    unit: str
    where: str
    repairs: Repairs
    left_out: list[int] = field(default_factory=list)

    def rewrite(self, records: Iterable[tuple[int, int, list[str]]]) -> str:
        """The text of all records.

        Args:
            records: The line that each begins in, the line after it, and its cells; none for blank lines.

        Raises:
            DataError: A row is longer, or, by the rule, shorter.
        """
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        number = 0
        line = 1
        awaits_header = self.has_header
        for begin, after, cells in records:
            out.write("\n" * (begin - line))
            line = after
            is_row = not is_blank(cells, len(self.names))
            if is_row and awaits_header:
                awaits_header = False
                written: list[str] | None = [*self.names]
            elif is_row:
                written = self._row(number, begin, cells)
                number += 1
            else:
                written = None
            if written is None:
                out.write("\n" * (after - begin))
            else:
                writer.writerow(written)
        return out.getvalue()

    def _row(self, number: int, line: int, cells: list[str]) -> list[str] | None:
        """A cell for every column; None for a row that is left out."""
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
            raise self._refuse(line, len(cells))
        if len(cells) > size and not any(cell.strip(BLANKS) for cell in cells[size:]):
            self.repairs.add(LONG_ENDS, place)
            return cells[:size]
        if self.rule == "skip":
            self.left_out.append(number)
            self.repairs.add(LEFT_OUT, place)
            return None
        if len(cells) > size:
            raise self._refuse(line, len(cells))
        self.repairs.add(SHORT_ROWS, place)
        return [*cells, *[self.fill] * (size - len(cells))]

    def _refuse(self, line: int, got: int) -> DataError:
        size = len(self.names)
        what = "the header" if self.has_header else "the first row"
        return DataError(
            f"{self.unit} {line} has another number of cells than {what} (got {got}; {what} has {size}). A cell with "
            f"the delimiter {self.delimiter!r} in it needs double quotes around it. `ragged: skip` leaves such rows "
            "out.",
            where=self.where,
        )
