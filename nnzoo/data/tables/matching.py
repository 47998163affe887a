"""Finds the cells that `missing` and `replace` list: equal texts, and equal numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nnzoo.data.tables.numbers import PLAIN, NumberForm, canonical_numbers


def match_cells(cells: Any, listed: Sequence[str], form: NumberForm, *, only_integers: bool = False) -> Any:
    """Finds the listed cell that each cell equals: the same text, otherwise the same number, such as -999 and -999.0.

    Args:
        cells: A pyarrow.ChunkedArray of (N,) strings.
        listed: The listed cells. Numbers have Python's format.
        form: The number format of the cells.
        only_integers: Whether only integers are compared as numbers.

    Returns:
        A pyarrow array of (N,) int32 indices into `listed`, null if a cell equals none of them.
    """
    import pyarrow as pa
    from pyarrow import compute

    found = compute.index_in(cells, value_set=pa.array(listed, pa.string()))
    numbers = canonical_numbers(PLAIN.plain_texts(pa.array(listed, pa.string()))).to_pylist()
    index = {number: place for place, number in reversed([*enumerate(numbers)]) if number is not None}
    index = {number: place for number, place in index.items() if not only_integers or "." not in number}
    if not index:
        return found
    # Comparing the digits first is much faster than parsing all cells.
    digits = {"".join(re.findall("[1-9]", number)) for number in index}
    pattern = "|".join("[0.,]*".join(["", *each, ""]) for each in digits)
    may_equal = compute.match_substring_regex(cells, rf"^[+-]?(?:{pattern})(?:[eE][+-]?\d+)?$")
    may_equal = compute.and_(may_equal, found.is_null()).fill_null(False)
    if not compute.any(may_equal).as_py():
        return found
    names = canonical_numbers(form.plain_texts(cells.filter(may_equal).combine_chunks()))
    by_number = compute.index_in(names, value_set=pa.array(list(index), pa.string()))
    places = compute.take(pa.array(index.values(), pa.int32()), by_number)
    return compute.replace_with_mask(found.combine_chunks(), may_equal.combine_chunks(), places)
