"""Base classes of data sources: their split, their files, and the facts that follow from a section."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from nnzoo.config.base import Count, Probability, Section, Seed
from nnzoo.config.facts import Facts

PATH_FIELDS = ("path", "val_path", "test_path", "root")
"""The fields that hold paths: relative to the config file, absolute in a run, only the file name in an artifact."""

FilePath = Annotated[str, Field(min_length=1)]


def _position(value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value < 0:
        raise ValueError(f"expected a name, or a position from 0, got {value}.")
    return str(value)


COLUMN_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}
ColumnName = Annotated[str, Field(min_length=1), BeforeValidator(_position), WithJsonSchema(COLUMN_SCHEMA)]
"""A column of a table, by its name or, without a header, by its position from 0."""


class Fold(Section):
    """One fold of a cross-validation. `train.folds` writes it into the config of each of its trainings."""

    number: Count = Field(description="number of the fold, from 1")
    of: Annotated[int, Field(ge=2, le=1000)] = Field(description="number of folds")
    held_out: Literal["fold", "test"] = Field(
        "fold", description="the test split: the samples of the fold, or the test samples, which are in no fold"
    )


class Split(Section):
    """The split into train, val and test. Provided val and test splits are kept; fractions are of the train samples."""

    val: Probability = Field(
        0.15, description="fraction of samples for validation, which selects the best weights; 0: no val split"
    )
    test: Probability = Field(0.15, description="fraction of samples for the final test; 0: no test split")
    stratify: bool = Field(True, description="keep the class proportions in every split")
    seed: Seed = Field(0, description="random seed of the split, independent of the top-level `seed`")
    group: ColumnName | None = Field(
        None, description="column of a table: rows with the same value in this column stay in the same split"
    )
    deduplicate: bool = Field(
        False,
        description="remove duplicates of earlier samples, and train samples that also occur in a "
        "provided val or test split",
    )
    fold: Fold | None = Field(None, description="the fold to hold out; null: no cross-validation")


class Source(Section):
    """Base class of all data sources."""

    has_columns: ClassVar[bool] = False
    """Whether the samples are rows of a table with columns."""

    split: Split = Field(Split(), description="split into train, val and test")

    @abstractmethod
    def facts(self) -> Facts:
        """Returns what is known about the data without reading it."""

    def _divided(self) -> dict[str, Any]:
        holds_out = self.split.fold is not None and self.split.fold.held_out == "fold"
        return {"has_val": self.split.val > 0, "has_test": holds_out or self.split.test > 0}


class Files(Source):
    """Base class of all sources that read your own files."""

    path: FilePath = Field(description="a file, a folder, or a glob pattern such as `data/part-*.csv`")
    val_path: FilePath | None = Field(None, description="file, folder or glob pattern of the val split")
    test_path: FilePath | None = Field(None, description="file, folder or glob pattern of the test split")
    limit: Count | None = Field(None, description="use only the first N samples of each split")


class RepairedFiles(Files):
    """Base class of all sources that skip or repair parts of their files, with a warning."""

    path: FilePath = Field(
        description="file, folder, glob pattern such as `data/part-*.csv`, zip archive, or file in it such as "
        "`data.zip/part1.csv`; gz, bz2, xz, zst and zip are decompressed"
    )
    strict: bool = Field(False, description="raise an error if a part of a file would be skipped or repaired")
