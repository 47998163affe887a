"""What every data source has: how its samples are divided, and what its words tell of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from nnzoo.config.base import Count, Probability, Section, Seed
from nnzoo.config.facts import Facts

PATH_FIELDS = ("path", "val_path", "test_path", "root")
"""Fields of sources that name files: relative to the config's folder, absolute in a run, a bare name in an artifact."""

FilePath = Annotated[str, Field(min_length=1)]


def _position(value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value < 0:
        raise ValueError(f"expected a name, or a position from 0, got {value}.")
    return str(value)


COLUMN_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}
ColumnName = Annotated[str, Field(min_length=1), BeforeValidator(_position), WithJsonSchema(COLUMN_SCHEMA)]
"""Of a table. A column without a name is called by its position, from 0."""


class Split(Section):
    """How samples without a split of their own are divided. Shares are of the given train samples."""

    val: Probability = Field(0.15, description="share held out to choose the best weights; 0: none")
    test: Probability = Field(0.15, description="share held out for the final measurement; 0: none")
    stratify: bool = Field(True, description="every class in proportion, where there are classes")
    seed: Seed = Field(0, description="of the division alone; the run's own seed does not touch it")
    group: ColumnName | None = Field(None, description="of a table: rows with the same value here stay together")
    deduplicate: bool = Field(
        False,
        description="drop samples that equal an earlier one, and those of train that are in a given val or test too",
    )


class Source(Section):
    """What every source has."""

    has_columns: ClassVar[bool] = False
    """Whether the samples come from a table whose columns can be named."""

    split: Split = Field(Split(), description="how the samples are divided")

    @abstractmethod
    def facts(self) -> Facts:
        """What the words alone tell of the data."""

    def _divided(self) -> dict[str, Any]:
        return {"has_val": self.split.val > 0, "has_test": self.split.test > 0}


class Files(Source):
    """What every source of your own files has."""

    path: FilePath = Field(description="a file, a folder, or a glob pattern such as `data/part-*.csv`")
    val_path: FilePath | None = Field(None, description="the same for the val split")
    test_path: FilePath | None = Field(None, description="the same for the test split")
    limit: Count | None = Field(None, description="take the first N samples of each split")


class RepairedFiles(Files):
    """What every source has that leaves out or repairs some of what it reads, with a warning."""

    path: FilePath = Field(
        description="a file, a folder, a glob pattern such as `data/part-*.csv`, or a zip archive or a file in it, "
        "`data.zip/part1.csv`; gz, bz2, xz, zst and zip are expanded"
    )
    strict: bool = Field(False, description="whether whatever is left out or repaired is an error, not a warning")
