"""The findings of an examination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["spoils", "warning", "note"]
MAX_NAMED = 10
"""The number of samples that a finding names at most."""


@dataclass(frozen=True)
class Finding:
    """A possible problem that is reported before or after training.

    Attributes:
        severity: `spoils` if it invalidates the result, else `warning` or `note`.
        topic: The subject in one or two words, such as "duplicates" or "dead units".
        message: The problem, and how to fix it.
        samples: The names of some of the affected samples.
    """

    severity: Severity
    topic: str
    message: str
    samples: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns the finding as a JSON object."""
        return {**vars(self), "samples": list(self.samples)}
