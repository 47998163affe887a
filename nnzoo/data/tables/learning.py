"""Learns the classes and the column types from the training samples of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.columns import Column
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.sample_rows import SampleRows, in_own_pages
from nnzoo.data.tables.table import Table
from nnzoo.data.tables.targets import class_indices, encode_targets
from nnzoo.data.tables.tasks import Target
from nnzoo.errors import DataError


class Learned(NamedTuple):
    """What was learned from the training samples.

    Attributes:
        columns: The columns that features are computed from.
        values: The values of each column in all rows, as returned by `Column.read`.
        missing: See `Dataset.missing_values`.
        warnings: One line per warning.
    """

    columns: tuple[Column, ...]
    values: list[NDArray[Any]]
    missing: dict[str, tuple[int, int]]
    warnings: tuple[str, ...]


def find_classes(targets: Sequence[Cells], target: Target, train: SampleRows) -> tuple[str, ...]:
    """Returns the names of the classes or labels; empty for regression.

    Raises:
        DataError: All training samples have the same class.
    """
    if target.task != "classification":
        return tuple(cells.name for cells in targets) if target.task == "multilabel" else ()
    rows = train.last_rows
    classes = class_indices(targets, rows, target.forms[0])[1]
    if len(classes) < 2:
        raise targets[0].problem(
            rows[0],
            f"all {len(rows)} training samples have the class '{classes[0]}' (expected two or more classes). Add "
            "samples of other classes.",
        )
    return classes


def learn_columns(
    table: Table,
    inputs: Sequence[str],
    train: SampleRows,
    targets: Sequence[Cells],
    target: Target,
    classes: tuple[str, ...],
    inference: Inference,
) -> Learned:
    """Infers the column types and reads the columns.

    Args:
        table: The table.
        inputs: The columns that may be features.
        train: The training samples.
        targets: The target columns.
        target: The task and the formats of the targets.
        classes: The names of classes or labels.
        inference: Infers types from the training rows.

    Raises:
        DataError: No column is left, or a cell does not match the type of its column.
    """
    columns: list[Column] = []
    values: list[NDArray[Any]] = []
    missing: dict[str, tuple[int, int]] = {}
    truths = encode_targets(targets, train.last_rows, target, classes).reshape(len(train), -1).numpy()
    for cells in table.read(inputs):
        if cells.missing[train.rows].any():
            missing[cells.name] = int(cells.missing[train.rows].sum()), len(train.rows)
        column = inference.column(cells)
        if column is None:
            continue
        columns.append(column)
        values.append(in_own_pages(column.read(cells)))
        if train.ends is None:
            inference.check_leak(column, values[-1], list(truths.T), classes=target.task != "regression")
    if not columns:
        reasons = "; ".join(inference.warnings) or "there are none except the target"
        raise DataError(f"no column is left to learn from ({reasons}).", where=table.where)
    warnings = (*_targets_that_change(targets, target, train), *inference.warnings)
    return Learned(tuple(columns), values, missing, warnings)


def _targets_that_change(targets: Sequence[Cells], target: Target, train: SampleRows) -> tuple[str, ...]:
    """Returns one warning per target that changes within sequences."""
    if train.ends is None:
        return ()
    owner = np.repeat(np.arange(len(train)), train.lengths)
    warnings = []
    for cells, form in zip(targets, target.forms, strict=True):
        codes = cells.keys(form).codes
        differ = np.unique(owner[codes[train.rows] != codes[train.last_rows][owner]])
        if len(differ):
            warnings.append(
                f"column '{cells.name}' changes within {len(differ)} of {len(train)} sequences: the last row of each "
                "is used as its target"
            )
    return tuple(warnings)
