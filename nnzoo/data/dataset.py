"""The data set that every source returns: tensors, splits and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nnzoo.data.files.on_disk import OnDisk
from nnzoo.data.files.origin import Origin
from nnzoo.data.reader import NO_TARGET, Layout, Per, Reader, Schema, Task

_BLOCK_ENTRIES = 256 * 1024


def row_slices(values: Tensor) -> list[slice]:
    """Returns slices of about 262,144 entries each over the rows of `values`, to limit the memory that work takes."""
    num_rows = max(1, _BLOCK_ENTRIES // max(1, values[:1].numel()))
    return [slice(start, start + num_rows) for start in range(0, len(values), num_rows)]


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one part of the data.

    A source gives numbers as exactly as it has them. `Preprocess.transform` turns features and sequences, and the
    targets of regression, into float32: only what the network and the loss read is rounded.

    Attributes:
        inputs: (N, F) features or (N, T, F) sequences, float64, or float32 if the source has no more digits;
            (N, C, H, W) images, float32, or uint8 as they were read from files; or (N, T) int64 tokens. `OnDisk` if
            they stay in a file.
        targets: (N,) int64 class indices; (N, K) float32 class probabilities or labels (0 or 1); (N, K) regression
            targets, float64 in a source, float32 and scaled after `Preprocess.transform`; or (N, T) int64 class
            indices of steps or nodes, `NO_TARGET` for those without one. Each sample has at least one.
        lengths: (N,) int64, the number of valid steps of each sequence, from 1 to T; None if all T are valid. The
            entries beyond a sample's length are 0.
        rows: (N,) int64, the row number of each sample in its source, from 0; None if all rows are there in order.
        naive: (N, K) float64, for a series: the last known values, or those one season before, as forecasts of the
            targets; None if the only baseline is a constant.
        origin: Where the samples come from, by their `rows`; None if the row numbers say it all.
        finish: The transform that each batch of inputs still needs, on their device; None if the network takes the
            inputs as they are.
        exact: (N, K) float64, after `Preprocess.transform`: the regression targets in their own unit, which metrics
            compare with. None for other tasks.
        level: (N, K) float64, in the unit of the outputs: what is added to the outputs of the network, for windows of a
            series that were moved (`series.levels`). None if there are none.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    rows: Tensor | None = None
    naive: Tensor | None = None
    finish: nn.Module | None = None
    exact: Tensor | None = None
    level: Tensor | None = None
    origin: Origin | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def truth(self) -> Tensor:
        """The targets that metrics compare with: exact ones if there are some."""
        return self.targets if self.exact is None else self.exact

    def network_inputs(self, rows: slice | Tensor) -> Tensor:
        """Returns the inputs at `rows` as the network takes them."""
        inputs = self.inputs[rows]
        if self.finish is None:
            return inputs
        finished: Tensor = self.finish(inputs)
        return finished

    def class_indices(self) -> Tensor:
        """Returns the class of each sample, (N,) int64, or of each step or node that has one, (P,).

        For probabilities this is the likeliest class.
        """
        if self.targets.is_floating_point():
            return self.targets.argmax(dim=1)
        return self.targets if self.targets.ndim == 1 else self.targets[self.targets != NO_TARGET]

    def take(self, indices: Tensor) -> Split:
        """Returns the samples at `indices`, (M,) int64, in that order: a copy, except of inputs that stay in a file."""
        inputs = self.inputs
        lengths = None if self.lengths is None else self.lengths[indices]
        rows = indices if self.rows is None else self.rows[indices]
        naive = None if self.naive is None else self.naive[indices]
        exact = None if self.exact is None else self.exact[indices]
        level = None if self.level is None else self.level[indices]
        return replace(
            self,
            inputs=inputs.at(indices) if isinstance(inputs, OnDisk) else inputs.index_select(0, indices),
            targets=self.targets.index_select(0, indices),
            lengths=lengths,
            rows=rows,
            naive=naive,
            exact=exact,
            level=level,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data as a source gives it and, once it is split and preprocessed, as the training loop takes it.

    Attributes:
        splits: "train" always; "val" and "test" if they exist.
        task: What the targets are.
        layout: How the axes of the inputs are read.
        per: What has a target: each sample, each step of it, or each node of a tree.
        classes: Class or label names in the order of their indices; empty for regression.
        feature_names: Names of the last axis of features and sequences; empty if it has none.
        target_names: Names of the regression targets.
        num_tokens: One more than the largest token index of any split; 0 if the layout is not tokens.
        choices: What the source found for each field of its section that was `auto` or null.
        warnings: What is probably a mistake: one line each, with the fix.
        notes: Other lines for the log.
        missing_values: For each column of a table with missing values: how many of how many train rows lack one.
        sample_names: The name of each sample of the source, by its row there; empty if the row number is enough.
        reader: Reads new raw data as this was read; None if only arrays can be read.
        divisible: Whether the training samples may be divided into further splits. The four rows of a logic
            gate may not.
    """

    splits: dict[str, Split]
    task: Task
    layout: Layout
    classes: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    num_tokens: int = 0
    choices: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing_values: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sample_names: Sequence[str] = ()
    reader: Reader | None = None
    divisible: bool = True
    per: Per = "sample"

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample, without the batch axis."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def schema(self) -> Schema:
        """What new samples must look like."""
        return Schema(
            self.task,
            self.layout,
            self.classes,
            self.feature_names,
            self.target_names,
            self.num_tokens,
            self.input_shape,
            self.per,
        )

    def origin_columns(self, split: str) -> tuple[tuple[str, ...], Callable[[slice], list[Sequence[Any]]]]:
        """Returns the columns that say where the samples of a split come from, and what finds those of some samples.

        Of samples that are not read from files, and whose features have names, these are the features too.
        """
        part = self.splits[split]
        rows = np.arange(len(part)) if part.rows is None else part.rows.numpy()
        if part.origin is not None:
            origin = part.origin
            return origin.names, lambda samples: origin.find(rows[samples])
        shown = self.feature_names if self.layout == "features" and self.reader is None else ()

        def find(samples: slice) -> list[Sequence[Any]]:
            columns = part.inputs[samples].T if shown else ()
            return [rows[samples].tolist(), *(_shortest(column.numpy()) for column in columns)]

        return ("row", *shown), find

    def measured_split(self, split: str) -> Split:
        """Returns a split with the targets that are measured: for a tree that of its root, row 0."""
        found = self.splits[split]
        if self.per != "node" or found.targets.is_floating_point():
            return found
        return replace(found, targets=found.targets[:, 0])


def _shortest(values: NDArray[np.floating[Any]]) -> list[float]:
    """The numbers with as few digits as tell them apart: 0.1, where float32 is 0.10000000149."""
    return [float(str(value)) for value in values]
