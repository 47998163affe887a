"""The expected number of equal samples in a table whose columns have few distinct values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data import Dataset, Split
from nnzoo.data.tables.csv_reader import CsvReader

Keys = NDArray[np.uint64]

_MAX_ENTRIES = 200_000_000


def expected_in_train(dataset: Dataset, split: str) -> float:
    """Returns the expected number of samples of a split that equal a train sample, inputs and target, by chance.

    A copied row equals its copy, and usually no other row. If columns have few distinct values, many rows differ in
    only one column and could have been equal there by chance. So for each row i of the split and each column j

        lambda_ij = n_ij p_ij / (1 - p_ij)

    where n_ij train rows agree with row i in all columns except j, and p_ij is the share of train rows with its value
    in column j. If column j is independent of the others, lambda_ij equal rows are expected besides those n_ij. The
    result is the sum over i of 1 - exp(-max_j lambda_ij). If columns depend on each other, the result is too small, by
    up to a half on real tables. It is 0 for data that is not a table.

    Args:
        dataset: The dataset before preprocessing.
        split: The name of the split, "val" or "test".
    """
    train, other = dataset.train, dataset.splits[split]
    if dataset.layout != "features" or train.inputs.numel() > _MAX_ENTRIES:
        return 0.0
    seed = np.uint64(len(dataset.feature_names))
    train_keys, split_keys = (_mixed(seed, _matrix(each.targets)) for each in (train, other))
    for place, train_column, split_column in _columns(dataset, train, other):
        train_keys, split_keys = train_keys + _mixed(place, train_column), split_keys + _mixed(place, split_column)
    equal = _count(train_keys, split_keys)
    most = np.zeros(len(other))
    for place, train_column, split_column in _columns(dataset, train, other):
        train_key, split_key = _mixed(place, train_column), _mixed(place, split_column)
        share = _count(train_key, split_key) / len(train)
        differing = _count(train_keys - train_key, split_keys - split_key) - equal
        np.maximum(most, differing * share / np.maximum(1 - share, 1 / len(train)), out=most)
    return float((1 - np.exp(-most)).sum())


def _columns(dataset: Dataset, train: Split, other: Split) -> Iterator[tuple[np.uint64, Tensor, Tensor]]:
    """Yields the index of each table column and its features in both splits; a categorical column has several."""
    widths = [1] * train.inputs.shape[1]
    if isinstance(dataset.reader, CsvReader):
        widths = [len(column.feature_names) for column in dataset.reader.columns]
    start = 0
    for place, width in enumerate(widths):
        features = slice(start, start + width)
        yield np.uint64(place + 1), train.inputs[:, features], other.inputs[:, features]
        start += width


def _matrix(targets: Tensor) -> Tensor:
    return targets.reshape(len(targets), -1)


def _mixed(seed: np.uint64, values: Tensor) -> Keys:
    """Returns a hash of each row of (N, K): splitmix64 (Steele et al. 2014) over the bits of its float64 values."""
    keys: Keys = np.full(len(values), seed)
    for column in values.T:
        keys = keys ^ (column.double() + 0.0).contiguous().numpy().view(np.uint64)
        keys = keys + np.uint64(0x9E3779B97F4A7C15)
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys = keys ^ (keys >> np.uint64(31))
    return keys


def _count(keys: Keys, queries: Keys) -> NDArray[np.int64]:
    """Returns how often each query occurs among the keys."""
    distinct, counts = np.unique(keys, return_counts=True)
    places = distinct.searchsorted(queries).clip(max=len(distinct) - 1)
    result: NDArray[np.int64] = np.where(distinct[places] == queries, counts[places], 0)
    return result
