"""Text that pyarrow can't cut into cells, written again so that it can. Every row stays in its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence

from nnzoo.data.files.encodings import lines_of
from nnzoo.data.tables.dialect import DELIMITERS, Words, lines_with_ends, reader_of


def is_foreign(delimiter: str, beside_text: str | None) -> bool:
    """Whether a delimiter is one that pyarrow does not know, or that cuts texts too."""
    is_simple = len(delimiter) == 1 and delimiter.isascii()
    return not is_simple or (beside_text is not None and delimiter not in DELIMITERS)


def cut_at(text: str, words: Words, known: Collection[str], beside_text: str | None) -> str:
    """The lines of a text, cut at a delimiter of whatever length, as a CSV file: quotes in them are letters."""
    num_cuts = _num_cuts(text, words, known, beside_text)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for line in lines_of(text):
        writer.writerow(line.split(words.delimiter, num_cuts) if line.strip() else [])
    return out.getvalue()


def _num_cuts(text: str, words: Words, known: Collection[str], beside_text: str | None) -> int:
    """At how many delimiters a line is cut, so that what is left of it is the text; -1 for all."""
    if beside_text is None:
        return -1
    lines = lines_of(text)[words.num_skipped_lines :]
    first = next((line for line in lines if line.strip()), "").split(words.delimiter)
    positions = {name for name in known if name.isdecimal()}
    columns = list(words.names or (first if set(first) & (set(known) - positions) else ()))
    columns = columns or [str(index) for index in range(1 + max(1, *map(int, positions), 0))]
    return -1 if beside_text == columns[-1] else len(columns) - 1


def without_blanks_before_quotes(text: str, delimiter: str) -> str:
    """A text whose quotes follow their delimiters: to pyarrow one after a space is a letter. Cells stay as they are."""
    blanks = rf'(?<={re.escape(delimiter)})[ \t]+(?=")'
    return re.sub(rf'("(?:[^"]|"")*")|{blanks}', r"\1", text)


def has_blanks_before_quotes(text: str, delimiter: str) -> bool:
    """Whether spaces stand between a delimiter and a quote."""
    return re.search(rf'{re.escape(delimiter)}[ \t]+"', text) is not None


def without_rows(text: str, numbers: Sequence[int], delimiter: str) -> str:
    """A text with blank lines in place of the rows of these numbers, counted from 1."""
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
