"""Figures of trees whose nodes have labels."""

from __future__ import annotations

from collections.abc import Sequence

from nnzoo.errors import UsageError
from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Drawing, Part
from nnzoo.report.trees import draw_tree, read_tree


def trees(result: LessonResult, title: str, *, of: str, samples: Sequence[int], split: str = "test") -> list[Part]:
    """Draws trees of a split with the predicted label of every node as its color; × marks a wrong one.

    Args:
        result: The result of the lesson.
        title: The title.
        of: The variant.
        samples: The indices of the trees, from 0.
        split: The split.
    """
    network = result.variants[of].network
    if network.dataset.per != "node":
        raise UsageError(f"trees needs `data: trees` (got {network.dataset.layout}).", where="lesson: figures")
    found = [read_tree(network, network.experiment.splits[split], int(index)) for index in samples]
    return [
        Drawing(title if not number else "", "", draw_tree(tree), tree.description) for number, tree in enumerate(found)
    ]
