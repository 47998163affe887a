"""The role of each column of a table: inputs, ids, groups, and columns that give the target away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.numbers import is_number, may_be_number
from nnzoo.data.tables.tasks import Target
from nnzoo.suggestion.facts import ColumnFacts, TableFacts
from nnzoo.suggestion.kinds import SPLIT_WORDS
from nnzoo.suggestion.suggestion import percent, plural
from nnzoo.suggestion.targets import looks_like_id, words_of

_GROUPS = {
    *("patient", "subject", "person", "participant", "user", "customer", "client", "household", "family", "student"),
    *("session", "speaker", "animal", "device", "machine", "engine", "group", "cluster", "respondent", "member"),
    *("player", "driver", "child", "donor", "author", "writer", "volunteer", "sensor", "specimen", "individual"),
}
_ID_WORDS = {"id", "no", "nr", "number", "code", "key", "uuid", "guid"}
_CODES = {"code", "zip", "zipcode", "postal", "type", "kind", "category", "class", "region", "area", "district", "id"}
_MOST_CATEGORIES = 64
_LEAST_GROUPS = 10
_MANY_MISSING = 0.98
_LEAST_KNOWN = 5
_SPLIT_NAMES = {"split", "fold", "set", "subset", "partition", "dataset"}
_RARE_CELLS = 0.02
_NEARLY = 0.99


@dataclass
class Roles:
    """The roles of the columns.

    Attributes:
        inputs: The input columns.
        ignored: The columns to ignore, with the reason for each.
        texts: Columns of free text, which are also ignored.
        group: The column of the group that each row belongs to.
        codes: Columns of integers that are categories.
        warnings: Probable problems.
    """

    inputs: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    group: str | None = None
    codes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_roles(facts: TableFacts, targets: Sequence[Cells], target: Target, rows: NDArray[np.int64]) -> Roles:
    """Returns the role of each column.

    Args:
        facts: The table.
        targets: The target columns.
        target: The task and the formats of the targets.
        rows: (M,) the rows with a target.
    """
    roles = Roles()
    names = {cells.name for cells in targets}
    roles.group = _group(facts, names)
    for name, column in facts.columns.items():
        if name in names or name == roles.group:
            continue
        reason = _why_ignored(column, len(facts.columns) - len(names))
        if reason:
            roles.ignored[name] = reason
            if column.kind == "text" and column.words >= 1.5:
                roles.texts.append(name)
        else:
            roles.inputs.append(name)
            if _is_code(column) or _needs_rare_cells(column):
                roles.codes.append(name)
    _find_leaks(roles, facts, targets, target, rows)
    return roles


def _why_ignored(column: ColumnFacts, num_others: int) -> str:
    if column.kind == "empty":
        return "no values"
    if column.kind == "constant":
        return "a single value"
    if column.kind == "mixed":
        return "numbers mixed with texts"
    if column.kind == "text":
        return "distinct texts, such as names or ids"
    if num_others > 1 and looks_like_id(column):
        return "numbers the rows" if column.kind == "number" else "ids"
    if set(words_of(column.name)) & _SPLIT_NAMES and all(text.lower() in SPLIT_WORDS for text, _ in column.top):
        return "names of splits, which are not known for new rows"
    if column.missing > _MANY_MISSING * column.num_rows or column.known < _LEAST_KNOWN:
        return f"{percent(column.missing / column.num_rows)} missing"
    return ""


def _is_code(column: ColumnFacts) -> bool:
    """Returns whether integers are codes of categories, by the name of their column."""
    if column.kind != "number" or not column.integers or not 3 <= column.distinct <= _MOST_CATEGORIES:
        return False
    return bool(set(words_of(column.name)) & _CODES) and 4 * column.distinct <= column.known


def _needs_rare_cells(column: ColumnFacts) -> bool:
    """Returns whether categories would look like numbers or booleans if the train rows lacked a few rare ones."""
    if column.kind != "category" or column.distinct > len(column.top):
        return False
    frequent = [text for text, count in column.top if count > _RARE_CELLS * column.known]
    return (
        bool(frequent) and all(map(_may_be_value, frequent)) and not all(_may_be_value(text) for text, _ in column.top)
    )


def _may_be_value(text: str) -> bool:
    return is_number(text) or may_be_number(text) or text.lower() in ("true", "false", "yes", "no", "y", "n", "t", "f")


def _group(facts: TableFacts, targets: Collection[str]) -> str | None:
    """Returns the column of the group of each row: a repeated id of a person or a device."""
    for name, column in facts.columns.items():
        words = set(words_of(name))
        is_named = bool(words & _GROUPS) and bool(words & _ID_WORDS or len(words) == 1)
        is_id = bool(words & {"id", "uuid", "guid"}) and column.distinct > _MOST_CATEGORIES
        repeats = column.distinct >= _LEAST_GROUPS and column.known >= 1.3 * column.distinct
        is_whole = column.kind in ("text", "category") or (column.kind == "number" and column.integers)
        if name not in targets and (is_named or is_id) and repeats and is_whole and not column.missing:
            return name
    return None


def _find_leaks(
    roles: Roles, facts: TableFacts, targets: Sequence[Cells], target: Target, rows: NDArray[np.int64]
) -> None:
    """Warns about columns that determine the target, and ignores those that are a copy of it."""
    if len(targets) > 1 or len(rows) < 20:
        return
    truth, classes = target_values(targets[0], target, rows)
    for name in [*roles.inputs]:
        column = facts.columns[name]
        if column.column is None or column.values is None or column.values.ndim > 1:
            continue
        inference = Inference(rows, categorical=frozenset(), chosen=frozenset())
        inference.check_leak(column.column, column.values, [truth], classes=classes)
        own = column.codes[rows]
        if inference.warnings:
            is_copy = _is_copy(own, truth) if classes else column.kind == "number"
            if is_copy and len(roles.inputs) > 2:
                roles.inputs.remove(name)
                roles.codes = [code for code in roles.codes if code != name]
                roles.ignored[name] = "LEAK: a copy of the target in other words"
                roles.warnings.append(
                    f"column '{name}' is a copy of the target in other words, so it is ignored. A network that sees it "
                    "learns nothing else. Remove it from `ignore` only if it is known before the target"
                )
            else:
                roles.warnings.append(
                    f"column '{name}' determines the target of every row by itself. If it is not known before the "
                    f"target, add it to `ignore`"
                )
        elif classes and (share := _purity(own, truth)) >= _NEARLY:
            roles.warnings.append(
                f"column '{name}' alone determines the target of {percent(share)} of the rows. If it is not known "
                "before the target, add it to `ignore`"
            )


def target_values(cells: Cells, target: Target, rows: NDArray[np.int64]) -> tuple[NDArray[Any], bool]:
    """Returns the (M,) targets of some rows, and whether they are class indices."""
    if target.task == "regression":
        return cells.numbers(target.forms[0])[rows], False  # type: ignore[arg-type]
    return cells.keys(target.forms[0]).codes[rows], True


def _is_copy(values: NDArray[Any], truth: NDArray[Any]) -> bool:
    """Returns whether values and targets correspond one to one."""
    pairs = len(np.unique(np.stack([values, truth]), axis=1).T)
    return pairs == len(np.unique(values)) == len(np.unique(truth))


def _purity(values: NDArray[Any], truth: NDArray[Any]) -> float:
    """Returns the share of rows whose target is the most frequent one of their value; 0 if that says little."""
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) > _MOST_CATEGORIES or 10 * len(distinct) > len(values):
        return 0.0
    _, labels = np.unique(truth, return_inverse=True)
    counts = np.zeros((len(distinct), labels.max() + 1))
    np.add.at(counts, (codes, labels), 1)
    constant = counts.sum(0).max() / len(values)
    share = float(counts.max(1).sum() / len(values))
    return share if constant < 0.9 else 0.0


def describe_columns(facts: TableFacts, roles: Roles, targets: Collection[str], most: int = 40) -> list[str]:
    """Returns a line per column: its values, and why it is ignored."""
    lines = []
    for name, column in [*facts.columns.items()][:most]:
        role = " (target)" if name in targets else " (group)" if name == roles.group else ""
        why = f" -- ignored: {roles.ignored[name]}" if name in roles.ignored else ""
        lines.append(f"{name}{role}: {column.describe()}{why}")
    if len(facts.columns) > most:
        lines.append(f"... {plural(len(facts.columns) - most, 'more column')}")
    return lines
