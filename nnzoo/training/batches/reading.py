"""The batches of a pass over a split, one after the other; those of a file are read while the network computes."""

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
"""So much is read at once, in the order of the file: far more than a batch, whose rows lie anywhere."""
BLOCKS_AHEAD = 2

Ends = tuple[int, int]


@contextlib.contextmanager
def read_batches(split: Split, order: Tensor | None, ends: Sequence[Ends]) -> Iterator[Iterator[Batch]]:
    """Inputs, lengths where there are some, and targets of each batch, every one a tensor of its own or a slice.

    Memory is bounded: of a split in a file, `BLOCKS_AHEAD` blocks and the one in use, of `BLOCK_BYTES` or a batch.

    Args:
        split: On the model's device.
        order: (N,) the order of the samples, on that device; None: as they are.
        ends: Start and end of each batch in that order.

    Raises:
        DataError: A file changed meanwhile. It reaches who asks for the batch.
    """
    if not isinstance(split.inputs, OnDisk):
        yield (take(split, order, *each) for each in ends)
        return
    # A single thread: reading is bound by memory or by the disk, and the cores are the network's.
    pool = ThreadPoolExecutor(1, thread_name_prefix="nnzoo-read")
    try:
        yield _read_ahead(pool, split, split.inputs, order, ends)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def take(split: Split, order: Tensor | None, start: int, end: int) -> Batch:
    """A batch. `index_select` is twice as fast as indexing."""
    parts = (split.inputs, split.targets) if split.lengths is None else (split.inputs, split.lengths, split.targets)
    return _rows(parts, order, start, end)


def _rows(parts: tuple[Tensor, ...], order: Tensor | None, start: int, end: int) -> Batch:
    if order is None:
        return tuple(part[start:end] for part in parts)
    index = order[start:end]
    return tuple(part.index_select(0, index) for part in parts)


def _read_ahead(
    pool: ThreadPoolExecutor, split: Split, inputs: OnDisk, order: Tensor | None, ends: Sequence[Ends]
) -> Iterator[Batch]:
    known = None if order is None else order.cpu()
    rest = (split.targets,) if split.lengths is None else (split.lengths, split.targets)
    blocks = _blocks(inputs, ends)
    most = max((sum(_sizes(block)) for block in blocks), default=0)
    # What goes to another device has to lie still until it is there: such blocks are new ones.
    kept = [torch.empty(most, *inputs.shape[1:], dtype=inputs.dtype) for _ in range(BLOCKS_AHEAD + 1)]
    buffers = cycle(kept if inputs.device.type == "cpu" else [None])

    def submit(block: Sequence[Ends]) -> tuple[Sequence[Ends], Future[Tensor]]:
        # Between the shares of one of several processes lie those of the others.
        rows = slice(block[0][0], block[-1][1]) if known is None else torch.cat([known[slice(*each)] for each in block])
        buffer = next(buffers)
        return block, pool.submit(inputs.read, rows, None if buffer is None else buffer[: sum(_sizes(block))])

    coming = iter(blocks)
    waiting = deque(submit(block) for block in islice(coming, BLOCKS_AHEAD))
    while waiting:
        block, future = waiting.popleft()
        found = future.result()
        waiting.extend(submit(block) for block in islice(coming, 1))
        for inputs_of_batch, (start, end) in zip(found.split_with_sizes(_sizes(block)), block, strict=True):
            # A copy, aligned as any tensor is: the bits of a network's outputs may depend on that.
            yield (inputs_of_batch.clone(), *_rows(rest, order, start, end))


def _sizes(ends: Sequence[Ends]) -> list[int]:
    return [end - start for start, end in ends]


def _blocks(inputs: OnDisk, ends: Sequence[Ends]) -> list[Sequence[Ends]]:
    """Batches that follow each other, of about `BLOCK_BYTES` together."""
    a_row = inputs.shape[1:].numel() * inputs.dtype.itemsize
    blocks = []
    first = num_rows = 0
    for last, size in enumerate(_sizes(ends), start=1):
        num_rows += size
        if last == len(ends) or num_rows * a_row >= BLOCK_BYTES:
            blocks.append(ends[first:last])
            first, num_rows = last, 0
    return blocks
