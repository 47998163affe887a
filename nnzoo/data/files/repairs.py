"""Counts what a source left out or repaired while it read files, so that nothing of it stays unsaid."""

from __future__ import annotations

from typing import NamedTuple

from nnzoo.errors import DataError


class Repair(NamedTuple):
    """One kind of repair. Its warning reads "3 rows with fewer cells than the header were filled (first: ..). Advice".

    Attributes:
        noun: What was repaired, in the singular: `row`, `class folder`. The plural has an `s`.
        trait: What is wrong with it, after the noun: `with fewer cells than the header`.
        action: What was done about it, a participle: `left out`, `read as missing`.
        advice: What the user may do: a full sentence.
    """

    noun: str
    trait: str
    action: str
    advice: str


class Repairs:
    """Collects the repairs of one source: the kind, the count, and the first place of each.

    Args:
        strict: Whether a repair is an error.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._found: dict[Repair, tuple[int, str]] = {}

    def add(self, repair: Repair, place: str, count: int = 1) -> None:
        """Counts a repair.

        Args:
            repair: Its kind.
            place: Where it was done, such as `data.csv: line 7`; of several, the first one.
            count: How many times.
        """
        before, first = self._found.get(repair, (0, place))
        if count:
            self._found[repair] = (before + count, first)

    def add_all(self, other: Repairs) -> None:
        """Counts what another collector has."""
        for repair, (count, first) in other._found.items():
            self.add(repair, first, count)

    def warnings(self) -> tuple[str, ...]:
        """One line per kind of repair, in the order in which they were first found.

        Raises:
            DataError: Something was repaired, and `strict` is set; the message has the same lines.
        """
        lines = tuple(_line(repair, count, first) for repair, (count, first) in self._found.items())
        if lines and self.strict:
            raise DataError(" ".join((*lines, "This is an error because `strict` is set.")), where="data")
        return lines


def _line(repair: Repair, count: int, first: str) -> str:
    plural, verb = ("s", "were") if count > 1 else ("", "was")
    place = f"first: {first}" if count > 1 else first
    return f"{count} {repair.noun}{plural} {repair.trait} {verb} {repair.action} ({place}). {repair.advice}"
