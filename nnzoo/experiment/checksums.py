"""Checksums of the splits, which detect that the data has changed."""

from __future__ import annotations

import hashlib

import torch

from nnzoo.data import Dataset, reader_of
from nnzoo.data.dataset import row_slices
from nnzoo.experiment.pretrained.matching import Signature


def digests_of(dataset: Dataset) -> dict[str, str]:
    """Returns the SHA-256 of each split before preprocessing, including its names. Takes about 1 s per gigabyte."""
    digests = {}
    names = Signature(dataset.schema, reader_of(dataset), projected=False).inputs
    for name, split in dataset.splits.items():
        digest = hashlib.sha256(repr((dataset.schema, names)).encode())
        for tensor in (split.inputs, split.targets, split.lengths, split.weights):
            if tensor is None:
                continue
            digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            for rows in row_slices(tensor):
                digest.update(tensor[rows].contiguous().reshape(-1).view(torch.uint8).numpy().data)
        digests[name] = digest.hexdigest()
    return digests


def changed_splits(before: dict[str, str], now: dict[str, str]) -> str:
    """Returns the names of the splits whose digests differ, for messages; empty if there are none."""
    return " and ".join(name for name in {**before, **now} if before.get(name) != now.get(name))
