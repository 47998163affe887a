"""Handles rows without a target: drops them or raises an error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.dialect import MissingTarget

WITHOUT_TARGET = Repair("row", "without a target", "left out", "`missing_target: error` makes such rows an error.")


def has_targets(
    columns: Sequence[Cells], rows: NDArray[np.int64], rule: MissingTarget, repairs: Repairs
) -> NDArray[np.bool_]:
    """Returns whether each row has a value in every target column, (M,).

    Args:
        columns: The target columns.
        rows: (M,) row indices.
        rule: How to handle rows without a target. `auto` leaves them out if they are less than half of the rows.
        repairs: Counts the rows that are left out.

    Raises:
        DataError: Rows lack a target and the rule does not allow it, or no row has a target.
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
        fix = "Remove a value from `missing` if it is a valid target here"
        fix += "." if count == len(rows) else ", remove such rows, or leave them out with `missing_target: drop`."
        raise cells.problem(first, f"the target is missing ({count} of {len(rows)} rows). {fix}")
    repairs.add(WITHOUT_TARGET, cells.place(first), count)
    return ~missing
