"""Circuits are drawn once per row, with the value of each node."""

from __future__ import annotations

import re

import pytest

from nnzoo.errors import UsageError
from nnzoo.lessons.figures.circuits import ON, circuit
from nnzoo.lessons.results import LessonResult, run_lesson
from nnzoo.lessons.schema import find_lesson
from nnzoo.report.charts import Drawing


@pytest.fixture(scope="module")
def result() -> LessonResult:
    """The result of a lesson that trains nothing."""
    return run_lesson(find_lesson("activations"))


def test_each_row_has_a_drawing_with_its_values(result: LessonResult) -> None:
    nodes = {"a": "[0, 1]", "b": "[1, 1]", "and": "[0, 1]", "not": "[1, 0]"}
    (drawn,) = circuit(result, "Gates", nodes=nodes, wires={"and": ["a", "b"], "not": ["and", "and"]})
    assert isinstance(drawn, Drawing)
    first, second = drawn.svg.split("<svg")[1:]
    assert "a = 0, b = 1" in first
    assert "a = 1, b = 1" in second
    assert re.findall(r'style="fill:[^>]*>(\d)<', first) == ["0", "1", "0", "1"]
    assert re.findall(r'style="fill:[^>]*>(\d)<', second) == ["1", "1", "1", "0"]
    assert [each.count("<path") for each in (first, second)] == [4, 4]
    assert [each.count(f'fill="none" stroke="{ON}"') for each in (first, second)] == [1, 4]
    columns = [float(x) for x in re.findall(r'cx="([\d.]+)"', first)]
    assert columns[0] == columns[1] < columns[2] < columns[3]


def test_a_gate_reads_only_nodes_before_it(result: LessonResult) -> None:
    with pytest.raises(UsageError, match="and reads 'b', which is not a node before it"):
        circuit(result, "Gates", nodes={"a": "[0]", "and": "[0]", "b": "[1]"}, wires={"and": ["a", "b"]})
