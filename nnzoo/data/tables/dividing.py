"""Selects the samples of a table and splits them, before column types are inferred."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nnzoo.data.files.repairs import Repairs
from nnzoo.data.split import Division, dropped_note
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.finding import FormFinder, FormOptions
from nnzoo.data.tables.missing import has_targets
from nnzoo.data.tables.sample_rows import SampleRows
from nnzoo.data.tables.table import Table
from nnzoo.data.tables.targets import class_indices
from nnzoo.data.tables.tasks import Target


def choose_samples(
    table: Table,
    targets: Sequence[Cells],
    inputs: Sequence[str],
    sequence_id: str | None,
    limit: int | None,
    *,
    deduplicate: bool,
    forms: FormOptions,
    repairs: Repairs,
) -> tuple[SampleRows, tuple[str, ...]]:
    """Returns the samples to use, and notes about the others.

    Args:
        table: The table. A column must have been read before.
        targets: The target columns.
        inputs: The columns that may be features.
        sequence_id: The column of sequence ids.
        limit: The maximum number of samples; None for all.
        deduplicate: Whether to drop samples with the same inputs and targets as an earlier one.
        forms: The configured formats and types.
        repairs: Counts rows without a target, which are left out.

    Raises:
        DataError: Too many rows have no target, or a sequence has no id.
    """
    samples = SampleRows.of_table(table, sequence_id)
    notes: tuple[str, ...] = ()
    if limit is not None:
        samples = samples.take(np.arange(min(limit, len(samples))))
    if deduplicate:
        kept = _distinct(table, [*inputs, *(cells.name for cells in targets)], samples, forms)
        notes = (dropped_note(len(samples) - len(kept), len(samples)),)
        samples = samples.take(kept)
    has_target = has_targets(targets, samples.last_rows, table.options.missing_target, repairs)
    return samples if has_target.all() else samples.take(has_target.nonzero()[0]), notes


def divide_samples(
    table: Table,
    samples: SampleRows,
    targets: Sequence[Cells],
    target: Target,
    division: Division,
    given: Collection[str],
    forms: FormOptions,
) -> dict[str, SampleRows]:
    """Returns the samples of each split.

    Args:
        table: The table, with the group column if there is one.
        samples: The samples to split.
        targets: The target columns.
        target: The task and the formats of the targets. The split is stratified by class.
        division: How to split.
        given: Splits that have their own files.
        forms: The configured formats and types.

    Raises:
        DataError: A sample has no group, or there are too few samples.
    """
    rows = samples.last_rows
    classes, names = None, tuple[str, ...]()
    if target.task == "classification":
        classes, names = class_indices(targets, rows, target.forms[0])
    groups = None
    if division.group is not None:
        cells = table.cells(division.group)
        missing = cells.missing[rows]
        if missing.any():
            raise cells.problem(rows[missing.argmax()], "the group is missing. Give each row a group.")
        codes = cells.keys(FormFinder(rows, forms).names(cells)).codes[rows]
        groups = torch.from_numpy(np.unique(codes, return_inverse=True)[1])
    parts = division.rows(len(samples), classes=classes, class_names=names, groups=groups, given=given)
    return {name: samples.take(part.numpy()) for name, part in parts.items()}


def shared_groups(
    train: Table, rows: NDArray[np.int64], given: Mapping[str, Table], column: str, forms: FormOptions
) -> list[str]:
    """Returns a warning for each split that has its own files and shares groups with the train samples.

    Args:
        train: The table of the train samples.
        rows: The rows of the train samples.
        given: The tables of the other splits. Tables without the column are not compared.
        column: The group column.
        forms: The configured formats and types.
    """
    cells = train.cells(column)
    form = FormFinder(rows, forms).names(cells)
    names = cells.canonical_texts(form)
    groups = {names[row] for row in rows.tolist()}
    warnings = []
    for split, table in given.items():
        found = dict.fromkeys(table.cells(column).canonical_texts(form) if column in table.names else ())
        shared = [name for name in found if name and name in groups]
        if shared:
            plural = "s" if len(shared) > 1 else ""
            warnings.append(
                f"{len(shared)} group{plural} of '{column}' {'are' if plural else 'is'} in both train and {split} "
                f"(first: '{shared[0]}'): {split} does not measure the performance on new groups. Remove those rows "
                "from one of the files"
            )
    return warnings


def _distinct(table: Table, columns: Sequence[str], samples: SampleRows, forms: FormOptions) -> NDArray[np.int64]:
    """Returns the sorted indices of the samples that differ from all earlier ones in at least one of the columns."""
    keys = np.zeros(table.num_rows, dtype=np.int64)
    finder = FormFinder(samples.rows, forms)
    for cells in table.read(columns):
        codes = cells.keys(finder.equality(cells)).codes.astype(np.int64) + 1
        keys = np.unique(keys * (codes.max() + 1) + codes, return_inverse=True)[1]
    if samples.ends is None:
        return np.sort(np.unique(keys[samples.rows], return_index=True)[1])
    first: dict[bytes, int] = {}
    for index, part in enumerate(np.split(keys[samples.rows], samples.ends[:-1])):
        first.setdefault(part.tobytes(), index)
    return np.array(list(first.values()))
