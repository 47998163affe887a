"""The dataset that every source returns: tensors, splits and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nnzoo.data.files.on_disk import OnDisk
from nnzoo.data.files.origin import Numbers, Origin
from nnzoo.data.reader import NO_TARGET, Layout, Per, Reader, Schema, Task

_BLOCK_ENTRIES = 256 * 1024


def row_slices(values: Tensor) -> list[slice]:
    """Returns slices over the rows of `values`, of about 262,144 entries each, to limit the peak memory."""
    num_rows = max(1, _BLOCK_ENTRIES // max(1, values[:1].numel()))
    return [slice(start, start + num_rows) for start in range(0, len(values), num_rows)]


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one split.

    A source returns numbers in full precision. `Preprocess.transform` converts features, sequences and regression
    targets to float32, so only the values that the network and the loss use are rounded.

    Attributes:
        inputs: (N, F) features or (N, T, F) sequences, float64, or float32 if that represents the source exactly;
            (N, C, H, W) images, float32, or uint8 as read from files; or (N, T) int64 tokens. `OnDisk` if they stay
            in a file.
        targets: (N,) int64 class indices; (N, K) float32 class probabilities or labels (0 or 1); (N, K) regression
            targets, float64 in a source, float32 and scaled after `Preprocess.transform`; or (N, T) int64 class
            indices of steps or nodes, `NO_TARGET` for those without one. Each sample has at least one target.
        lengths: (N,) int64, the number of valid steps of each sequence, from 1 to T; None if all T are valid. The
            entries beyond a sample's length are 0.
        rows: (N,) int64, the row number of each sample in its source, from 0; None if all rows are used in order.
        naive: (N, K) float64, for a series: the last known values, or those one season before, as forecasts of the
            targets; None if the only baseline is a constant.
        origin: Where the samples come from, by their `rows`; None if the row numbers are enough.
        written: Returns the cells of the feature columns as they are written in the table, by column, for `rows`. It
            reads the table again. None if the samples are not rows of a small table.
        finish: The transform that each batch of inputs still needs, on its device; None if the inputs need none.
        exact: (N, K) float64, after `Preprocess.transform`: the regression targets in their original unit, for
            metrics. None for other tasks.
        level: (N, K) float64, in the unit of the outputs: an offset that is added to the outputs of the network, for
            windows of a series that were shifted (`series.levels`). None if no windows were shifted.
        weights: (N,) float32 the weight of each sample in the loss, 1 on average over train. None if all are 1.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    rows: Tensor | None = None
    naive: Tensor | None = None
    finish: nn.Module | None = None
    exact: Tensor | None = None
    level: Tensor | None = None
    weights: Tensor | None = None
    origin: Origin | None = None
    written: Callable[[Numbers], dict[str, list[str]]] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def truth(self) -> Tensor:
        """The targets that metrics use: `exact` if it is set, else `targets`."""
        return self.targets if self.exact is None else self.exact

    def network_inputs(self, rows: slice | Tensor) -> Tensor:
        """Returns the inputs at `rows`, transformed for the network."""
        inputs = self.inputs[rows]
        if self.finish is None:
            return inputs
        finished: Tensor = self.finish(inputs)
        return finished

    def class_indices(self) -> Tensor:
        """Returns the class of each sample, (N,) int64, or of each step or node that has a target, (P,) int64.

        For probabilities this is the most probable class.
        """
        if self.targets.is_floating_point():
            return self.targets.argmax(dim=1)
        return self.targets if self.targets.ndim == 1 else self.targets[self.targets != NO_TARGET]

    def take(self, indices: Tensor) -> Split:
        """Returns the samples at `indices`, (M,) int64, in that order. Inputs on disk are not copied."""
        inputs = self.inputs
        lengths = None if self.lengths is None else self.lengths[indices]
        rows = indices if self.rows is None else self.rows[indices]
        naive = None if self.naive is None else self.naive[indices]
        exact = None if self.exact is None else self.exact[indices]
        level = None if self.level is None else self.level[indices]
        weights = None if self.weights is None else self.weights[indices]
        return replace(
            self,
            inputs=inputs.at(indices) if isinstance(inputs, OnDisk) else inputs.index_select(0, indices),
            targets=self.targets.index_select(0, indices),
            lengths=lengths,
            rows=rows,
            naive=naive,
            exact=exact,
            level=level,
            weights=weights,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """The data read from a source. Once split and preprocessed, it is what the training loop uses.

    Attributes:
        splits: "train" always; "val" and "test" if they exist.
        task: The kind of targets.
        layout: The meaning of the axes of the inputs.
        per: Whether each sample, each step or each node of a tree has a target.
        classes: Class or label names in the order of their indices; empty for regression.
        feature_names: Names of the last axis of features and sequences; empty if it has none.
        target_names: Names of the regression targets.
        num_tokens: One more than the largest token index of any split; 0 if the layout is not tokens.
        choices: The resolved value of each field of the config section that was `auto` or null.
        warnings: Probable mistakes, one line each, with the fix.
        notes: Other lines for the log.
        missing_values: For each table column with missing values: the number of train rows without a value, and the
            number of all train rows.
        sample_names: The name of each sample, indexed by its row in the source; empty if the row number is enough.
        reader: Reads new raw data in the same way as the source; None if only arrays can be read.
        divisible: Whether further splits may be taken from the training samples. False for the four rows of a logic
            gate.
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
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        """The ranges (start, stop) of features that are 0 or 1: see `Reader.one_hot`."""
        return () if self.reader is None else self.reader.one_hot

    @property
    def schema(self) -> Schema:
        """The schema that new samples must match."""
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
        """Returns the names of the columns that identify the samples of a split, and a function that computes them.

        For samples that are not read from files and whose features have names, the columns include the features.
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
        """Returns a split with the targets that metrics are computed on: for trees, only those of the roots (row 0)."""
        part = self.splits[split]
        if self.per != "node" or part.targets.is_floating_point():
            return part
        return replace(part, targets=part.targets[:, 0])


def _shortest(values: NDArray[np.floating[Any]]) -> list[float]:
    """Returns each number in its shortest decimal form that converts back to it: 0.1 for float32 0.10000000149."""
    return [float(str(value)) for value in values]
