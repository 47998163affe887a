"""Judges verdicts on planted and healthy runs, and summarizes them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from doctor_cases.bases import base
from doctor_cases.measure import gain, is_cured, is_harmed, trains_well
from doctor_cases.plan import Case, Plan
from doctor_cases.plants_data import DATA_ILLNESSES
from doctor_cases.plants_network import NETWORK
from doctor_cases.plants_training import TRAINING
from doctor_cases.runs import Laboratory, Outcome, Verdict
from nnzoo.config import load_config
from nnzoo.config.data import Files, TorchvisionSet
from nnzoo.config.shipped import shipped_configs

ILLNESSES = {illness.topic: illness for illness in (*TRAINING, *NETWORK, *DATA_ILLNESSES)}
SYMPTOMS = ("worse than a linear model", "no better than the baseline", "constant prediction", "underfitting")
"""On a harmed run, these are measured and true. They are neither right, since they name no cause, nor wrong."""
NOT_PLANTED = {
    "constant prediction": "it is always a symptom of another illness",
    "divergence": "it always has another illness as its cause, such as a learning rate that is too high",
}
NOT_HEALTHY = {
    "adding_lstm": "it takes too long",
    "backpropagation": "it has a single sample",
    "one_unit": "it has a single sample",
    "adding_rnn": "it shows vanishing gradients on purpose",
    "xor_linear": "it shows a network that is too small on purpose",
}
BETTER = 0.05
"""A linear model with a gain that is larger by this is better than a network."""
MAX_TRIES = 4
"""Drawn cases per case that is wanted: some changes do no harm."""


@dataclass(frozen=True)
class Judgement:
    """The judgement of the verdicts on one run.

    Attributes:
        truth: The planted illness; empty for a healthy run.
        change: The planted change, or the name of the recipe.
        folder: The run directory.
        gain: The gain of the run over the baseline, and of its twin.
        topics: What `train` would print, in order.
        findings: All findings.
        right: The topics that name the illness.
        wrong: The topics that name an illness that is not there.
        is_first: Whether the illness is the first topic.
        fix: The fix of the finding that names the illness.
        is_cured: Whether the fix cures; None if it was not tried.
        curable: Whether a change of the config can cure the illness.
        seconds: The CPU time of the examination.
        error: The error of the doctor, or of the run with the fix.
    """

    truth: str
    change: str
    folder: str
    gain: tuple[float, float]
    topics: list[str]
    findings: list[dict[str, Any]]
    seconds: float
    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    is_first: bool = False
    fix: list[str] = field(default_factory=list)
    is_cured: bool | None = None
    curable: bool = False
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns the judgement as a JSON object."""
        return asdict(self)


def healthy_plans(seed: int, number: int) -> list[tuple[str, Plan]]:
    """Returns the names and plans of the healthy runs: the shipped recipes, then random sensible configs."""
    configs = {name: load_config(name) for name in shipped_configs() if name not in NOT_HEALTHY}
    recipes = [
        (name, Plan(config.model_dump(mode="json")))
        for name, config in configs.items()
        if not isinstance(config.data, Files | TorchvisionSet)  # data that is not part of nnzoo
    ]
    return [*recipes, *((f"random config {index}", base(seed, index)) for index in range(number - len(recipes)))]


def judge_healthy(laboratory: Laboratory, name: str, plan: Plan) -> Judgement | None:
    """Trains and examines a config that should train well.

    Returns:
        The judgement; None if the config does not train well, or if a linear model with the same settings does better:
        it is rightly found to be worse than a linear model.
    """
    outcome = laboratory.train(plan)
    if not trains_well(outcome, least=0.2):
        return None
    if plan.model["name"] == "mlp":
        linear = laboratory.train(plan.changed({"model": {"name": "linear"}}))
        if gain(linear) > gain(outcome) + BETTER:
            return None
    verdict = laboratory.examine(outcome)
    gained = gain(outcome)
    return Judgement(
        "", name, outcome.folder, (gained, gained), verdict.topics, verdict.findings, verdict.seconds,
        wrong=verdict.topics, error=verdict.error,
    )  # fmt: skip


def judge_planted(
    laboratory: Laboratory, topic: str, seed: int, number: int, *, cures: bool = True
) -> tuple[list[Judgement], Counter[str]]:
    """Plants an illness until it does harm in `number` cases.

    Returns:
        The judgements, and how many drawn cases were dropped for each reason.
    """
    judgements: list[Judgement] = []
    dropped: Counter[str] = Counter()
    pool = [base(seed, index) for index in range(48)]
    for attempt in range(MAX_TRIES * number):
        if len(judgements) == number:
            break
        case = ILLNESSES[topic].plant(random.Random(f"{seed}/{topic}/{attempt}"), pool)
        if case is None:
            continue
        twin = laboratory.train(case.twin)
        if not trains_well(twin):
            dropped["the twin does not train well"] += 1
            continue
        ill = laboratory.train(case.ill)
        if not is_harmed(case, twin, ill):
            dropped["the change does no harm" if ill.result else f"refused: {ill.error}"] += 1
            continue
        judgements.append(_judge(laboratory, case, twin, ill, cures=cures))
    return judgements, dropped


def _judge(laboratory: Laboratory, case: Case, twin: Outcome, ill: Outcome, *, cures: bool) -> Judgement:
    verdict = laboratory.examine(ill)
    accepted = {case.illness, *case.equal}
    tolerated = {*case.companions, *SYMPTOMS} - accepted
    named = _named(case, verdict)
    fix = list(named["fix"]) if named else []
    cured, error = None, verdict.error
    if fix and cures and case.curable:
        outcome = laboratory.train(case.ill, fix)
        cured, error = is_cured(case, twin, ill, outcome), error or outcome.error
    return Judgement(
        case.illness,
        case.change,
        ill.folder,
        (gain(ill), gain(twin)),
        verdict.topics,
        verdict.findings,
        verdict.seconds,
        right=[topic for topic in verdict.topics if topic in accepted],
        wrong=[topic for topic in verdict.topics if topic not in accepted | tolerated],
        is_first=bool(verdict.topics) and verdict.topics[0] in accepted,
        fix=fix,
        is_cured=cured,
        curable=case.curable,
        error=error,
    )


def _named(case: Case, verdict: Verdict) -> dict[str, Any] | None:
    """Returns the finding that names the illness; an equally right name counts if the illness itself is not named."""
    printed = [each for each in verdict.findings if each["severity"] != "note"]
    for topic in (case.illness, *case.equal):
        for finding in printed:
            if finding["topic"] == topic:
                return finding
    return None


@dataclass
class Row:
    """A row of the table: the counts of one illness, or of all."""

    cases: int = 0
    found: int = 0
    first: int = 0
    right: int = 0
    wrong: int = 0
    named: int = 0
    fixes: int = 0
    tried: int = 0
    cured: int = 0

    @property
    def recall(self) -> float:
        """The share of the cases whose illness is named."""
        return self.found / self.cases if self.cases else 1.0

    @property
    def precision(self) -> float:
        """The share of the named topics that are right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0


def rows_of(planted: Sequence[Judgement], healthy: Sequence[Judgement]) -> dict[str, Row]:
    """Returns the counts by illness, and of all under "all"."""
    rows = {topic: Row() for topic in ILLNESSES if any(each.truth == topic for each in planted)}
    total = Row()
    for each in planted:
        for row in (rows[each.truth], total):
            row.cases += 1
            row.found += bool(each.right)
            row.first += each.is_first
            row.named += bool(each.right) and each.curable
            row.fixes += bool(each.fix) and each.curable
            row.tried += each.is_cured is not None
            row.cured += bool(each.is_cured)
        for topic in each.right:
            rows.setdefault(topic, Row()).right += 1
            total.right += 1
    for each in (*planted, *healthy):
        for topic in each.wrong:
            rows.setdefault(topic, Row()).wrong += 1
            total.wrong += 1
    return {**rows, "all": total}
