"""Column names: from the config, or from the header, which is completed and made unique."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from nnzoo.data.tables.numbers import is_number
from nnzoo.errors import DataError


class Names(NamedTuple):
    """Column names, from left to right.

    Attributes:
        names: The unique names.
        unnamed: The names of columns that have none in the header: their positions.
        renamed: The new names of columns whose name already occurs.
    """

    names: tuple[str, ...]
    unnamed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()


def header_names(rows: Sequence[Sequence[str]]) -> Names:
    """Returns the names in a header, which is the first row.

    A column without a name is named by its position. A repeated name gets the suffix `.1`, `.2`, as in pandas. If every
    row has one cell more than the header, the first column has no name, as in tables written by R.
    """
    first, below = list(rows[0]), rows[1:]
    longest = max(map(len, below), default=len(first))
    while len(first) > max(longest, 1) and not first[-1]:
        first.pop()  # extra delimiters at the end of the header
    is_shifted = len(first) > 1 and bool(below) and all(len(row) == len(first) + 1 for row in below)
    if is_shifted and any(row[-1] for row in below):
        first = ["", *first]
    names: list[str] = []
    taken = set(first)
    unnamed, renamed = [], []
    for position, name in enumerate(first):
        found = name or str(position)
        if not name and any(len(row) > position and row[position] for row in below):
            unnamed.append(found)
        count = 0
        while found in names or (found != name and found in taken):
            count += 1
            found = f"{name or position}.{count}"
        if count and name:
            renamed.append(found)
        names.append(found)
    return Names(tuple(names), tuple(unnamed), tuple(renamed))


def given_names(size: int, names: tuple[str, ...] | None, optional: Collection[str], where: str) -> Names:
    """Returns the names for a file without a header. The `optional` columns must be either all present or all absent.

    Raises:
        DataError: The number of names does not match the number of cells in line 1.
    """
    if names is None:
        return Names(tuple(map(str, range(size))))
    without = tuple(name for name in names if name not in optional)
    if size not in (len(names), len(without)):
        raise DataError(
            f"the number of names does not match the number of cells in line 1 (got {size}, expected {len(names)}). "
            "Name all columns, from left to right.",
            where=where,
        )
    return Names(names if size == len(names) else without)


def is_header_of(
    rows: Sequence[Sequence[str]], names: tuple[str, ...], known: Collection[str], optional: Collection[str]
) -> bool:
    """Returns whether the first row contains the configured names, in any order, possibly with others.

    Args:
        rows: The first rows.
        names: The configured names.
        known: Names of required columns.
        optional: Columns that new data may lack.
    """
    first, below = rows[0], rows[1:]
    if names == tuple(map(str, range(len(names)))):
        # The names are positions, and a data row may have the same numbers.
        return tuple(first) in (names, tuple(name for name in names if name not in optional)) and len(first) > 1
    if set(first) | set(optional) == set(names) | set(optional):
        return True
    wanted = set(known) - set(optional)
    if not wanted or not wanted <= set(first):
        return False
    if len(wanted) == 1 and any(map(is_number, first)):
        return False
    places = [first.index(name) for name in wanted]
    return not any(len(row) > place and row[place] == first[place] for row in below for place in places)
