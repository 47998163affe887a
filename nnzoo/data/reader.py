"""How new raw data becomes tensors: as the training data did, by what was found in it.

A source that reads files puts a reader into the dataset that it returns. It is saved with the weights, so that they are
enough to use the network on raw data, and checked like anything else that comes from a file.
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
from nnzoo.errors import UsageError

Task = Literal["classification", "multilabel", "regression"]
Layout = Literal["features", "image", "sequence", "tokens", "tree"]
Per = Literal["sample", "step", "node"]

NO_TARGET = -100
"""In place of a class, where a step or a node has no target: torch's own `ignore_index`."""


class Schema(NamedTuple):
    """What the samples of a dataset are like, and new ones have to be. The attributes are those of `Dataset`."""

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
        inputs: As of a `Split`.
        names: (N,) what each is called in a table: the number of its row, the name of its file.
        targets: As of a `Split`; None where the labels were not asked for.
        lengths: As of a `Split`.
        naive: As of a `Split`.
        origin: Where each sample comes from, by its number; None where its name tells.
        source_columns: Returns the named columns of the table that the samples come from, or all of them, as text: one
            value per sample. None if there is no table.
        row_targets: Where a sample has several rows of a table, with a name each: the targets of one row.
        warnings: What was left out, repaired or is unlike the training data: one line each.
        broken: Inputs without an answer because they can't be read: one line each, with the name and the reason.
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
        """(N, T) bool: the steps within the lengths."""
        num_steps = self.inputs.shape[1]
        lengths = torch.full((len(self.inputs),), num_steps) if self.lengths is None else self.lengths
        return torch.arange(num_steps) < lengths.unsqueeze(1)


class Reader(BaseModel):
    """Reads raw data of one kind. Its fields are what was found in the training data."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: str
    pixels: ClassVar[bool] = False
    """Whether it gives images, uint8 or in [0, 1]."""

    @property
    def column_types(self) -> dict[str, str]:
        """What each column of a table was found to be; empty where there are none."""
        return {}

    @property
    def column_forms(self) -> dict[str, str]:
        """How the cells of columns are written, where that needs to be known; for people."""
        return {}

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads new samples, file after file.

        Args:
            paths: Files or folders; `-` is standard input.
            schema: Of the training data.
            labelled: Whether the targets are read too.

        Raises:
            DataError: They can't be read, or are not like the training data.
        """
        raise NotImplementedError

    def from_rows(self, raw: object, schema: Schema) -> Samples | None:  # noqa: ARG002
        """Returns the samples of a data frame, a dict of lists or a list of dicts; None if this reader reads no tables.

        Args:
            raw: The rows; something else gives None.
            schema: Of the training data.

        Raises:
            DataError: It is not like the training data.
        """
        return None

    def from_labelled_rows(self, raw: object, schema: Schema) -> Samples | None:  # noqa: ARG002
        """Returns what `from_rows` returns, with the targets, which are columns as well.

        Raises:
            DataError: As of `from_rows`.
        """
        return None

    def from_texts(self, texts: Sequence[str]) -> Samples:  # noqa: ARG002
        """Samples of some texts.

        Raises:
            UsageError: The training data was no texts.
        """
        raise UsageError(
            "only networks trained on `data: text` or `data: language` read texts. Name a file or folder.",
            where="predict",
        )

    def fits(self, schema: Schema) -> bool:  # noqa: ARG002
        """Whether what it reads is what the schema says."""
        return True
