"""Number formats of columns, and exact parsing.

A number may have a sign, parentheses that represent a minus, a currency, a unit, thousands separators, a decimal
separator and an exponent. All cells of a column have the same format.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

DecimalSign = Literal[".", ","]
ThousandsSign = Literal["", ",", ".", " ", "'"]

_SIGNS = {" ": "\u00a0\u2007\u2009\u202f", "-": "\u2212\u2012\u2013\ufe63\uff0d", "'": "\u2019\u2018\u02bc\u00b4`"}
"""Maps ASCII characters to their Unicode variants."""

_CODES = (
    "USD EUR GBP JPY CHF CNY RMB INR AUD CAD NZD HKD SGD SEK NOK DKK PLN CZK HUF RON BGN RUB UAH TRY BRL MXN ARS CLP "
    "COP PEN ZAR NGN KES EGP ILS AED SAR KRW TWD THB IDR MYR PHP VND PKR BTC"
)
_CURRENCY = rf"(?i:(?:US|AU|CA|NZ|HK|SG|A|C|R|S)?\$|[€£¥₹₽₩₪₫₱₺₴₦฿₿]|{'|'.join(_CODES.split())}|Rs\.?|kr\.?|zł|Kč|Fr\.)"
_UNIT = r"[A-Za-zÀ-ɏͰ-ϿЀ-ӿ一-鿿%‰°µ″′$€£¥₹₽₩₪₫₱₺₴₦฿₿][^()\d]{0,15}[23]?"
ANY_NUMBER = (
    rf"^(?P<open>\(?) ?(?P<a>[+-]?) ?(?P<prefix>(?:{_CURRENCY})?) ?(?P<b>[+-]?) ?"
    r"(?P<body>[.,]?\d(?:[\d., ']*\d)?[.,]?(?:[eE][+-]?\d+)?)"
    rf" ?(?P<suffix>(?:{_UNIT})?)(?P<close>\)?)$"
)
MAGNITUDES = {"": 0, "k": 3, "K": 3, "M": 6, "mn": 6, "B": 9, "bn": 9, "T": 12}
_CASE_MATTERS = re.compile(r".$|[mM][A-Z]")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_PADDED = r"^0\d+$"
_LOOKS_LIKE_ONE = re.compile(ANY_NUMBER.replace(f"(?:{_UNIT})?", f"(?:%|{_CURRENCY})?"), re.ASCII)


class NumberForm(BaseModel):
    """The number format of a column.

    Attributes:
        decimal: The decimal separator.
        thousands: The thousands separator; a space matches spaces of every width.
        prefix: The currency before a number.
        suffix: The currency, percent sign or unit after a number.
        magnitudes: Whether letters such as k and M multiply the number.
        padded: Whether integers may have leading zeros. In other columns they are categories, such as 00501.
        words: Whether true and false are read as 1 and 0, because the training rows contain no other numbers.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: Literal["number"] = "number"
    decimal: DecimalSign = "."
    thousands: ThousandsSign = ""
    prefix: str = Field("", max_length=20)
    suffix: str = Field("", max_length=20)
    magnitudes: bool = False
    padded: bool = False
    words: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether numbers have Python's format."""
        return self.describe() == ""

    def describe(self) -> str:
        """Returns a readable description; empty for plain numbers."""
        thousands = {"": "", " ": "thousands with spaces", "'": "thousands with '"}
        return ", ".join(
            part
            for part in (
                "decimal comma" if self.decimal == "," else "",
                thousands.get(self.thousands, f"thousands with '{self.thousands}'"),
                self.prefix,
                "percent" if self.suffix == "%" else self.suffix,
                "k, M and B multiply" if self.magnitudes else "",
            )
            if part
        )

    @property
    def _bodies(self) -> str:
        """The pattern of the digits. Unambiguous thousands separators are allowed even if no training row has them."""
        found = [body_pattern(self.decimal, self.thousands)]
        if not self.thousands:
            found += [body_pattern(self.decimal, " "), body_pattern(self.decimal, "'")]
            found.append(body_pattern(",", ".") if self.decimal == "," else r"[1-9]\d{0,2}(?:,\d{3})+\.\d+")
        return "|".join(found)

    @cached_property
    def pattern(self) -> str:
        """The regular expression for a cell, with the groups open, a, b, body, magnitude and close."""
        exponent = "" if self.magnitudes else r"(?:[eE][+-]?\d+)?"
        magnitude = "(?:k|K|M|mn|B|bn|T)?" if self.magnitudes else ""
        return (
            rf"^(?P<open>\(?) ?(?P<a>[+-]?) ?{_affix(self.prefix)} ?(?P<b>[+-]?) ?"
            rf"(?P<body>(?:{self._bodies}){exponent})"
            rf" ?(?P<magnitude>{magnitude}) ?{_affix(self.suffix)} ?(?P<close>\)?)$"
        )

    def plain_texts(self, labels: Any) -> Any:
        """Returns the exact numbers in Python's format.

        Args:
            labels: A pyarrow.Array of (K,) strings.

        Returns:
            A pyarrow.Array of (K,) strings, null if a cell does not match.
        """
        import pyarrow as pa
        from pyarrow import compute

        parts = compute.extract_regex(with_common_signs(labels), self.pattern)
        opening, a, b, body, magnitude, close = (
            compute.struct_field(parts, name) for name in ("open", "a", "b", "body", "magnitude", "close")
        )
        closes = compute.equal(compute.equal(opening, "("), compute.equal(close, ")"))
        one_sign = compute.or_(compute.equal(a, ""), compute.equal(b, ""))
        fits = compute.and_(compute.and_(parts.is_valid(), closes), one_sign)
        if not self.padded:
            fits = compute.and_(fits, compute.invert(compute.match_substring_regex(body, _PADDED)))
        for sign in self.thousands or (" ", "'", "," if self.decimal == "." else "."):
            body = compute.replace_substring(body, sign, "")
        if self.decimal == ",":
            body = compute.replace_substring(body, ",", ".")
        negative = compute.or_(compute.equal(opening, "("), compute.or_(compute.equal(a, "-"), compute.equal(b, "-")))
        pieces = [compute.if_else(negative, "-", ""), body]
        if self.magnitudes:
            exponents = pa.array([f"e{power}" if power else "" for power in MAGNITUDES.values()])
            places = compute.index_in(magnitude, value_set=pa.array(list(MAGNITUDES)))
            pieces.append(compute.take(exponents, places))
        return compute.if_else(fits, compute.binary_join_element_wise(*pieces, ""), pa.scalar(None, pa.string()))

    def read(self, labels: Any) -> NDArray[np.float64]:
        """Returns the nearest float64 per cell, (K,); NaN if it does not match or is not finite."""
        import pyarrow as pa

        values: NDArray[np.float64] = self.plain_texts(labels).cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.where(np.isinf(values), np.nan, values)


PLAIN = NumberForm()


def is_number(text: str) -> bool:
    """Returns whether a cell is a finite decimal number: digits, a point, an exponent."""
    return _PLAIN.fullmatch(text) is not None and abs(float(text)) != float("inf")


def may_be_number(text: str) -> bool:
    """Returns whether a cell looks like a number in some format: 1,5 or 1,234 or 12% or $3."""
    for sign, others in _SIGNS.items():
        text = text.translate(dict.fromkeys(map(ord, others), sign))
    return _LOOKS_LIKE_ONE.fullmatch(text) is not None


def plain_numbers(values: Any) -> NDArray[np.float64] | None:
    """Returns the numbers of a column in Python's format. Fast.

    Args:
        values: A pyarrow.ChunkedArray of (N,) strings.

    Returns:
        (N,) float64, NaN for a missing value; None if a cell is not a plain number or has leading zeros.
    """
    import pyarrow as pa
    from pyarrow import compute

    try:
        numbers: NDArray[np.float64] = values.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    has_words = np.isinf(numbers).any() or int(np.isnan(numbers).sum()) > values.null_count  # inf, nan
    is_padded = compute.any(compute.match_substring_regex(values, _PADDED)).as_py()
    return None if has_words or is_padded else numbers


def body_pattern(decimal: DecimalSign, thousands: ThousandsSign) -> str:
    sign, group = re.escape(decimal), re.escape(thousands)
    integer = r"\d+"
    if thousands:
        integer += rf"|[1-9]\d{{0,2}}(?:{group}\d{{3}})+"
    if thousands == ",":
        integer += r"|[1-9]\d?(?:,\d{2})+,\d{3}"  # lakh and crore
    return rf"(?:(?:{integer})(?:{sign}\d*)?|{sign}\d+)"


def _affix(text: str) -> str:
    """Returns the pattern of a prefix or suffix. Only currencies are optional, since units change the number."""
    if not text:
        return ""
    if is_currency(text):
        return rf"(?i:{re.escape(text)})?"
    return re.escape(text) if _CASE_MATTERS.match(text) else rf"(?i:{re.escape(text)})"


def is_currency(text: str) -> bool:
    return re.fullmatch(_CURRENCY, text) is not None


def currency_spelling(text: str) -> tuple[str, ...]:
    """Returns how the letters of a currency are usually written."""
    return tuple(each for each in (*_CODES.split(), "Rs", "kr", "zł", "Kč") if each.lower() == text.lower())


def with_common_signs(labels: Any) -> Any:
    """Replaces Unicode minus signs, spaces and apostrophes by their ASCII variants."""
    from pyarrow import compute

    if compute.all(compute.string_is_ascii(labels)).as_py():
        return compute.replace_substring(labels, "`", "'")
    for sign, others in _SIGNS.items():
        labels = compute.replace_substring_regex(labels, f"[{others}]", sign)
    return labels


def canonical_numbers(texts: Any) -> Any:
    """Returns canonical spellings of plain numbers, which are the same for 1, 1.0, +1 and 1e0.

    Args:
        texts: A pyarrow.Array of (K,) plain numbers, or null.
    """
    import pyarrow as pa
    from pyarrow import compute

    steps = (
        (r"^\+", ""),
        (r"^(-?)0+(\d)", r"\1\2"),
        (r"^(-?\d*\.\d*?)0+$", r"\1"),
        (r"\.$", ""),
        (r"^(-?)\.", r"\10."),
        (r"^-?(?:0?\.?)$", "0"),
    )
    plain = texts
    for old, new in steps:
        plain = compute.replace_substring_regex(plain, old, new)
    scientific = compute.match_substring_regex(texts, "[eE]").fill_null(False)
    if not compute.any(scientific).as_py():
        return plain
    written = compute.filter(texts, scientific).to_pylist()
    return compute.replace_with_mask(plain, scientific, pa.array(map(_canonical, written), pa.string()))


_MOST_DIGITS = 400
"""Larger exponents are kept, since writing the digits out would fill the memory."""


def _canonical(text: str) -> str:
    """Returns the canonical spelling of a number with an exponent, which is kept if there would be too many digits."""
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:  # an exponent of many digits
        return text
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).lstrip("0")
    if not shown:
        return "0"
    kept = shown.rstrip("0")
    exponent += len(shown) - len(kept)
    if exponent > _MOST_DIGITS or exponent < -_MOST_DIGITS:
        body = f"{kept}e{exponent}"
    elif exponent >= 0:
        body = kept + "0" * exponent
    else:
        padded = kept.rjust(1 - exponent, "0")
        body = f"{padded[:exponent]}.{padded[exponent:]}"
    return f"-{body}" if sign else body
