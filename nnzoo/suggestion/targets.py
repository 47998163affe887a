"""Which column of a table could be the target, when none is named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from typing import NamedTuple

from nnzoo.config.suggest import nearest
from nnzoo.suggestion.facts import ColumnFacts, TableFacts
from nnzoo.suggestion.suggestion import TargetError, listed, plural, printable

_NAMES = (
    *("target", "label", "labels", "class", "y", "outcome", "response", "category", "output", "ground_truth", "gt"),
    *("klasse", "ziel", "zielvariable", "etiqueta", "classe", "is_fraud", "isfraud", "fraud", "churn", "churned"),
    *("preis", "prix", "precio", "prezzo", "umsatz", "kosten", "gehalt", "einkommen", "ergebnis", "resultado"),
    *("survived", "income", "salary", "price", "saleprice", "sale_price", "quality", "diagnosis", "species", "variety"),
    *("default", "defaulted", "sentiment", "spam", "is_spam", "toxic", "rating", "stars", "approved", "loan_status"),
    *("converted", "purchased", "clicked", "attrition", "readmitted", "malignant", "median_house_value", "medv"),
    *("charges", "cost", "sales", "revenue", "demand", "score", "grade", "result", "winner", "status", "mpg"),
    *("intent", "topic", "emotion", "language", "author", "disease", "stroke", "deposit", "subscribed", "failure"),
)
"""Names that targets usually have, the most certain first."""
_SURE = _NAMES[:7]
_ID = re.compile(r"(^|[_\W])(id|ids|uuid|guid|key|index|idx|nr|no|num|number|code|rowid)$", re.IGNORECASE)
_ID_WORDS = ("id", "index", "unnamed", "rownum", "row", "name", "uuid", "guid", "timestamp", "created", "updated")
_MOST_CLASSES = 20
MAX_CANDIDATES = 5
_LEAST_SCORE = 0.5


class Candidate(NamedTuple):
    """A column that could be the target.

    Attributes:
        name: The column, or several separated by commas.
        score: How likely it is the target.
        by_name: Whether its name is one that targets have.
        reasons: Why, in a few words each.
    """

    name: str
    score: float
    by_name: bool
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Returns the candidate for `--json`."""
        return {"target": self.name, "reasons": [*self.reasons]}


def words_of(name: str) -> list[str]:
    """Returns the words of a column name in lower case: ["sale", "price"] for `SalePrice`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def looks_like_id(facts: ColumnFacts) -> bool:
    """Returns whether a column identifies rows: distinct integers that count them, or distinct values named so."""
    if not facts.is_unique or facts.known < 5:
        return False
    name = facts.name.lower()
    named = bool(_ID.search(facts.name)) or facts.name.endswith("Id") or facts.name.endswith("ID") or name in _ID_WORDS
    named |= name.startswith("unnamed") or (name == "0" and facts.kind == "number")
    if facts.kind == "number":
        counts = facts.integers and facts.high - facts.low <= 2 * facts.known
        # A few distinct integers may be an amount. Those of many rows number them.
        return facts.integers and (named or (counts and facts.known >= FEW_ROWS))
    return facts.kind == "text" and (named or facts.words < 1.5)


FEW_ROWS = 50


def candidates(facts: TableFacts) -> list[Candidate]:
    """Returns the columns that could be the target, the most likely first."""
    names = [*facts.columns]
    found = [_rated(column, names) for column in facts.columns.values()]
    found += _label_groups(facts)
    return sorted((each for each in found if each.score >= _LEAST_SCORE), key=lambda each: -each.score)


def _rated(facts: ColumnFacts, names: Sequence[str]) -> Candidate:
    """Rates a column by its name, its place and its values."""
    score, reasons = 0.0, list[str]()
    words = words_of(facts.name)
    joined = "_".join(words)
    by_name = joined in _NAMES or bool(words and words[-1] in _SURE) or bool(words and words[0] in _SURE[:2])
    if by_name:
        score += 6.0 if joined in _SURE else 4.0
        reasons.append("its name")
    elif any(word in _NAMES for word in words):
        score += 1.5
        reasons.append("a word of its name")
    if facts.name == names[-1]:
        score += 2.0
        reasons.append("the last column")
    elif facts.name == names[0]:
        score += 0.5
    if facts.kind in ("boolean", "category") and 2 <= facts.distinct <= _MOST_CLASSES:
        score += 1.5
        reasons.append(f"{facts.distinct} distinct values")
    elif facts.kind == "number" and facts.integers and facts.distinct <= _MOST_CLASSES:
        score += 1.0
        reasons.append(f"{facts.distinct} distinct values")
    elif facts.kind == "number":
        score += 0.7
        reasons.append("numbers")
    if facts.kind in ("text", "date", "constant", "empty", "mixed") or looks_like_id(facts):
        return Candidate(facts.name, -1.0, False, ())
    score -= 2.0 * facts.missing / facts.num_rows
    return Candidate(facts.name, score, by_name, tuple(reasons))


def _label_groups(facts: TableFacts) -> list[Candidate]:
    """Returns groups of 0/1 columns with a common first word, such as `label_a` and `label_b`."""
    groups: dict[str, list[str]] = {}
    for column in facts.columns.values():
        words = words_of(column.name)
        is_label = (
            column.kind in ("boolean", "number")
            and column.distinct <= 2
            and column.integers | (column.kind == "boolean")
        )
        if is_label and len(words) > 1 and words[0] in ("label", "target", "tag", "class", "y", "topic", "genre"):
            groups.setdefault(words[0], []).append(column.name)
    return [
        Candidate(",".join(names), 7.0, True, (f"{len(names)} columns of labels",))
        for names in groups.values()
        if len(names) > 1
    ]


def choose_target(
    facts: TableFacts, where: str, repeat: str, excluded: Collection[str] = ()
) -> tuple[tuple[str, ...], str]:
    """Returns the target if one column is clearly it by its name, and why.

    Args:
        facts: The table.
        where: The file, for messages.
        repeat: The command to repeat, without the target.
        excluded: Columns that can't be the target, such as the time of a series.

    Raises:
        TargetError: Several columns could be the target, or none.
    """
    found = [each for each in candidates(facts) if each.name not in excluded]
    groups = [each.name for each in found if "," in each.name and each.name not in facts.columns]
    together = {name for group in groups for name in group.split(",")}
    found = [each for each in found if each.name not in together]
    named = [each for each in found if each.by_name]
    if len(named) == 1 and found[0] == named[0]:
        return tuple(named[0].name.split(",")), ", ".join(named[0].reasons)
    others = [
        each for each in facts.columns.values() if each.name not in excluded and each.kind not in ("empty", "constant")
    ]
    if len(found) == 1 and len(others) == 1:
        return (found[0].name,), "the only column with values to predict"
    if len(found) == 1 and facts.columns[found[0].name].kind in ("boolean", "category"):
        texts = [each for each in others if each.kind == "text" and each.name != found[0].name]
        if len(texts) == len(others) - 1:
            return (found[0].name,), "the only column with classes; the others are texts"
    if not found:
        raise TargetError(
            f"no column looks like a target (it has: {listed([*facts.columns])}). Name it: {repeat} --target COLUMN",
            where=where,
            candidates=[],
        )
    shown = found[:MAX_CANDIDATES]
    lines = [
        f"  {repeat} --target {shlex.quote(each.name)}    # {', '.join(each.reasons) or 'values to predict'}"
        for each in shown
    ]
    raise TargetError(
        "which column should be predicted? The most likely first:\n" + "\n".join(lines) + "\n"
        f"It has {plural(len(facts.columns), 'column')}: {listed([*facts.columns], 20)}.",
        where=where,
        candidates=[each.as_dict() for each in shown],
    )


def check_target(target: Sequence[str], facts: TableFacts, where: str, repeat: str) -> tuple[str, ...]:
    """Returns the target columns, after checking that they exist and can be learned. Commas separate several names.

    Raises:
        TargetError: A column does not exist, or has no values.
    """
    names = [part for each in target for part in ([each] if each in facts.columns else each.split(","))]
    for name in names:
        if name not in facts.columns:
            close = nearest(name, facts.columns)
            hint = f" Did you mean '{close}'? {repeat} --target {shlex.quote(close)}" if close else ""
            raise TargetError(
                f"there is no column '{printable(name)}' (it has: {listed([*facts.columns], 20)}).{hint}",
                where=where,
                candidates=[each.as_dict() for each in candidates(facts)[:MAX_CANDIDATES]],
            )
        column = facts.columns[name]
        if column.kind in ("empty", "constant"):
            problem = "no values" if column.kind == "empty" else f"a single value ({printable(column.top[0][0])})"
            raise TargetError(
                f"column '{printable(name)}' has {problem}, so there is nothing to predict. Choose a different target.",
                where=where,
                candidates=[each.as_dict() for each in candidates(facts)[:MAX_CANDIDATES]],
            )
    return tuple(dict.fromkeys(names))
