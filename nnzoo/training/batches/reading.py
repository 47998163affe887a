"""Reads the batches of a split. Batches from a file are prefetched while the network computes."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle, islice

import torch
from torch import Tensor

from nnzoo.data import OnDisk, Split
from nnzoo.training.batches.order import Batch

BLOCK_BYTES = 2**23
"""Bytes per read, in the order of the file. This is far more than a batch, whose rows are scattered over the file."""
BLOCKS_AHEAD = 2

Bounds = tuple[int, int]


@contextlib.contextmanager
def read_batches(split: Split, order: Tensor | None, ends: Sequence[Bounds]) -> Iterator[Iterator[Batch]]:
    """Yields an iterator over batches: inputs, lengths if there are any, and targets.

    The use of memory is bounded: for a split in a file, the current block and `BLOCKS_AHEAD` more are in memory. A
    block has `BLOCK_BYTES` bytes, or one batch if that is larger.

    Args:
        split: On the model's device.
        order: (N,) the order of the samples, on that device; None for the order of the split.
        ends: The start and end of each batch in that order.

    Raises:
        DataError: A file has changed since the data was read. The error is raised when the batch is requested.
    """
    if not isinstance(split.inputs, OnDisk):
        yield (take(split, order, *each) for each in ends)
        return
    # A single thread: reading is bound by memory or the disk, and the cores are for the network.
    pool = ThreadPoolExecutor(1, thread_name_prefix="nnzoo-read")
    try:
        yield _read_ahead(pool, split, split.inputs, order, ends)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def take(split: Split, order: Tensor | None, start: int, end: int) -> Batch:
    """Returns the samples from `start` to `end`, in the given order."""
    parts = (split.inputs, split.targets) if split.lengths is None else (split.inputs, split.lengths, split.targets)
    return _rows(parts, order, start, end)


def _rows(parts: tuple[Tensor, ...], order: Tensor | None, start: int, end: int) -> Batch:
    if order is None:
        return tuple(part[start:end] for part in parts)
    index = order[start:end]
    return tuple(part.index_select(0, index) for part in parts)  # twice as fast as part[index]


def _read_ahead(
    pool: ThreadPoolExecutor, split: Split, inputs: OnDisk, order: Tensor | None, ends: Sequence[Bounds]
) -> Iterator[Batch]:
    known = None if order is None else order.cpu()
    rest = (split.targets,) if split.lengths is None else (split.lengths, split.targets)
    blocks = _blocks(inputs, ends)
    most = max((sum(_sizes(block)) for block in blocks), default=0)
    # A block that is copied to another device must not change before the copy is done, so it gets a new buffer.
    reusable = [torch.empty(most, *inputs.shape[1:], dtype=inputs.dtype) for _ in range(BLOCKS_AHEAD + 1)]
    buffers = cycle(reusable if inputs.device.type == "cpu" else [None])

    def submit(block: Sequence[Bounds]) -> tuple[Sequence[Bounds], Future[Tensor]]:
        # With several processes, the shares of the others lie between those of this process, so the range has gaps.
        rows = slice(block[0][0], block[-1][1]) if known is None else torch.cat([known[slice(*each)] for each in block])
        buffer = next(buffers)
        return block, pool.submit(inputs.read, rows, None if buffer is None else buffer[: sum(_sizes(block))])

    remaining = iter(blocks)
    waiting = deque(submit(block) for block in islice(remaining, BLOCKS_AHEAD))
    while waiting:
        block, future = waiting.popleft()
        rows_of_block = future.result()
        waiting.extend(submit(block) for block in islice(remaining, 1))
        for inputs_of_batch, (start, end) in zip(rows_of_block.split_with_sizes(_sizes(block)), block, strict=True):
            # A copy has the usual alignment, which may affect the last bits of the network's outputs.
            yield (inputs_of_batch.clone(), *_rows(rest, order, start, end))


def _sizes(ends: Sequence[Bounds]) -> list[int]:
    return [end - start for start, end in ends]


def _blocks(inputs: OnDisk, ends: Sequence[Bounds]) -> list[Sequence[Bounds]]:
    """Groups consecutive batches into blocks of about `BLOCK_BYTES`."""
    bytes_per_row = inputs.shape[1:].numel() * inputs.dtype.itemsize
    blocks = []
    first = num_rows = 0
    for last, size in enumerate(_sizes(ends), start=1):
        num_rows += size
        if last == len(ends) or num_rows * bytes_per_row >= BLOCK_BYTES:
            blocks.append(ends[first:last])
            first, num_rows = last, 0
    return blocks
