"""How a CSV file is written: its delimiter, whether it has a header, and the columns' names."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from nnzoo.data.tables.names import given_names, header_names, is_header_of
from nnzoo.data.tables.number_forms import UsualDecimal, usual_decimal
from nnzoo.data.tables.numbers import is_number, may_be_number
from nnzoo.errors import DataError

Rule = Literal["pad", "skip", "error"]
"""What is done with rows of another number of cells than there are columns."""

MissingTarget = Literal["auto", "drop", "error"]
"""What is done with rows without a target."""

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 100
BLANKS = " \t\x1a"
"""The last one ends files of DOS."""


class Words(BaseModel):
    """What is said of files and their cells; the fields are those of the config.

    Attributes:
        names: The columns, where a file has no header, or another one; None: their positions.
        header: Whether the first row holds names.
        delimiter: Between cells.
        encoding: Of the text.
        strip: Whether blanks around a cell are no part of it.
        missing: Cells that mean: no value.
        replace: Cells to read as others, before it is asked whether they are missing.
        skip_rows: How many lines before the header are skipped; or the numbers of rows, from 1, that are.
        ragged: What is done with rows of another number of cells.
        sheet: Of an Excel file, by name or by position from 0; None for the first one.
        missing_target: What is done with rows without a target.
        strict: Whether whatever is left out or repaired is an error.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    names: tuple[str, ...] | None = None
    header: bool | Literal["auto"] = "auto"
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n\x00]+$')] = "auto"
    encoding: str = "auto"
    strip: bool = True
    missing: tuple[str, ...] = ("",)
    replace: dict[str, str] = {}
    skip_rows: Annotated[int, Field(ge=0)] | tuple[Annotated[int, Field(ge=1)], ...] = 0
    ragged: Rule = "pad"
    sheet: str | int | None = None
    missing_target: MissingTarget = "auto"
    strict: bool = False

    @property
    def num_skipped_lines(self) -> int:
        """How many lines before the header are skipped."""
        return self.skip_rows if isinstance(self.skip_rows, int) else 0

    @property
    def fill(self) -> str:
        """A cell that means: no value."""
        return "" if not self.missing or "" in self.missing else self.missing[0]


class Dialect(NamedTuple):
    """What was found in a file.

    Attributes:
        delimiter: Between cells.
        header: Whether the first row holds names.
        names: The columns, from left to right.
        names_in_header: Whether the names are those of the header, so that the order of columns does not matter.
        begin: How many lines come before the first row: skipped or blank ones.
        unnamed: As of `Names`.
        renamed: As of `Names`.
        usual_decimal: The decimal sign in the clear cells.
    """

    delimiter: str
    header: bool
    names: tuple[str, ...]
    names_in_header: bool
    begin: int
    unnamed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    usual_decimal: UsualDecimal = ""


def find_dialect(
    sample: str, words: Words, known: Collection[str], shorter: Collection[str] = (), *, where: str
) -> Dialect:
    """Finds how a file is written from its first rows, as far as the words leave it open.

    The delimiter is the one that cuts the rows into the same number of cells, and into the most. The first row is a
    header if it has a column that is asked for, or the names that are given; if nothing is known of names, unless it
    has numbers in it or, in a column of text, a value that comes again below.

    Args:
        sample: The first lines, whole.
        words: What is said.
        known: Names of columns that are asked for.
        shorter: Columns that a file without a header may lack: the targets of new data.
        where: The file.

    Raises:
        DataError: There are no rows, or names that don't fit them.
    """
    sample = "".join(lines_with_ends(sample)[words.num_skipped_lines :])
    delimiter = find_delimiter(sample, known) if words.delimiter == "auto" else words.delimiter
    rows = _rows(sample, delimiter, strip=words.strip)
    if not rows:
        raise DataError("is empty.", where=where)
    begin = words.num_skipped_lines + _num_blank_lines(sample, delimiter)
    header = _has_header(rows, words, known, shorter) if words.header == "auto" else words.header
    in_header = header and (words.names is None or is_header_of(rows, words.names, known, shorter))
    found = header_names(rows) if in_header else given_names(len(rows[0]), words.names, shorter, where)
    usual = usual_decimal(rows, delimiter)
    return Dialect(delimiter, header, found.names, in_header, begin, found.unnamed, found.renamed, usual)


def is_blank(row: Sequence[str], size: int) -> bool:
    """Whether a line is not a row of that many cells, but nothing, or spaces where several cells should be."""
    return not row or (len(row) == 1 < size and not row[0].strip(BLANKS))


def lines_with_ends(text: str) -> list[str]:
    """The lines of a text as a CSV file has them: `str.splitlines` splits at other signs too."""
    return list(io.StringIO(text, newline=""))


def _num_blank_lines(sample: str, delimiter: str) -> int:
    """How many lines come before the first row that has something in it."""
    reader = reader_of(sample, delimiter)
    before = 0
    for row in reader:
        if any(cell.strip(BLANKS) for cell in row):
            break
        before = reader.line_num
    return before


def reader_of(
    text: str,
    delimiter: str,
    *,
    strict: bool = False,
    skipinitialspace: bool = False,
    skip: int = 0,
    escapes: bool = False,
) -> Any:
    """Python's own reader of rows, of cells of any length: slow, for the first rows, repairs and messages.

    Args:
        text: A CSV file.
        delimiter: Between cells.
        strict: Whether quotes have to close as they should.
        skipinitialspace: Whether spaces behind delimiters are left aside.
        skip: How many lines are skipped, whatever quotes are in them.
        escapes: Whether a backslash makes the sign after it part of the cell.
    """
    csv.field_size_limit(2**31 - 1)
    lines = itertools.islice(io.StringIO(text, newline=""), skip, None)
    escape = "\\" if escapes else None
    return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=skipinitialspace, escapechar=escape)


def _rows(sample: str, delimiter: str, *, strip: bool) -> list[list[str]]:
    found: list[list[str]] = []
    for row in reader_of(sample, delimiter, skipinitialspace=strip):
        if any(cell.strip(BLANKS) for cell in row):
            found.append([cell.strip() if strip else cell for cell in row])
        if len(found) == _SAMPLE_ROWS:
            break
    return found


def find_delimiter(sample: str, known: Collection[str]) -> str:
    """The delimiter that cuts the first rows into the same number of cells, and into the most."""

    def fitness(delimiter: str) -> tuple[int, float, int]:
        rows = _rows(sample, delimiter, strip=True)
        sizes = Counter(map(len, rows))
        size, count = sizes.most_common(1)[0] if sizes else (1, 0)
        has_known = len(set(known) & set(rows[0])) if rows and len(rows[0]) > 1 else 0
        return has_known, (count / len(rows) if size > 1 else 0.0), size

    return max(DELIMITERS, key=fitness)


def _has_header(rows: list[list[str]], words: Words, known: Collection[str], shorter: Collection[str]) -> bool:
    first = rows[0]
    if words.names is not None:
        return is_header_of(rows, words.names, known, shorter)
    if any(name in first and not (name.isdecimal() and int(name) < len(first)) for name in known):
        return True
    if any(map(_has_number, first)) or len(rows) == 1:
        return False
    columns = [[row[index] for row in rows[1:] if index < len(row)] for index in range(len(first))]
    if any(column and all(_has_number(cell) for cell in column if cell not in words.missing) for column in columns):
        return True
    return not any(cell in column for cell, column in zip(first, columns, strict=True) if cell not in words.missing)


def _has_number(cell: str) -> bool:
    return is_number(cell) or may_be_number(cell)
