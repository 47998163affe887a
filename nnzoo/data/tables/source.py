"""Tables from files or data frames as a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.dates.dates import DateOrder
from nnzoo.data.files.origin import Origin
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.reader import Task
from nnzoo.data.split import Division
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.csv_reader import CsvReader
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.dividing import choose_samples, divide_samples, shared_groups
from nnzoo.data.tables.finding import ColumnType, FormFinder, FormOptions
from nnzoo.data.tables.forms import TEXT
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.learning import Learned, find_classes, learn_columns
from nnzoo.data.tables.numbers import DecimalSign, ThousandsSign
from nnzoo.data.tables.opening import options_for_new_files
from nnzoo.data.tables.sample_rows import SampleRows, as_split, pack, padded
from nnzoo.data.tables.table import Table, choices_of, open_table, release_unused_memory
from nnzoo.data.tables.targets import encode_targets
from nnzoo.data.tables.tasks import Target, find_task

SMALL_BYTES = 4 * 1024 * 1024
"""The largest table whose cells can be shown as they are written."""


@dataclass(frozen=True)
class TableSettings:
    """How a table is converted to a dataset. The fields are config keys.

    Attributes:
        target: The columns to predict.
        features: The input columns; None for all columns that have no other role. Named columns are never left out as
            free text.
        categorical: Columns of numbers that are categorical.
        ignore: Columns to leave out.
        sequence_id: A column; rows with the same value in it form a sequence. The target of a sequence is that of its
            last row.
        task: The task; "auto" infers it from the targets (`find_task`).
        forms: The configured formats and types of columns.
        options: How files and cells are read.
    """

    target: tuple[str, ...]
    features: Sequence[str] | None
    categorical: tuple[str, ...]
    ignore: tuple[str, ...]
    sequence_id: str | None
    task: Task | Literal["auto"]
    forms: FormOptions
    options: TableOptions

    @classmethod
    def of_fields(
        cls,
        *,
        target: Sequence[str],
        features: Sequence[str] | None = None,
        categorical: Sequence[str] = (),
        ignore: Sequence[str] = (),
        sequence_id: str | None = None,
        task: Task | Literal["auto"] = "auto",
        decimal: Literal["auto"] | DecimalSign = "auto",
        thousands: Literal["auto"] | ThousandsSign = "auto",
        date_order: Literal["auto"] | DateOrder = "auto",
        types: Mapping[str, ColumnType] | None = None,
        **options: Any,
    ) -> TableSettings:
        """Returns the settings of a section of the config, whose other fields are those of `TableOptions`."""
        forms = FormOptions(decimal, thousands, date_order, types or {})
        roles = (tuple(target), features, tuple(categorical), tuple(ignore), sequence_id)
        return cls(*roles, task, forms, TableOptions(**options))

    def named(self, division: Division) -> list[str]:
        """Returns the required columns."""
        known = [*self.target, *(self.features or ()), *self.categorical, *self.ignore, *self.forms.types]
        return [*known, *(name for name in (self.sequence_id, division.group) if name is not None)]

    def inputs(self, names: Sequence[str], division: Division) -> list[str]:
        """Returns the columns of a table that may be features."""
        roles = {*self.target, *self.ignore, self.sequence_id, division.group}
        return [name for name in names if name not in roles] if self.features is None else list(self.features)


def load_csv(
    *,
    path: str | Path,
    division: Division,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    limit: int | None = None,
    **fields: Any,
) -> Dataset:
    """Reads tables, splits the samples, and infers column types from the training rows.

    Only the targets are inspected before the split: they determine the task, and the split is stratified by class. A
    cell of val or test that does not match its column's type is an error. An unknown category is encoded as all zeros,
    or as `other`.

    Args:
        path: A file, a folder, a glob pattern or a zip archive.
        division: How to split the rows of `path`. Its group column is not a feature unless `features` names it.
        val_path: The data of the val split, like `path`.
        test_path: The data of the test split, like `path`.
        limit: The number of samples to take from the start of each split.
        **fields: See `TableSettings.of_fields`.

    Returns:
        A dataset with (N, F) features, or (N, T, F) sequences, and a `CsvReader`.

    Raises:
        DataError: A file, column, row or cell can't be used. The message names it.
    """
    settings = TableSettings.of_fields(**fields)
    paths = {name: each for name, each in (("train", path), ("val", val_path), ("test", test_path)) if each is not None}
    known = settings.named(division)
    repairs = Repairs(strict=settings.options.strict)
    others = [(name, each) for name, each in paths.items() if name != "train"]
    tables = {name: open_table([Path(each)], settings.options, known, repairs=repairs) for name, each in others}
    tables["train"] = open_table([Path(path)], settings.options, known, repairs=repairs)
    dataset = _load(tables, paths, settings, division, repairs, limit=limit)
    release_unused_memory()  # the memory of the targets' texts, which are freed only now
    return dataset


def load_frame(*, frames: Mapping[str, object], division: Division, **fields: Any) -> Dataset:
    """Creates a dataset from data frames, as `load_csv` does from files.

    Args:
        frames: `train`, and optionally `val` and `test`, which are otherwise split off from it. Values are what
            `table_of` accepts.
        division: How to split the rows of `train`.
        **fields: See `TableSettings.of_fields`.

    Raises:
        DataError: A column, row or cell can't be used. The message names it.
    """
    settings = TableSettings.of_fields(**fields)
    tables: dict[str, Table] = {}
    for name, frame in frames.items():
        table = table_of(frame, settings.options, where="data" if name == "train" else f"data ({name})")
        assert table is not None
        tables[name] = table
    return _load(tables, {}, settings, division, Repairs(strict=settings.options.strict))


def _load(
    tables: dict[str, Table],
    paths: Mapping[str, str | Path],
    settings: TableSettings,
    division: Division,
    repairs: Repairs,
    *,
    limit: int | None = None,
) -> Dataset:
    """Returns a dataset from the table of each split. Missing splits are split off from `train`."""
    pool, sequence_id = tables["train"], settings.sequence_id
    given = {name: table for name, table in tables.items() if name != "train"}
    pool.require(settings.named(division))
    inputs, forms = settings.inputs(pool.names, division), settings.forms
    targets = list(pool.read(settings.target))
    samples, notes = choose_samples(
        pool, targets, inputs, sequence_id, limit, deduplicate=division.deduplicate, forms=forms, repairs=repairs
    )
    finder = FormFinder(samples.last_rows, forms)
    found = find_task(targets, samples.last_rows, settings.task, finder)
    parts = divide_samples(pool, samples, targets, found, division, tuple(given), forms)
    if division.replaces_test():
        tables, given = ({name: table for name, table in each.items() if name != "test"} for each in (tables, given))
        paths = {name: path for name, path in paths.items() if name != "test"}
    train = parts["train"]
    classes = find_classes(targets, found, train)
    chosen = frozenset(settings.features or ())
    inference = Inference(train.rows, categorical=frozenset(settings.categorical), chosen=chosen, options=forms)
    learned = learn_columns(pool, inputs, train, targets, found, classes, inference)
    shared = [] if division.group is None else shared_groups(pool, train.rows, given, division.group, forms)
    if sequence_id is not None:
        ids = FormFinder(samples.rows, forms)
        ids.warn_equal(pool.cells(sequence_id), TEXT, "sequences")
        finder.warnings |= ids.warnings
    ambiguities = [f"column '{name}' {warning}" for name, warning in finder.warnings.items()]
    reader = CsvReader(
        kind="csv",
        words=options_for_new_files(
            next(iter(pool.files), None), settings.options, [column.name for column in learned.columns]
        ),
        columns=learned.columns,
        target=settings.target,
        target_forms=found.forms,
        sequence_id=sequence_id,
    )
    splits = _splits(learned, parts, targets, found, classes)
    for name, table in given.items():
        splits[name] = reader.split(table, found.task, classes, limit, repairs)
    sources = {name: (tables.get(name, pool), Path(paths.get(name, paths.get("train", "")))) for name in splits}
    names = [column.name for column in learned.columns]
    splits = {name: _traced(split, *sources[name], sequence_id, names) for name, split in splits.items()}
    if sequence_id is not None:
        num_steps = max(split.inputs.shape[1] for split in splits.values())
        splits = {name: padded(split, num_steps) for name, split in splits.items()}
    return Dataset(
        {name: splits[name] for name in ("train", "val", "test") if name in splits},
        task=found.task,
        layout="features" if sequence_id is None else "sequence",
        classes=classes,
        feature_names=reader.feature_names,
        target_names=settings.target if found.task == "regression" else (),
        choices={"task": found.task, **choices_of(tables.values())},
        warnings=(*repairs.warnings(), *ambiguities, *shared, *learned.warnings),
        notes=(
            *pool.notes,
            *notes,
            *([_task_note(found.task, classes, settings.target)] if settings.task == "auto" else []),
        ),
        missing_values=learned.missing,
        reader=reader,
    )


def _splits(
    learned: Learned,
    parts: Mapping[str, SampleRows],
    targets: Sequence[Cells],
    target: Target,
    classes: tuple[str, ...],
) -> dict[str, Split]:
    """Returns the samples of each part as a split. Column values are freed in the process."""
    packed = pack(learned.columns, learned.values, list(parts.values()))
    encoded = (encode_targets(targets, samples.last_rows, target, classes) for samples in parts.values())
    return {
        name: as_split(rows, samples, each)
        for (name, samples), rows, each in zip(parts.items(), packed, encoded, strict=True)
    }


def _traced(split: Split, table: Table, root: Path, sequence_id: str | None, names: Sequence[str]) -> Split:
    """Adds the origin of the samples to a split, file and row or sequence id, and access to the cells of a small table.

    A larger table takes too long to be read again, or too much memory to be kept if it comes from Python.
    """
    if sequence_id is None:
        size = sum(file.size for file in table.files) if table.files else table.num_rows * len(table.names) * 16
        written = partial(table.written, names=names) if size <= SMALL_BYTES else None
        return replace(split, origin=table.origin(root), written=written)
    ids = SampleRows.of_table(table, sequence_id).ids
    assert ids is not None
    return replace(split, origin=Origin(("sequence_id",), lambda rows: [ids[rows].tolist()]))


def _task_note(task: Task, classes: Sequence[str], target: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in target)
    num_classes = f", {len(classes)} classes" if task == "classification" else ""
    return f"task: {task}{num_classes}, inferred from the values of {shown}; `data.task` overrides it"
