"""The findings of an examination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["spoils", "warning", "note"]
Confidence = Literal["certain", "likely", "possible"]
MAX_NAMED = 10
"""The number of samples that a finding names at most."""


@dataclass(frozen=True)
class Finding:
    """A possible problem that is reported before or after training.

    Attributes:
        severity: `spoils` if it invalidates the result, else `warning` or `note`.
        topic: The subject in a few words, such as "duplicates" or "dead units"; `illnesses.MEANINGS` has them all.
        message: The evidence, the cause in one sentence, and what to do.
        samples: The names of some of the affected samples.
        fix: Config overrides that fix the cause, as on the command line; empty if no config can fix it.
        confidence: How sure the cause is.
        evidence: Symptoms of this cause that are not findings of their own.
        gain: By how much a short training with the fix is better than the run, as a share of the way from the baseline
            to a perfect score; 0 if it was not tried. Findings are ranked by it.
    """

    severity: Severity
    topic: str
    message: str
    samples: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    confidence: Confidence = "likely"
    evidence: tuple[str, ...] = ()
    gain: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Returns the finding as a JSON object."""
        lists = {name: list(getattr(self, name)) for name in ("samples", "fix", "evidence")}
        return {**{name: value for name, value in vars(self).items() if name != "gain"}, **lists}
