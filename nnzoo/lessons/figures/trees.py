"""Figures of labelled trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Drawing, Part
from nnzoo.report.samples import Samples
from nnzoo.report.trees import tree_parts


def trees(result: LessonResult, title: str, *, of: str, samples: Sequence[int] = (0,)) -> list[Part]:
    """Draws trees of the test split, or of the train split if there is none, with the predicted label of each node.

    Args:
        result: The result of the lesson.
        title: The title.
        of: The variant.
        samples: The indices of the trees.
    """
    network = result.variants[of].network
    shown = Samples(network.run, network.run.split)
    drawn = [part for index in samples for part in tree_parts(network, shown, int(index)) if isinstance(part, Drawing)]
    return [replace(part, title="" if number else title, caption="", alt=title) for number, part in enumerate(drawn)]
