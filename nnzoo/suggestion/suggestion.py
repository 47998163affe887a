"""A suggested config, with what was found in the data and why each value was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nnzoo.errors import UsageError

MAX_LISTED = 8
"""The maximum number of names that a message lists."""


@dataclass
class Suggestion:
    """A suggested config.

    Attributes:
        kind: The data source.
        config: The config as plain values, with paths relative to the current folder.
        reasons: Why each value was chosen, by dotted key.
        found: What the data contains, one line each.
        warnings: Probable problems of the data, one line each.
        notes: Decisions that the user should know, one line each.
        task: The task in a few words, for the screen.
    """

    kind: str
    config: dict[str, Any]
    reasons: dict[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    task: str = ""

    def set(self, key: str, value: Any, reason: str = "") -> None:
        """Sets a value by its dotted key, with the reason for it."""
        *sections, last = key.split(".")
        section = self.config
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
        if reason:
            self.reasons[key] = reason

    def summary(self) -> str:
        """Returns the kind of data and the task for the screen."""
        size = self.found[0] if self.found else self.kind
        return f"{size}; {self.task}"

    def as_dict(self) -> dict[str, Any]:
        """Returns the suggestion for `--json`."""
        return {
            "kind": self.kind,
            "task": self.task,
            "config": self.config,
            "found": self.found,
            "reasons": self.reasons,
            "notes": self.notes,
            "warnings": self.warnings,
        }


class TargetError(UsageError):
    """The target is missing or can't be determined.

    Attributes:
        result: The candidates, for `--json`.
    """

    def __init__(self, message: str, *, where: str, candidates: Sequence[dict[str, Any]]) -> None:
        super().__init__(message, where=where)
        self.result = {"candidates": [*candidates]}


def listed(names: Sequence[str], most: int = MAX_LISTED) -> str:
    """Returns names for a message, the first ones if there are many."""
    shown = ", ".join(map(printable, names[:most]))
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown


def printable(text: str) -> str:
    """Returns a text from the data on one line, shortened, for comments and messages."""
    line = text if text.isprintable() and text == text.strip() and text else repr(text)
    return line if len(line) <= 60 else f"{line[:57]}..."


def percent(share: float) -> str:
    """Returns a share for comments: `24.1 %`."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.3g} %"


def plural(count: int, noun: str) -> str:
    """Returns a count with its noun: `1 row`, `1,234 rows`."""
    end = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{end}"
