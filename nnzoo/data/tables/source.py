"""CSV files as a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.dates import DateOrder
from nnzoo.data.origin import Origin
from nnzoo.data.reader import Task
from nnzoo.data.repairs import Repairs
from nnzoo.data.split import Division, dropped_note
from nnzoo.data.tables.columns import Column
from nnzoo.data.tables.dialect import Words
from nnzoo.data.tables.finding import ColumnType, FormFinder, FormWords
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.missing import has_targets
from nnzoo.data.tables.numbers import DecimalSign, ThousandsSign
from nnzoo.data.tables.opening import words_for_new_files
from nnzoo.data.tables.reader import CsvReader
from nnzoo.data.tables.samples import Samples, as_split, pack, padded
from nnzoo.data.tables.table import Table, choices_of, open_table
from nnzoo.data.tables.targets import Target, class_indices, encode_targets, find_task
from nnzoo.errors import DataError


def load_csv(
    *,
    path: str | Path,
    target: Sequence[str],
    division: Division,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    limit: int | None = None,
    task: Task | Literal["auto"] = "auto",
    features: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    sequence_id: str | None = None,
    decimal: Literal["auto"] | DecimalSign = "auto",
    thousands: Literal["auto"] | ThousandsSign = "auto",
    date_order: Literal["auto"] | DateOrder = "auto",
    types: Mapping[str, ColumnType] | None = None,
    **words: Any,
) -> Dataset:
    """Read tables, divide their samples, and find in those of training what the columns are.

    What all samples of `path` are asked for before that are their targets, which tell the task, and by which classes
    are divided in proportion. A cell of a sample that is not learnt from is an error where it is not of the type found;
    a category not seen before is none of the known ones.

    Args:
        path: A file, a folder or a glob pattern.
        target: The columns to predict.
        division: Of the rows of `path`. Its group is a column; what is in it is no feature unless that is asked for.
        val_path: As `path`: the val split.
        test_path: As `path`: the test split.
        limit: Take the first samples of each split, this many.
        task: "auto": found in the targets (`find_task`).
        features: Columns to predict from; None for all that have no other use. Those named are not left out for
            their looks, as names and free text are.
        categorical: Columns of numbers that are names.
        ignore: Columns to leave out.
        sequence_id: Rows with the same value here are a sequence, whose target is that of its last row.
        decimal: The decimal sign of all columns; "auto": found for each.
        thousands: The sign between groups of three digits; "auto": found for each column.
        date_order: The order of day, month and year; "auto": found for each column.
        types: The types of some columns, in place of what would be found.
        **words: How the files are written: the fields of `Words`.

    Returns:
        A dataset with (N, F) features, or (N, T, F) sequences, and a `CsvReader`.

    Raises:
        DataError: A file, a column, a row or a cell that can't be used; the message names it.
    """
    said = Words(**words)
    forms = FormWords(decimal, thousands, date_order, types or {})
    known = [*target, *(features or ()), *categorical, *ignore]
    known += [*forms.types, *(name for name in (sequence_id, division.group) if name is not None)]
    given = {name: each for name, each in (("val", val_path), ("test", test_path)) if each is not None}
    repairs = Repairs(strict=said.strict)
    tables = {name: open_table([Path(each)], said, known, repairs=repairs) for name, each in given.items()}
    pool = open_table([Path(path)], said, known, repairs=repairs)
    pool.require(known)
    uses = {*target, *ignore, sequence_id, division.group}
    inputs = [name for name in pool.names if name not in uses] if features is None else list(features)
    draft = _Draft(pool, tuple(target), inputs, sequence_id, forms)
    parts = draft.divide(division, tuple(tables), limit, task, repairs)
    reader, values = draft.learn(parts["train"], frozenset(categorical), frozenset(features or ()), said)
    splits = draft.splits(reader, values, parts)
    for name, table in tables.items():
        splits[name] = reader.split(table, draft.task, draft.classes, limit, repairs)
    splits = {
        name: _traced(split, tables.get(name, pool), given.get(name, path), sequence_id)
        for name, split in splits.items()
    }
    if sequence_id is not None:
        num_steps = max(split.inputs.shape[1] for split in splits.values())
        splits = {name: padded(split, num_steps) for name, split in splits.items()}
    return Dataset(
        {name: splits[name] for name in ("train", "val", "test") if name in splits},
        task=draft.task,
        layout="features" if sequence_id is None else "sequence",
        classes=draft.classes,
        feature_names=reader.feature_names,
        target_names=tuple(target) if draft.task == "regression" else (),
        choices={"task": draft.task, **choices_of((pool, *tables.values()))},
        warnings=(*repairs.warnings(), *draft.warnings),
        notes=(*pool.notes, *draft.notes, *([_task_note(draft)] if task == "auto" else [])),
        missing_values=draft.missing,
        reader=reader,
    )


def _traced(split: Split, table: Table, said: str | Path, sequence_id: str | None) -> Split:
    """A split that says where its samples are in the table: their file and row, or the id of a sequence."""
    if sequence_id is None:
        return replace(split, origin=table.origin(Path(said)))
    ids = Samples.of_table(table, sequence_id).ids
    assert ids is not None
    return replace(split, origin=Origin(("sequence_id",), lambda rows: [ids[rows].tolist()]))


def _task_note(draft: _Draft) -> str:
    shown = ", ".join(f"'{cells.name}'" for cells in draft.targets)
    into = f", {len(draft.classes)} classes" if draft.task == "classification" else ""
    return f"task: {draft.task}{into}, by the values of {shown}; `data.task` says it otherwise"


class _Draft:
    """The table of the training samples on its way to a data set.

    Attributes:
        target: What the targets are, once they were looked at.
        classes: Their names, once the training samples are known.
        warnings: As of the data set.
        notes: As of the data set.
        missing: As `missing_values` of the data set.
    """

    target: Target
    classes: tuple[str, ...]

    def __init__(
        self, table: Table, target: tuple[str, ...], inputs: list[str], sequence_id: str | None, forms: FormWords
    ) -> None:
        self.forms = forms
        self.table = table
        self.inputs = inputs
        self.targets = list(table.read(target))
        self.samples = Samples.of_table(table, sequence_id)
        self.sequence_id = sequence_id
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.missing: dict[str, tuple[int, int]] = {}

    @property
    def task(self) -> Task:
        return self.target.task

    def divide(
        self,
        division: Division,
        given: Sequence[str],
        limit: int | None,
        task: Task | Literal["auto"],
        repairs: Repairs,
    ) -> dict[str, Samples]:
        """The samples of each part of the table."""
        samples = self.samples if limit is None else self.samples.take(np.arange(min(limit, len(self.samples))))
        if division.deduplicate:
            kept = self._distinct(samples)
            self.notes.append(dropped_note(len(samples) - len(kept), len(samples)))
            samples = samples.take(kept)
        has_target = has_targets(self.targets, samples.last_rows, self.table.words.missing_target, repairs)
        if not has_target.all():
            samples = samples.take(has_target.nonzero()[0])
        rows = samples.last_rows
        classes, names = None, tuple[str, ...]()
        finder = FormFinder(rows, self.forms)
        self.target = find_task(self.targets, rows, task, finder)
        self.warnings += [f"column '{name}' {warning}" for name, warning in finder.warnings.items()]
        if self.task == "classification":
            classes, names = class_indices(self.targets, rows, self.target.forms[0])
        groups = None
        if division.group is not None:
            cells = self.table.cells(division.group)
            missing = cells.missing[rows]
            if missing.any():
                raise cells.problem(rows[missing.argmax()], "the group is missing. Give each row one.")
            codes = cells.keys(finder.names(cells)).codes[rows]
            groups = torch.from_numpy(np.unique(codes, return_inverse=True)[1])
        parts = division.rows(len(samples), classes=classes, class_names=names, groups=groups, given=given)
        return {name: samples.take(part.numpy()) for name, part in parts.items()}

    def learn(
        self,
        train: Samples,
        categorical: frozenset[str],
        chosen: frozenset[str],
        words: Words,
    ) -> tuple[CsvReader, list[NDArray[Any]]]:
        """What the training samples tell, and the columns of all rows as they are read by it.

        Raises:
            DataError: There is one class alone, or no column to learn from.
        """
        rows = train.last_rows
        self.classes = tuple(cells.name for cells in self.targets) if self.task == "multilabel" else ()
        if self.task == "classification":
            self.classes = class_indices(self.targets, rows, self.target.forms[0])[1]
            if len(self.classes) < 2:
                raise self.targets[0].problem(
                    rows[0],
                    f"there is one class alone ('{self.classes[0]}' in all {len(rows)} training samples): nothing can "
                    "be told apart.",
                )
        self._check_targets(train)
        encoded = encode_targets(self.targets, rows, self.target, self.classes)
        truths = [column.numpy() for column in encoded.reshape(len(rows), -1).T]
        inference = Inference(train.rows, categorical=categorical, chosen=chosen, words=self.forms)
        columns: list[Column] = []
        values: list[NDArray[Any]] = []
        for cells in self.table.read(self.inputs):
            if cells.missing[train.rows].any():
                self.missing[cells.name] = int(cells.missing[train.rows].sum()), len(train.rows)
            column = inference.column(cells)
            if column is None:
                continue
            columns.append(column)
            values.append(column.read(cells))
            if self.sequence_id is None:
                inference.check_leak(column, values[-1], truths, classes=self.task != "regression")
        self.warnings += inference.warnings
        if not columns:
            reasons = "; ".join(inference.warnings) or "there are none besides the target"
            raise DataError(f"no column is left to learn from ({reasons}).", where=self.table.where)
        reader = CsvReader(
            kind="csv",
            words=words_for_new_files(self.table.files[0], words, [column.name for column in columns]),
            columns=tuple(columns),
            target=tuple(cells.name for cells in self.targets),
            target_forms=self.target.forms,
            sequence_id=self.sequence_id,
        )
        return reader, values

    def splits(self, reader: CsvReader, values: list[NDArray[Any]], parts: Mapping[str, Samples]) -> dict[str, Split]:
        """The parts as splits."""
        packed = pack(reader.columns, values, list(parts.values()))
        found = {}
        for (name, samples), rows in zip(parts.items(), packed, strict=True):
            targets = encode_targets(self.targets, samples.last_rows, self.target, self.classes)
            found[name] = as_split(rows, samples, targets)
        return found

    def _distinct(self, samples: Samples) -> NDArray[np.int64]:
        """Sorted numbers of the samples without those that equal an earlier one in inputs and targets."""
        keys = np.zeros(self.table.num_rows, dtype=np.int64)
        finder = FormFinder(samples.rows, self.forms)
        for cells in self.table.read([*self.inputs, *(cells.name for cells in self.targets)]):
            codes = cells.keys(finder.equality(cells)).codes.astype(np.int64) + 1
            keys = np.unique(keys * (codes.max() + 1) + codes, return_inverse=True)[1]
        if samples.ends is None:
            return np.sort(np.unique(keys[samples.rows], return_index=True)[1])
        first: dict[bytes, int] = {}
        for index, part in enumerate(np.split(keys[samples.rows], samples.ends[:-1])):
            first.setdefault(part.tobytes(), index)
        return np.array(list(first.values()))

    def _check_targets(self, train: Samples) -> None:
        """Warns of sequences whose rows have different targets."""
        if self.sequence_id is None:
            return
        owner = np.repeat(np.arange(len(train)), train.lengths)
        for cells, form in zip(self.targets, self.target.forms, strict=True):
            codes = cells.keys(form).codes
            differ = np.unique(owner[codes[train.rows] != codes[train.last_rows][owner]])
            if len(differ):
                self.warnings.append(
                    f"column '{cells.name}' changes within {len(differ)} of {len(train)} sequences: the value of each "
                    "one's last row is its target"
                )
