"""Chooses the number of compute threads, by a fixed rule because it changes the last bits of the results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from nnzoo import log
from nnzoo.config import Config
from nnzoo.errors import CheckpointError
from nnzoo.run.cores import available_cores
from nnzoo.run.directory import CHECKPOINT
from nnzoo.summaries import Summary

MAX_THREADS = 1024
"""The maximum number of threads in a checkpoint."""

SMALL_STEP = 4_000_000
"""FLOPs of the forward pass of a batch up to which one thread is used. With a second thread, a 4-16-10 network at batch
size 64 (30,000 FLOPs) is 1.2 times slower; 128-128-10 (2 million) is 1.1 times faster, but much slower on a busy CPU.
"""

SMALL_OPERATION = 250_000
"""Mean FLOPs of an operation of the forward pass of a batch up to which one thread is used: threads wait for each other
in every operation. `model: tabular` with 12 columns has 230,000 at batch size 32: a second thread makes it 1.1 to 1.2
times faster on an idle CPU, and up to 100 times slower on a busy one. It has 1.8 million at batch size 256, LeNet-5 has
2 million at batch size 64, and the smallest shipped CNN 270,000.
"""

SMALL_TIME_STEP = 1_000_000
"""FLOPs of a time step of a batch in a recurrent network up to which one thread is used: threads wait for each other in
every time step. Below it, a second thread makes RNNs, GRUs and LSTMs 0.9 to 1.1 times as fast on an idle CPU, and 2 to
6 times slower on a busy one. An LSTM with 1.2 million is 1.2 times faster with it, one with 10 million 1.8 times.
"""


def threads_of_data(config: Config, saved: dict[str, Any] | None = None) -> int:
    """Returns the number of compute threads for everything except the network.

    For a resumed run it is the saved number. Else it is `train.num_threads`, OMP_NUM_THREADS or MKL_NUM_THREADS if one
    is set, and otherwise torch's default, but at most the number of cores.

    Raises:
        CheckpointError: The saved number is invalid.
    """
    if config.train.num_threads is not None:
        count = config.train.num_threads
    else:
        count = torch.get_num_threads() if _is_set_by_user() else min(torch.get_num_threads(), available_cores())
    return _saved(saved, "data_threads", count) if saved else count


def threads_of_network(
    config: Config, device: torch.device, *, summary: Summary, num_train: int, saved: dict[str, Any] | None = None
) -> int:
    """Returns the number of compute threads for the network.

    It is one on a CPU if a batch, an operation or a time step needs few FLOPs.

    Args:
        config: The resolved config.
        device: The device.
        summary: The summary of the network; its FLOPs are 0 if they are unknown.
        num_train: The number of training samples.
        saved: The checkpoint of the run to resume.

    Raises:
        CheckpointError: The saved number is invalid.
    """
    count = torch.get_num_threads()
    if config.train.num_threads is None and not _is_set_by_user() and device.type == "cpu" and summary.flops:
        batch_size = min(num_train, config.train.batch_size) if isinstance(config.train.batch_size, int) else num_train
        flops = summary.flops * batch_size * config.train.restarts
        if summary.num_steps > 1:
            is_small = flops <= max(SMALL_STEP, SMALL_TIME_STEP * summary.num_steps)
        else:
            is_small = flops <= max(SMALL_STEP, SMALL_OPERATION * summary.num_operations)
        count = 1 if is_small else count
    return _saved(saved, "num_threads", count) if saved else count


@contextlib.contextmanager
def use_threads(num_threads: int) -> Iterator[None]:
    """Sets the number of compute threads for a `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_set_by_user() -> bool:
    """Returns whether an environment variable sets the number of threads."""
    return any(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))


def _saved(saved: dict[str, Any], key: str, fresh: int) -> int:
    """Returns the number of threads in a checkpoint; `fresh` is the number for a new run."""
    count = saved.get(key)
    if type(count) is not int or not 1 <= count <= MAX_THREADS:
        raise CheckpointError(
            f"does not fit this run: {key} is not a number of threads (got {str(count)[:40]}).", where=CHECKPOINT
        )
    if count != fresh:
        log.info("using %d threads as before, so that the results are bit-identical", count)
    return count
