"""Labelled trees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.data.base import RepairedFiles
from nnzoo.config.facts import Facts


class Trees(RepairedFiles):
    """Binary trees in brackets, one per line, labelled 0 to 4: `(3 (2 It) (4 (2 's) (4 fun)))` (Socher et al. 2013).

    The loss covers all nodes. Metrics, tables and the baseline are computed on the roots, which represent whole
    sentences.
    """

    name: Literal["trees"]
    labels: Literal[5, 2] = Field(
        5,
        description="number of classes. 5: from very negative to very positive; 2: negative and positive, without "
        "neutral nodes and without sentences that have a neutral root",
    )

    def facts(self) -> Facts:
        return Facts(
            "classification",
            "tree",
            self.labels,
            0,
            has_val=True if self.val_path else self.split.val > 0,
            has_test=True if self.test_path else self.split.test > 0,
            normalize="none",
            per="node",
        )
