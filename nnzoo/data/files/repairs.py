"""Counts the parts of files that are left out or repaired while reading, and reports them as warnings."""

from __future__ import annotations

from typing import NamedTuple

from nnzoo.errors import DataError


class Repair(NamedTuple):
    """A kind of repair. Its warning reads "3 rows with fewer cells than columns were filled (first: ...). Advice".

    Attributes:
        noun: What was repaired, in the singular: `row`, `class folder`. The plural appends an `s`.
        trait: What is wrong with it, after the noun: `with fewer cells than columns`.
        action: What was done about it, a participle: `left out`, `read as missing`.
        advice: What the user can do, as a full sentence.
    """

    noun: str
    trait: str
    action: str
    advice: str


class Repairs:
    """Collects repairs: the kind, the count, and the first location of each.

    Args:
        strict: Whether a repair is an error.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._found: dict[Repair, tuple[int, str]] = {}

    def add(self, repair: Repair, place: str, count: int = 1) -> None:
        """Counts a repair.

        Args:
            repair: The kind of repair.
            place: The location, such as `data.csv: line 7`; the first one of several.
            count: The number of repairs.
        """
        before, first = self._found.get(repair, (0, place))
        if count:
            self._found[repair] = (before + count, first)

    def add_all(self, other: Repairs) -> None:
        """Adds the repairs that `other` has collected."""
        for repair, (count, first) in other._found.items():
            self.add(repair, first, count)

    def warnings(self) -> tuple[str, ...]:
        """Returns one line per kind of repair, in order of first occurrence.

        Raises:
            DataError: Something was repaired, and `strict` is set. The message consists of the same lines.
        """
        lines = tuple(_line(repair, count, first) for repair, (count, first) in self._found.items())
        if lines and self.strict:
            raise DataError(" ".join((*lines, "This is an error because `strict` is set.")), where="data")
        return lines


def _line(repair: Repair, count: int, first: str) -> str:
    plural, verb = ("s", "were") if count > 1 else ("", "was")
    place = f"first: {first}" if count > 1 else first
    return f"{count} {repair.noun}{plural} {repair.trait} {verb} {repair.action} ({place}). {repair.advice}"
