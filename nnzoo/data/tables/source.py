"""Tables from files or data frames as a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

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
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.learning import Learned, find_classes, learn_columns
from nnzoo.data.tables.numbers import DecimalSign, ThousandsSign
from nnzoo.data.tables.opening import options_for_new_files
from nnzoo.data.tables.sample_rows import SampleRows, as_split, pack, padded
from nnzoo.data.tables.table import Table, choices_of, open_table, release_unused_memory
from nnzoo.data.tables.targets import Target, encode_targets, find_task


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
    **options: Any,
) -> Dataset:
    """Reads tables, splits the samples, and infers column types from the training rows.

    Only the targets are inspected before the split: they determine the task, and the split is stratified by class. A
    cell of val or test that does not match its column's type is an error. An unknown category has no one-hot feature.

    Args:
        path: A file, a folder, a glob pattern or a zip archive.
        target: The columns to predict.
        division: How to split the rows of `path`. Its group column is not a feature unless `features` names it.
        val_path: The data of the val split, like `path`.
        test_path: The data of the test split, like `path`.
        limit: The number of samples to take from the start of each split.
        task: The task; "auto" infers it from the targets (`find_task`).
        features: The input columns; None for all columns without another role. Named columns are never left out as
            free text.
        categorical: Columns of numbers that are categorical.
        ignore: Columns to leave out.
        sequence_id: A column whose equal values form a sequence. Its target is that of the last row.
        decimal: The decimal sign of all columns; "auto" infers it per column.
        thousands: The thousands sign of all columns; "auto" infers it per column.
        date_order: The order of day, month and year; "auto" infers it per column.
        types: The types of some columns, instead of inferred ones.
        **options: How the files are read: the fields of `TableOptions`.

    Returns:
        A dataset with (N, F) features, or (N, T, F) sequences, and a `CsvReader`.

    Raises:
        DataError: A file, column, row or cell can't be used. The message names it.
    """
    table_options = TableOptions(**options)
    forms = FormOptions(decimal, thousands, date_order, types or {})
    roles = _Roles(tuple(target), features, tuple(categorical), tuple(ignore), sequence_id, forms)
    paths = {name: each for name, each in (("train", path), ("val", val_path), ("test", test_path)) if each is not None}
    known = roles.named(division)
    repairs = Repairs(strict=table_options.strict)
    others = [(name, each) for name, each in paths.items() if name != "train"]
    tables = {name: open_table([Path(each)], table_options, known, repairs=repairs) for name, each in others}
    tables["train"] = open_table([Path(path)], table_options, known, repairs=repairs)
    dataset = _load(tables, paths, roles, division, table_options, repairs, limit=limit, task=task)
    release_unused_memory()  # the memory of the targets' texts, which are freed only now
    return dataset


def load_frame(
    *,
    frames: Mapping[str, object],
    target: Sequence[str],
    division: Division,
    task: Task | Literal["auto"] = "auto",
    features: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    sequence_id: str | None = None,
    decimal: Literal["auto"] | DecimalSign = "auto",
    thousands: Literal["auto"] | ThousandsSign = "auto",
    date_order: Literal["auto"] | DateOrder = "auto",
    types: Mapping[str, ColumnType] | None = None,
    **options: Any,
) -> Dataset:
    """Makes a dataset from data frames, as `load_csv` does from files.

    Args:
        frames: `train`, and `val` and `test` if they are not split off. Values are what `table_of` accepts.
        target: See `load_csv`.
        division: How to split the rows of `train`.
        task: See `load_csv`.
        features: See `load_csv`.
        categorical: See `load_csv`.
        ignore: See `load_csv`.
        sequence_id: See `load_csv`.
        decimal: See `load_csv`.
        thousands: See `load_csv`.
        date_order: See `load_csv`.
        types: See `load_csv`.
        **options: How cells are read: fields of `TableOptions`.

    Raises:
        DataError: A column, row or cell can't be used. The message names it.
    """
    table_options = TableOptions(**options)
    forms = FormOptions(decimal, thousands, date_order, types or {})
    roles = _Roles(tuple(target), features, tuple(categorical), tuple(ignore), sequence_id, forms)
    tables: dict[str, Table] = {}
    for name, frame in frames.items():
        table = table_of(frame, table_options, where="data" if name == "train" else f"data ({name})")
        assert table is not None
        tables[name] = table
    return _load(tables, {}, roles, division, table_options, Repairs(strict=table_options.strict), task=task)


class _Roles(NamedTuple):
    """The roles of the columns of a table. The fields are arguments of `load_csv`."""

    target: tuple[str, ...]
    features: Sequence[str] | None
    categorical: tuple[str, ...]
    ignore: tuple[str, ...]
    sequence_id: str | None
    forms: FormOptions

    def named(self, division: Division) -> list[str]:
        """Returns the required columns."""
        known = [*self.target, *(self.features or ()), *self.categorical, *self.ignore, *self.forms.types]
        return [*known, *(name for name in (self.sequence_id, division.group) if name is not None)]

    def inputs(self, names: Sequence[str], division: Division) -> list[str]:
        """Returns the columns of a table that may be features."""
        roles = {*self.target, *self.ignore, self.sequence_id, division.group}
        return [name for name in names if name not in roles] if self.features is None else list(self.features)


def _load(
    tables: dict[str, Table],
    paths: Mapping[str, str | Path],
    roles: _Roles,
    division: Division,
    table_options: TableOptions,
    repairs: Repairs,
    *,
    limit: int | None = None,
    task: Task | Literal["auto"],
) -> Dataset:
    """Returns a dataset of the tables of splits. The `train` table is split further."""
    pool, sequence_id = tables["train"], roles.sequence_id
    given = {name: table for name, table in tables.items() if name != "train"}
    pool.require(roles.named(division))
    inputs, forms = roles.inputs(pool.names, division), roles.forms
    targets = list(pool.read(roles.target))
    samples, notes = choose_samples(
        pool, targets, inputs, sequence_id, limit, deduplicate=division.deduplicate, forms=forms, repairs=repairs
    )
    finder = FormFinder(samples.last_rows, forms)
    found = find_task(targets, samples.last_rows, task, finder)
    parts = divide_samples(pool, samples, targets, found, division, tuple(given), forms)
    train = parts["train"]
    classes = find_classes(targets, found, train)
    chosen = frozenset(roles.features or ())
    inference = Inference(train.rows, categorical=frozenset(roles.categorical), chosen=chosen, options=forms)
    learned = learn_columns(pool, inputs, train, targets, found, classes, inference)
    shared = [] if division.group is None else shared_groups(pool, train.rows, given, division.group, forms)
    ambiguities = [f"column '{name}' {warning}" for name, warning in finder.warnings.items()]
    reader = CsvReader(
        kind="csv",
        words=options_for_new_files(
            next(iter(pool.files), None), table_options, [column.name for column in learned.columns]
        ),
        columns=learned.columns,
        target=roles.target,
        target_forms=found.forms,
        sequence_id=sequence_id,
    )
    splits = _splits(learned, parts, targets, found, classes)
    for name, table in given.items():
        splits[name] = reader.split(table, found.task, classes, limit, repairs)
    sources = {name: (tables.get(name, pool), Path(paths.get(name, paths.get("train", "")))) for name in splits}
    splits = {name: _traced(split, *sources[name], sequence_id) for name, split in splits.items()}
    if sequence_id is not None:
        num_steps = max(split.inputs.shape[1] for split in splits.values())
        splits = {name: padded(split, num_steps) for name, split in splits.items()}
    return Dataset(
        {name: splits[name] for name in ("train", "val", "test") if name in splits},
        task=found.task,
        layout="features" if sequence_id is None else "sequence",
        classes=classes,
        feature_names=reader.feature_names,
        target_names=roles.target if found.task == "regression" else (),
        choices={"task": found.task, **choices_of(tables.values())},
        warnings=(*repairs.warnings(), *ambiguities, *shared, *learned.warnings),
        notes=(*pool.notes, *notes, *([_task_note(found.task, classes, roles.target)] if task == "auto" else [])),
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
    """Returns the samples of each part as a split. Column values are freed along the way."""
    packed = pack(learned.columns, learned.values, list(parts.values()))
    encoded = (encode_targets(targets, samples.last_rows, target, classes) for samples in parts.values())
    return {
        name: as_split(rows, samples, each)
        for (name, samples), rows, each in zip(parts.items(), packed, encoded, strict=True)
    }


def _traced(split: Split, table: Table, root: Path, sequence_id: str | None) -> Split:
    """Returns a split with the origin of its samples: file and row, or sequence id."""
    if sequence_id is None:
        return replace(split, origin=table.origin(root))
    ids = SampleRows.of_table(table, sequence_id).ids
    assert ids is not None
    return replace(split, origin=Origin(("sequence_id",), lambda rows: [ids[rows].tolist()]))


def _task_note(task: Task, classes: Sequence[str], target: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in target)
    num_classes = f", {len(classes)} classes" if task == "classification" else ""
    return f"task: {task}{num_classes}, inferred from the values of {shown}; `data.task` overrides it"
