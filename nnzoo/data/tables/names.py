"""What columns are called: by the header, made distinct and complete, or by what is said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from nnzoo.data.tables.numbers import is_number
from nnzoo.errors import DataError


class Names(NamedTuple):
    """The columns' names, from left to right.

    Attributes:
        names: All different.
        unnamed: The positions of columns that the header has no name for: they are called by them.
        renamed: Of columns with the name of another one before them: what they are called.
    """

    names: tuple[str, ...]
    unnamed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()


def header_names(rows: Sequence[Sequence[str]]) -> Names:
    """The names in a header, the first of some rows.

    A column without a name is called by its position, unless all rows lack it too; of several columns with the same
    name, the second one gets `.1` at its end, as in pandas. If every row has one cell more than the header, the first
    column is the one without a name: tables of R are written so.
    """
    first, below = list(rows[0]), rows[1:]
    longest = max(map(len, below), default=len(first))
    while len(first) > max(longest, 1) and not first[-1]:
        first.pop()  # delimiters too many at the end of the header
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


def given_names(size: int, names: tuple[str, ...] | None, shorter: Collection[str], where: str) -> Names:
    """The names of a file without a header, whose targets may be left out where the others are known.

    Raises:
        DataError: Their number is not that of the cells.
    """
    if names is None:
        return Names(tuple(map(str, range(size))))
    without = tuple(name for name in names if name not in shorter)
    if size not in (len(names), len(without)):
        raise DataError(
            f"line 1 has another number of cells than there are names (got {size}; there are {len(names)} names). "
            "The names are of all columns, from left to right.",
            where=where,
        )
    return Names(names if size == len(names) else without)


def is_header_of(
    rows: Sequence[Sequence[str]], names: tuple[str, ...], known: Collection[str], shorter: Collection[str]
) -> bool:
    """Whether the first row holds the names that are given, in any order and with others beside them.

    Args:
        rows: The first rows.
        names: Those given.
        known: Those that are asked for.
        shorter: Those that new data may lack.
    """
    first, below = rows[0], rows[1:]
    if names == tuple(map(str, range(len(names)))):
        # They are positions, and a row may hold the same numbers.
        return tuple(first) in (names, tuple(name for name in names if name not in shorter)) and len(first) > 1
    if set(first) | set(shorter) == set(names) | set(shorter):
        return True
    wanted = set(known) - set(shorter)
    if not wanted or not wanted <= set(first):
        return False
    if len(wanted) == 1 and any(map(is_number, first)):
        return False
    places = [first.index(name) for name in wanted]
    return not any(len(row) > place and row[place] == first[place] for row in below for place in places)
