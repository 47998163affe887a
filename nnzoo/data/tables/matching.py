"""Finding the cells that `missing` and `replace` mean: by their text, and by their number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nnzoo.data.tables.numbers import PLAIN, NumberForm, canonical_numbers


def find_words(cells: Any, words: Sequence[str], form: NumberForm, *, integers: bool = False) -> Any:
    """Finds which word each cell is: the same text, or else the same number, such as -999 and -999.0.

    Args:
        cells: A pyarrow.ChunkedArray of (N,) strings.
        words: Texts, some of which may be numbers as Python writes them.
        form: How numbers are written in the cells.
        integers: Whether only integers are found by their number.

    Returns:
        A pyarrow.ChunkedArray of (N,) int32 indices into the words, null where a cell is none of them.
    """
    import pyarrow as pa
    from pyarrow import compute

    found = compute.index_in(cells, value_set=pa.array(words, pa.string()))
    numbers = canonical_numbers(PLAIN.plain_texts(pa.array(words, pa.string()))).to_pylist()
    places = {each: index for index, each in reversed([*enumerate(numbers)]) if each is not None}
    places = {each: index for each, index in places.items() if not integers or "." not in each}
    if not places:
        return found
    # Most cells are other numbers, which this tells sooner than reading them.
    digits = {"".join(re.findall("[1-9]", each)) for each in places}
    pattern = "|".join("[0.,]*".join(["", *each, ""]) or "[0.,]+" for each in digits)
    may_be = compute.match_substring_regex(cells, rf"^[+-]?(?:{pattern})(?:[eE][+-]?\d+)?$")
    may_be = compute.and_(may_be, found.is_null()).fill_null(False)
    if not compute.any(may_be).as_py():
        return found
    some = cells.filter(may_be).combine_chunks()
    names = canonical_numbers(form.plain_texts(some))
    by_number = compute.index_in(names, value_set=pa.array(list(places), pa.string()))
    indices = compute.take(pa.array(places.values(), pa.int32()), by_number)
    return compute.replace_with_mask(found.combine_chunks(), may_be.combine_chunks(), indices)
