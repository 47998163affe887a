"""Readers convert new raw data to tensors in the same way as the training data.

A source that reads files puts a reader into its dataset. The reader is saved with the weights, so the weight file is
all that is needed to use the network on raw data. Like every file, it is validated when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from nnzoo.data.files.origin import Origin
from nnzoo.data.task import Task as Task
from nnzoo.errors import UsageError

Layout = Literal["features", "image", "sequence", "tokens", "tree"]
Per = Literal["sample", "step", "node"]

NO_TARGET = -100
"""The class index of a step or a node without a target: the default `ignore_index` of torch."""


class Schema(NamedTuple):
    """What new samples must have in common with the samples of a dataset. The attributes are those of `Dataset`."""

    task: Task
    layout: Layout
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    num_tokens: int
    input_shape: tuple[int, ...]
    per: Per = "sample"


SourceColumns = Callable[[Sequence[str] | None], dict[str, list[str]]]


@dataclass(frozen=True, eq=False)
class Samples:
    """New samples.

    Attributes:
        inputs: As in a `Split`.
        names: (N,) the name of each sample in a table of predictions: its row number or its file name.
        targets: As in a `Split`; None if the labels were not read.
        lengths: As in a `Split`.
        naive: As in a `Split`.
        origin: Where each sample comes from, by its number; None if its name is enough.
        source_columns: Returns the named columns of the table that the samples come from, or all of them, as text: one
            value per sample. None if there is no table.
        row_targets: The names of the targets of one row, if each sample has targets in several rows.
        warnings: What was skipped, repaired or differs from the training data, one line each.
        broken: Inputs that can't be read and get no prediction: one line each, with the name and the reason.
    """

    inputs: Tensor
    names: Sequence[int | str]
    targets: Tensor | None = None
    lengths: Tensor | None = None
    naive: Tensor | None = None
    origin: Origin | None = None
    source_columns: SourceColumns | None = None
    row_targets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    def valid_steps(self) -> Tensor:
        """Returns which steps are within the lengths, (N, T) bool."""
        num_steps = self.inputs.shape[1]
        lengths = torch.full((len(self.inputs),), num_steps) if self.lengths is None else self.lengths
        return torch.arange(num_steps) < lengths.unsqueeze(1)


class Reader(BaseModel):
    """Reads raw data of one kind. Its fields describe the training data."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: str
    pixels: ClassVar[bool] = False
    """Whether the inputs are images, uint8 or in [0, 1]."""

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        """The ranges (start, stop) of features that are 0 or 1, which are not normalized.

        A range has the categories of one column, or a single feature: a boolean, or the indicator of missing values.
        """
        return ()

    @property
    def column_types(self) -> dict[str, str]:
        """The type of each column of a table; empty if the data is not a table."""
        return {}

    @property
    def column_forms(self) -> dict[str, str]:
        """A description of the cell format of each column with a special format."""
        return {}

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads new samples from files, one after the other.

        Args:
            paths: Files or folders; `-` is standard input.
            schema: The schema of the training data.
            labelled: Whether the targets are read too.

        Raises:
            DataError: The samples can't be read, or do not match the training data.
        """
        raise NotImplementedError

    def from_rows(self, raw: object, schema: Schema) -> Samples | None:  # noqa: ARG002
        """Returns the samples of a data frame, a dict of lists or a list of dicts; None if this reader reads no tables.

        Args:
            raw: The rows. For any other value the result is None.
            schema: The schema of the training data.

        Raises:
            DataError: The rows do not match the training data.
        """
        return None

    def from_labelled_rows(self, raw: object, schema: Schema) -> Samples | None:  # noqa: ARG002
        """Returns the samples of `from_rows` with their targets, which are columns too.

        Raises:
            DataError: As in `from_rows`.
        """
        return None

    def from_texts(self, texts: Sequence[str]) -> Samples:  # noqa: ARG002
        """Converts texts to samples.

        Raises:
            UsageError: The training data was not text.
        """
        raise UsageError(
            "only networks trained on `data: text` or `data: language` read texts. Pass a file or folder.",
            where="predict",
        )

    def fits(self, schema: Schema) -> bool:  # noqa: ARG002
        """Returns whether the samples of this reader match the schema."""
        return True
