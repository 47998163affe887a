"""Clouds of points share one scale, and a bound of a check is shown as a number."""

from __future__ import annotations

import re

import pytest

from nnzoo.lessons.figures.clouds import clouds
from nnzoo.lessons.results import LessonResult, run_lesson
from nnzoo.lessons.schema import find_lesson
from nnzoo.report.charts import Drawing


@pytest.fixture(scope="module")
def result() -> LessonResult:
    """A lesson that trains for a moment."""
    return run_lesson(find_lesson("pooling"))


def test_clouds_have_the_same_scale(result: LessonResult) -> None:
    (drawn,) = clouds(result, "Two clouds", values={"small": "[[0, 0], [1, 1]]", "large": "[[0, 0], [10, 5]]"})
    assert isinstance(drawn, Drawing)
    maps = drawn.svg.split("<svg")[1:]
    small, large = (
        [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', each)] for each in maps
    )
    assert small[0] == large[0]
    assert large[1][0] - large[0][0] == pytest.approx(10 * (small[1][0] - small[0][0]), abs=1)
    assert large[0][1] - large[1][1] == pytest.approx((large[1][0] - large[0][0]) / 2, abs=1)


def test_a_bound_is_shown_as_a_number(result: LessonResult) -> None:
    shown = {label: bound for label, _, bound in result.rows("en")}
    limit = 0.85 * result.measured["before"]
    assert shown["after max pooling over 2x2"] == f"< {limit:.4f}"
    assert shown["after max pooling over all 8x8 values"] == "< 0.01"
