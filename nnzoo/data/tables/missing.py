"""Rows without a target: left out or refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.dialect import MissingTarget

WITHOUT_TARGET = Repair("row", "without a target", "left out", "`missing_target: error` refuses such rows.")


def has_targets(
    columns: Sequence[Cells], rows: NDArray[np.int64], rule: MissingTarget, repairs: Repairs
) -> NDArray[np.bool_]:
    """(M,) whether some rows have a value in every target column.

    Args:
        columns: The targets.
        rows: (M,) rows of the table.
        rule: What is done with rows that have none; `auto`: they are left out if they are less than half.
        repairs: Counts those that are left out.

    Raises:
        DataError: Some rows have none, and the rule is to refuse them; or no row has one.
    """
    missing = np.zeros(len(rows), dtype=bool)
    for cells in columns:
        missing |= cells.missing[rows]
    count = int(missing.sum())
    if not count:
        return ~missing
    first = int(rows[int(missing.argmax())])
    cells = next(each for each in columns if each.missing[first])
    if rule == "error" or count == len(rows) or (rule == "auto" and 2 * count >= len(rows)):
        fix = "Correct `missing` if it has a value that means something here"
        fix += "." if count == len(rows) else ", remove such rows, or leave them out with `missing_target: drop`."
        raise cells.problem(first, f"the target is missing ({count} of {len(rows)} rows). {fix}")
    repairs.add(WITHOUT_TARGET, cells.place(first), count)
    return ~missing
