"""Infers the task from the cells of the targets. It does not need torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.finding import FormFinder, count_numbers, labels_of
from nnzoo.data.tables.forms import BOOLEAN, Form
from nnzoo.data.tables.numbers import PLAIN, NumberForm, may_be_number
from nnzoo.data.task import Task
from nnzoo.errors import DataError

_MAX_NUMBER_CLASSES = 20
_MOST_NUMBERS = 0.5
_ENOUGH_ROWS = 20
_MOST_CLASSES = 0.8
"""The largest number of classes per row. With more, most classes have one sample."""


class Target(NamedTuple):
    """The task and the formats of the targets.

    Attributes:
        task: The task.
        forms: The cell format of each target column.
    """

    task: Task
    forms: tuple[Form, ...]


def find_task(
    columns: Sequence[Cells], rows: NDArray[np.int64], task: Task | Literal["auto"], finder: FormFinder
) -> Target:
    """Infers the task from the targets of some rows.

    In a single column, integers are classes if there are at most 20 distinct ones, and if there are only two or each
    occurs three times on average. Other numbers are regression targets, even if a few cells are text by mistake. Texts
    are classes. Several columns are labels if all are boolean, and regression targets if all are numbers.

    Args:
        columns: The target columns.
        rows: (M,) the rows to use.
        task: The configured task.
        finder: Finds formats in the same rows and collects warnings.

    Raises:
        DataError: Several columns are neither boolean nor numbers.
    """
    is_inferred = task == "auto"
    if task == "auto":
        task = _task_of_one(columns[0], rows, finder) if len(columns) == 1 else _task_of_several(columns, rows, finder)
    if task == "multilabel":
        return Target(task, (BOOLEAN,) * len(columns))
    if task == "classification":
        form = finder.names(columns[0])
        _check_repeats(columns[0], form, rows)
        finder.warn_equal(columns[0], form, "classes")
        return Target(task, (form,))
    found = [finder.numbers(cells, _MOST_NUMBERS) for cells in columns]
    for cells, each in zip(columns, found, strict=True):
        if each is None and bool((cells.is_text() | cells.missing)[rows].all()):
            raise cells.problem(
                rows[0],
                f"{cells.text(rows[0])!r} is text, like all values of the target. Set `task: classification`, or "
                "choose a different target.",
            )
    forms = tuple(PLAIN if each is None else each.form for each in found)
    for cells, form in zip(columns, forms, strict=True):
        _check_exact(cells, form, rows, finder)
        if is_inferred:
            finder.warn_number(cells, form, "If they are classes, set `task: classification`")
    return Target(task, forms)


def _check_repeats(cells: Cells, form: Form, rows: NDArray[np.int64]) -> None:
    """Checks that classes occur more than once.

    Raises:
        DataError: Nearly every row has its own class.
    """
    count = len(np.unique(cells.keys(form).codes[rows]))
    if len(rows) >= _ENOUGH_ROWS and count > _MOST_CLASSES * len(rows):
        raise DataError(
            f"has {count} different values in {len(rows)} rows, so they can't be learned as classes. Is it the right "
            "target?",
            where=f"{cells.where}: column '{cells.name}'",
        )


def _check_exact(cells: Cells, form: NumberForm, rows: NDArray[np.int64], finder: FormFinder) -> None:
    """Warns about integers that are equal in float64.

    Raises:
        DataError: All of them are equal.
    """
    written, exact = count_numbers(cells, form, rows)
    if written == exact:
        return
    problem = f"has {written} distinct integers, of which {exact} are distinct in float64"
    fix = "If they are classes, set `task: classification`; otherwise subtract a constant from all of them"
    if exact == 1:
        raise DataError(f"{problem}. {fix}.", where=f"{cells.where}: column '{cells.name}'")
    finder.warnings.setdefault(cells.name, f"{problem}. {fix}")


def _task_of_one(cells: Cells, rows: NDArray[np.int64], finder: FormFinder) -> Task:
    configured = finder.options.types.get(cells.name)
    if configured in ("category", "boolean") or (configured is None and cells.is_categorical):
        return "classification"
    found = finder.numbers(cells, _MOST_NUMBERS)
    if found is not None:
        numbers = cells.numbers(found.form)[rows]
        numbers = numbers[~np.isnan(numbers)]
        distinct = np.unique(numbers)
        count, _ = count_numbers(cells, found.form, rows)
        is_few = count <= _MAX_NUMBER_CLASSES and (count <= 2 or 3 * count <= len(numbers))
        are_integers = bool((distinct == np.trunc(distinct)).all())
        return "classification" if is_few and (found.share < 1 or are_integers) else "regression"
    labels = labels_of(cells, rows).texts.to_pylist()
    numeric = [label for label in labels if may_be_number(label)]
    if len(labels) > _MAX_NUMBER_CLASSES and len(numeric) > 0.5 * len(labels):
        finder.warnings[cells.name] = (
            f"has {len(labels)} classes, most of which look like numbers in different formats ('{numeric[0]}', "
            f"'{numeric[-1]}'). If they are numbers, set `task: regression` and `decimal` or `thousands`, or `replace` "
            "the others; `task: classification` silences this warning"
        )
    return "classification"


def _task_of_several(columns: Sequence[Cells], rows: NDArray[np.int64], finder: FormFinder) -> Task:
    if all(not (cells.booleans()[rows] == -1).any() for cells in columns):
        return "multilabel"
    for cells in columns:
        found = finder.numbers(cells, _MOST_NUMBERS)
        if found is None or found.share < 1:
            raise DataError(
                f"several targets must be labels (0 and 1) or numbers (got text in '{cells.name}'). Put the classes "
                "into one column.",
                where=cells.where,
            )
    return "regression"
