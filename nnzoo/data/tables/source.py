"""Files of tables as a data set."""

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
from nnzoo.data.tables.dialect import Words
from nnzoo.data.tables.dividing import choose_samples, divide_samples
from nnzoo.data.tables.finding import ColumnType, FormFinder, FormWords
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.inference import Inference
from nnzoo.data.tables.learning import Learned, find_classes, learn_columns
from nnzoo.data.tables.numbers import DecimalSign, ThousandsSign
from nnzoo.data.tables.opening import words_for_new_files
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
    **words: Any,
) -> Dataset:
    """Reads tables, divides their samples, and finds in those of training what the columns are.

    Before that, only the targets of all samples of `path` are looked at: they tell the task, and classes are divided in
    proportion. A cell of val or test that is not of the type found is an error. A category that no training row has is
    none of the known ones.

    Args:
        path: A file, a folder, a glob pattern or a zip archive.
        target: The columns to predict.
        division: Of the rows of `path`. Its group is a column, which is not a feature unless that is asked for.
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
    roles = _Roles(tuple(target), features, tuple(categorical), tuple(ignore), sequence_id, forms)
    paths = {name: each for name, each in (("train", path), ("val", val_path), ("test", test_path)) if each is not None}
    known = roles.named(division)
    repairs = Repairs(strict=said.strict)
    others = [(name, each) for name, each in paths.items() if name != "train"]
    tables = {name: open_table([Path(each)], said, known, repairs=repairs) for name, each in others}
    tables["train"] = open_table([Path(path)], said, known, repairs=repairs)
    dataset = _load(tables, paths, roles, division, said, repairs, limit=limit, task=task)
    release_unused_memory()  # of the targets' texts, which are freed only now
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
    **words: Any,
) -> Dataset:
    """Makes a data set of data frames, as `load_csv` does of files.

    Args:
        frames: `train`, and `val` and `test` where they are not divided off: what `table_of` accepts.
        target: As of `load_csv`; so are the others.
        division: Of the rows of `train`.
        task: As of `load_csv`.
        features: As of `load_csv`.
        categorical: As of `load_csv`.
        ignore: As of `load_csv`.
        sequence_id: As of `load_csv`.
        decimal: As of `load_csv`.
        thousands: As of `load_csv`.
        date_order: As of `load_csv`.
        types: As of `load_csv`.
        **words: How the cells are written: fields of `Words`.

    Raises:
        DataError: A column, a row or a cell that can't be used; the message names it.
    """
    said = Words(**words)
    forms = FormWords(decimal, thousands, date_order, types or {})
    roles = _Roles(tuple(target), features, tuple(categorical), tuple(ignore), sequence_id, forms)
    tables: dict[str, Table] = {}
    for name, frame in frames.items():
        table = table_of(frame, said, where="data" if name == "train" else f"data ({name})")
        assert table is not None
        tables[name] = table
    return _load(tables, {}, roles, division, said, Repairs(strict=said.strict), task=task)


class _Roles(NamedTuple):
    """What the columns of a table are used for; the fields are those of `load_csv`."""

    target: tuple[str, ...]
    features: Sequence[str] | None
    categorical: tuple[str, ...]
    ignore: tuple[str, ...]
    sequence_id: str | None
    forms: FormWords

    def named(self, division: Division) -> list[str]:
        """The columns that there have to be."""
        known = [*self.target, *(self.features or ()), *self.categorical, *self.ignore, *self.forms.types]
        return [*known, *(name for name in (self.sequence_id, division.group) if name is not None)]

    def inputs(self, names: Sequence[str], division: Division) -> list[str]:
        """The columns of a table that may be learned from."""
        uses = {*self.target, *self.ignore, self.sequence_id, division.group}
        return [name for name in names if name not in uses] if self.features is None else list(self.features)


def _load(
    tables: dict[str, Table],
    paths: Mapping[str, str | Path],
    roles: _Roles,
    division: Division,
    said: Words,
    repairs: Repairs,
    *,
    limit: int | None = None,
    task: Task | Literal["auto"],
) -> Dataset:
    """A data set of the tables of splits; the one of `train` is divided."""
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
    inference = Inference(train.rows, categorical=frozenset(roles.categorical), chosen=chosen, words=forms)
    learned = learn_columns(pool, inputs, train, targets, found, classes, inference)
    doubts = [f"column '{name}' {warning}" for name, warning in finder.warnings.items()]
    reader = CsvReader(
        kind="csv",
        words=words_for_new_files(next(iter(pool.files), None), said, [column.name for column in learned.columns]),
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
        warnings=(*repairs.warnings(), *doubts, *learned.warnings),
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
    """The samples of each part as a split; the values of columns are dropped on the way."""
    packed = pack(learned.columns, learned.values, list(parts.values()))
    encoded = (encode_targets(targets, samples.last_rows, target, classes) for samples in parts.values())
    return {
        name: as_split(rows, samples, each)
        for (name, samples), rows, each in zip(parts.items(), packed, encoded, strict=True)
    }


def _traced(split: Split, table: Table, said: Path, sequence_id: str | None) -> Split:
    """A split that says where its samples are in the table: their file and row, or the id of a sequence."""
    if sequence_id is None:
        return replace(split, origin=table.origin(said))
    ids = SampleRows.of_table(table, sequence_id).ids
    assert ids is not None
    return replace(split, origin=Origin(("sequence_id",), lambda rows: [ids[rows].tolist()]))


def _task_note(task: Task, classes: Sequence[str], target: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in target)
    into = f", {len(classes)} classes" if task == "classification" else ""
    return f"task: {task}{into}, by the values of {shown}; `data.task` overrides it"
