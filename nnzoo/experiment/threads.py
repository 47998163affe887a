"""Chooses the number of compute threads. It decides the last bits, so it follows a fixed rule, never a timing."""

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

MOST_THREADS = 1024
"""Threads that a checkpoint may ask for."""

SMALL_STEP = 4_000_000
"""FLOPs of the forward pass of a batch up to which a second thread gains nothing. 4-16-10 at batch 64 has 30,000 and is
1.2 times slower with it; 128-128-10 has 2 million and is 1.1 times faster. It loses much if other programs run."""


def threads_of_data(config: Config, saved: dict[str, Any] | None = None) -> int:
    """Returns the number of threads for everything but the network.

    It is that of the saved run; else `train.num_threads`, OMP_NUM_THREADS or MKL_NUM_THREADS; else torch's default, but
    at most the number of cores.

    Raises:
        CheckpointError: The saved run has no valid number.
    """
    if config.train.num_threads is not None:
        count = config.train.num_threads
    else:
        count = torch.get_num_threads() if _is_set_by_user() else min(torch.get_num_threads(), available_cores())
    return _saved(saved, "data_threads", count) if saved else count


def threads_of_network(
    config: Config, device: torch.device, *, flops: int, num_train: int, saved: dict[str, Any] | None = None
) -> int:
    """Returns the number of threads for the network: one on a CPU if a batch has little to compute.

    Args:
        config: Resolved.
        device: Where it runs.
        flops: FLOPs of one sample; 0 if they are not known.
        num_train: The number of training samples.
        saved: The checkpoint of the run to continue.

    Raises:
        CheckpointError: The saved run has no valid number.
    """
    count = torch.get_num_threads()
    if config.train.num_threads is None and not _is_set_by_user() and device.type == "cpu" and flops:
        batch_size = num_train if config.train.batch_size == "full" else min(num_train, config.train.batch_size)
        count = 1 if flops * batch_size * config.train.restarts <= SMALL_STEP else count
    return _saved(saved, "num_threads", count) if saved else count


@contextlib.contextmanager
def computing_with(num_threads: int) -> Iterator[None]:
    """Sets the number of compute threads while it is entered."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_set_by_user() -> bool:
    """Whether the user has set the number for torch."""
    return any(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))


def _saved(saved: dict[str, Any], key: str, fresh: int) -> int:
    """The number that a checkpoint has, where a new run would use `fresh`."""
    count = saved.get(key)
    if type(count) is not int or not 1 <= count <= MOST_THREADS:
        raise CheckpointError(f"does not fit this run: {key} is {str(count)[:40]}.", where=CHECKPOINT)
    if count != fresh:
        log.info("using %d threads as before: their number decides the last bits", count)
    return count
