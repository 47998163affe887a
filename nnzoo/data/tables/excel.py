"""Sheets of Excel files as CSV, so that all that is said of CSV files holds for them too.

openpyxl reads them: it is well kept, pandas uses it too, and it keeps integers of any length, which faster readers turn
into floats. It reads row by row, so that nothing is allocated for empty cells.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from nnzoo.data.files.contents import check_archive
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.errors import DataError

INSTALL = "pip install 'nnzoo[excel]'"
OLD_FORMAT = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What .xls files begin with, and encrypted files of Excel."""

_ERRORS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!")
_ALWAYS_READ = 10_000_000
_MOST_EMPTY = 50
"""Above that many cells in all, how many times as many there may be as there are filled ones."""
_DAMAGE = (LookupError, ValueError, TypeError, AttributeError, OSError, EOFError, SyntaxError, zipfile.BadZipFile)

ERROR_CELLS = Repair("cell", "with an Excel error such as #REF!", "read as missing", "Correct the formula.")


class Sheet(NamedTuple):
    """A sheet.

    Attributes:
        text: The sheet as CSV with commas, one record per row; numbers and dates as they are written in code.
        texts: The cells of text of each column, with the last row in which each stands, from 1.
    """

    text: str
    texts: dict[int, dict[str, int]]


def read_sheet(raw: bytes, sheet: str | int | None, skipped: Collection[int], *, where: str, repairs: Repairs) -> Sheet:
    """Reads a sheet of an Excel file.

    Args:
        raw: An .xlsx file.
        sheet: Its name, or its position from 0; None for the first visible one.
        skipped: The numbers of rows, from 1, that are left blank.
        where: The file, for messages.
        repairs: Counts cells with errors.

    Raises:
        DataError: It is damaged or of another kind, has no such sheet, or openpyxl is not installed.
    """
    if raw.startswith(OLD_FORMAT):
        raise DataError("is an .xls file, or encrypted, which is not read. Save it as .xlsx or CSV.", where=where)
    try:
        import openpyxl
    except ImportError:
        raise DataError(f"is an Excel file. Install what reads it: {INSTALL}", where=where) from None
    check_archive(raw, where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats that don't matter here
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
            texts: dict[int, dict[str, int]] = {}
            rows = list(_rows(_choose(book.worksheets, sheet, where), texts, where, repairs))
    except _DAMAGE as error:
        problem = f"can't be read as an .xlsx file: it is damaged, or of another kind ({error})."
        raise DataError(problem, where=where) from error
    width = max(map(len, rows), default=0)
    if len(rows) * width > max(_ALWAYS_READ, _MOST_EMPTY * sum(map(len, rows))):
        problem = (
            f"nearly all of its {len(rows):,} x {width:,} cells are empty. Remove what stands far outside of the table."
        )
        raise DataError(problem, where=where)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    while rows and not rows[-1]:
        rows.pop()
    for number, row in enumerate(rows, start=1):
        if row and number not in skipped:
            writer.writerow([*row, *[""] * (width - len(row))])
        else:  # a blank row is one of the rows; a skipped row is not
            out.write("," * (width - 1) * (not row) + "\n")
    return Sheet(out.getvalue(), texts)


def _choose(sheets: Sequence[Any], sheet: str | int | None, where: str) -> Any:
    if sheet is None:
        return next((each for each in sheets if each.sheet_state == "visible"), sheets[0])
    names = [each.title for each in sheets]
    if sheet in names:
        return sheets[names.index(sheet)]
    if isinstance(sheet, int) and sheet < len(sheets):
        return sheets[sheet]
    raise DataError(f"has no sheet {sheet!r} (it has: {', '.join(names)}). Correct `sheet`.", where=where)


def _rows(sheet: Any, texts: dict[int, dict[str, int]], where: str, repairs: Repairs) -> Iterator[list[str]]:
    """The cells of each row up to its last filled one; the texts among them are added to `texts`."""
    sheet.reset_dimensions()  # the file may claim any
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells = [_as_text(value) for value in values]
        for column, value in enumerate(values):
            if isinstance(value, str):
                texts.setdefault(column, {})[value] = number
        num_errors = sum(cell in _ERRORS for cell in cells)
        if num_errors:
            repairs.add(ERROR_CELLS, f"{where}: row {number}", num_errors)
            cells = ["" if cell in _ERRORS else cell for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def _as_text(value: object) -> str:
    """A cell as it would be written in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return repr(value.total_seconds())
    return str(value)
