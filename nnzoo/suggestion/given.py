"""Files of val and test splits next to the train file: whether they fit, and what to replace in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnzoo.data.files.repairs import Repairs
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.columns import index_of
from nnzoo.data.tables.table import Table, open_table
from nnzoo.data.tables.tasks import Target
from nnzoo.errors import DataError
from nnzoo.suggestion.facts import TableFacts, options_of
from nnzoo.suggestion.layout import find_layout
from nnzoo.suggestion.roles import Roles
from nnzoo.suggestion.suggestion import listed, plural, printable


@dataclass
class GivenSplits:
    """The splits that have their own files.

    Attributes:
        paths: The file of each split.
        reasons: Why each file is used.
        replace: Cells to replace, such as labels that are written differently in the test file.
        why_replaced: Why they are replaced.
        notes: What the user should know, such as files that are not used.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    why_replaced: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def given_splits(
    names: Sequence[str],
    target: Target,
    cells: Sequence[Cells],
    facts: TableFacts,
    roles: Roles,
    siblings: Mapping[str, Path],
) -> GivenSplits:
    """Returns the siblings that can be read with the columns of the train file.

    Args:
        names: The target columns.
        target: Their task and formats.
        cells: The target columns of the train file.
        facts: The train file.
        roles: The roles of its columns.
        siblings: The possible files of splits, by split.
    """
    given = GivenSplits()
    for split, path in siblings.items():
        try:
            options = options_of(facts.layout, facts.replace)
            table = open_table([path], options, [*names], repairs=Repairs())
            missing = [name for name in [*names, *roles.inputs] if name not in table.names]
            if missing:
                raise DataError(f"has no column {listed(missing)}", where=str(path))
            if facts.layout.keys != find_layout(path).keys:
                raise DataError("has a different layout", where=str(path))
            _check_inputs(table, facts, roles)
            replaced = _check_targets(table, names, target, cells)
        except DataError as error:
            if error.message.startswith(f"has no column {printable(names[0])}"):
                note = f"{path.name} has no column {printable(names[0])}: it is for `nnzoo predict`, not for testing"
            else:
                note = f"{path.name} is not used as the {split} split: it {error.message.rstrip('.')}"
            given.notes.append(note)
            continue
        given.paths[split] = path
        given.reasons[split] = f"{path.name} has the same columns: {plural(table.num_rows, 'row')} for {split}"
        if replaced:
            given.replace |= replaced
            shown = ", ".join(f"{new} is written {old}" for old, new in list(replaced.items())[:2])
            given.why_replaced.append(f"in {path.name}, {shown}")
    return given


def _check_inputs(table: Table, facts: TableFacts, roles: Roles) -> None:
    """Raises a DataError if a cell can't be read like the column of the train file."""
    for cells in table.read(roles.inputs):
        column = facts.columns[cells.name]
        if column.column is not None:
            column.column.read(cells.without(column.odd) if column.odd else cells)


def _check_targets(table: Table, names: Sequence[str], target: Target, train: Sequence[Cells]) -> dict[str, str]:
    """Returns labels to replace, so that each is a class of the train file.

    Raises:
        DataError: A file has no target, or labels that are not classes.
    """
    found = list(table.read(list(names)))
    if all(cells.missing.all() for cells in found):
        raise DataError(f"has no column {printable(names[0])} with values", where=table.where)
    if target.task != "classification":
        return {}
    form = target.forms[0]
    rows = np.arange(len(train[0]))
    classes = train[0].spellings(form, rows)
    index = index_of(tuple(classes), form)
    labels = found[0].labels[0].to_pylist()
    keys = found[0].keys(form)
    unknown = [
        label
        for label, key in zip(labels, keys.of_labels.tolist(), strict=True)
        if keys.names[key].as_py() not in index
    ]
    by_core: dict[str, list[str]] = {}
    for name in classes:
        by_core.setdefault(_core(name), []).append(name)
    replace = {}
    for label in unknown:
        same = by_core.get(_core(label), [])
        if len(same) != 1:
            raise DataError(f"has the label {printable(label)}, which the train file does not have", where=table.where)
        replace[label] = same[0]
    return replace


def _core(label: str) -> str:
    """Returns a label without the differences in writing: case, spaces, and punctuation at its end."""
    return " ".join(label.casefold().split()).rstrip(".;:!")
