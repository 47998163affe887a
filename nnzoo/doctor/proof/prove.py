"""Proves the fixes of findings: trains the config with each fix beside the unchanged one, with the same seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import equal

from nnzoo import log
from nnzoo.config import Config
from nnzoo.config.metrics import direction
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.proof.changes import combined, describe
from nnzoo.doctor.proof.trials import Budget, Trial, train_seeds
from nnzoo.doctor.proof.verdict import FEWEST_SEEDS, MOST, Pairs, Score, mean
from nnzoo.errors import NnzooError
from nnzoo.numbers import number
from nnzoo.run.history import History
from nnzoo.training.signals import StopRequest

Verdict = Literal["proved", "withdrawn", "undecided"]

UNFAIR = {"leak", "duplicates", "different distributions"}
"""Topics whose fix takes an unfair advantage away, so that the score may fall although the fix is right."""
BALANCED = {"class balance"}
"""Topics whose fix may cost accuracy, but not balanced accuracy."""
SHORTER = 0.5
"""Trials are shortened if the best epoch, with a reserve, is in this share of the epochs."""


@dataclass(frozen=True)
class Proof:
    """What is known about a fix.

    Attributes:
        topics: The topics of the findings with this fix.
        fix: The config overrides.
        change: The fix as text, with the values before and after.
        verdict: `proved` if it helps, `withdrawn` if it does not, `undecided` if it was not tried to the end.
        metric: The metric, with the split on which it is measured; empty if nothing was measured.
        before: The scores of the unchanged config, one per seed; None if a seed diverged.
        after: The scores with the fix.
        better: The number of seeds with a better score.
        note: What limits the comparison, or why there is none.
    """

    topics: tuple[str, ...]
    fix: tuple[str, ...]
    change: str
    verdict: Verdict
    metric: str = ""
    before: tuple[Score, ...] = ()
    after: tuple[Score, ...] = ()
    better: int = 0
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns the proof as a JSON object."""
        means = {"mean_before": mean(self.before), "mean_after": mean(self.after)}
        return {key: list(each) if isinstance(each, tuple) else each for key, each in vars(self).items()} | means


@dataclass
class Prover:
    """Tries fixes within a time limit. The trials of the unchanged config are shared by all fixes.

    Attributes:
        configure: Returns the config of the run with these overrides.
        task: The task of the data.
        history: The learning curve of the run.
        seeds: The number of seeds.
        minutes: The time limit.
        stop: Receives signals.
    """

    configure: Callable[[Sequence[str]], Config]
    task: str
    history: History
    seeds: int
    minutes: float
    stop: StopRequest
    unchanged: dict[int | None, Trial] = field(default_factory=dict)
    left: int = 0
    """The number of fixes that are still to be tried."""

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + 60 * self.minutes
        self.config = self.configure(())
        self.metrics: tuple[str, ...] = (self.metric_of(()),)

    def metric_of(self, topics: Iterable[str]) -> str:
        """Returns the metric that decides about a fix: accuracy or r2, unless the config has only other metrics."""
        if self.task == "classification" and BALANCED & {*topics}:
            return "balanced_accuracy"
        usual, own = "r2" if self.task == "regression" else "accuracy", self.config.train.metrics
        return usual if usual in own or not own else own[0]

    def prove(self, findings: Iterable[Finding]) -> list[Proof]:
        """Tries each fix once, in the order of the findings."""
        topics: dict[tuple[str, ...], list[str]] = {}
        for finding in findings:
            if finding.fix:
                topics.setdefault(finding.fix, []).append(finding.topic)
        self.metrics = tuple(dict.fromkeys(self.metric_of(names) for names in [(), *topics.values()]))
        self.left = len(topics)
        proofs = []
        for fix, names in topics.items():
            proofs.append(self.try_fix(fix, tuple(dict.fromkeys(names))))
            self.left -= 1
        return proofs

    def together(self, proofs: Sequence[Proof]) -> Proof:
        """Tries the proved fixes together; returns the proof of the best one alone if that has a better mean."""
        self.left = 1
        topics = tuple(dict.fromkeys(topic for proof in proofs for topic in proof.topics))
        tried = self.try_fix(combined(proof.fix for proof in proofs), topics)
        best = max(proofs, key=lambda proof: _signed_mean(proof, proof.after))
        is_better = tried.metric != best.metric or _signed_mean(tried, tried.after) >= _signed_mean(best, best.after)
        return tried if tried.verdict == "proved" and is_better else best

    def try_fix(self, fix: tuple[str, ...], topics: tuple[str, ...]) -> Proof:
        """Trains with a fix and without it, and compares the scores."""
        proof = Proof(topics, fix, ", ".join(fix), "undecided")
        try:
            config = self.configure(fix)
        except NnzooError as error:
            return replace(proof, verdict="withdrawn", note=_unusable(error))
        proof = replace(proof, change=describe(self.config, config, fix))
        if self.stop.signal_number is not None:
            return replace(proof, note="not tried, because of the interruption")
        if time.monotonic() >= self.deadline:
            return replace(proof, note=f"not tried within {self.minutes:g} minutes")
        epochs = self._shortened(fix)
        judged = self._compare(config, proof, epochs)
        if epochs is not None and judged.verdict != "proved" and self.stop.signal_number is None:
            # A short comparison can prove a fix, but not refute it.
            return self._compare(config, proof, None)
        return judged

    def _shortened(self, fix: Sequence[str]) -> int | None:
        """Returns the number of epochs if the learning curve of the run shows that fewer are enough; else None."""
        column = self.history.get(self.config.train.monitor, [])
        known = [(value, epoch) for epoch, value in enumerate(column, start=1) if math.isfinite(value)]
        if not known or any(override.startswith(("train.", "scheduler")) for override in fix):
            return None
        sign = 1 if self.config.train.mode == "min" else -1
        best = min(known, key=lambda each: sign * each[0])[1]
        enough = math.ceil(1.5 * best) + 5
        return enough if enough <= SHORTER * len(column) else None

    def _compare(self, config: Config, proof: Proof, epochs: int | None) -> Proof:
        if epochs not in self.unchanged:
            self.unchanged[epochs] = self._trial(self.config, "unchanged", self.left + 1, epochs)
        try:
            after = self._trial(config, proof.change, self.left, epochs)
        except NnzooError as error:
            return replace(proof, verdict="withdrawn", note=_unusable(error))
        return self._judge(self.unchanged[epochs], after, proof)

    def _trial(self, config: Config, title: str, trials_left: int, epochs: int | None) -> Trial:
        seconds = self.history.get("seconds", [])
        planned = epochs or len(seconds)
        if config.train.epochs > self.config.train.epochs:
            planned = config.train.epochs
        per_seed = planned * math.fsum(seconds) / max(1, len(seconds))
        left = max(1.0, self.deadline - time.monotonic()) / trials_left
        trial = train_seeds(config, self.seeds, self.metrics, Budget(left, per_seed, epochs, self.stop), title)
        how = "together" if trial.batched else "one after another"
        count = f"{len(trial.curves)} seed{'s' if len(trial.curves) > 1 else ''}"
        log.info("%s: %s %s, %.1f s", title, count, how, trial.seconds)
        return trial

    def _judge(self, before: Trial, after: Trial, proof: Proof) -> Proof:
        """Compares two trials over the seeds and epochs that both have."""
        if not equal(before.targets, after.targets):
            return replace(proof, note=f"the fix changes the {before.measured_on} samples, so scores can't be compared")
        count = min(len(before.curves), len(after.curves))
        curves = [*before.curves[:count], *after.curves[:count]]
        epochs = min((len(curve.rows) for curve in curves if not curve.ended), default=None)
        if epochs == 0:
            limit = f"within {self.minutes:g} minutes" if self.stop.signal_number is None else "before the interruption"
            return replace(proof, note=f"no epoch was finished {limit}")
        metric = self.metric_of(proof.topics)
        pairs = Pairs(
            direction(metric),
            [before.score(index, metric, epochs) for index in range(count)],
            [after.score(index, metric, epochs) for index in range(count)],
        )
        notes = [f"first {epochs} of {self.config.train.epochs} epochs"] if epochs else []
        verdict: Verdict = "withdrawn"
        if pairs.helps():
            verdict = "proved"
        elif UNFAIR & {*proof.topics}:
            verdict = "undecided"
            notes.append("the fix takes an unfair advantage away, so a lower score does not speak against it")
        elif epochs or count < FEWEST_SEEDS:
            verdict = "undecided"
        elif pairs.better >= MOST * count:
            notes.append(f"by less than the spread of the seeds, {number(pairs.spread)}")
        return replace(
            proof,
            verdict=verdict,
            metric=f"{before.measured_on}/{metric}",
            before=tuple(pairs.before),
            after=tuple(pairs.after),
            better=pairs.better,
            note="; ".join(notes),
        )


def _unusable(error: NnzooError) -> str:
    return f"the config can't be used: {str(error).splitlines()[0]}"


def _signed_mean(proof: Proof, scores: Sequence[Score]) -> float:
    """Returns the mean of scores so that more is better."""
    value = mean(scores)
    if value is None or not proof.metric:
        return -math.inf
    return value if direction(proof.metric.partition("/")[2]) == "max" else -value


def withdraw(findings: Iterable[Finding], proofs: Iterable[Proof]) -> tuple[Finding, ...]:
    """Returns the findings without the fixes that do not help, and says so in their messages."""
    by_fix = {proof.fix: proof for proof in proofs if proof.verdict == "withdrawn"}
    return tuple(_without_fix(each, by_fix[each.fix]) if each.fix in by_fix else each for each in findings)


def _without_fix(finding: Finding, proof: Proof) -> Finding:
    why = "it was tried and is not clearly better" if proof.metric else proof.note
    return replace(finding, fix=(), message=f"{finding.message} The fix {proof.change} is withdrawn: {why}.")
