"""Cell formats, and the rule that decides whether two cells of a column are equal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nnzoo.data.dates.dates import DateForm
from nnzoo.data.tables.numbers import PLAIN, NumberForm, canonical_numbers

_PAIRS = (("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"))
_VALUES = {word: float(index == 0) for pair in _PAIRS for index, word in enumerate(pair)}
_HEXADECIMAL = r"^\d+[eE]\d+$"
_FAMILIES = ({"true", "false", "t", "f"}, {"yes", "no", "y", "n"})


class TextForm(BaseModel):
    """Categories: equal if they are the same number in any spelling, or the same text.

    Cells such as 0e12 are text: as numbers, the hexadecimal ids 0e12 and 0e34 would be equal.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: Literal["text"] = "text"

    def describe(self) -> str:
        """Returns an empty description."""
        return ""


class BooleanForm(BaseModel):
    """True and false, yes and no, on and off, 1 and 0, in upper or lower case."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: Literal["boolean"] = "boolean"

    def describe(self) -> str:
        """Returns an empty description."""
        return ""


Form = Annotated[TextForm | BooleanForm | NumberForm | DateForm, Field(discriminator="kind")]

_MOST_WORDS = 20
"""The maximum number of distinct cells in a column of booleans."""

TEXT = TextForm()
BOOLEAN = BooleanForm()


def are_booleans(labels: Collection[str], numbers: NDArray[np.float64]) -> bool:
    """Returns whether distinct cells are booleans, with both true and false.

    Single letters are booleans only with the other letter of their pair: y and n, but not y and t.

    Args:
        labels: (K,) the cells.
        numbers: (K,) the cells as numbers, NaN for text.
    """
    words = {label.lower() for label, number in zip(labels, numbers.tolist(), strict=True) if number not in (0, 1)}
    if not words <= set(_VALUES):
        return False
    letters = {word for word in words if len(word) == 1}
    if letters and not any(words <= family for family in _FAMILIES):
        return False
    values = {_VALUES[word] for word in words} | set(numbers[~np.isnan(numbers)].tolist())
    return values == {0.0, 1.0}


def names_form(labels: Any) -> TextForm | BooleanForm:
    """Returns the format of categories: booleans if both true and false occur, otherwise text.

    Args:
        labels: A pyarrow.Array of (K,) distinct strings.
    """
    is_few = len(labels) <= _MOST_WORDS
    return BOOLEAN if is_few and are_booleans(labels.to_pylist(), PLAIN.read(labels)) else TEXT


def boolean_values(labels: Any) -> NDArray[np.float64]:
    """Returns (K,) values: 1 for true, 0 for false, and -1 for all others.

    Args:
        labels: A pyarrow.Array of (K,) strings.
    """
    import pyarrow as pa
    from pyarrow import compute

    found = compute.index_in(compute.utf8_lower(labels), value_set=pa.array(list(_VALUES)))
    words = np.array([*_VALUES.values(), -1.0])[found.fill_null(-1).to_numpy(zero_copy_only=False)]
    numbers = PLAIN.read(labels)
    return np.where((numbers == 0) | (numbers == 1), numbers, words)


def canonical(labels: Any, form: Form) -> Any:
    """Returns canonical spellings, which are the same for equal cells and differ for others.

    Numbers are compared exactly, including integers of any size. Digits with leading zeros are text.

    Args:
        labels: A pyarrow.Array of (K,) strings.
        form: The format of the column.

    Returns:
        A pyarrow.Array of (K,) strings.
    """
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(form, BooleanForm):
        names = pa.array(["false", "true", None])
        found = compute.take(names, pa.array(boolean_values(labels).astype(np.int64) % 3))
    elif isinstance(form, NumberForm):
        found = canonical_numbers(form.plain_texts(labels))
    elif isinstance(form, DateForm):
        found = form.canonical(labels)
    else:
        numbers = canonical_numbers(PLAIN.plain_texts(labels))
        is_text = compute.match_substring_regex(labels, _HEXADECIMAL)
        return compute.if_else(is_text, labels, compute.coalesce(numbers, labels))
    unfit = compute.binary_join_element_wise("\0", labels, "")  # such as 5 beside 5 kg
    return compute.coalesce(found, unfit)


def label_keys(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns canonical names for comparing the labels of two datasets: 1 equals 1.0, and yes equals True.

    Args:
        labels: The distinct classes of one dataset.
    """
    import pyarrow as pa

    cells = pa.array(labels, pa.string())
    form = BOOLEAN if are_booleans(labels, PLAIN.read(cells)) else TEXT
    keys = tuple(canonical(cells, form).to_pylist())
    return keys if len(set(keys)) == len(labels) else tuple(labels)
