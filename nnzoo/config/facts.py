"""What is known of an experiment's data: from the words alone, or, once it has been read, from the data itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Task = Literal["classification", "multilabel", "regression"]
Layout = Literal["features", "image", "sequence", "tokens", "tree"]
Per = Literal["sample", "step", "node"]


@dataclass(frozen=True)
class Facts:
    """None means: only the data can tell.

    Attributes:
        task: What the targets are.
        layout: How the axes of a sample are read.
        num_classes: Classes, or labels of a multilabel task; 0 for regression.
        num_targets: Regression targets a sample; 0 for classes.
        input_shape: One sample without the batch axis, before preprocessing.
        has_val: Whether there is a val split, given or divided off.
        has_test: Whether there is a test split.
        num_train: Samples of the train split.
        normalize: What `preprocess.normalize: auto` means for this data.
        scale_target: What `preprocess.scale_target: auto` means for this data.
        num_tokens: Size of the vocabulary; 0 where inputs are no tokens.
        pixels: Whether the inputs are images whose values are known to lie in [0, 1].
        per: What has a target: each sample, each step of it, or each node of a tree.
        choices: What the data section's own `auto` words and nulls stand for, by field.
    """

    task: Task | None = None
    layout: Layout | None = None
    num_classes: int | None = None
    num_targets: int | None = None
    input_shape: tuple[int, ...] | None = None
    has_val: bool | None = None
    has_test: bool | None = None
    num_train: int | None = None
    normalize: Literal["none", "standardize"] = "standardize"
    scale_target: bool = False
    num_tokens: int | None = None
    pixels: bool | None = False
    per: Per | None = "sample"
    choices: Mapping[str, object] = field(default_factory=dict)
