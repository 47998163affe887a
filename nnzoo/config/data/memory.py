"""Data passed from Python: `nnzoo.train(config, data=...)`. nnzoo writes these sections into the config of a run."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.data.arrays import ArraySource
from nnzoo.config.data.base import Source
from nnzoo.config.data.tables import TableSource

DIGEST = Field(description="SHA-256 of the data, which is not stored itself")


class PythonSource(Source):
    """Base class of all sources of data passed from Python."""

    python_only: ClassVar[bool] = True

    digest: str = DIGEST

    def _divided(self) -> dict[str, Any]:
        # A val and a test split may be passed, too.
        return {"has_val": True if self.split.val > 0 else None, "has_test": True if self.split.test > 0 else None}


class Memory(PythonSource, ArraySource):
    """Arrays passed from Python: `x` and `y`; also `x_val`, `y_val`, `x_test`, `y_test`."""

    name: Literal["memory"]

    def _given_splits(self) -> dict[str, Any]:
        return self._divided()


class Frame(PythonSource, TableSource):
    """A data frame passed from Python."""

    name: Literal["frame"]
    strict: bool = Field(False, description="raise an error if a part of the data would be skipped or repaired")
