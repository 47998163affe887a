"""Facts about the data of an experiment, known from the config or, once it is read, from the data itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Task = Literal["classification", "multilabel", "regression"]
Layout = Literal["features", "image", "sequence", "tokens", "tree"]
Per = Literal["sample", "step", "node"]


@dataclass(frozen=True)
class Facts:
    """Facts about the data. None means that a fact is not known before the data is read.

    Attributes:
        task: The kind of targets.
        layout: The meaning of the axes of a sample.
        num_classes: Number of classes, or of labels of a multilabel task; 0 for regression.
        num_targets: Number of regression targets per sample; 0 for classification.
        input_shape: The shape of one sample without the batch axis, before preprocessing.
        has_val: Whether there is a val split.
        has_test: Whether there is a test split.
        num_train: Number of samples in the train split.
        normalize: The value that `preprocess.normalize: auto` selects for this data.
        scale_target: The value that `preprocess.scale_target: auto` selects for this data.
        num_tokens: Size of the vocabulary; 0 if the inputs are not tokens.
        pixels: Whether the inputs are images whose values are known to lie in [0, 1].
        per: The unit that has a target: a sample, a step of a sequence, or a node of a tree.
        one_hot: The ranges (start, stop) of features that are 0 or 1.
        choices: The resolved values of `auto` and null fields of the data section, by field.
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
    one_hot: tuple[tuple[int, int], ...] = ()
    choices: Mapping[str, object] = field(default_factory=dict)
