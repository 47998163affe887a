"""An oracle for tables that does not use nnzoo: the csv module, `Decimal`, NumPy in float64, scikit-learn.

The rules of nnzoo are implemented here as documented.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
from natural_order import natural
from numpy.typing import NDArray
from random_tables import ColumnPlan, Plan, Written
from sklearn.preprocessing import OneHotEncoder
from spellings import BOOLEANS, DATE_FORMS, MISSING, SPELLINGS

Value = Decimal | str | bool | datetime | None

DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "csv": bytes,
    "gz": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "zip": lambda raw: zipfile.ZipFile(io.BytesIO(raw)).read("inside.csv"),
}


def read_cells(written: Written) -> dict[str, list[str]]:
    """Returns the stripped cells of each column, read with the csv module."""
    rows: list[list[str]] = []
    for path in files_of(written.path):
        text = DECOMPRESS[path.suffix[1:]](path.read_bytes()).decode(written.plan.file.encoding)
        own = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=written.plan.file.delimiter) if row]
        assert own[0] == [written.title(name) for name in written.names]
        rows += [[cell.strip() for cell in row] + [""] * (len(own[0]) - len(row)) for row in own[1:]]
    return {name: [row[index] for row in rows] for index, name in enumerate(written.names)}


def files_of(path: Path) -> list[Path]:
    """Returns part files in natural order: p2 before p10."""
    if path.is_file():
        return [path]
    return sorted(path.iterdir(), key=lambda file: natural(file.name))


def values_of(plan: ColumnPlan, cells: Sequence[str]) -> list[Value]:
    """Returns the values of cells."""
    return [None if cell in MISSING else value_of(plan, cell) for cell in cells]


def value_of(plan: ColumnPlan, cell: str) -> Value:
    """Returns the value of a cell."""
    if plan.kind == "number" or plan.style in ("whole numbers", "mixed numbers"):
        return SPELLINGS[plan.style].read(cell) if plan.style in SPELLINGS else Decimal(cell)
    if plan.kind == "boolean":
        return BOOLEANS[plan.style][cell]
    if plan.kind == "date":
        return DATE_FORMS[plan.style].read(cell)
    return cell


@dataclass(frozen=True)
class Features:
    """The features of a column.

    Attributes:
        kind: The type of the column.
        names: The names of the features.
        matrix: (N, F) float64, for all rows.
    """

    kind: str
    names: list[str]
    matrix: NDArray[np.float64]

    @property
    def are_numbers(self) -> list[bool]:
        """Which features are standardized. Categories, booleans and marks of missing values stay 0 and 1."""
        return [self.kind in ("number", "date") and not name.endswith(" is missing") for name in self.names]


def features_of(name: str, plan: ColumnPlan, values: Sequence[Value], train: Sequence[int]) -> Features | None:
    """Returns the features of a column, fitted on the training rows; None if the column is left out.

    A column with one value in all training rows is left out, as are more than 20 texts that are distinct in more than
    half of the rows. Missing numbers become the median, missing booleans the more frequent value, missing parts of
    dates the median of that part; missing categories are all zeros. Categories are in natural order. If training rows
    lack values, a last feature marks missing values.
    """
    known = [values[row] for row in train if values[row] is not None]
    missing = np.array([value is None for value in values])
    distinct = len(set(known))
    if distinct == 1 and not missing[train].any():
        return None
    if plan.kind == "free text" and distinct > 20 and 2 * distinct > len(known):
        return None
    kind = {"code": "category", "free text": "category"}.get(plan.kind, plan.kind)
    names, matrix = MAKERS[kind](name, values, known)
    if missing[train].any():
        names, matrix = [*names, f"{name} is missing"], np.column_stack([matrix, missing])
    return Features(kind, names, matrix.astype(np.float64))


def _number(name: str, values: Sequence[Value], known: Sequence[Value]) -> tuple[list[str], NDArray[np.float64]]:
    median = float(np.median([float(value) for value in known]))  # type: ignore[arg-type]
    return [name], np.array([[median if value is None else float(value)] for value in values])  # type: ignore[arg-type]


def _boolean(name: str, values: Sequence[Value], known: Sequence[Value]) -> tuple[list[str], NDArray[np.float64]]:
    frequent = 2 * sum(map(bool, known)) > len(known)
    return [name], np.array([[frequent if value is None else value] for value in values], dtype=np.float64)


def _category(name: str, values: Sequence[Value], known: Sequence[Value]) -> tuple[list[str], NDArray[np.float64]]:
    categories = sorted({str(value) for value in known}, key=natural)
    encoder = OneHotEncoder(categories=[categories], handle_unknown="ignore", sparse_output=False)
    encoder.fit(np.array(known, dtype=object)[:, None])
    # The encoder treats None as an unknown category.
    matrix = encoder.transform(np.array([str(value) for value in values], dtype=object)[:, None])
    matrix[[value is None for value in values]] = 0
    return [f"{name}={each}" for each in categories], matrix


PARTS: dict[str, Callable[[datetime], int]] = {
    "year": lambda date: date.year,
    "month": lambda date: date.month,
    "day": lambda date: date.day,
    "weekday": lambda date: date.weekday(),
    "hour": lambda date: date.hour,
    "minute": lambda date: date.minute,
}


def _date(name: str, values: Sequence[Value], known: Sequence[Value]) -> tuple[list[str], NDArray[np.float64]]:
    names, columns = [], []
    for part, of in PARTS.items():
        present = [of(value) for value in known if isinstance(value, datetime)]
        if len(set(present)) > 1:
            names.append(f"{name} {part}")
            columns.append(
                [of(value) if isinstance(value, datetime) else float(np.median(present)) for value in values]
            )
    return names, np.array(columns, dtype=np.float64).T


MAKERS = {"number": _number, "boolean": _boolean, "category": _category, "date": _date}


@dataclass(frozen=True)
class Targets:
    """The targets.

    Attributes:
        task: The task.
        rows: The rows with all targets, without duplicates if those are dropped.
        classes: The sorted class values.
        values: Class indices, labels or numbers per row of the table; NaN if missing.
    """

    task: str
    rows: list[int]
    classes: list[Value]
    values: NDArray[np.float64]


def targets_of(plan: Plan, columns: dict[str, list[Value]]) -> Targets:
    """Returns the task and the targets.

    Integers with at most 20 distinct values that occur three times on average, or with two values, are classes; other
    numbers are regression targets. Several columns of booleans, or of 0 and 1, are labels.
    """
    given = [values for name, values in columns.items() if name[0] == "y"]
    rows = [row for row in range(len(given[0])) if all(values[row] is not None for values in given)]
    if plan.split.deduplicate:
        rows = _without_repeats(columns, rows)
    if len(given) > 1:
        is_labels = all(values[row] in (0, 1) for values in given for row in rows)
        task = "multilabel" if is_labels else "regression"
    else:
        distinct = {given[0][row] for row in rows}
        numbers = [value for value in distinct if isinstance(value, Decimal)]
        few = len(distinct) <= 2 or (len(distinct) <= 20 and 3 * len(distinct) <= len(rows))
        whole = all(value == value.to_integral_value() for value in numbers)
        task = "regression" if numbers and not (few and whole) else "classification"
    if task == "classification":
        classes: list[Value] = sorted({given[0][row] for row in rows})  # type: ignore[type-var]
        index = {value: float(position) for position, value in enumerate(classes)}
        found = np.array([index.get(value, np.nan) for value in given[0]])
        return Targets(task, rows, classes, found)
    numeric = [[np.nan if value is None else float(value) for value in values] for values in given]  # type: ignore[arg-type]
    return Targets(task, rows, [], np.array(numeric).T)


def _without_repeats(columns: dict[str, list[Value]], rows: list[int]) -> list[int]:
    """Returns the rows that differ from every earlier one in some column other than the group."""
    compared = [values for name, values in columns.items() if name != "g"]
    first: dict[tuple[Value, ...], int] = {}
    for row in rows:
        first.setdefault(tuple(values[row] for values in compared), row)
    return sorted(first.values())


def size_of(share: float, count: int) -> int:
    """Returns the size of a split: its share of all samples, rounded half to even."""
    return round(share * count)
