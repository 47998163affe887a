"""Spellings of numbers, booleans and dates, with their values as `Decimal` and `datetime`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random


@dataclass(frozen=True)
class Spelling:
    """A number format.

    Attributes:
        point: The decimal separator.
        thousands: The thousands separator; empty for none.
        before: The prefix between sign and digits.
        after: The suffix.
    """

    point: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""

    def write(self, value: Decimal) -> str:
        digits = format(abs(value), "f")
        whole, _, fraction = digits.partition(".")
        if self.thousands:
            whole = f"{int(whole):,}".replace(",", self.thousands)
        number = whole + (self.point + fraction if fraction else "")
        return f"{'-' if value < 0 else ''}{self.before}{number}{self.after}"

    def read(self, text: str) -> Decimal:
        kept = text.replace(self.before, "") if self.before else text
        kept = kept.replace(self.after, "") if self.after else kept
        kept = kept.replace(self.thousands, "") if self.thousands else kept
        return Decimal(kept.replace(self.point, ".").strip())


SPELLINGS = {
    "plain": Spelling(),
    "decimal comma": Spelling(point=","),
    "thousands": Spelling(thousands=","),
    "german": Spelling(point=",", thousands="."),
    "swiss": Spelling(thousands="'"),
    "spaces": Spelling(point=",", thousands=" "),
    "hard spaces": Spelling(point=",", thousands="\u00a0"),
    "dollars": Spelling(thousands=",", before="$"),
    "pounds": Spelling(before="£"),
    "euros": Spelling(point=",", thousands=".", after=" €"),
    "percent": Spelling(after="%"),
    "spaced percent": Spelling(after=" %"),
    "unit": Spelling(after=" kg"),
}

EXPONENTS: tuple[Callable[[Decimal], str], ...] = (lambda value: f"{value:e}", lambda value: f"{value:E}")
PLAIN: tuple[Callable[[Decimal], str], ...] = (
    *(lambda value: format(value, "f"), lambda value: format(value, "+f"), lambda value: format(value, "f") + "0"),
    *EXPONENTS,
)
"""Further spellings of a number that `Decimal` and `float` accept."""


def loosely(value: Decimal, random: Random) -> str:
    """Returns a number in a spelling that `Decimal` accepts. A zero is appended only after a point."""
    text = random.choice(PLAIN)(value)
    return text if "." in text or "e" in text.lower() else format(value, "f")


TRUE_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
YES_WORDS = {"yes": True, "Yes": True, "YES": True, "no": False, "No": False, "NO": False}
Y_WORDS = {"y": True, "Y": True, "n": False, "N": False}
T_WORDS = {"t": True, "T": True, "f": False, "F": False}
BOOLEANS = {"true": TRUE_WORDS, "yes": YES_WORDS, "y": Y_WORDS, "t": T_WORDS}
BOOLEANS["all"] = TRUE_WORDS | YES_WORDS | {"on": True, "off": False, "1": True, "0": False}
"""Booleans by style. Single letters need the other letter of their pair."""


@dataclass(frozen=True)
class DateForm:
    """A date format.

    Attributes:
        form: A `strftime` format.
        resolution: The resolution in seconds.
        order: The value of `date_order` if the order may be ambiguous; otherwise empty.
    """

    form: str
    resolution: int = 86400
    order: str = ""

    def write(self, date: datetime) -> str:
        return date.strftime(self.form)

    def read(self, text: str) -> datetime:
        return datetime.strptime(text, self.form)


DATE_FORMS = {
    "iso": DateForm("%Y-%m-%d"),
    "iso minutes": DateForm("%Y-%m-%d %H:%M", 60),
    "iso seconds": DateForm("%Y-%m-%dT%H:%M:%S", 60),
    "iso fraction and zone": DateForm("%Y-%m-%dT%H:%M:%S.000Z", 60),
    "slashes": DateForm("%Y/%m/%d"),
    "european": DateForm("%d.%m.%Y", order="dmy"),
    "british": DateForm("%d/%m/%Y", order="dmy"),
    "american": DateForm("%m/%d/%Y", order="mdy"),
    "american clock": DateForm("%m/%d/%Y %I:%M %p", 60, "mdy"),
    "compact": DateForm("%Y%m%d"),
    "month name": DateForm("%B %d, %Y"),
    "short month": DateForm("%d %b %Y"),
    "dashed month": DateForm("%d-%b-%Y"),
}

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?", "#N/A", "<NA>")
