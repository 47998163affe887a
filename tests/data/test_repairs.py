"""Warnings about data that was left out or repaired."""

import pytest

from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.errors import DataError

SHORT = Repair("row", "with fewer cells than the header", "filled with missing values", "Check it.")
EMPTY = Repair("class folder", "without images", "left out", "Remove it.")


def test_each_kind_is_one_warning_with_count_and_first_location() -> None:
    repairs = Repairs()
    repairs.add(SHORT, "a.csv: line 3")
    repairs.add(EMPTY, "images/ant")
    repairs.add(SHORT, "a.csv: line 9", count=4)
    assert repairs.warnings() == (
        "5 rows with fewer cells than the header were filled with missing values (first: a.csv: line 3). Check it.",
        "1 class folder without images was left out (images/ant). Remove it.",
    )


def test_no_repair_gives_no_warning_and_no_error() -> None:
    repairs = Repairs(strict=True)
    repairs.add(SHORT, "a.csv: line 3", count=0)
    assert repairs.warnings() == ()


def test_strict_turns_repairs_into_an_error() -> None:
    repairs = Repairs(strict=True)
    repairs.add(SHORT, "a.csv: line 3")
    repairs.add(EMPTY, "images/ant")
    with pytest.raises(DataError, match=r"(?s)1 row with fewer.*a\.csv: line 3.*1 class folder.*`strict`"):
        repairs.warnings()
