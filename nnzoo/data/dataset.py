"""What every source returns: tensors, splits and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nnzoo.data.on_disk import OnDisk
from nnzoo.data.origin import Origin
from nnzoo.data.reader import NO_TARGET, Layout, Per, Reader, Schema, Task

_BLOCK_ENTRIES = 1024 * 1024


def row_slices(values: Tensor) -> list[slice]:
    """Slices over the rows of `values`, of about a million entries each, so that work on one needs little memory."""
    num_rows = max(1, _BLOCK_ENTRIES // max(1, values[:1].numel()))
    return [slice(start, start + num_rows) for start in range(0, len(values), num_rows)]


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one part of the data.

    Attributes:
        inputs: (N, F) features, (N, C, H, W) images, (N, T, F) sequences, all float32, or (N, T) int64 tokens. Images
            that were read from files are uint8, a quarter of the memory. `OnDisk`, where they stay in a file.
        targets: (N,) int64 class indices; (N, K) float32 class probabilities, labels (0 or 1) or regression targets;
            (N, T) int64 class indices of steps or nodes, `NO_TARGET` where there is none, at least one a sample.
        lengths: (N,) int64, the valid steps of each sequence, from 1 to T; None where all T are valid. The entries
            beyond a sample's length are 0.
        rows: (N,) int64, each sample's number in its source, from 0; None where they are all there in order.
        naive: (N, K) float32, of a series: its last known values, as forecasts of the targets; None where there are
            none to beat but a constant.
        origin: Where the samples come from, by their `rows`; None: `rows` says it all.
        finish: What is left to do to the inputs of a batch, on their device; None: the network takes them as they are.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    rows: Tensor | None = None
    naive: Tensor | None = None
    finish: nn.Module | None = None
    origin: Origin | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def network_inputs(self, rows: slice | Tensor) -> Tensor:
        """The inputs at `rows` as the network takes them."""
        inputs = self.inputs[rows]
        if self.finish is None:
            return inputs
        finished: Tensor = self.finish(inputs)
        return finished

    def class_indices(self) -> Tensor:
        """(N,) int64: the class of each sample, of probabilities the likeliest; (P,) of steps or nodes with one."""
        if self.targets.is_floating_point():
            return self.targets.argmax(dim=1)
        return self.targets if self.targets.ndim == 1 else self.targets[self.targets != NO_TARGET]

    def take(self, indices: Tensor) -> Split:
        """The samples at `indices`, (M,) int64, in that order: a copy, but of inputs that stay in a file."""
        inputs = self.inputs
        lengths = None if self.lengths is None else self.lengths[indices]
        rows = indices if self.rows is None else self.rows[indices]
        naive = None if self.naive is None else self.naive[indices]
        return replace(
            self,
            inputs=inputs.at(indices) if isinstance(inputs, OnDisk) else inputs.index_select(0, indices),
            targets=self.targets.index_select(0, indices),
            lengths=lengths,
            rows=rows,
            naive=naive,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data as a source gives it, and, split and preprocessed, as the training loop takes it.

    Attributes:
        splits: "train" always; "val" and "test" where they exist.
        task: What the targets are.
        layout: How the axes of the inputs are read.
        per: What has a target: each sample, each step of it, or each node of a tree.
        classes: Class or label names in the order of their indices; empty for regression.
        feature_names: Names of the last axis of features and sequences; empty where it has none.
        target_names: Names of the regression targets.
        num_tokens: One more than the largest token index of any split; 0 where the layout is not tokens.
        choices: What the source chose where its words left it to the data, by field of its section.
        warnings: What is likely not meant as it is: a line each, with the fix.
        notes: What else is worth a line.
        missing_values: Of each column of a table with gaps: how many of how many train rows lack its value.
        sample_names: What each sample of the source is called, by its row there; empty where the row says all.
        reader: Reads new raw data as this was read; None where there is only the one for arrays.
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
        """What new samples have to be like."""
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

    def places(self, split: str) -> tuple[tuple[str, ...], Callable[[slice], list[Sequence[Any]]]]:
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

    def answers(self, split: str) -> Split:
        """A split with the targets that are measured: of a tree that of its root, row 0."""
        found = self.splits[split]
        if self.per != "node" or found.targets.is_floating_point():
            return found
        return replace(found, targets=found.targets[:, 0])


def _shortest(values: NDArray[np.floating[Any]]) -> list[float]:
    """The numbers with as few digits as tell them apart: 0.1, where float32 is 0.10000000149."""
    return [float(str(value)) for value in values]
