"""Data that Python passes: `nnzoo.train(config, data=...)`. nnzoo writes these sections into the config of a run."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.data.arrays import ArraySource
from nnzoo.config.data.base import Source
from nnzoo.config.data.tables import TableSource

DIGEST = Field(description="SHA-256 of the data, which is not kept itself")


class InMemory(Source):
    """What every source has that Python passes."""

    python_only: ClassVar[bool] = True

    digest: str = DIGEST

    def _divided(self) -> dict[str, Any]:
        # Python may pass a val and a test split as well.
        return {"has_val": True if self.split.val > 0 else None, "has_test": True if self.split.test > 0 else None}


class Memory(InMemory, ArraySource):
    """Arrays that Python passes: `x` and `y`; also `x_val`, `y_val`, `x_test`, `y_test`."""

    name: Literal["memory"]

    def _given_splits(self) -> dict[str, Any]:
        return self._divided()


class Frame(InMemory, TableSource):
    """A data frame that Python passes."""

    name: Literal["frame"]
    strict: bool = Field(False, description="whether whatever is left out or repaired is an error, not a warning")
