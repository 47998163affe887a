"""The origin of samples: the columns that join predictions to the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Origin:
    """The location of each sample in its source.

    Attributes:
        names: The names of the columns, such as `file` and `row`.
        find: Maps sample indices, (N,) as in `Split.rows`, to the values of each column.
    """

    names: tuple[str, ...]
    find: Callable[[Numbers], list[Sequence[Any]]]

    def renumbered(self, numbers: Numbers) -> Origin:
        """Returns the origin of a subset of the samples: sample i of it is sample `numbers[i]` of this origin."""
        return Origin(self.names, lambda rows: self.find(numbers[rows]))

    def beside(self, columns: Mapping[str, Sequence[Any]]) -> Origin:
        """Returns the origin with additional columns, which have one value per sample."""

        def find(rows: Numbers) -> list[Sequence[Any]]:
            return [*self.find(rows), *([values[row] for row in rows.tolist()] for values in columns.values())]

        return Origin((*self.names, *columns), find)


def of_files(names: Sequence[str], sizes: Sequence[int]) -> Origin:
    """Returns the origin columns for rows of concatenated files: `file`, and `row`, counted from 0 in each file.

    Args:
        names: The names of the files.
        sizes: The number of rows in each.
    """
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def find(rows: Numbers) -> list[Sequence[Any]]:
        files = np.searchsorted(starts, rows, side="right") - 1
        return [[names[file] for file in files.tolist()], (rows - starts[files]).tolist()]

    return Origin(("file", "row"), find)


def of_names(names: Sequence[str]) -> Origin:
    """Returns the `file` origin column, for sources with one file per sample."""
    return Origin(("file",), lambda rows: [[names[row] for row in rows.tolist()]])


def constant(**columns: str) -> Origin:
    """Returns the origin columns for samples of one source: columns with a constant value, and `row`."""

    def find(rows: Numbers) -> list[Sequence[Any]]:
        return [*([value] * len(rows) for value in columns.values()), rows.tolist()]

    return Origin((*columns, "row"), find)


def name_below(file: Path, path: Path) -> str:
    """Returns the name of a file relative to the path of the data, so that it does not depend on the machine.

    Args:
        file: A file that matches `path`.
        path: A file, a folder or a glob pattern. Names are relative to the folder, the parent of the file, or the last
            folder before a wildcard.
    """
    parts = path.parts
    wild = next((index for index, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    root = path if path.is_dir() else path.parent if path.exists() else Path(*parts[:wild])
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()
