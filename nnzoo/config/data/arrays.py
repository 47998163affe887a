"""Arrays in files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from nnzoo.config.data.base import FilePath, Files, Source
from nnzoo.config.facts import Facts


class ArraySource(Source):
    """Base class of all sources of arrays."""

    task: Literal["auto", "classification", "multilabel", "regression"] = Field(
        "auto",
        description="auto: classification if y is integer or text, regression if it is float. For sequences or "
        "tokens of T steps, y of shape (N, T) has one class per step; -100 marks a step without a target",
    )
    layout: Literal["auto", "features", "sequence", "image", "tokens"] = Field(
        "auto",
        description="features (N, F), sequence (N, T, F), image (N, C, H, W), tokens (N, T) of integers; auto: by "
        "the shape of x",
    )

    def facts(self) -> Facts:
        return Facts(
            task=None if self.task == "auto" else self.task,
            layout=None if self.layout == "auto" else self.layout,
            num_targets=0 if self.task in ("classification", "multilabel") else None,
            **self._given_splits(),
            per=None if self._may_have_steps() else "sample",
            normalize="none" if self.layout == "tokens" else "standardize",
            pixels=None,
        )

    def _may_have_steps(self) -> bool:
        return self.task in ("auto", "classification") and self.layout in ("auto", "sequence", "tokens")

    def _given_splits(self) -> dict[str, Any]:
        """Returns the facts about val and test splits that the user provides, not those split off from train."""
        return {}


class Arrays(ArraySource, Files):
    """Your own arrays: an .npz or a folder of .npy, with `x` and `y`; also `x_val`, `y_val`, `x_test`, `y_test`."""

    name: Literal["arrays"]
    path: FilePath = Field(description="an .npz file, or a folder of .npy files, which can be larger than memory")
    val_path: FilePath | None = Field(None, description="file or folder with x and y of the val split")
    test_path: FilePath | None = Field(None, description="file or folder with x and y of the test split")
    cache: Literal["auto", "memory", "disk"] = Field(
        "auto",
        description="where inputs are stored: in memory, or on disk in their .npy files, from which batches are read "
        "in the background; the result is the same. auto: on disk from 1 GiB of float32",
    )

    def _given_splits(self) -> dict[str, Any]:
        return {"has_val": True if self.val_path else None, "has_test": True if self.test_path else None}
