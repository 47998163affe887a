"""What a table means, found without nnzoo: the csv module, `Decimal`, numpy in float64, scikit-learn.

The rules that are nnzoo's own are written out here as the documentation states them.
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
    """The cells of each column as Python's own reader finds them, blanks around them removed."""
    rows: list[list[str]] = []
    for path in files_of(written.path):
        text = DECOMPRESS[path.suffix[1:]](path.read_bytes()).decode(written.plan.file.encoding)
        own = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=written.plan.file.delimiter) if row]
        assert own[0] == [written.title(name) for name in written.names]
        rows += [[cell.strip() for cell in row] + [""] * (len(own[0]) - len(row)) for row in own[1:]]
    return {name: [row[index] for row in rows] for index, name in enumerate(written.names)}


def files_of(path: Path) -> list[Path]:
    """Part files by their number: p2 comes before p10."""
    if path.is_file():
        return [path]
    return sorted(path.iterdir(), key=lambda file: natural(file.name))


def values_of(plan: ColumnPlan, cells: Sequence[str]) -> list[Value]:
    """What the cells of a column mean."""
    return [None if cell in MISSING else value_of(plan, cell) for cell in cells]


def value_of(plan: ColumnPlan, cell: str) -> Value:
    """What a cell means."""
    if plan.kind == "number" or plan.style in ("whole numbers", "mixed numbers"):
        return SPELLINGS[plan.style].read(cell) if plan.style in SPELLINGS else Decimal(cell)
    if plan.kind == "boolean":
        return BOOLEANS[plan.style][cell]
    if plan.kind == "date":
        return DATE_FORMS[plan.style].read(cell)
    return cell


@dataclass(frozen=True)
class Features:
    """What a column becomes.

    Attributes:
        kind: Its type.
        names: Of its features.
        matrix: (N, F) float64, of all rows.
    """

    kind: str
    names: list[str]
    matrix: NDArray[np.float64]


def features_of(name: str, plan: ColumnPlan, values: Sequence[Value], train: Sequence[int]) -> Features | None:
    """The features of a column, as they are fitted on some rows; None where there is nothing to learn from.

    The rules: a column with one value in all training rows is left out, and so are more than 20 texts that are
    different in more than half of the rows. Missing numbers are the median, missing booleans the more frequent value,
    missing parts of dates the median of that part; missing categories are none of the known ones, which are in natural
    order. Where training rows lack a value, a last feature tells those that do.
    """
    known = [values[row] for row in train if values[row] is not None]
    lacking = np.array([value is None for value in values])
    distinct = len(set(known))
    if distinct == 1 and not lacking[train].any():
        return None
    if plan.kind == "free text" and distinct > 20 and 2 * distinct > len(known):
        return None
    kind = {"code": "category", "free text": "category"}.get(plan.kind, plan.kind)
    names, matrix = MAKERS[kind](name, values, known)
    if lacking[train].any():
        names, matrix = [*names, f"{name} is missing"], np.column_stack([matrix, lacking])
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
    # None is a category like others to the encoder, and one that it was not fitted on.
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
        seen = [of(value) for value in known if isinstance(value, datetime)]
        if len(set(seen)) > 1:
            names.append(f"{name} {part}")
            columns.append([of(value) if isinstance(value, datetime) else float(np.median(seen)) for value in values])
    return names, np.array(columns, dtype=np.float64).T


MAKERS = {"number": _number, "boolean": _boolean, "category": _category, "date": _date}


@dataclass(frozen=True)
class Targets:
    """What is predicted.

    Attributes:
        task: Of it.
        rows: The rows that have all their targets, without repeats where those are dropped.
        classes: Their values, sorted.
        values: Of each row of the table: a class index, the labels, or the numbers; NaN where one is missing.
    """

    task: str
    rows: list[int]
    classes: list[Value]
    values: NDArray[np.float64]


def targets_of(plan: Plan, columns: dict[str, list[Value]]) -> Targets:
    """The task and the targets.

    The rules: whole numbers of at most 20 different values that come three times each on average, or of two values, are
    classes; other numbers are regression. Several columns of booleans, or of 0 and 1, are labels.
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
    """The rows that differ from every earlier one in a feature or a target; all columns but the group count."""
    compared = [values for name, values in columns.items() if name != "g"]
    first: dict[tuple[Value, ...], int] = {}
    for row in rows:
        first.setdefault(tuple(values[row] for values in compared), row)
    return sorted(first.values())


def size_of(share: float, count: int) -> int:
    """Samples of a split: its share of all, rounded; a half to even."""
    return round(share * count)
