"""Infers the number format of a column from its cells."""

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
"""Cells that can't have a thousands separator: groups have three digits, and the first one does not begin with 0."""
_SAMPLE = 1000
"""Distinct cells that are tested first, to reject columns of text early."""
_POINT = re.compile(r"[+-]?\d+\.\d+", re.ASCII)

UsualDecimal = Literal["", ",", ".", "both"]
"""The decimal separator of unambiguous cells of a file: empty if there are none, "both" in a comma-delimited file.

In a comma-delimited file, a cell with a comma is quoted. It may be a list such as "3,4", which is no evidence about
1.001 in another column.
"""


class NumberOptions(NamedTuple):
    """Hints for the number format, from the config and the file.

    Attributes:
        decimal: The configured decimal separator.
        thousands: The configured thousands separator.
        delimiter: The delimiter of the file. A semicolon suggests decimal commas.
        usual: The decimal separator of unambiguous cells in the whole file.
    """

    decimal: Literal["auto"] | DecimalSign = "auto"
    thousands: Literal["auto"] | ThousandsSign = "auto"
    delimiter: str = ","
    usual: UsualDecimal = ""

    @property
    def expects_commas(self) -> bool:
        """Whether no sign is configured and the file seems to have decimal commas."""
        return self.prefers_comma(self.delimiter == ";") and self.decimal == self.thousands == "auto"

    @property
    def has_evidence(self) -> bool:
        """Whether the unambiguous cells of the file have one decimal separator."""
        return self.usual in (",", ".")

    def prefers_comma(self, default: bool) -> bool:
        """Returns whether the file has decimal commas; `default` if no unambiguous cell shows it."""
        return self.usual == "," if self.has_evidence else default

    @property
    def allows_plain(self) -> bool:
        """Whether numbers may have Python's format."""
        return self.decimal in ("auto", ".") and self.thousands in ("auto", "")


def usual_decimal(rows: Sequence[Collection[str]], delimiter: str) -> UsualDecimal:
    """Returns the decimal separator of the unambiguous cells of a file.

    Args:
        rows: The first rows.
        delimiter: The delimiter of the file.
    """

    def has(pattern: re.Pattern[str], sign: str) -> bool:
        return any(sign in cell and pattern.fullmatch(cell.strip()) is not None for row in rows for cell in row)

    has_comma = has(_SURE_DECIMAL, ",")
    if has_comma and delimiter == ",":
        return "both" if has(_POINT, ".") else ","
    has_point = has(_SURE_DECIMAL, ".")
    return "" if has_comma == has_point else "," if has_comma else "."


class NumberFinding(NamedTuple):
    """The number format that fits most cells.

    Attributes:
        form: The format.
        fits: (K,) whether each distinct cell matches it.
        ambiguous_cell: A cell that a different format would read as a different number; None if there is no such cell.
    """

    form: NumberForm
    fits: NDArray[np.bool_]
    ambiguous_cell: str | None


def find_number_form(
    labels: Any, counts: NDArray[np.int64], options: NumberOptions, share: float, *, padded: bool = False
) -> NumberFinding | None:
    """Finds the number format that most cells match.

    Args:
        labels: A pyarrow.Array of (K,) distinct cells.
        counts: (K,) the number of rows per distinct cell.
        options: Hints for the format.
        share: The minimum fraction of rows that must match.
        padded: Whether integers may have leading zeros.

    Returns:
        The format; None if fewer rows match.
    """
    from pyarrow import compute

    if len(labels) > 2 * _SAMPLE:
        some = compute.take(labels, np.linspace(0, len(labels) - 1, _SAMPLE, dtype=np.int64))
        ones = np.ones(len(some), dtype=np.int64)
        if find_number_form(some, ones, options, 0.5 * share, padded=padded) is None:
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
    decimal, thousands, is_ambiguous = _separators(parts, weights, options, is_money=is_money)
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
    ambiguous_cell = None
    if is_ambiguous:
        has_sign = compute.match_substring_regex(labels, "[.,]").to_numpy(zero_copy_only=False)
        ambiguous_cell = str(labels[int((fits & has_sign).argmax())].as_py())
    return NumberFinding(form, fits, ambiguous_cell)


def _separators(
    parts: Any, weights: NDArray[np.int64], options: NumberOptions, *, is_money: bool
) -> tuple[DecimalSign, ThousandsSign, bool]:
    """Returns the decimal and thousands separators that fit most rows, and whether they could be swapped.

    They could be swapped if no unambiguous cell shows the decimal separator, or if such cells contradict the delimiter
    and the currency.
    """
    from pyarrow import compute

    bodies = compute.struct_field(parts, "body")
    choices: list[tuple[DecimalSign, ThousandsSign]] = [
        *((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
    ]
    if options.decimal != "auto":
        choices = [choice for choice in choices if choice[0] == options.decimal]
    if options.thousands != "auto":
        choices = [choice for choice in choices if choice[1] == options.thousands] or [choices[0]]
    fit = {}
    for choice in choices:
        found = compute.match_substring_regex(bodies, rf"^(?:{body_pattern(*choice)})(?:[eE][+-]?\d+)?$")
        fit[choice] = int(weights[found.fill_null(False).to_numpy(zero_copy_only=False)].sum())
    best = max(fit.values())
    tied = [choice for choice in choices if fit[choice] == best]

    def has(sign: str) -> bool:
        return bool(compute.any(compute.match_substring(bodies, sign)).as_py())

    if (",", "") in tied and (".", ",") in tied and has(","):
        default = options.delimiter == ";" and not is_money
        is_decimal = options.prefers_comma(default)
        return (*((",", "") if is_decimal else (".", ",")), not options.has_evidence or is_decimal != default)
    if (".", "") in tied and (",", ".") in tied and has("."):
        is_grouped = options.prefers_comma(is_money)
        is_ambiguous = not options.has_evidence and (is_money or options.delimiter == ";")
        return (*((",", ".") if is_grouped else (".", "")), is_ambiguous or is_grouped != is_money)
    return (*tied[0], False)


def _heaviest(texts: Any, weights: NDArray[np.int64], among: Callable[[str], bool]) -> str:
    """Returns the text with the largest total weight for which `among` is true; empty if there is none."""
    encoded = texts.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    names = encoded.dictionary.to_pylist()
    totals = np.bincount(codes + 1, weights, minlength=len(names) + 1)[1:]
    chosen = [(total, -index) for index, total in enumerate(totals.tolist()) if total and among(names[index])]
    return str(names[-max(chosen)[1]]) if chosen else ""
