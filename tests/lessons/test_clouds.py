"""Clouds of points share one scale."""

from __future__ import annotations

import re

import pytest

from nnzoo.lessons.figures.clouds import clouds
from nnzoo.lessons.results import run_lesson
from nnzoo.lessons.schema import find_lesson
from nnzoo.report.charts import Drawing


def test_clouds_have_the_same_scale() -> None:
    result = run_lesson(find_lesson("activations"))
    (drawn,) = clouds(result, "Two clouds", values={"small": "[[0, 0], [1, 1]]", "large": "[[0, 0], [10, 5]]"})
    assert isinstance(drawn, Drawing)
    maps = drawn.svg.split("<svg")[1:]
    small, large = (
        [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', each)] for each in maps
    )
    assert small[0] == large[0]
    # Positions are whole pixels.
    assert large[1][0] - large[0][0] == pytest.approx(10 * (small[1][0] - small[0][0]), abs=10)
    assert large[0][1] - large[1][1] == pytest.approx((large[1][0] - large[0][0]) / 2, abs=1)
