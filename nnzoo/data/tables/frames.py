"""Tables from Python values: data frames, dicts of columns, lists of dicts, single rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from nnzoo.data.tables.columnar import as_text, is_plain, is_text
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.table import Table
from nnzoo.errors import DataError


def is_table(raw: object) -> bool:
    """Returns whether a value is a data frame, a dict of columns, a list of dicts, or a single row."""
    if isinstance(raw, Sequence) and not isinstance(raw, str | bytes):
        return bool(raw) and all(isinstance(row, Mapping) for row in raw)
    return isinstance(raw, Mapping) or hasattr(raw, "columns") or hasattr(raw, "column_names") or _is_row(raw)


def table_of(raw: object, options: TableOptions, *, where: str = "predict") -> Table | None:
    """Returns a Python value as a table; None if it is not tabular.

    Tables are data frames, pyarrow tables, dicts of columns and lists of dicts. A single row is a dict of values or a
    row of a data frame. None and NaN are missing. A string is one cell. Numbers, times and booleans are read as from a
    Parquet file, with all their digits; other values are converted with `str`.

    Args:
        raw: The value.
        options: How cells are read.
        where: The name of the table in messages.

    Raises:
        DataError: There are no rows, columns have different lengths, or two columns have the same name.
    """
    if not is_table(raw):
        return None
    columns = {name: texts_of(values) for name, values in columns_of(raw, where=where).items()}
    sizes = {len(column.texts) for column in columns.values()}
    if len(sizes) != 1 or sizes == {0}:
        raise DataError(f"expected non-empty columns of equal length (got lengths {sorted(sizes)}).", where=where)
    values = {name: column.texts for name, column in columns.items()}
    typed = {name: column.text_cells for name, column in columns.items() if column.text_cells is not None}
    categorical = [name for name, column in columns.items() if column.is_categorical]
    with_missing = options.model_copy(update={"missing": ("", *options.missing)})
    return Table(tuple(values), with_missing, values=values, typed=typed, categorical=categorical, source=where)


def columns_of(raw: Any, *, where: str) -> dict[str, Any]:
    """Returns the columns of a value that `is_table` accepts, by name, with unchanged values.

    Raises:
        DataError: Two columns have the same name, or a dict mixes single values and columns.
    """
    if isinstance(raw, Sequence):
        keys = dict.fromkeys(key for row in raw for key in row)
        raw = {key: [row.get(key) for row in raw] for key in keys}
    elif _is_row(raw):
        raw = raw.to_dict()
    if isinstance(raw, Mapping):
        raw = _columns_of_dict(raw, where)
    names = list(raw) if isinstance(raw, Mapping) else list(getattr(raw, "column_names", raw.columns))
    columns = {str(name): name for name in names}
    if len(columns) < len(names):
        twice = next(str(name) for name in names if sum(str(name) == str(other) for other in names) > 1)
        raise DataError(f"has several columns called '{twice}'. Rename all but one.", where=where)
    return {name: raw[key] for name, key in columns.items()}


def _columns_of_dict(raw: Mapping[Any, Any], where: str) -> dict[Any, Any]:
    """Returns columns; single values become columns of one row."""
    single = [name for name, value in raw.items() if _is_single(value)]
    if single and len(single) < len(raw):
        several = next(name for name in raw if name not in single)
        raise DataError(
            f"'{single[0]}' has one value and '{several}' has several. Pass single values for one row, or a list for "
            "every column.",
            where=where,
        )
    return {name: [value] if single else value for name, value in raw.items()}


def _is_row(raw: Any) -> bool:
    """Returns whether a value is a row of a pandas data frame."""
    index = getattr(raw, "index", None)
    if index is None or callable(index) or not hasattr(raw, "to_dict") or hasattr(raw, "columns"):
        return False
    return all(isinstance(name, str) for name in index)


def _is_single(value: object) -> bool:
    return isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0


class ColumnTexts(NamedTuple):
    """A column as strings.

    Attributes:
        texts: A pyarrow.ChunkedArray of (N,) strings.
        text_cells: In a column of numbers, times or booleans, the cells that are strings; None for a column of strings.
        is_categorical: Whether the column is categorical.
    """

    texts: Any
    text_cells: frozenset[str] | None
    is_categorical: bool = False


def texts_of(column: Any) -> ColumnTexts:
    """Returns a column as strings."""
    import pyarrow as pa

    if (found := _as_arrow(column)) is not None:
        text_cells = None if is_text(found.type) else frozenset[str]()
        return ColumnTexts(as_text(found), text_cells, pa.types.is_dictionary(found.type))
    cells = list(column)
    texts = pa.chunked_array([pa.array([_as_cell(cell) for cell in cells], pa.string())])
    is_typed = any(not isinstance(cell, str) and _as_cell(cell) is not None for cell in cells)
    return ColumnTexts(texts, frozenset(cell for cell in cells if isinstance(cell, str)) if is_typed else None)


def _as_arrow(column: Any) -> Any:
    """Returns a column as a pyarrow.ChunkedArray; None if Arrow has no scalar type for its values."""
    import pyarrow as pa

    try:
        found = column if isinstance(column, pa.ChunkedArray) else pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if isinstance(found, pa.Array):
        found = pa.chunked_array([found])
    if pa.types.is_timestamp(found.type) and found.type.tz and str(getattr(column, "dtype", "object")) == "object":
        return None  # the values may have different time zones
    return found if is_plain(found.type) and not pa.types.is_null(found.type) else None


def _as_cell(value: object) -> str | None:
    # Comparing pandas.NA gives neither true nor false, so it is found by its type.
    is_missing = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
    if is_missing:
        return None
    text = str(value)
    # Exponents are written out: a cell such as 1e5 could be a text.
    return f"{Decimal(text):f}" if isinstance(value, float | Decimal) and "e" in text.lower() else text
