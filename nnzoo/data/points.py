"""Reads tables for networks that were trained on datasets without files: toy problems and bundled datasets.

The columns have the names of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.arrays import ArraysReader
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.data.tables.columns import check_cells, read_numbers
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.forms import TEXT
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.numbers import PLAIN
from nnzoo.data.tables.table import Table, open_table
from nnzoo.data.tables.targets import encode_targets
from nnzoo.data.tables.tasks import Target
from nnzoo.errors import DataError

TARGETS = ("target", "label", "class", "y")
"""Allowed names of the target column, in addition to the name of a regression target."""
_ARRAYS = (".npy", ".npz")


class PointsReader(Reader):
    """Reads tables that have a column per feature, in any order, and arrays, like `ArraysReader`."""

    kind: Literal["points"] = "points"

    def fits(self, schema: Schema) -> bool:
        """Returns whether the schema has named features."""
        return schema.layout == "features" and schema.input_shape == (len(schema.feature_names),)

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads tables or arrays.

        The targets of a table are in its only other column, or in the column `target`, `label`, `class` or `y`.

        Raises:
            DataError: Columns are missing, cells are not numbers, or labels are not classes.
        """
        kinds = {path.suffix.lower() in _ARRAYS or any(path.glob("*.npy")) for path in paths}
        if kinds == {True}:
            return ArraysReader().read(paths, schema, labelled=labelled)
        if len(kinds) > 1:
            raise DataError(
                "tables and arrays can't be read together. Pass only tables or only arrays.", where=str(paths[0])
            )
        repairs = Repairs()
        table = open_table(paths, TableOptions(), schema.feature_names, needed=schema.feature_names, repairs=repairs)
        inputs = _features(table, schema)
        rows = np.arange(table.num_rows)
        targets = _targets(table, schema) if labelled else None
        return Samples(
            inputs,
            table.row_numbers.tolist(),
            targets,
            origin=table.origin(),
            source_columns=partial(table.written, rows),
            warnings=repairs.warnings(),
        )

    def from_rows(self, raw: object, schema: Schema) -> Samples | None:
        table = table_of(raw, TableOptions())
        if table is None or table.names == tuple(map(str, range(len(table.names)))):
            return None  # a data frame without column names is an array
        table.require(schema.feature_names, ", as the training data has")
        inputs = _features(table, schema)
        return Samples(inputs, range(len(inputs)))


def _features(table: Table, schema: Schema) -> Tensor:
    """Returns the features, (N, F) float64."""
    columns = []
    for cells in table.read(schema.feature_names):
        check_cells(cells, cells.missing, "has no value: features must not be missing", "Give each row a value.")
        columns.append(read_numbers(cells, PLAIN, "is not a number"))
    return torch.from_numpy(np.stack(columns, axis=1))


def _targets(table: Table, schema: Schema) -> Tensor:
    """Returns the encoded targets, as in a `Split`."""
    names = schema.target_names or TARGETS
    others = [name for name in table.names if name not in schema.feature_names]
    candidates = [name for name in (*names, *TARGETS) if name in others] or others
    if not candidates or (len(candidates) > 1 and candidates == others):
        listed = ", ".join(map(repr, others)) or "none"
        allowed = ", ".join(dict.fromkeys((*schema.target_names, *TARGETS)))
        raise DataError(
            f"it is not clear which column has the targets (got the other columns {listed}). Rename it to one of "
            f"{allowed}.",
            where=table.where,
        )
    form = PLAIN if schema.task == "regression" else TEXT
    return encode_targets(
        [table.cells(candidates[0])], np.arange(table.num_rows), Target(schema.task, (form,)), schema.classes
    )
