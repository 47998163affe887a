"""Converts Excel sheets to CSV, so that all options for CSV files apply to them.

They are read with openpyxl: it is well maintained, pandas uses it too, and it keeps integers of any length, which
faster readers convert to floats. It reads row by row, so empty cells take no memory.
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
"""The first bytes of .xls files and of encrypted Excel files."""

_ERRORS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!")
_ALWAYS_READ = 10_000_000
_MOST_EMPTY = 50
"""The maximum ratio of all cells to filled cells in sheets with more than `_ALWAYS_READ` cells."""
_DAMAGE = (LookupError, ValueError, TypeError, AttributeError, OSError, EOFError, SyntaxError, zipfile.BadZipFile)

ERROR_CELLS = Repair("cell", "with an Excel error such as #REF!", "read as missing", "Correct the formula.")


class Sheet(NamedTuple):
    """The cells of an Excel sheet.

    Attributes:
        text: The sheet as CSV with commas, one record per row. Numbers and dates have Python's format.
        strings: The distinct strings of each column, with the last row of each, from 1.
    """

    text: str
    strings: dict[int, dict[str, int]]


def read_sheet(raw: bytes, sheet: str | int | None, skipped: Collection[int], *, where: str, repairs: Repairs) -> Sheet:
    """Reads a sheet of an Excel file.

    Args:
        raw: The content of an .xlsx file.
        sheet: The name of the sheet, or its position from 0; None for the first visible one.
        skipped: The numbers of rows to leave blank, from 1.
        where: The file, for messages.
        repairs: Counts cells with errors.

    Raises:
        DataError: The file is damaged or has a different type, the sheet does not exist, or openpyxl is not installed.
    """
    if raw.startswith(OLD_FORMAT):
        raise DataError("is an .xls file or encrypted, which is not supported. Save it as .xlsx or CSV.", where=where)
    try:
        import openpyxl
    except ImportError:
        raise DataError(f"is an Excel file, which needs openpyxl. Install it: {INSTALL}", where=where) from None
    check_archive(raw, where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about cell styles that are not used here
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
            strings: dict[int, dict[str, int]] = {}
            rows = list(_rows(_choose(book.worksheets, sheet, where), strings, where, repairs))
    except _DAMAGE as error:
        problem = f"can't be read as an .xlsx file: it is damaged or not an Excel file ({error})."
        raise DataError(problem, where=where) from error
    width = max(map(len, rows), default=0)
    if len(rows) * width > max(_ALWAYS_READ, _MOST_EMPTY * sum(map(len, rows))):
        problem = (
            f"nearly all of its {len(rows):,} x {width:,} cells are empty. Remove stray cells far outside the table."
        )
        raise DataError(problem, where=where)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    while rows and not rows[-1]:
        rows.pop()
    for number, row in enumerate(rows, start=1):
        if row and number not in skipped:
            writer.writerow([*row, *[""] * (width - len(row))])
        else:  # a blank row counts as a row, a skipped one does not
            out.write("," * (width - 1) * (not row) + "\n")
    return Sheet(out.getvalue(), strings)


def _choose(sheets: Sequence[Any], sheet: str | int | None, where: str) -> Any:
    if sheet is None:
        return next((each for each in sheets if each.sheet_state == "visible"), sheets[0])
    names = [each.title for each in sheets]
    if sheet in names:
        return sheets[names.index(sheet)]
    if isinstance(sheet, int) and sheet < len(sheets):
        return sheets[sheet]
    raise DataError(f"has no sheet {sheet!r} (expected one of: {', '.join(names)}). Correct `sheet`.", where=where)


def _rows(sheet: Any, strings: dict[int, dict[str, int]], where: str, repairs: Repairs) -> Iterator[list[str]]:
    """Yields the cells of each row up to its last filled one, and adds the strings among them to `strings`."""
    sheet.reset_dimensions()  # the dimensions in the file may be wrong
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells = [_as_text(value) for value in values]
        for column, value in enumerate(values):
            if isinstance(value, str):
                strings.setdefault(column, {})[value] = number
        num_errors = sum(cell in _ERRORS for cell in cells)
        if num_errors:
            repairs.add(ERROR_CELLS, f"{where}: row {number}", num_errors)
            cells = ["" if cell in _ERRORS else cell for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def _as_text(value: object) -> str:
    """Returns a cell as the text of a CSV file."""
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
