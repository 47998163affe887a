"""Reads new tables in the same way as the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nnzoo.data.dataset import Split
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.reader import Reader, Samples, Schema, Task
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.columns import UNSEEN_CODE, Column
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.forms import Form
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.missing import has_targets
from nnzoo.data.tables.sample_rows import SampleRows, as_split, as_steps, pack
from nnzoo.data.tables.table import Table, open_table
from nnzoo.data.tables.targets import encode_targets
from nnzoo.data.tables.tasks import Target
from nnzoo.errors import DataError

_TARGET_KINDS: dict[Task, set[str]] = {
    "classification": {"text", "boolean", "number"},
    "multilabel": {"boolean"},
    "regression": {"number"},
}


class CsvReader(Reader):
    """Reads new tables. Columns are matched by name; their order and additional columns do not matter.

    Attributes:
        words: How files and cells are read.
        columns: The columns that features are computed from.
        target: The target columns.
        target_forms: The cell format of each target column.
        sequence_id: The column of sequence ids.
    """

    kind: Literal["csv"]
    words: TableOptions
    columns: tuple[Column, ...] = Field(min_length=1)
    target: tuple[str, ...] = Field(min_length=1)
    target_forms: tuple[Form, ...] = Field(min_length=1)
    sequence_id: str | None

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        if len({column.name for column in self.columns}) != len(self.columns):
            raise ValueError("a column occurs twice")
        if len(self.target_forms) != len(self.target):
            raise ValueError("targets and target_forms differ in number")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The feature names of all columns."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def feature_keys(self) -> tuple[str, ...]:
        """The canonical feature names of all columns."""
        return tuple(name for column in self.columns for name in column.feature_keys)

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        found, first = [], 0
        for column in self.columns:
            found += [(first + start, first + stop) for start, stop in column.one_hot]
            first += len(column.feature_names)
        return tuple(found)

    @property
    def column_types(self) -> dict[str, str]:
        return {column.name: column.kind for column in self.columns}

    @property
    def column_forms(self) -> dict[str, str]:
        targets = zip(self.target, self.target_forms, strict=True)
        shown = {name: form.describe() for name, form in targets}
        shown |= {column.name: column.describe() for column in self.columns}
        return {name: form for name, form in shown.items() if form}

    def fits(self, schema: Schema) -> bool:
        """Returns whether features and targets match the schema."""
        targets = {"classification": 1, "multilabel": len(schema.classes), "regression": len(schema.target_names)}
        layout = "features" if self.sequence_id is None else "sequence"
        shape = schema.input_shape
        return (
            schema.layout == layout
            and len(shape) == (1 if layout == "features" else 2)
            and shape[-1] == len(self.feature_names)
            and schema.feature_names == self.feature_names
            and len(self.target) == targets[schema.task]
            and {form.kind for form in self.target_forms} <= _TARGET_KINDS[schema.task]
        )

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads files, folders and glob patterns.

        A file without a header may lack its target columns, if the training data had no header either.

        Raises:
            DataError: Columns are missing, or cells do not match the formats of the training rows.
        """
        known = [column.name for column in self.columns]
        optional = () if labelled else self.target
        repairs = Repairs(strict=self.words.strict)
        needed = self._needed(labelled=labelled)
        table = open_table(paths, self.words, known, optional, needed=needed, repairs=repairs)
        samples = self._read(table, schema, repairs, labelled=labelled)
        return replace(samples, warnings=(*samples.warnings, *repairs.warnings()))

    def from_rows(self, raw: object, schema: Schema) -> Samples | None:
        table = table_of(raw, self.words)
        return None if table is None else self._read_rows(table, schema, labelled=False)

    def from_labelled_rows(self, raw: object, schema: Schema) -> Samples | None:
        table = table_of(raw, self.words, where="data")
        return None if table is None else self._read_rows(table, schema, labelled=True)

    def _read_rows(self, table: Table, schema: Schema, *, labelled: bool) -> Samples:
        repairs = Repairs(strict=self.words.strict)
        samples = self._read(table, schema, repairs, labelled=labelled)
        return replace(samples, warnings=(*samples.warnings, *repairs.warnings()))

    def split(self, table: Table, task: Task, classes: tuple[str, ...], limit: int | None, repairs: Repairs) -> Split:
        """Returns the first samples of a labelled table. Sequences are padded to the longest.

        Raises:
            DataError: See `read`.
        """
        values, samples, _ = self._values(table, labelled=True)
        if limit is not None:
            samples = samples.take(np.arange(min(limit, len(samples))))
        columns = list(table.read(self.target))
        samples = self._with_targets(columns, samples, repairs)
        targets = encode_targets(columns, samples.last_rows, Target(task, self.target_forms), classes)
        return as_split(pack(self.columns, values, [samples])[0], samples, targets)

    def _with_targets(self, columns: Sequence[Cells], samples: SampleRows, repairs: Repairs) -> SampleRows:
        """Returns the samples that have targets."""
        kept = has_targets(columns, samples.last_rows, self.words.missing_target, repairs)
        return samples if kept.all() else samples.take(kept.nonzero()[0])

    def _read(self, table: Table, schema: Schema, repairs: Repairs, *, labelled: bool) -> Samples:
        values, samples, warnings = self._values(table, labelled=labelled)
        targets = None
        if labelled:
            columns = list(table.read(self.target))
            samples = self._with_targets(columns, samples, repairs)
            targets = encode_targets(columns, samples.last_rows, Target(schema.task, self.target_forms), schema.classes)
        rows = pack(self.columns, values, [samples])[0]
        written = partial(table.written, samples.last_rows) if table.files else None
        if samples.ids is None:
            origin = table.origin().renumbered(samples.rows) if table.files else None
            names = table.row_numbers[samples.rows].tolist()
            return Samples(rows, names, targets, origin=origin, source_columns=written, warnings=warnings)
        longest, num_steps = int(samples.lengths.argmax()), schema.input_shape[0]
        if samples.lengths[longest] > num_steps:
            raise DataError(
                f"the sequence '{samples.ids[longest]}' is too long (got {samples.lengths[longest]} rows, expected "
                f"at most {num_steps}, as in training).",
                where=table.where,
            )
        inputs, lengths = as_steps(rows, samples, num_steps)
        return Samples(inputs, samples.ids.tolist(), targets, lengths, source_columns=written, warnings=warnings)

    def _values(self, table: Table, *, labelled: bool) -> tuple[list[NDArray[Any]], SampleRows, tuple[str, ...]]:
        """Returns the values of each column, the rows of each sample, and a warning per column with new categories."""
        table.require(self._needed(labelled=labelled), ", which the training data has")
        names = [column.name for column in self.columns]
        values, warnings = [], []
        for column, cells in zip(self.columns, table.read(names), strict=True):
            values.append(column.read(cells))
            unseen = np.flatnonzero(values[-1] == UNSEEN_CODE)
            if column.kind == "category" and len(unseen):
                count = f"{len(unseen)} cell{'s have a category' if len(unseen) > 1 else ' has a category'}"
                warnings.append(
                    f"{count} that no training row has (first: {cells.place(unseen[0])}: '{cells.text(unseen[0])}'): "
                    "the network sees none of the known categories there"
                )
        return values, SampleRows.of_table(table, self.sequence_id), tuple(warnings)

    def _needed(self, *, labelled: bool) -> list[str]:
        """Returns the required columns."""
        others = [*([self.sequence_id] if self.sequence_id else []), *(self.target if labelled else ())]
        return [*(column.name for column in self.columns), *others]
