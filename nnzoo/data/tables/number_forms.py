"""Finding how the numbers of a column are written, from its cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.tables.numbers import (
    ANY_NUMBER,
    MAGNITUDES,
    DecimalSign,
    NumberForm,
    ThousandsSign,
    body_pattern,
    is_currency,
    with_common_signs,
)

_SURE_DECIMAL = re.compile(r"[+-]?(?:\d+[.,](?:\d{1,2}|\d{4,})|0[.,]\d+)", re.ASCII)
"""Thousands have groups of three digits, and the first does not begin with 0."""
_POINT = re.compile(r"[+-]?\d+\.\d+", re.ASCII)
_SAMPLE = 1000
"""So many distinct cells tell that a column has no numbers."""

UsualDecimal = Literal["", ",", ".", "both"]
"""The decimal sign in the clear cells of a file: empty if there is none, "both" if a comma file has both signs.

A decimal comma in a file with commas as delimiters is a quoted cell. It may be a list such as "3,4", so it says nothing
about 1.001 in another column.
"""


class NumberWords(NamedTuple):
    """What the config and the file say about numbers.

    Attributes:
        decimal: The decimal sign, where it is given.
        thousands: The sign between groups of three digits, where it is given.
        delimiter: Between the cells of the file; a semicolon goes with decimal commas.
        usual: The decimal sign in the clear cells of the file.
    """

    decimal: Literal["auto"] | DecimalSign = "auto"
    thousands: Literal["auto"] | ThousandsSign = "auto"
    delimiter: str = ","
    usual: UsualDecimal = ""

    @property
    def expects_commas(self) -> bool:
        """Whether nothing is given, and the file seems to have decimal commas."""
        return self.prefers_comma(self.delimiter == ";") and self.decimal == self.thousands == "auto"

    @property
    def is_sure(self) -> bool:
        """Whether the clear cells of the file have one decimal sign."""
        return self.usual in (",", ".")

    def prefers_comma(self, default: bool) -> bool:
        """Returns whether the file has decimal commas; `default` if its clear cells don't tell."""
        return self.usual == "," if self.is_sure else default

    @property
    def allows_plain(self) -> bool:
        """Whether numbers may be written as in Python."""
        return self.decimal in ("auto", ".") and self.thousands in ("auto", "")


def usual_decimal(rows: Sequence[Collection[str]], delimiter: str) -> UsualDecimal:
    """Returns the decimal sign in the clear cells of a file.

    Args:
        rows: The first rows.
        delimiter: Between their cells.
    """

    def has(pattern: re.Pattern[str], sign: str) -> bool:
        return any(sign in cell and pattern.fullmatch(cell.strip()) is not None for row in rows for cell in row)

    has_comma = has(_SURE_DECIMAL, ",")
    if has_comma and delimiter == ",":
        return "both" if has(_POINT, ".") else ","
    has_point = has(_SURE_DECIMAL, ".")
    return "" if has_comma == has_point else "," if has_comma else "."


class NumberFinding(NamedTuple):
    """The form that fits most cells.

    Attributes:
        form: The form.
        fits: (K,) whether each distinct cell has it.
        doubt: A cell that another form would read as another number; None where the cells leave no doubt.
    """

    form: NumberForm
    fits: NDArray[np.bool_]
    doubt: str | None


def find_number_form(
    labels: Any, counts: NDArray[np.int64], words: NumberWords, share: float, *, padded: bool = False
) -> NumberFinding | None:
    """Finds the form of numbers that most cells have.

    Args:
        labels: A pyarrow.Array of (K,) distinct cells.
        counts: (K,) how many rows have each.
        words: What is known.
        share: The share of rows that must have the form.
        padded: Whether integers may have leading zeros.

    Returns:
        The form; None if fewer rows have it.
    """
    from pyarrow import compute

    if len(labels) > 2 * _SAMPLE:
        some = compute.take(labels, np.linspace(0, len(labels) - 1, _SAMPLE, dtype=np.int64))
        ones = np.ones(len(some), dtype=np.int64)
        if find_number_form(some, ones, words, 0.5 * share, padded=padded) is None:
            return None
    parts = compute.extract_regex(with_common_signs(labels), ANY_NUMBER)
    matched = parts.is_valid().to_numpy(zero_copy_only=False)
    if counts[matched].sum() < share * counts.sum() or not matched.any():
        return None
    weights = np.where(matched, counts, 0)
    prefix = _heaviest(compute.struct_field(parts, "prefix"), weights, among=lambda text: text != "")
    suffixes = compute.utf8_trim_whitespace(compute.struct_field(parts, "suffix"))
    used = {text for text in compute.unique(suffixes).to_pylist() if text}
    magnitudes = bool(used) and used <= set(MAGNITUDES)
    suffix = "" if magnitudes else _heaviest(suffixes, weights, among=lambda _: True)
    if not suffix and not magnitudes:
        suffix = _heaviest(suffixes, weights, among=lambda text: is_currency(text))
    is_money = bool(prefix) or is_currency(suffix)
    decimal, thousands, doubtful = _separators(parts, weights, words, is_money=is_money)
    form = NumberForm(
        decimal=decimal,
        thousands=thousands,
        prefix=prefix,
        suffix=suffix,
        magnitudes=magnitudes,
        padded=padded,
    )
    fits = ~np.isnan(form.read(labels))
    if counts[fits].sum() < share * counts.sum() or not fits.any():
        return None
    doubt = None
    if doubtful:
        has_sign = compute.match_substring_regex(labels, "[.,]").to_numpy(zero_copy_only=False)
        doubt = str(labels[int((fits & has_sign).argmax())].as_py())
    return NumberFinding(form, fits, doubt)


def _separators(
    parts: Any, weights: NDArray[np.int64], words: NumberWords, *, is_money: bool
) -> tuple[DecimalSign, ThousandsSign, bool]:
    """The decimal sign and that of thousands that fit most rows, and whether the opposite reading is likely too.

    It is, if the rest of the file does not tell, or says otherwise than the delimiter and the currency.
    """
    from pyarrow import compute

    bodies = compute.struct_field(parts, "body")
    choices: list[tuple[DecimalSign, ThousandsSign]] = [
        *((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
    ]
    if words.decimal != "auto":
        choices = [choice for choice in choices if choice[0] == words.decimal]
    if words.thousands != "auto":
        choices = [choice for choice in choices if choice[1] == words.thousands] or [choices[0]]
    fit = {}
    for choice in choices:
        found = compute.match_substring_regex(bodies, rf"^(?:{body_pattern(*choice)})(?:[eE][+-]?\d+)?$")
        fit[choice] = int(weights[found.fill_null(False).to_numpy(zero_copy_only=False)].sum())
    best = max(fit.values())
    tied = [choice for choice in choices if fit[choice] == best]

    def has(sign: str) -> bool:
        return bool(compute.any(compute.match_substring(bodies, sign)).as_py())

    if (",", "") in tied and (".", ",") in tied and has(","):
        default = words.delimiter == ";" and not is_money
        is_decimal = words.prefers_comma(default)
        return (*((",", "") if is_decimal else (".", ",")), not words.is_sure or is_decimal != default)
    if (".", "") in tied and (",", ".") in tied and has("."):
        is_grouped = words.prefers_comma(is_money)
        is_open = not words.is_sure and (is_money or words.delimiter == ";")
        return (*((",", ".") if is_grouped else (".", "")), is_open or is_grouped != is_money)
    return (*tied[0], False)


def _heaviest(texts: Any, weights: NDArray[np.int64], among: Callable[[str], bool]) -> str:
    """The text with most weight among those that are asked for; empty where there is none."""
    encoded = texts.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    names = encoded.dictionary.to_pylist()
    totals = np.bincount(codes + 1, weights, minlength=len(names) + 1)[1:]
    chosen = [(total, -index) for index, total in enumerate(totals.tolist()) if total and among(names[index])]
    return str(names[-max(chosen)[1]]) if chosen else ""
