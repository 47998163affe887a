"""Reads tables for networks that were trained on sets without a file of their own: made points, bundled sets.

The names of their features are those of the columns.
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
from nnzoo.data.tables.targets import Target, encode_targets
from nnzoo.errors import DataError

TARGETS = ("target", "label", "class", "y")
"""What the column of the targets may be called, beside the name that a regression target has."""
_ARRAYS = (".npy", ".npz")


class PointsReader(Reader):
    """Reads tables with the features as columns, in any order and beside others; and arrays, as `ArraysReader`."""

    kind: Literal["points"] = "points"

    def fits(self, schema: Schema) -> bool:
        """Whether the schema has named features."""
        return schema.layout == "features" and schema.input_shape == (len(schema.feature_names),)

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads tables or arrays.

        The targets of a table are in the only other column, or in the one called `target`, `label`, `class` or `y`.

        Raises:
            DataError: Columns are missing, cells are not numbers, or labels are not classes.
        """
        kinds = {path.suffix.lower() in _ARRAYS or any(path.glob("*.npy")) for path in paths}
        if kinds == {True}:
            return ArraysReader().read(paths, schema, labelled=labelled)
        if len(kinds) > 1:
            raise DataError("give tables or arrays, not both at once.", where=str(paths[0]))
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
            return None  # an array in a data frame
        table.require(schema.feature_names, ", as the training data has")
        inputs = _features(table, schema)
        return Samples(inputs, range(len(inputs)))


def _features(table: Table, schema: Schema) -> Tensor:
    """(N, F) float64."""
    columns = []
    for cells in table.read(schema.feature_names):
        check_cells(cells, cells.missing, "has no value: features must not be missing", "Give each row one.")
        columns.append(read_numbers(cells, PLAIN, "is not a number"))
    return torch.from_numpy(np.stack(columns, axis=1))


def _targets(table: Table, schema: Schema) -> Tensor:
    """Encoded, as of a `Split`."""
    names = schema.target_names or TARGETS
    others = [name for name in table.names if name not in schema.feature_names]
    found = [name for name in (*names, *TARGETS) if name in others] or others
    if not found or (len(found) > 1 and found == others):
        listed = ", ".join(map(repr, others)) or "none"
        allowed = ", ".join(dict.fromkeys((*schema.target_names, *TARGETS)))
        raise DataError(
            f"it is not clear which column has the targets (beside the features there are: {listed}). Call it one of "
            f"{allowed}.",
            where=table.where,
        )
    form = PLAIN if schema.task == "regression" else TEXT
    return encode_targets(
        [table.cells(found[0])], np.arange(table.num_rows), Target(schema.task, (form,)), schema.classes
    )
