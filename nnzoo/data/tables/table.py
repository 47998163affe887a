"""Tables as columns of text: from CSV files, or from Python values.

Columns are read some at a time, so that a table is never in memory as text all at once, and a file is read more often
for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files.find import find_files, order_note
from nnzoo.data.files.origin import Origin, name_below, of_files
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.dialect import Words
from nnzoo.data.tables.file import File
from nnzoo.data.tables.numbers import DecimalSign
from nnzoo.data.tables.opening import AnyFile, open_file
from nnzoo.errors import DataError

SUFFIXES = (
    *(".csv", ".tsv", ".tab", ".psv", ".txt", ".data"),
    *(".parquet", ".pq", ".arrow", ".feather", ".ipc", ".xlsx", ".xlsm"),
)

_GROUP_BYTES = 48 * 1024 * 1024
"""About as much text is in memory at a time."""

UNNAMED = Repair("column", "without a name", "numbered from the left, from 0", "Name it in the header.")
RENAMED = Repair("column", "with the name of another one", "renamed", "Give it a name of its own in the header.")


@dataclass(eq=False)
class Table:
    """Rows of one or several files, below one another; or those of a Python value.

    Attributes:
        names: The columns.
        words: What is said of cells.
        files: In natural order.
        values: The columns as pyarrow arrays of strings, where they come from Python.
        typed: The columns that had numbers and dates and not texts: their text is as in code.
        source: What a table without files is called in messages.
    """

    names: tuple[str, ...]
    words: Words
    files: Sequence[AnyFile] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    typed: Collection[str] = ()
    source: str = "predict"

    @property
    def where(self) -> str:
        return self.files[0].where if self.files else self.source

    @property
    def delimiter(self) -> str:
        """Between the cells of the first file; empty without files."""
        return self.files[0].dialect.delimiter if self.files and isinstance(self.files[0], File) else ""

    @property
    def usual_decimal(self) -> Literal[""] | DecimalSign:
        """The decimal sign of cells of the first file that leave no doubt; empty if there are none."""
        return self.files[0].dialect.usual_decimal if self.files and isinstance(self.files[0], File) else ""

    @property
    def num_rows(self) -> int:
        """Rows in all, once some column was read."""
        return sum(file.num_rows for file in self.files) if self.files else len(next(iter(self.values.values())))

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """(R,) the number of each row in all files, from 0, once some column was read: rows left out count too."""
        if not self.files:
            return np.arange(self.num_rows)
        parts, start = [], 0
        for file in self.files:
            parts.append(np.asarray(file.row_numbers) + start)
            start += file.num_rows + len(file.left_out)
        return np.concatenate(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be told of the order of the files."""
        return order_note([file.path for file in self.files])

    def require(self, names: Iterable[str], what: str = "") -> None:
        """Checks that there are such columns.

        Args:
            names: That have to be there.
            what: Who asks for them.

        Raises:
            DataError: Some are missing; all are named.
        """
        lacking = [name for name in names if name not in self.names]
        if not lacking:
            return
        listed = ", ".join(f"'{name}'" for name in lacking)
        shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        by_case = {name.lower(): name for name in self.names}
        close = difflib.get_close_matches(lacking[0].lower(), by_case, n=1)
        hint = f" Did you mean '{by_case[close[0]]}'?" if close else ""
        if lacking[0].isdecimal() and int(lacking[0]) < len(self.names):
            hint = f" With a header, columns go by their names: that one is '{self.names[int(lacking[0])]}'."
        file = self.files[0] if self.files else None
        line = file.line_with(lacking) if isinstance(file, File) and not lacking[0].isdecimal() else None
        if line is not None:
            hint = f" Line {line} has it: if that is the header, `skip_rows: {line - 1}` skips what is above."
        if isinstance(file, File) and len(self.names) == 1 and file.has_spaces():
            hint = ' Its lines have no delimiter but spaces: set `delimiter: " "` if those separate the cells.'
        plural = "s" if len(lacking) > 1 else ""
        raise DataError(f"has no column{plural} {listed}{what} (it has: {shown}).{hint}", where=self.where)

    def read(self, names: Sequence[str]) -> Iterator[Cells]:
        """The columns of these names, one after the other; each is forgotten when the next one is asked for."""
        size = sum(file.size for file in self.files)
        at_once = max(1, len(self.names) * _GROUP_BYTES // max(size, 1))
        for start in range(0, len(names), at_once):
            group = names[start : start + at_once]
            columns = self._read(group)
            release_unused_memory()
            for name in group:
                yield Cells(
                    name,
                    self._clean(columns.pop(name)),
                    self.where,
                    self.locate,
                    delimiter=self.delimiter,
                    usual_decimal=self.usual_decimal,
                    typed=name in self.typed,
                )
            release_unused_memory()

    def cells(self, name: str) -> Cells:
        """One column."""
        return next(self.read([name]))

    def locate(self, row: int) -> str:
        """The file and the line of a row."""
        for file in self.files:
            if row < file.num_rows:
                return f"{file.where}: {file.place(row)}"
            row -= file.num_rows
        return f"row {row}"

    def origin(self, said: Path | None = None) -> Origin:
        """Returns where rows come from, once some column was read.

        Args:
            said: The path that the files were found by, which their names are relative to; None: as they are.
        """
        if not self.files:
            return Origin(("row",), lambda rows: [rows.tolist()])
        names = [file.where if said is None else name_below(file.path, said) for file in self.files]
        found = of_files(names, [file.num_rows + len(file.left_out) for file in self.files])
        return found.renumbered(self.row_numbers) if any(file.left_out for file in self.files) else found

    def written(self, rows: NDArray[np.int64], names: Sequence[str] | None) -> dict[str, list[str]]:
        """Returns cells exactly as they are written.

        Args:
            rows: (N,) the rows.
            names: The columns; None for all that every file has.

        Raises:
            DataError: There is no such column.
        """
        if names is None:
            names = [name for name in self.names if all(name in file.names for file in self.files)]
        for file in self.files:
            Table(file.names, self.words, [file]).require(names)
        cells = self._read(names)
        return {name: cells[name].take(rows).to_pylist() for name in names}

    def _read(self, names: Sequence[str]) -> dict[str, Any]:
        import pyarrow as pa

        if not self.files:
            return {name: self.values[name] for name in names}
        parts = [file.read(names) for file in self.files]
        return {name: pa.chunked_array([c for part in parts for c in part[name].chunks], pa.string()) for name in names}

    def _clean(self, cells: Any) -> Any:
        """Stripped, replaced, and null where missing."""
        import pyarrow as pa
        from pyarrow import compute

        words = self.words
        if words.strip:
            cells = compute.utf8_trim_whitespace(cells)
        if words.replace:
            found = compute.index_in(cells, value_set=pa.array(words.replace, pa.string()))
            replaced = compute.take(pa.array(words.replace.values(), pa.string()), found)
            cells = compute.if_else(found.is_valid(), replaced, cells)
        is_missing = compute.is_in(cells, value_set=pa.array(words.missing, pa.string()))
        return compute.if_else(is_missing, pa.scalar(None, pa.string()), cells)


def release_unused_memory() -> None:
    """Gives memory that pyarrow has freed back to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def open_table(
    paths: Sequence[Path],
    words: Words,
    known: Collection[str],
    shorter: Collection[str] = (),
    *,
    needed: Collection[str] | None = None,
    suffixes: Collection[str] = SUFFIXES,
    beside_text: str | None = None,
    repairs: Repairs,
) -> Table:
    """The files that some paths mean, as one table.

    Args:
        paths: Files, folders, glob patterns, zip archives; `-` is standard input.
        words: What is said of them.
        known: Names of columns that are asked for.
        shorter: Columns that a file without a header may lack.
        needed: The columns that every file has to have; None: those of the first one.
        suffixes: Of the files in folders.
        beside_text: As of `open_file`.
        repairs: Counts what is left out or repaired, now and when columns are read.

    Raises:
        DataError: A file that can't be used, or lacks columns.
    """
    found = [file for path in paths for file in find_files(path, suffixes, repairs)]
    files = [open_file(path, words, known, shorter, beside_text=beside_text, repairs=repairs) for path in found]
    names = files[0].names
    for file in files[1:] if needed is None else files:
        what = f", as {files[0].where} has" if needed is None else ", as the training data has"
        Table(file.names, words, [file]).require(names if needed is None else needed, what)
    _count_made_up_names(files[0], repairs)
    typed = set(names).intersection(*(file.typed for file in files))
    return Table(names, words, files, typed=typed)


def _count_made_up_names(file: AnyFile, repairs: Repairs) -> None:
    """Of the first file: the others have the same names."""
    unnamed, renamed = (file.dialect.unnamed, file.dialect.renamed) if isinstance(file, File) else ((), ())
    for repair, names in ((UNNAMED, unnamed), (RENAMED, renamed)):
        repairs.add(repair, f"{file.where}: {', '.join(map(repr, names[:5]))}", len(names))


def choices_of(tables: Iterable[Table]) -> dict[str, object]:
    """How the files of some tables are written, as far as all are written alike."""
    choices = [file.choices for table in tables for file in table.files]
    if not choices:
        return {}
    return {key: value for key, value in choices[0].items() if all(each.get(key) == value for each in choices)}
