"""How many samples of a table are equal by chance, because its columns have few distinct values."""

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
    """Returns how many samples of a split are expected to have an equal one in train, in inputs and target, by chance.

    A row that was copied agrees with its copy and with no other row. Where columns are coarse, many rows differ in one
    column only, and might as well have agreed there. So for each row i of the split and each column j

        lambda_ij = n_ij p_ij / (1 - p_ij)

    where n_ij train rows agree with row i everywhere but in column j, and p_ij is the share of train rows that have its
    value there: as many equal rows are expected beside those n_ij if column j is independent of the others. The result
    is the sum over i of 1 - exp(-max_j lambda_ij). Columns that depend on each other make it too small, by up to a half
    on real tables. It is 0 for data that is no table.

    Args:
        dataset: Before preprocessing.
        split: "val" or "test".
    """
    train, other = dataset.train, dataset.splits[split]
    if dataset.layout != "features" or train.inputs.numel() > _MAX_ENTRIES:
        return 0.0
    seed = np.uint64(len(dataset.feature_names))
    whole, measured = (_mixed(seed, _matrix(each.targets)) for each in (train, other))
    for place, own, others in _columns(dataset, train, other):
        whole, measured = whole + _mixed(place, own), measured + _mixed(place, others)
    equal = _count(whole, measured)
    most = np.zeros(len(other))
    for place, own, others in _columns(dataset, train, other):
        key, key_measured = _mixed(place, own), _mixed(place, others)
        share = _count(key, key_measured) / len(train)
        differing = _count(whole - key, measured - key_measured) - equal
        np.maximum(most, differing * share / np.maximum(1 - share, 1 / len(train)), out=most)
    return float((1 - np.exp(-most)).sum())


def _columns(dataset: Dataset, train: Split, other: Split) -> Iterator[tuple[np.uint64, Tensor, Tensor]]:
    """Yields a number for each column of the table, with its features in both splits: a category has several."""
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
    """Returns a key for each row of (N, K), by splitmix64 (Steele et al. 2014) over the bits of its float64 values."""
    keys: Keys = np.full(len(values), seed)
    for column in values.T:
        keys = keys ^ (column.double() + 0.0).contiguous().numpy().view(np.uint64)
        keys = keys + np.uint64(0x9E3779B97F4A7C15)
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys = keys ^ (keys >> np.uint64(31))
    return keys


def _count(keys: Keys, wanted: Keys) -> NDArray[np.int64]:
    """Returns how often each of the wanted keys is among the keys."""
    distinct, counts = np.unique(keys, return_counts=True)
    places = distinct.searchsorted(wanted).clip(max=len(distinct) - 1)
    found: NDArray[np.int64] = np.where(distinct[places] == wanted, counts[places], 0)
    return found
