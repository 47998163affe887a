"""Arrays of one's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from nnzoo.config.data.base import FilePath, Files, Source
from nnzoo.config.facts import Facts


class ArraySource(Source):
    """What is said of arrays, wherever they come from."""

    task: Literal["auto", "classification", "multilabel", "regression"] = Field(
        "auto",
        description="auto: integer or text y are classes, float y is regression. Classes (N, T) beside a sequence or "
        "tokens of T steps are one a step, -100 for none",
    )
    layout: Literal["auto", "features", "sequence", "image", "tokens"] = Field(
        "auto", description="(N, F), (N, T, F), (N, C, H, W), integer (N, T); auto: by the number of axes"
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
        """Which splits there are for sure, beside those that are divided off."""
        return {}


class Arrays(ArraySource, Files):
    """Your own arrays: an .npz or a folder of .npy, with `x` and `y`; also `x_val`, `y_val`, `x_test`, `y_test`."""

    name: Literal["arrays"]
    path: FilePath = Field(description="an .npz file, or a folder of .npy files (a large one stays on the disk)")
    val_path: FilePath | None = Field(None, description="file or folder whose x and y are the val split")
    test_path: FilePath | None = Field(None, description="file or folder whose x and y are the test split")

    cache: Literal["auto", "memory", "disk"] = Field(
        "auto",
        description="where inputs are kept: in memory, or in their .npy files, of which each batch is read in the "
        "background (for restarts at once, when it is its turn); the weights are the same. auto: disk from 1 GiB of "
        "float32 on",
    )

    def _given_splits(self) -> dict[str, Any]:
        return {"has_val": True if self.val_path else None, "has_test": True if self.test_path else None}
