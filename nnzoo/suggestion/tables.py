"""A config for a table: columns, split, network, loss, metrics and length of the training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.finding import FormFinder
from nnzoo.data.tables.forms import TEXT, Form
from nnzoo.data.tables.inference import sorted_labels
from nnzoo.data.tables.table import Table
from nnzoo.data.tables.tasks import Target, find_task
from nnzoo.errors import DataError
from nnzoo.suggestion.dates import set_date_order
from nnzoo.suggestion.facts import TableFacts, options_of
from nnzoo.suggestion.given import GivenSplits, given_splits
from nnzoo.suggestion.roles import Roles, describe_columns, find_roles, target_values
from nnzoo.suggestion.suggestion import Suggestion, listed, percent, plural, printable
from nnzoo.suggestion.training import budget_for, set_training

RARE, BALANCED = 0.2, 0.1
"""A rare class changes the metrics; an even rarer one also the weights of the classes in the loss."""
_FEW_ROWS = 300
_SHOWN_CLASSES = 10
_MANY_GROUPS, _SEEDS = 12, 20
_MOST_EPOCHS, _PATIENCE = 150, 8
"""An ensemble needs fewer steps than a single network."""


@dataclass(eq=False)
class Question:
    """What is predicted from a table.

    Attributes:
        facts: The table.
        names: The target columns.
        cells: The target columns.
        target: Their task and formats.
        rows: (M,) the rows with a target.
    """

    facts: TableFacts
    names: tuple[str, ...]
    cells: list[Cells]
    target: Target
    rows: NDArray[np.int64]

    @property
    def shares(self) -> dict[str, int]:
        """The number of rows of each class, the most frequent first; empty if there are no classes."""
        if self.target.task != "classification":
            return {}
        codes, _ = target_values(self.cells[0], self.target, self.rows)
        spelled = self.cells[0].spellings(self.target.forms[0], self.rows)
        counts = np.bincount(codes, minlength=len(spelled))
        return {spelled[index]: int(counts[index]) for index in np.argsort(-counts, kind="stable") if counts[index]}


def ask(facts: TableFacts, names: Sequence[str]) -> Question:
    """Reads the targets and infers the task, as the source `csv` does.

    Raises:
        DataError: The targets can't be learned.
    """
    odd = {text: "" for name in names for text in facts.columns[name].odd}
    facts.replace |= odd
    table = Table(facts.table.names, options_of(facts.layout, facts.replace), facts.table.files)
    cells = list(table.read(list(names)))
    rows = np.flatnonzero(~np.any([each.missing for each in cells], axis=0))
    target = find_task(cells, rows, "auto", FormFinder(rows))
    return Question(facts, tuple(names), cells, target, rows)


def suggest_table(question: Question, path: Path, siblings: dict[str, Path]) -> Suggestion:
    """Returns a config for a table.

    Args:
        question: The table and its target.
        path: The path of the train rows.
        siblings: Files that may be the val and test splits.
    """
    facts, task = question.facts, question.target.task
    roles = find_roles(facts, question.cells, question.target, question.rows)
    if not roles.inputs:
        raise DataError(
            f"no column is left to predict {listed(question.names)} from ({_reasons(roles)}).", where=facts.table.where
        )
    given = given_splits(question.names, question.target, question.cells, facts, roles, siblings)
    suggestion = Suggestion("csv", {}, task=describe_task(question))
    suggestion.found += [
        f"{plural(facts.num_rows, 'row')}, {plural(len(facts.columns), 'column')}, "
        f"{'with' if facts.has_header else 'without'} a header",
        *describe_columns(facts, roles, question.names),
        *describe_target(question),
    ]
    suggestion.warnings += roles.warnings
    suggestion.notes += given.notes
    _set_data(suggestion, question, roles, given, path)
    num_train = round(len(question.rows) * train_share(suggestion))
    if num_train < len(roles.inputs):
        suggestion.warnings.append(
            f"there are more columns ({len(roles.inputs):,}) than train rows ({num_train:,}), and scores on few rows "
            "are uncertain. `train.folds: 5` uses all rows for testing; `features` names the columns that matter"
        )
    _set_network(suggestion, num_train)
    if task == "classification":
        set_for_rare_classes(suggestion, question.shares, question.target.forms[0])
    return suggestion


def _reasons(roles: Roles) -> str:
    return "; ".join(f"{name}: {why}" for name, why in roles.ignored.items()) or "there are no others"


def describe_task(question: Question) -> str:
    """Returns the task in a few words."""
    task, names = question.target.task, listed(question.names)
    if task == "classification":
        return f"classification of {names}, {plural(len(question.shares), 'class')}"
    return f"{task} of {names}"


def describe_target(question: Question) -> list[str]:
    """Returns the classes with their shares, and the number of rows without a target."""
    lines = []
    if shares := question.shares:
        shown = [f"{printable(name)} {percent(count / len(question.rows))}" for name, count in shares.items()]
        more = f", ... ({len(shown)} in all)" if len(shown) > _SHOWN_CLASSES else ""
        lines.append(f"classes: {', '.join(shown[:_SHOWN_CLASSES])}{more}")
        single = [name for name, count in shares.items() if count == 1]
        if single:
            lines.append(f"{listed(single)}: a class with one row can be learned, but is in no test split")
    if lost := question.facts.num_rows - len(question.rows):
        lines.append(f"{plural(lost, 'row')} without a target, which are left out")
    return lines


def train_share(suggestion: Suggestion) -> float:
    """Returns the share of the rows that are train samples."""
    data = suggestion.config["data"]
    split = data.get("split", {})
    val = 0.0 if "val_path" in data else split.get("val", 0.15)
    test = 0.0 if "test_path" in data else split.get("test", 0.15)
    return float(1 - val - test)


def _set_data(suggestion: Suggestion, question: Question, roles: Roles, given: GivenSplits, path: Path) -> None:
    facts, target = question.facts, question.target
    suggestion.set("data.name", "csv")
    suggestion.set("data.path", str(path))
    for name, sibling in given.paths.items():
        suggestion.set(f"data.{name}_path", str(sibling), given.reasons.get(name, ""))
    for key, value in facts.layout.keys.items():
        suggestion.set(f"data.{key}", value, facts.layout.reasons.get(key, ""))
    names = [*question.names]
    suggestion.set("data.target", names[0] if len(names) == 1 else names)
    suggestion.set("data.task", target.task, _why_task(question))
    if roles.ignored:
        why = "; ".join(f"{printable(name)}: {reason}" for name, reason in roles.ignored.items())
        suggestion.set("data.ignore", [*roles.ignored], why)
    if roles.codes:
        suggestion.set("data.categorical", roles.codes, "codes of categories, not amounts")
    replace, reasons = _replacements(question, roles, given)
    if replace:
        suggestion.set("data.replace", replace, "; ".join(reasons))
    used = [facts.columns[each].dates for each in (*names, *roles.inputs)]
    set_date_order(suggestion, used, decimal_comma=facts.has_decimal_comma)
    if 2 * len(question.rows) <= facts.num_rows:
        suggestion.set("data.missing_target", "drop", "most rows have no target; they are left out")
    if roles.texts:
        suggestion.notes.append(
            f"{listed(roles.texts)} has free text, which a table does not use; the source `text` learns from it"
        )
    set_split(suggestion, len(question.rows), roles.group, {*given.paths})
    if roles.group is not None and "split" in suggestion.config["data"]:
        _check_groups(suggestion, question, roles.group)


def _check_groups(suggestion: Suggestion, question: Question, group: str) -> None:
    """Sets a seed of the split for which every class has train rows, or drops the group if there is none.

    torch is imported only if a class is in a few groups.
    """
    classes = np.zeros(len(question.rows), dtype=np.int64)
    if question.target.task == "classification":
        codes, _ = target_values(question.cells[0], question.target, question.rows)
        classes = np.unique(codes, return_inverse=True)[1]
    groups = np.unique(question.facts.columns[group].codes[question.rows], return_inverse=True)[1]
    pairs = np.unique(np.stack([classes, groups]), axis=1)
    if np.bincount(pairs[0]).min() >= _MANY_GROUPS and groups.max() >= _MANY_GROUPS:
        return
    import torch

    from nnzoo.data.split import Division

    split = suggestion.config["data"]["split"]
    given = [name for name in ("val", "test") if f"{name}_path" in suggestion.config["data"]]
    names = [str(index) for index in range(int(classes.max()) + 1)]
    tensors = torch.from_numpy(classes), torch.from_numpy(groups)
    for seed in range(_SEEDS):
        division = Division(split.get("val", 0.0), split.get("test", 0.0), seed=seed)
        try:
            division.rows(len(classes), classes=tensors[0], class_names=names, groups=tensors[1], given=given)
        except DataError:
            continue
        if seed:
            suggestion.set("data.split.seed", seed, "with this seed, every class has train rows")
        return
    del split["group"]
    suggestion.warnings.append(
        f"rows of one {printable(group)} are not kept together, because some classes occur in too few of them: test "
        "may be too optimistic"
    )


def _why_task(question: Question) -> str:
    """Returns why the target is read as classes or as numbers, and how to change that."""
    cells, task = question.cells[0], question.target.task
    column = question.facts.columns[question.names[0]]
    if task == "multilabel":
        return "each target is 0 or 1, and a row can have several"
    if task == "regression":
        return f"numbers from {column.low:.6g} to {column.high:.6g}" if len(question.names) == 1 else "numbers"
    if cells.plain is not None and len(question.shares) > 2:
        return f"{len(question.shares)} distinct integers are read as classes; as amounts: regression"
    return ""


def _replacements(question: Question, roles: Roles, given: GivenSplits) -> tuple[dict[str, str], list[str]]:
    """Returns cells to replace, and why."""
    facts = question.facts
    replace, reasons = dict(given.replace), [*given.why_replaced]
    classes = set(question.shares)
    odd = {name: facts.columns[name].odd for name in [*roles.inputs, *question.names] if facts.columns[name].odd}
    for name, texts in odd.items():
        used = [text for text in texts if text not in classes]
        replace |= dict.fromkeys(used, "")
        if used:
            reasons.append(f"{listed(used)} in {printable(name)} mean missing values")
    return replace, reasons


def set_split(suggestion: Suggestion, num_rows: int, group: str | None, given: set[str]) -> None:
    """Sets the split: more rows for val and test if there are few, fewer if there are many."""
    share = 0.2 if num_rows < 1_000 else 0.15 if num_rows < 100_000 else 0.1
    parts = [name for name in ("val", "test") if name not in given]
    if num_rows * share < 1:
        suggestion.set("data.split", {"val": 0.0, "test": 0.0}, "too few rows for a val and a test split")
        return
    for name in parts:
        suggestion.set(f"data.split.{name}", share)
    if "data.split" not in suggestion.reasons and parts:
        taken = " and ".join(f"{name} has its own file" for name in ("val", "test") if name in given)
        what = f"{' and '.join(parts)}: {percent(share)} of the rows{f'; {taken}' if taken else ''}"
        suggestion.reasons["data.split"] = f"{what}; val stops the training and selects the best weights"
    if group is not None and parts:
        suggestion.set(
            "data.split.group", group, f"rows of one {printable(group)} stay together: test measures new ones"
        )


def _set_network(suggestion: Suggestion, num_train: int) -> None:
    """Sets the network, its optimizer and the length of the training by the number of rows."""
    model: dict[str, Any] = {"name": "tabular"}
    why = "embeddings of numbers, and 8 networks that share most weights, whose mean is the prediction"
    if num_train < _FEW_ROWS:
        model["hidden"] = [32, 32]
        why += "; few rows: small hidden layers"
    suggestion.set("model", model, f"{why}. `mlp` is faster")
    suggestion.set("optimizer", {"name": "adamw", "lr": 2e-3})
    budget = budget_for(num_train)
    epochs, patience = min(budget.epochs, _MOST_EPOCHS), min(max(budget.patience, _PATIENCE), _MOST_EPOCHS // 5)
    set_training(suggestion, budget._replace(epochs=epochs, patience=patience), num_train)


def set_for_rare_classes(suggestion: Suggestion, shares: dict[str, int], form: Form = TEXT) -> None:
    """Sets metrics and class weights that suit rare classes.

    The weights are the square root of those that would balance the classes. They find most of a rare class without
    many false alarms: the best F1 score needs a threshold between that of no weights and that of balanced ones.

    Args:
        suggestion: The config.
        shares: The number of rows of each class.
        form: The format of the classes.
    """
    total = sum(shares.values())
    rare = min((count for count in shares.values() if count > 1), default=total) / total
    most = max(shares.values()) / total
    if len(shares) == 2 and rare < RARE:
        names = [*shares]
        constant = f"always {printable(names[0])} has an accuracy of {most:.3f}"
        why = f"{printable(names[1])} is rare ({percent(rare)}): {constant}"
        suggestion.set(
            "train.metrics",
            ["auroc", "f1", "balanced_accuracy", "accuracy"] if rare < BALANCED else ["accuracy", "auroc", "f1"],
            f"{why}, so auroc and f1 say more",
        )
        if rare < BALANCED:
            order = sorted_labels(names, form)
            weights = [round(math.sqrt(total / (2 * shares[name])), 3) for name in order]
            suggestion.set(
                "loss",
                {"name": "cross_entropy", "class_weights": weights},
                f"{' and '.join(map(printable, order))}: the square root of balanced weights, for a good f1. With "
                "`nnzoo eval RUN --threshold auto`, the threshold is chosen instead",
            )
    elif len(shares) > 2 and most > 0.5 and rare < 0.2 * most:
        suggestion.set(
            "train.metrics",
            ["accuracy", "balanced_accuracy", "f1"],
            f"classes have {percent(rare)} to {percent(most)} of the rows: balanced_accuracy, f1 count each the same",
        )
