"""Tables as columns of strings, from files or Python values.

Columns are read in groups to save memory, so a large file is read several times.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files.find import find_files, order_note
from nnzoo.data.files.origin import Origin, name_below, of_files
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.file import File
from nnzoo.data.tables.matching import match_cells
from nnzoo.data.tables.number_forms import UsualDecimal
from nnzoo.data.tables.numbers import NumberForm
from nnzoo.data.tables.opening import AnyFile, open_file
from nnzoo.errors import DataError

SUFFIXES = (
    *(".csv", ".tsv", ".tab", ".psv", ".txt", ".data"),
    *(".parquet", ".pq", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson", ".xlsx", ".xlsm"),
)

_GROUP_BYTES = 48 * 1024 * 1024
"""The approximate size of the text in memory."""

UNNAMED = Repair("column", "without a name", "numbered from the left, from 0", "Name it in the header.")
RENAMED = Repair("column", "with a repeated name", "renamed", "Give it a unique name in the header.")


@dataclass(eq=False)
class Table:
    """The concatenated rows of files, or the rows of a Python value.

    Attributes:
        names: The column names.
        options: How cells are read.
        files: The files in natural order.
        values: The columns as pyarrow arrays of strings, if they come from Python.
        typed: For each column of numbers or dates that comes from Python, the cells that are strings. All other cells
            are in Python's format.
        categorical: Categorical columns that come from Python.
        source: The name that is used in messages if the table has no files.
    """

    names: tuple[str, ...]
    options: TableOptions
    files: Sequence[AnyFile] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    typed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    categorical: Collection[str] = ()
    source: str = "predict"

    @property
    def where(self) -> str:
        return self.files[0].where if self.files else self.source

    @property
    def delimiter(self) -> str:
        """The delimiter of the first file; empty without files."""
        return self.files[0].dialect.delimiter if self.files and isinstance(self.files[0], File) else ""

    @property
    def usual_decimal(self) -> UsualDecimal:
        """The decimal separator of unambiguous cells of the first file."""
        return self.files[0].dialect.usual_decimal if self.files and isinstance(self.files[0], File) else ""

    @property
    def num_rows(self) -> int:
        """The total number of rows; valid after a column has been read."""
        return sum(file.num_rows for file in self.files) if self.files else len(next(iter(self.values.values())))

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """The index of each row across all files, (R,), counting rows left out too; valid once a column is read."""
        if not self.files:
            return np.arange(self.num_rows)
        parts, start = [], 0
        for file in self.files:
            parts.append(np.asarray(file.row_numbers) + start)
            start += file.num_rows + len(file.left_out)
        return np.concatenate(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the order of the files."""
        return order_note([file.path for file in self.files])

    def require(self, names: Iterable[str], reason: str = "") -> None:
        """Checks that columns exist.

        Args:
            names: The required columns.
            reason: Why they are required, for the message.

        Raises:
            DataError: Columns are missing. The message names them all.
        """
        absent = [name for name in names if name not in self.names]
        if not absent:
            return
        listed = ", ".join(f"'{name}'" for name in absent)
        shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        by_case = {name.lower(): name for name in self.names}
        close = difflib.get_close_matches(absent[0].lower(), by_case, n=1)
        hint = f" Did you mean '{by_case[close[0]]}'?" if close else ""
        if absent[0].isdecimal() and int(absent[0]) < len(self.names):
            hint = f" With a header, columns are named: this one is '{self.names[int(absent[0])]}'."
        file = self.files[0] if self.files else None
        line = file.line_with(absent) if isinstance(file, File) and not absent[0].isdecimal() else None
        if line is not None:
            hint = f" Line {line} contains it. If that is the header, set `skip_rows: {line - 1}`."
        if isinstance(file, File) and len(self.names) == 1 and file.has_spaces():
            hint = ' Its lines contain only spaces as delimiters: set `delimiter: " "` if they separate the cells.'
        plural = "s" if len(absent) > 1 else ""
        raise DataError(f"has no column{plural} {listed}{reason} (it has: {shown}).{hint}", where=self.where)

    def read(self, names: Sequence[str]) -> Iterator[Cells]:
        """Yields columns one by one. Each is freed before the next."""
        size = sum(file.size for file in self.files)
        per_group = max(1, len(self.names) * _GROUP_BYTES // max(size, 1))
        for start in range(0, len(names), per_group):
            group = names[start : start + per_group]
            columns = self._read(group)
            release_unused_memory()
            for name in group:
                values = self._clean(columns.pop(name))
                yield Cells(
                    name,
                    values,
                    self.where,
                    self.locate,
                    delimiter=self.delimiter,
                    usual_decimal=self.usual_decimal,
                    text_cells=self._text_cells(name, values),
                    is_categorical=self._is_categorical(name),
                )
            release_unused_memory()

    def cells(self, name: str) -> Cells:
        """Returns one column."""
        return next(self.read([name]))

    def locate(self, row: int) -> str:
        """Returns the file and the line of a row."""
        for file in self.files:
            if row < file.num_rows:
                return f"{file.where}: {file.place(row)}"
            row -= file.num_rows
        return f"row {row}"

    def origin(self, root: Path | None = None) -> Origin:
        """Returns the origin of rows; valid after a column has been read.

        Args:
            root: The configured path, which file names become relative to; None keeps them unchanged.
        """
        if not self.files:
            return Origin(("row",), lambda rows: [rows.tolist()])
        names = [file.where if root is None else name_below(file.path, root) for file in self.files]
        found = of_files(names, [file.num_rows + len(file.left_out) for file in self.files])
        return found.renumbered(self.row_numbers) if any(file.left_out for file in self.files) else found

    def written(self, rows: NDArray[np.int64], names: Sequence[str] | None) -> dict[str, list[str]]:
        """Returns the unchanged cells by column.

        Args:
            rows: (N,) row indices.
            names: The columns; None for all columns that every file has.

        Raises:
            DataError: A column does not exist.
        """
        if names is None:
            names = [name for name in self.names if all(name in file.names for file in self.files)]
        for file in self.files:
            Table(file.names, self.options, [file]).require(names)
        cells = self._read(names)
        return {name: cells[name].take(rows).to_pylist() for name in names}

    def _read(self, names: Sequence[str]) -> dict[str, Any]:
        import pyarrow as pa

        if not self.files:
            return {name: self.values[name] for name in names}
        parts = [file.read(names) for file in self.files]
        return {name: pa.chunked_array([c for part in parts for c in part[name].chunks], pa.string()) for name in names}

    def _is_categorical(self, name: str) -> bool:
        if not self.files:
            return name in self.categorical
        return all(name in file.categorical for file in self.files)

    def _text_cells(self, name: str, values: Any) -> frozenset[str] | None:
        """Returns the strings among the cells of a column of numbers or dates; None for a column of strings."""
        from pyarrow import compute

        typed = [file.typed.get(name) for file in self.files] if self.files else [self.typed.get(name)]
        if all(texts is None for texts in typed):
            return None
        found: set[str | None] = set(self.options.replace.values())
        start = 0
        for index, texts in enumerate(typed):
            size = self.files[index].num_rows if self.files else len(values)
            own = compute.unique(values.slice(start, size)).to_pylist() if texts is None else texts
            found.update(text.strip() if text and self.options.strip else text for text in own)
            start += size
        return frozenset(text for text in found if text is not None and text not in self.options.missing)

    def _clean(self, cells: Any) -> Any:
        """Strips and replaces cells, and makes missing ones null."""
        import pyarrow as pa
        from pyarrow import compute

        options = self.options
        if options.strip:
            cells = compute.utf8_trim_whitespace(cells)
        form = NumberForm(decimal="," if self.usual_decimal == "," else ".")
        if options.replace:
            # 3.1 and 3.10 may be versions, so only integers are compared as numbers.
            found = match_cells(cells, tuple(options.replace), form, only_integers=True)
            replaced = compute.take(pa.array(options.replace.values(), pa.string()), found)
            cells = compute.if_else(found.is_valid(), replaced, cells)
        is_missing = match_cells(cells, options.missing, form).is_valid()
        return compute.if_else(is_missing, pa.scalar(None, pa.string()), cells)


def release_unused_memory() -> None:
    """Returns to the operating system the memory that pyarrow has freed."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def open_table(
    paths: Sequence[Path],
    options: TableOptions,
    known: Collection[str],
    optional: Collection[str] = (),
    *,
    needed: Collection[str] | None = None,
    suffixes: Collection[str] = SUFFIXES,
    label_column: str | None = None,
    repairs: Repairs,
) -> Table:
    """Opens files as one table.

    Args:
        paths: Files, folders, glob patterns, zip archives; `-` is standard input.
        options: How files are read.
        known: Names of required columns.
        optional: Columns that a file without a header may lack.
        needed: The columns that every file must have; None for those of the first file.
        suffixes: The suffixes of the files in folders.
        label_column: See `open_file`.
        repairs: Counts repairs, now and when columns are read.

    Raises:
        DataError: A file can't be used or lacks columns.
    """
    found = [file for path in paths for file in find_files(path, suffixes, repairs)]
    files = [open_file(path, options, known, optional, label_column=label_column, repairs=repairs) for path in found]
    names = files[0].names
    for file in files[1:] if needed is None else files:
        reason = f", which {files[0].where} has" if needed is None else ", which the training data has"
        Table(file.names, options, [file]).require(names if needed is None else needed, reason)
    _count_generated_names(files[0], repairs)
    return Table(names, options, files)


def _count_generated_names(file: AnyFile, repairs: Repairs) -> None:
    """Counts the generated names of the first file; the other files have the same names."""
    unnamed, renamed = (file.dialect.unnamed, file.dialect.renamed) if isinstance(file, File) else ((), ())
    for repair, names in ((UNNAMED, unnamed), (RENAMED, renamed)):
        repairs.add(repair, f"{file.where}: {', '.join(map(repr, names[:5]))}", len(names))


def choices_of(tables: Iterable[Table]) -> dict[str, object]:
    """Returns the file format by config key, for keys on which the files of all tables agree."""
    choices = [file.choices for table in tables for file in table.files]
    if not choices:
        return {}
    return {key: value for key, value in choices[0].items() if all(each.get(key) == value for each in choices)}
