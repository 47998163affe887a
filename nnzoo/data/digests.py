"""Digests of samples, which define equal samples for deduplication and the doctor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.dataset import Split, row_slices


def digests(split: Split, *, targets: bool) -> Iterator[bytes]:
    """Yields a digest per sample, which is the same only for equal samples.

    Samples are equal if they have the same numbers at the same positions; the padding of sequences is ignored. float64
    values are compared exactly, 0.0 equals -0.0, and float32 values equal the same values in float64.

    Args:
        split: The samples before preprocessing.
        targets: Whether the targets must be equal too.
    """
    # The padding is removed, since splits may be padded to different lengths.
    cut = split.lengths is not None or split.inputs.ndim > 1
    for rows in row_slices(split.inputs):
        inputs = _bytes_of(split.inputs[rows])
        answers = _bytes_of(split.targets[rows]) if targets else [b""] * len(inputs)
        lengths = [0] * len(inputs) if split.lengths is None else split.lengths[rows].tolist()
        for sample, answer, length in zip(inputs, answers, lengths, strict=True):
            content = sample.tobytes().rstrip(b"\0") if cut else sample.tobytes()
            digest = hashlib.blake2b(int(length).to_bytes(8, "little"), digest_size=16)
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
            digest.update(answer)
            yield digest.digest()


def _bytes_of(values: Tensor) -> NDArray[np.uint8]:
    """Returns the bytes of each row, (N, B). Real numbers are converted to float64 first."""
    values = values.double() + 0.0 if values.is_floating_point() else values  # -0.0 + 0.0 is 0.0
    array: NDArray[np.uint8] = values.contiguous().reshape(len(values), -1).numpy().view(np.uint8)
    return array
