"""Number formats compared with `Decimal`: inferred or reported, read exactly, and equal if the numbers are."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nnzoo.data.tables.forms import TEXT, canonical
from nnzoo.data.tables.number_forms import NumberOptions, find_number_form
from nnzoo.data.tables.numbers import PLAIN, DecimalSign, NumberForm, ThousandsSign, is_number, plain_numbers

AMOUNTS = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=4) | st.integers(
    -(10**20), 10**20
).map(Decimal)
SIGNS: st.SearchStrategy[tuple[DecimalSign, ThousandsSign]] = st.sampled_from(
    [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
)
AFFIXES = st.sampled_from([("", ""), ("$", ""), ("", " €"), ("EUR ", ""), ("", "%"), ("", " kg"), ("", "km/h")])


def written(amount: Decimal, decimal: str, thousands: str, affixes: tuple[str, str], *, parentheses: bool) -> str:
    """Returns a number in a format."""
    text = f"{abs(amount):,f}".replace(",", "T").replace(".", decimal).replace("T", thousands)
    text = f"{affixes[0]}{text}{affixes[1]}"
    if amount.is_signed() and amount:
        return f"({text})" if parentheses else f"-{text}"
    return text


@settings(max_examples=200, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=20), SIGNS, AFFIXES, st.booleans(), st.sampled_from([",", ";", "\t"]))
def test_any_amount_is_read_exactly(
    amounts: list[Decimal],
    signs: tuple[DecimalSign, ThousandsSign],
    affixes: tuple[str, str],
    parentheses: bool,
    delimiter: str,
) -> None:
    cells = [written(amount, *signs, affixes, parentheses=parentheses) for amount in amounts]
    expected = [float(amount) for amount in amounts]
    counts = np.ones(len(cells), dtype=np.int64)
    known = find_number_form(pa.array(cells), counts, NumberOptions(*signs, delimiter), 1.0)
    assert known is not None
    assert known.ambiguous_cell is None
    assert known.form.read(pa.array(cells)).tolist() == expected
    found = find_number_form(pa.array(cells), counts, NumberOptions(delimiter=delimiter), 1.0)
    assert found is not None
    values = found.form.read(pa.array(cells)).tolist()
    # A point before three digits is a decimal point without other evidence.
    points = all(cell.count(".") <= 1 for cell in cells) and signs == (",", ".")
    assert values == expected or found.ambiguous_cell is not None or points


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("0123456789.,-+eE%$() ", max_size=8), min_size=1, max_size=5))
def test_the_plain_format_agrees_with_python(cells: list[str]) -> None:
    """The plain format reads a cell as Python does, or not at all."""
    values = PLAIN.read(pa.array(cells)).tolist()
    for cell, value in zip(cells, values, strict=True):
        digits = cell.lstrip("+-")
        if is_number(cell) and not (digits.isdecimal() and len(digits) > 1 and digits[0] == "0"):
            assert value == float(cell)
        elif is_number(cell):
            assert math.isnan(value)  # leading zeros
    whole = plain_numbers(pa.chunked_array([cells]))
    if whole is not None:
        assert whole.tolist() == values


@settings(max_examples=200, deadline=None)
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=2, max_size=8))
def test_spellings_are_equal_if_the_numbers_are(amounts: list[Decimal]) -> None:
    spelled = [str(amount) for amount in amounts] + [f"{amount:E}" for amount in amounts]
    spelled += [f"{amount:+f}" for amount in amounts if abs(amount.adjusted()) < 50]
    keys = canonical(pa.array(spelled), TEXT).to_pylist()
    for first, key in zip(spelled, keys, strict=True):
        for second, other in zip(spelled, keys, strict=True):
            assert (key == other) == (Decimal(first) == Decimal(second))
    assert canonical(pa.array(keys), TEXT).to_pylist() == keys


def test_exponents_of_many_digits_take_no_memory() -> None:
    cells = ["1.5e999999999999999999999", "1.5e-999999999999999999999", "1.5e-99999999", "15e-100000000"]
    keys = canonical(pa.array(cells), TEXT).to_pylist()
    assert [key == other for key in keys for other in keys].count(True) == 6
    assert max(map(len, keys)) < 40


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=20))
def test_texts_are_equal_if_they_are_the_same_or_the_same_number(cells: list[str]) -> None:
    keys = canonical(pa.array(cells), TEXT).to_pylist()
    for first, key in zip(cells, keys, strict=True):
        for second, other in zip(cells, keys, strict=True):
            alike = first == second or (_amount(first) is not None and _amount(first) == _amount(second))
            assert (key == other) == alike


def _amount(cell: str) -> Decimal | None:
    plain = cell.replace("\u2212", "-")
    is_name = plain.isascii() and plain.isdecimal() and len(plain) > 1 and plain[0] == "0"
    return Decimal(plain) if is_number(plain) and not is_name else None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=10), st.sampled_from(["k", "M", "B"]))
def test_magnitudes_multiply_exactly(amounts: list[int], letter: str) -> None:
    cells = [f"{amount / 100:.2f}{letter}" for amount in amounts]
    form = NumberForm(magnitudes=True)
    power = {"k": 3, "M": 6, "B": 9}[letter]
    expected = [float(Decimal(cell[:-1]).scaleb(power)) for cell in cells]
    assert form.read(pa.array(cells)).tolist() == expected
