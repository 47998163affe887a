"""Which rows of a table make a sample: each one alone, or those of one id as the steps of a sequence."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.dataset import Split
from nnzoo.data.tables.columns import Column
from nnzoo.data.tables.forms import TEXT, Form
from nnzoo.data.tables.table import Table


@dataclass(frozen=True)
class SampleRows:
    """SampleRows of a table, in the order of their first rows.

    Attributes:
        rows: (R,) rows, sample by sample, in the order of the file within each.
        ends: (N,) where each sample ends in `rows`; None where each is one row.
        ids: (N,) what sequences are called.
        order: (N,) the numbers of sequences in the table; None where they are all there.
    """

    rows: NDArray[np.int64]
    ends: NDArray[np.int64] | None = None
    ids: NDArray[np.str_] | None = None
    order: NDArray[np.int64] | None = None

    @classmethod
    def of_table(cls, table: Table, sequence_id: str | None, form: Form = TEXT) -> SampleRows:
        """Returns the samples of a table of which some column was read, by the column of ids where there is one.

        Args:
            table: The table.
            sequence_id: The column of ids.
            form: By which ids are equal.

        Raises:
            DataError: A row has no id.
        """
        if sequence_id is None:
            return cls(np.arange(table.num_rows))
        ids = table.cells(sequence_id)
        if ids.missing.any():
            row = int(ids.missing.argmax())
            raise ids.problem(row, "the id of the sequence is missing. Remove such rows, or see `missing`.")
        codes = ids.keys(form).codes  # in the order of their first rows
        names = ids.spellings(form, np.arange(len(ids)))
        return cls(codes.argsort(kind="stable"), np.bincount(codes).cumsum(), np.array(names))

    def __len__(self) -> int:
        return len(self.rows if self.ends is None else self.ends)

    @property
    def last_rows(self) -> NDArray[np.int64]:
        """(N,) the last row of each sample: its target and its group count."""
        return self.rows if self.ends is None else self.rows[self.ends - 1]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(N,) the number of each sample in the table, from 0."""
        everything = self.rows if self.ends is None else np.arange(len(self))
        return everything if self.order is None else self.order

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) rows of each sample."""
        return np.ones(len(self), dtype=np.int64) if self.ends is None else np.diff(self.ends, prepend=0)

    def take(self, samples: NDArray[np.int64]) -> SampleRows:
        """Some of the samples, in that order."""
        if self.ends is None or self.ids is None:
            return SampleRows(self.rows[samples])
        parts = np.split(self.rows, self.ends[:-1])
        rows = np.concatenate([parts[index] for index in samples.tolist()])
        return SampleRows(rows, self.lengths[samples].cumsum(), self.ids[samples], self.numbers[samples])


def in_own_pages(values: NDArray[Any]) -> NDArray[Any]:
    """Returns a copy whose memory goes back to the system when it is freed, as that of blocks of the heap may not."""
    pages = mmap.mmap(-1, max(1, values.nbytes))
    own = np.frombuffer(pages, dtype=values.dtype, count=values.size).reshape(values.shape)
    own[...] = values
    return own


def pack(columns: Sequence[Column], values: list[NDArray[Any]], parts: Sequence[SampleRows]) -> list[Tensor]:
    """Returns the features of some samples of a table.

    Args:
        columns: The columns.
        values: What each column's `read` returned; emptied on the way, so that values and result are not in memory at
            once.
        parts: The samples.

    Returns:
        For each part (R, F) float64, sample by sample. Features are contiguous: memory is taken as columns are written.
    """
    num_features = sum(len(column.feature_names) for column in columns)
    packed = [torch.from_numpy(np.zeros((num_features, len(part.rows)))).T for part in parts]
    stop = num_features
    # From the last on: the C library returns memory to the system from the end of its heap.
    for column in reversed(columns):
        own = values.pop()
        start = stop - len(column.feature_names)
        for part, out in zip(parts, packed, strict=True):
            column.write(own[part.rows], out.numpy()[:, start:stop])
        stop = start
    return packed


def as_steps(rows: Tensor, samples: SampleRows, num_steps: int) -> tuple[Tensor, Tensor]:
    """Returns (R, F) rows, sample by sample, as (N, T, F) sequences, 0 beyond their (N,) lengths."""
    lengths = torch.from_numpy(samples.lengths)
    padded = torch.zeros(len(samples), num_steps, rows.shape[1], dtype=rows.dtype)
    padded[torch.arange(num_steps) < lengths.unsqueeze(1)] = rows
    return padded, lengths


def as_split(rows: Tensor, samples: SampleRows, targets: Tensor) -> Split:
    """(R, F) rows and (N, ...) targets as a split; sequences are as long as the longest."""
    numbers = torch.from_numpy(samples.numbers)
    if samples.ends is None:
        return Split(rows, targets, rows=numbers)
    inputs, lengths = as_steps(rows, samples, int(samples.lengths.max()))
    return Split(inputs, targets, lengths, numbers)


def padded(split: Split, num_steps: int) -> Split:
    """A split of sequences with that many steps."""
    more = num_steps - split.inputs.shape[1]
    return replace(split, inputs=torch.nn.functional.pad(split.inputs, (0, 0, 0, more)))
