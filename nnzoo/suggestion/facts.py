"""What the columns of a table contain, as the source `csv` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnzoo.config.data.delimited import MISSING
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.columns import CategoryColumn, Column, DateColumn, NumberColumn
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.finding import FormFinder, FormOptions, labels_of
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.table import Table, open_table
from nnzoo.errors import DataError
from nnzoo.suggestion.dates import DateOrders, orders_of
from nnzoo.suggestion.layout import Layout
from nnzoo.suggestion.suggestion import percent, plural, printable

Kind = Literal["number", "boolean", "category", "date", "text", "constant", "empty", "mixed"]

FEW_NAMES, MANY_SHARE = 20, 0.5
"""A text column with more distinct texts than both is free text, which the source leaves out."""
_FEW_ODD = 5
_MOST_NUMBERS = 0.9
_SENTINELS = ("-99", "-999", "-9999", "-99999")
_WORDS_OF = 500
_IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
SHOWN = 4


@dataclass(eq=False)
class ColumnFacts:
    """What a column contains.

    Attributes:
        name: The name of the column.
        kind: Its type. "text": mostly distinct texts; "mixed": numbers and texts.
        num_rows: The number of rows.
        missing: The number of missing cells.
        distinct: The number of distinct values.
        top: The most frequent cells with their counts, the most frequent first.
        codes: (N,) the index of the distinct cell of each row; -1 if missing.
        low: The smallest number.
        high: The largest number.
        integers: Whether all numbers are integers.
        words: The mean number of words per cell, for texts.
        column: The column as the source reads it; None if it is left out.
        values: (N,) or (N, P) the values of `column`.
        odd: Cells to replace with missing values: texts in a column of numbers, or codes such as -999.
        dates: How dates of digits can be read; None for other columns.
    """

    name: str
    kind: Kind
    num_rows: int
    missing: int
    distinct: int
    top: list[tuple[str, int]]
    codes: NDArray[np.int32]
    low: float = float("nan")
    high: float = float("nan")
    integers: bool = False
    words: float = 0.0
    column: Column | None = None
    values: NDArray[Any] | None = None
    odd: tuple[str, ...] = ()
    dates: DateOrders | None = None

    @property
    def known(self) -> int:
        """The number of cells with a value."""
        return self.num_rows - self.missing

    @property
    def is_unique(self) -> bool:
        """Whether no value occurs twice."""
        return self.known > 1 and self.distinct == self.known

    def describe(self) -> str:
        """Returns the content in one line."""
        name = self.kind
        missing = f", {self.missing:,} missing ({percent(self.missing / self.num_rows)})" if self.missing else ""
        if self.kind == "empty":
            return "no values"
        if self.kind == "number":
            whole = "integers" if self.integers else "numbers"
            return f"{whole} from {self.low:.6g} to {self.high:.6g}{missing}"
        if self.kind == "date":
            return f"dates such as {printable(self.top[0][0])}, {self.distinct:,} different{missing}"
        if self.kind == "text":
            about = f", about {self.words:.0f} words each" if self.words >= 2 else ""
            return f"{self.distinct:,} different texts{about}{missing}"
        shown = ", ".join(printable(text) for text, _ in self.top[:SHOWN])
        more = ", ..." if self.distinct > SHOWN else ""
        return f"{name}, {plural(self.distinct, 'value')}: {shown}{more}{missing}"


@dataclass(eq=False)
class TableFacts:
    """What a table contains.

    Attributes:
        path: The file, folder or glob pattern.
        table: The opened table.
        layout: How its file is laid out.
        columns: The columns by name, from left to right.
        num_rows: The number of rows.
        missing: Cells that are read as missing values.
    """

    path: Path
    table: Table
    layout: Layout
    columns: dict[str, ColumnFacts]
    num_rows: int
    replace: dict[str, str] = field(default_factory=dict)

    @property
    def has_header(self) -> bool:
        """Whether the columns have names in the file."""
        return not self.table.files or self.table.files[0].names_in_header

    @property
    def has_decimal_comma(self) -> bool:
        """Whether numbers have a decimal comma, or cells are separated by semicolons and no number has a point."""
        return self.table.usual_decimal == "," or (self.table.delimiter == ";" and not self.table.usual_decimal)


def options_of(layout: Layout, replace: Mapping[str, str] | None = None) -> TableOptions:
    """Returns how the files are read."""
    keys: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in layout.keys.items()
    }
    return TableOptions(missing=MISSING, replace=dict(replace or {}), missing_target="drop", **keys)


def look_at_table(path: Path, layout: Layout, known: Sequence[str]) -> TableFacts:
    """Reads a table and describes its columns.

    Args:
        path: A file, a folder or a glob pattern.
        layout: The layout of its files.
        known: The columns that the user has named.

    Raises:
        DataError: The table can't be read.
    """
    table = open_table([path], options_of(layout), known, repairs=Repairs())
    columns = {cells.name: look_at_column(cells) for cells in table.read(table.names)}
    return TableFacts(path, table, layout, columns, table.num_rows)


def check_no_files(facts: TableFacts) -> None:
    """Raises a DataError if a column has the names of images, whose content a table does not read."""
    for column in facts.columns.values():
        names = [text.lower() for text, _ in column.top]
        if column.is_unique and all(name.endswith(_IMAGES) for name in names):
            raise DataError(
                f"column '{printable(column.name)}' has names of images such as {printable(column.top[0][0])}, which a "
                "table does not read. Put the images of each class into a folder of its own, and run init on the "
                "folder of these.",
                where=str(facts.path),
            )


def look_at_column(cells: Cells) -> ColumnFacts:
    """Describes a column."""
    rows = np.arange(len(cells))
    labels = labels_of(cells, rows)
    order = np.argsort(-labels.counts, kind="stable")[:FEW_NAMES]
    top = [(str(labels.texts[int(index)].as_py()), int(labels.counts[index])) for index in order]
    missing = int(cells.missing.sum())
    facts = ColumnFacts(cells.name, "empty", len(cells), missing, len(labels.texts), top, cells.labels[1])
    if missing == len(cells):
        return facts
    texts = labels.texts[:_WORDS_OF].to_pylist()
    facts.words = sum(len(text.split()) for text in texts) / len(texts)
    facts.odd = _odd_cells(cells, rows)
    if facts.odd and not (cells := cells.without(facts.odd)).missing.all():
        facts.missing = int(cells.missing.sum())
    try:
        # A chosen column is never left out as free text, so its values are known in any case.
        chosen = frozenset([cells.name])
        column = Inference(rows, categorical=frozenset(), chosen=chosen).column(cells)
    except DataError:
        facts.kind = "mixed"
        return facts
    facts.column = column
    if column is None:
        facts.kind = "constant"
        return facts
    facts.kind = column.kind
    facts.values = column.read(cells)
    _describe_values(facts, cells, column)
    return facts


def _describe_values(facts: ColumnFacts, cells: Cells, column: Column) -> None:
    if isinstance(column, NumberColumn):
        assert facts.values is not None
        values = facts.values[~np.isnan(facts.values)]
        facts.low, facts.high = float(values.min()), float(values.max())
        facts.integers = bool((values == np.trunc(values)).all())
        facts.distinct = len(np.unique(values))
    elif isinstance(column, CategoryColumn):
        codes = cells.keys(column.form).codes
        facts.distinct = len(np.unique(codes[codes >= 0]))
        if facts.distinct > FEW_NAMES and facts.distinct > MANY_SHARE * facts.known:
            facts.kind = "text"
    elif isinstance(column, DateColumn):
        facts.dates = orders_of(cells, column.form)
        dates = cells.dates(column.form)
        facts.distinct = len(np.unique(dates[~np.isnat(dates)]))


def _odd_cells(cells: Cells, rows: NDArray[np.int64]) -> tuple[str, ...]:
    """Returns a few texts in a column of numbers, or a negative code such as -999 among positive numbers."""
    numbers = FormFinder(rows, FormOptions()).numbers(cells, _MOST_NUMBERS)
    if numbers is None:
        return ()
    values = cells.numbers(numbers.form)
    known = values[~np.isnan(values)]
    if numbers.share == 1:
        low = known.min()
        is_low = known == low
        text = f"{low:g}"
        far = (known[~is_low] >= 0).all() and (~is_low).any() and is_low.sum() > 1
        return (text,) if text in _SENTINELS and far else ()
    odd = labels_of(cells, rows[cells.is_text(numbers.form)]).texts.to_pylist()
    return tuple(map(str, odd)) if len(odd) <= _FEW_ODD and len(np.unique(known)) > FEW_NAMES else ()
