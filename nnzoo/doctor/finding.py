"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["spoils", "warning", "note"]
MAX_NAMED = 10
"""Samples that a finding names."""


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing before or after training.

    Attributes:
        severity: `spoils` the result, is a `warning`, or a `note`.
        topic: What it is about, in a word or two: "duplicates", "dead units".
        message: What was found, and what to do about it.
        samples: Some of the samples that it is about.
    """

    severity: Severity
    topic: str
    message: str
    samples: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "samples": list(self.samples)}
