"""Detects the dialect of a CSV file: its delimiter, its header and its column names."""

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

RaggedRule = Literal["pad", "skip", "error"]
"""How to handle rows with the wrong number of cells."""

MissingTarget = Literal["auto", "drop", "error"]
"""How to handle rows without a target."""

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 100
BLANKS = " \t\x1a"
"""Includes Ctrl+Z, which ends DOS files."""


class TableOptions(BaseModel):
    """Options for reading tables. The fields are config keys.

    Attributes:
        names: The column names, if a file has no header or to replace its header. None for the names in the header, or
            else positions.
        header: Whether the first row is a header.
        delimiter: The delimiter between cells.
        encoding: The encoding of the text.
        strip: Whether to strip spaces around cells.
        missing: Cells that represent a missing value.
        replace: Maps cells to their replacements. It is applied before `missing`.
        skip_rows: The number of lines to skip before the header, or the numbers of the rows to skip, from 1.
        ragged: How to handle rows with the wrong number of cells.
        sheet: The Excel sheet, by name or by position from 0; None for the first one.
        missing_target: How to handle rows without a target.
        strict: Whether every repair is an error.
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
    ragged: RaggedRule = "pad"
    sheet: str | int | None = None
    missing_target: MissingTarget = "auto"
    strict: bool = False

    @property
    def num_skipped_lines(self) -> int:
        """The number of lines to skip before the header."""
        return self.skip_rows if isinstance(self.skip_rows, int) else 0

    @property
    def fill(self) -> str:
        """A cell that represents a missing value."""
        return "" if not self.missing or "" in self.missing else self.missing[0]


class Dialect(NamedTuple):
    """The dialect of a file.

    Attributes:
        delimiter: The delimiter between cells.
        header: Whether the first row is a header.
        names: The column names, from left to right.
        names_in_header: Whether the names come from the header, so that the order of the columns does not matter.
        begin: The number of skipped or blank lines before the first row.
        unnamed: See `Names`.
        renamed: See `Names`.
        usual_decimal: The decimal separator of unambiguous cells.
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
    sample: str, options: TableOptions, known: Collection[str], optional: Collection[str] = (), *, where: str
) -> Dialect:
    """Detects the dialect from the first rows. Options that are set are not detected.

    The delimiter is the one that splits the rows most consistently, and into the most cells. The first row is a header
    if it contains one of the `known` or of the configured names. Otherwise it is a header unless it contains a number,
    or a text that occurs again in the same column.

    Args:
        sample: The first lines, complete.
        options: How the file is read.
        known: Names of required columns.
        optional: Columns that a file without a header may lack: the targets of new data.
        where: The file, for messages.

    Raises:
        DataError: There are no rows, or their number of cells does not match the names.
    """
    sample = "".join(lines_with_ends(sample)[options.num_skipped_lines :])
    delimiter = find_delimiter(sample, known) if options.delimiter == "auto" else options.delimiter
    rows = _rows(sample, delimiter, strip=options.strip)
    if not rows:
        raise DataError("is empty.", where=where)
    begin = options.num_skipped_lines + _num_blank_lines(sample, delimiter)
    header = _has_header(rows, options, known, optional) if options.header == "auto" else options.header
    in_header = header and (options.names is None or is_header_of(rows, options.names, known, optional))
    found = header_names(rows) if in_header else given_names(len(rows[0]), options.names, optional, where)
    usual = usual_decimal(rows, delimiter)
    return Dialect(delimiter, header, found.names, in_header, begin, found.unnamed, found.renamed, usual)


def is_blank(row: Sequence[str], size: int) -> bool:
    """Returns whether a line is blank: no cells, or only spaces although several cells are expected."""
    return not row or (len(row) == 1 < size and not row[0].strip(BLANKS))


def lines_with_ends(text: str) -> list[str]:
    """Returns the lines of a CSV text. `str.splitlines` would split at other characters too."""
    return list(io.StringIO(text, newline=""))


def _num_blank_lines(sample: str, delimiter: str) -> int:
    """Returns the number of lines before the first row that is not blank."""
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
    """Returns Python's csv reader, for cells of any length. Slow; only for the first rows, repairs and messages.

    Args:
        text: A CSV file.
        delimiter: The delimiter between cells.
        strict: Whether bad quoting is an error.
        skipinitialspace: Whether to ignore spaces after delimiters.
        skip: The number of lines to skip. Quotes in them are ignored.
        escapes: Whether a backslash escapes the next character.
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
    """Returns the delimiter that splits the first rows most consistently, and into the most cells."""

    def fitness(delimiter: str) -> tuple[int, float, int]:
        rows = _rows(sample, delimiter, strip=True)
        sizes = Counter(map(len, rows))
        size, count = sizes.most_common(1)[0] if sizes else (1, 0)
        has_known = len(set(known) & set(rows[0])) if rows and len(rows[0]) > 1 else 0
        return has_known, (count / len(rows) if size > 1 else 0.0), size

    return max(DELIMITERS, key=fitness)


def _has_header(
    rows: list[list[str]], options: TableOptions, known: Collection[str], optional: Collection[str]
) -> bool:
    first = rows[0]
    if options.names is not None:
        return is_header_of(rows, options.names, known, optional)
    if any(name in first and not (name.isdecimal() and int(name) < len(first)) for name in known):
        return True
    if any(map(_has_number, first)) or len(rows) == 1:
        return False
    columns = [[row[index] for row in rows[1:] if index < len(row)] for index in range(len(first))]
    if any(column and all(_has_number(cell) for cell in column if cell not in options.missing) for column in columns):
        return True
    return not any(cell in column for cell, column in zip(first, columns, strict=True) if cell not in options.missing)


def _has_number(cell: str) -> bool:
    return is_number(cell) or may_be_number(cell)
