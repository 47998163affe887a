"""Decides whether a fix helps, from the scores of the same seeds with and without it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Score = float | None
"""A score; None if the training diverged or has no score."""

MOST = 0.8
"""The share of the seeds that must be better by more than the spread: 4 of 5."""
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Pairs:
    """The scores of the same seeds without and with a fix.

    Attributes:
        mode: Whether a lower or a higher score is better.
        before: The scores of the unchanged config, one per seed.
        after: The scores with the fix.
    """

    mode: Literal["min", "max"]
    before: Sequence[Score]
    after: Sequence[Score]

    def gains(self) -> list[float]:
        """Returns by how much each seed is better: infinite if only the unchanged config diverged."""
        return [self._gain(before, after) for before, after in zip(self.before, self.after, strict=True)]

    def _gain(self, before: Score, after: Score) -> float:
        if before is None or after is None:
            return 0.0 if before is after else math.inf if before is None else -math.inf
        return after - before if self.mode == "max" else before - after

    @property
    def better(self) -> int:
        """The number of seeds with a better score."""
        return sum(gain > 0 for gain in self.gains())

    @property
    def spread(self) -> float:
        """The smaller of the two standard deviations over the seeds, of those that are not 0."""
        deviations = [deviation(scores) for scores in (self.before, self.after)]
        return min((each for each in deviations if each > 0), default=0.0)

    def helps(self) -> bool:
        """Returns whether at least four of five seeds are better by more than the spread."""
        gains = self.gains()
        clear = sum(gain > self.spread for gain in gains)
        return len(gains) >= FEWEST_SEEDS and clear >= MOST * len(gains)


def deviation(scores: Sequence[Score]) -> float:
    """Returns the standard deviation (n - 1) of the scores that exist; 0 for fewer than two."""
    known = [score for score in scores if score is not None]
    return statistics.stdev(known) if len(known) > 1 else 0.0


def mean(scores: Sequence[Score]) -> Score:
    """Returns the mean of the scores that exist; None if there are none."""
    known = [score for score in scores if score is not None]
    return math.fsum(known) / len(known) if known else None
