"""How a CSV file is written: its delimiter, whether it has a header, and the columns' names."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from nnzoo.data.tables.numbers import is_number, may_be_number
from nnzoo.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 100


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
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    names: tuple[str, ...] | None = None
    header: bool | Literal["auto"] = "auto"
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n\x00]+$')] = "auto"
    encoding: str = "auto"
    strip: bool = True
    missing: tuple[str, ...] = ("",)
    replace: dict[str, str] = {}
    strict: bool = False


class Dialect(NamedTuple):
    """What was found in a file.

    Attributes:
        delimiter: Between cells.
        header: Whether the first row holds names.
        names: The columns, from left to right.
        names_in_header: Whether the names are those of the header, so that the order of columns does not matter.
        begin: How many blank lines the file begins with.
    """

    delimiter: str
    header: bool
    names: tuple[str, ...]
    names_in_header: bool
    begin: int


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
    delimiter = _find_delimiter(sample, known) if words.delimiter == "auto" else words.delimiter
    rows = _rows(sample, delimiter, strip=words.strip)
    if not rows:
        raise DataError("is empty.", where=where)
    begin = _num_blank_lines(sample, delimiter)
    header = _has_header(rows, words, known, shorter) if words.header == "auto" else words.header
    if header and (words.names is None or set(rows[0]) == set(words.names)):
        return Dialect(delimiter, header, _header_names(rows[0], where), names_in_header=True, begin=begin)
    names = _given_names(len(rows[0]), words.names, shorter, where)
    return Dialect(delimiter, header, names, names_in_header=False, begin=begin)


def is_blank(row: Sequence[str], size: int) -> bool:
    """Whether a line is no row of that many cells, but nothing, or blanks where several cells should be."""
    return not row or (len(row) == 1 < size and not row[0].strip())


def _num_blank_lines(sample: str, delimiter: str) -> int:
    reader = reader_of(sample, delimiter)
    before = 0
    for row in reader:
        if not is_blank(row, 2):
            break
        before = reader.line_num
    return before


def reader_of(text: str, delimiter: str, *, strict: bool = False, skipinitialspace: bool = False) -> Any:
    """Python's own reader of rows, of cells of any length: slow, for the first rows and for messages."""
    csv.field_size_limit(2**31 - 1)
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=skipinitialspace)


def _rows(sample: str, delimiter: str, *, strip: bool) -> list[list[str]]:
    found: list[list[str]] = []
    for row in reader_of(sample, delimiter, skipinitialspace=strip):
        if not is_blank(row, 2):
            found.append([cell.strip() if strip else cell for cell in row])
        if len(found) == _SAMPLE_ROWS:
            break
    return found


def _find_delimiter(sample: str, known: Collection[str]) -> str:
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
        return set(first) | set(shorter) == set(words.names) | set(shorter)
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


def _header_names(first: Sequence[str], where: str) -> tuple[str, ...]:
    names = tuple(name or str(index) for index, name in enumerate(first))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        positions = [index for index, name in enumerate(names) if name == twice[0]]
        raise DataError(
            f"line 1: the name '{twice[0]}' stands in the header {len(positions)} times (columns "
            f"{', '.join(map(str, positions))}, from 0). Rename all but one.",
            where=where,
        )
    return names


def _given_names(size: int, names: tuple[str, ...] | None, shorter: Collection[str], where: str) -> tuple[str, ...]:
    """The names of a file without a header, whose targets may be left out where the others are known."""
    if names is None:
        return tuple(map(str, range(size)))
    without = tuple(name for name in names if name not in shorter)
    if size not in (len(names), len(without)):
        raise DataError(
            f"line 1 has another number of cells than there are names (got {size}; there are {len(names)} names). "
            "The names are of all columns, from left to right.",
            where=where,
        )
    return names if size == len(names) else without
