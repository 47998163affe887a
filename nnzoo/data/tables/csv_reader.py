"""Reads new tables as those of the training data were read."""

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
from nnzoo.data.tables.columns import Column
from nnzoo.data.tables.dialect import Words
from nnzoo.data.tables.forms import Form
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.missing import has_targets
from nnzoo.data.tables.sample_rows import SampleRows, as_split, as_steps, pack
from nnzoo.data.tables.table import Table, open_table
from nnzoo.data.tables.targets import Target, encode_targets
from nnzoo.errors import DataError

_TARGET_KINDS: dict[Task, set[str]] = {
    "classification": {"text", "boolean", "number"},
    "multilabel": {"boolean"},
    "regression": {"number"},
}


class CsvReader(Reader):
    """Reads new tables: by name, whatever the order of the columns and whatever others there are.

    Attributes:
        words: How files and cells are written.
        columns: What features are made from.
        target: The columns that are predicted.
        target_forms: How the cells of each of them are written.
        sequence_id: The column that tells sequences apart.
    """

    kind: Literal["csv"]
    words: Words
    columns: tuple[Column, ...] = Field(min_length=1)
    target: tuple[str, ...] = Field(min_length=1)
    target_forms: tuple[Form, ...] = Field(min_length=1)
    sequence_id: str | None

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        if len({column.name for column in self.columns}) != len(self.columns):
            raise ValueError("a column stands there twice")
        if len(self.target_forms) != len(self.target):
            raise ValueError("there is not one form per target")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Of all columns, in the order of the features."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def feature_keys(self) -> tuple[str, ...]:
        """Of all columns, the names by which features of two tables are equal."""
        return tuple(name for column in self.columns for name in column.feature_keys)

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
        """Whether features and targets are those of the schema."""
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

        A file without a header, of a table that had none, may lack its target columns.

        Raises:
            DataError: Columns are missing, or cells are not like those of the training rows.
        """
        known = [column.name for column in self.columns]
        shorter = () if labelled else self.target
        repairs = Repairs(strict=self.words.strict)
        needed = self._needed(labelled=labelled)
        table = open_table(paths, self.words, known, shorter, needed=needed, repairs=repairs)
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
        """The first samples of a labelled table; sequences are as long as the longest of them.

        Raises:
            DataError: As of `read`.
        """
        values, samples = self._values(table, labelled=True)
        if limit is not None:
            samples = samples.take(np.arange(min(limit, len(samples))))
        columns = list(table.read(self.target))
        samples = self._with_targets(columns, samples, repairs)
        targets = encode_targets(columns, samples.last_rows, Target(task, self.target_forms), classes)
        return as_split(pack(self.columns, values, [samples])[0], samples, targets)

    def _with_targets(self, columns: Sequence[Cells], samples: SampleRows, repairs: Repairs) -> SampleRows:
        """The samples that have targets."""
        kept = has_targets(columns, samples.last_rows, self.words.missing_target, repairs)
        return samples if kept.all() else samples.take(kept.nonzero()[0])

    def _read(self, table: Table, schema: Schema, repairs: Repairs, *, labelled: bool) -> Samples:
        values, samples = self._values(table, labelled=labelled)
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
            return Samples(rows, names, targets, origin=origin, source_columns=written)
        longest, num_steps = int(samples.lengths.argmax()), schema.input_shape[0]
        if samples.lengths[longest] > num_steps:
            raise DataError(
                f"the sequence '{samples.ids[longest]}' is too long (got {samples.lengths[longest]} rows; those of "
                f"training have at most {num_steps}).",
                where=table.where,
            )
        inputs, lengths = as_steps(rows, samples, num_steps)
        return Samples(inputs, samples.ids.tolist(), targets, lengths, source_columns=written)

    def _values(self, table: Table, *, labelled: bool) -> tuple[list[NDArray[Any]], SampleRows]:
        """The columns as they are read, and which rows make a sample."""
        table.require(self._needed(labelled=labelled), ", as the training data has")
        names = [column.name for column in self.columns]
        values = [column.read(cells) for column, cells in zip(self.columns, table.read(names), strict=True)]
        return values, SampleRows.of_table(table, self.sequence_id)

    def _needed(self, *, labelled: bool) -> list[str]:
        """The columns that a table has to have."""
        others = [*([self.sequence_id] if self.sequence_id else []), *(self.target if labelled else ())]
        return [*(column.name for column in self.columns), *others]
