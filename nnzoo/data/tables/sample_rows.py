"""The rows of each sample: one row, or all rows with the same id as the steps of a sequence."""

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
    """The rows of each sample; samples are in the order of their first rows.

    Attributes:
        rows: (R,) row indices, sample by sample, in file order within each sample.
        ends: (N,) the end of each sample in `rows`; None if each sample is one row.
        ids: (N,) the ids of sequences.
        order: (N,) the index of each sequence among all sequences of the table; None if all are included, in order.
    """

    rows: NDArray[np.int64]
    ends: NDArray[np.int64] | None = None
    ids: NDArray[np.str_] | None = None
    order: NDArray[np.int64] | None = None

    @classmethod
    def of_table(cls, table: Table, sequence_id: str | None, form: Form = TEXT) -> SampleRows:
        """Returns all samples of a table. A column must have been read before.

        Args:
            table: The table.
            sequence_id: The column of sequence ids; None if each row is a sample.
            form: The format by which ids are compared.

        Raises:
            DataError: A row has no id.
        """
        if sequence_id is None:
            return cls(np.arange(table.num_rows))
        ids = table.cells(sequence_id)
        if ids.missing.any():
            row = int(ids.missing.argmax())
            raise ids.problem(row, "the sequence id is missing. Remove such rows, or correct `missing`.")
        codes = ids.keys(form).codes  # in order of first appearance
        names = ids.spellings(form, np.arange(len(ids)))
        return cls(codes.argsort(kind="stable"), np.bincount(codes).cumsum(), np.array(names))

    def __len__(self) -> int:
        return len(self.rows if self.ends is None else self.ends)

    @property
    def last_rows(self) -> NDArray[np.int64]:
        """(N,) the last row of each sample, which holds its target and group."""
        return self.rows if self.ends is None else self.rows[self.ends - 1]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(N,) the index of each sample in the table."""
        all_samples = self.rows if self.ends is None else np.arange(len(self))
        return all_samples if self.order is None else self.order

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) the number of rows per sample."""
        return np.ones(len(self), dtype=np.int64) if self.ends is None else np.diff(self.ends, prepend=0)

    def take(self, samples: NDArray[np.int64]) -> SampleRows:
        """Returns the given samples, in the given order."""
        if self.ends is None or self.ids is None:
            return SampleRows(self.rows[samples])
        parts = np.split(self.rows, self.ends[:-1])
        rows = np.concatenate([parts[index] for index in samples.tolist()])
        return SampleRows(rows, self.lengths[samples].cumsum(), self.ids[samples], self.numbers[samples])


def in_own_pages(values: NDArray[Any]) -> NDArray[Any]:
    """Returns a copy in its own memory mapping. When it is freed, the memory is returned to the operating system."""
    pages = mmap.mmap(-1, max(1, values.nbytes))
    own = np.frombuffer(pages, dtype=values.dtype, count=values.size).reshape(values.shape)
    own[...] = values
    return own


def pack(columns: Sequence[Column], values: list[NDArray[Any]], parts: Sequence[SampleRows]) -> list[Tensor]:
    """Returns the features of the samples of each part.

    Args:
        columns: The columns.
        values: The result of each column's `read`. The list is emptied in the process to save memory.
        parts: The samples of each part.

    Returns:
        For each part (R, F) float64. Each feature is contiguous, so that pages are allocated per column.
    """
    num_features = sum(len(column.feature_names) for column in columns)
    packed = [torch.from_numpy(np.zeros((num_features, len(part.rows)))).T for part in parts]
    stop = num_features
    # In reverse order: the C library returns memory to the system from the end of its heap.
    for column in reversed(columns):
        own = values.pop()
        start = stop - len(column.feature_names)
        for part, out in zip(parts, packed, strict=True):
            column.write(own[part.rows], out.numpy()[:, start:stop])
        stop = start
    return packed


def as_steps(rows: Tensor, samples: SampleRows, num_steps: int) -> tuple[Tensor, Tensor]:
    """Returns (R, F) rows as (N, T, F) sequences, padded with 0, and their (N,) lengths."""
    lengths = torch.from_numpy(samples.lengths)
    padded = torch.zeros(len(samples), num_steps, rows.shape[1], dtype=rows.dtype)
    padded[torch.arange(num_steps) < lengths.unsqueeze(1)] = rows
    return padded, lengths


def as_split(rows: Tensor, samples: SampleRows, targets: Tensor) -> Split:
    """Returns (R, F) rows and (N, ...) targets as a split. Sequences are padded to the longest."""
    numbers = torch.from_numpy(samples.numbers)
    if samples.ends is None:
        return Split(rows, targets, rows=numbers)
    inputs, lengths = as_steps(rows, samples, int(samples.lengths.max()))
    return Split(inputs, targets, lengths, numbers)


def padded(split: Split, num_steps: int) -> Split:
    """Returns a split of sequences padded to `num_steps`."""
    more = num_steps - split.inputs.shape[1]
    return replace(split, inputs=torch.nn.functional.pad(split.inputs, (0, 0, 0, more)))
