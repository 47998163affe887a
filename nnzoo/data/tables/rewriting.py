"""Rewrites text that pyarrow can't parse as CSV. Every row keeps its line number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence

from nnzoo.data.files.encodings import lines_of
from nnzoo.data.tables.dialect import DELIMITERS, TableOptions, lines_with_ends, reader_of


def is_foreign(delimiter: str, label_column: str | None) -> bool:
    """Returns whether a delimiter is not supported by pyarrow, or may also occur inside texts."""
    is_simple = len(delimiter) == 1 and delimiter.isascii()
    return not is_simple or (label_column is not None and delimiter not in DELIMITERS)


def split_lines(text: str, options: TableOptions, known: Collection[str], label_column: str | None) -> str:
    """Returns the lines of a text as CSV, split at a delimiter of any length. Quotes are literal."""
    max_splits = _max_splits(text, options, known, label_column)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for line in lines_of(text):
        writer.writerow(line.split(options.delimiter, max_splits) if line.strip() else [])
    return out.getvalue()


def _max_splits(text: str, options: TableOptions, known: Collection[str], label_column: str | None) -> int:
    """Returns the maximum number of splits per line, so that the rest of the line is the text; -1 for no limit."""
    if label_column is None:
        return -1
    lines = lines_of(text)[options.num_skipped_lines :]
    first = next((line for line in lines if line.strip()), "").split(options.delimiter)
    positions = {name for name in known if name.isdecimal()}
    columns = list(options.names or (first if set(first) & (set(known) - positions) else ()))
    columns = columns or [str(index) for index in range(1 + max(1, *map(int, positions), 0))]
    return -1 if label_column == columns[-1] else len(columns) - 1


def without_blanks_before_quotes(text: str, delimiter: str) -> str:
    """Removes spaces between delimiters and quotes, which pyarrow reads as literal quotes. Cells are unchanged."""
    blanks = rf'(?<={re.escape(delimiter)}){_blanks(delimiter)}+(?=")'
    return re.sub(rf'("(?:[^"]|"")*")|{blanks}', r"\1", text)


def has_blanks_before_quotes(text: str, delimiter: str) -> bool:
    """Returns whether there are spaces between a delimiter and a quote."""
    return re.search(rf'{re.escape(delimiter)}{_blanks(delimiter)}+"', text) is not None


def _blanks(delimiter: str) -> str:
    """Returns a pattern for the spaces and tabs that do not separate cells."""
    return " " if delimiter == "\t" else "\t" if delimiter == " " else "[ \t]"


def without_rows(text: str, numbers: Sequence[int], delimiter: str) -> str:
    """Replaces rows with blank lines. Row numbers count from 1."""
    lines = lines_with_ends(text)
    reader = reader_of(text, delimiter)
    begin = 0
    for number in range(1, max(numbers, default=0) + 1):
        if next(reader, None) is None:
            break
        if number in numbers:
            lines[begin : reader.line_num] = ["\n"] * (reader.line_num - begin)
        begin = reader.line_num
    return "".join(lines)
