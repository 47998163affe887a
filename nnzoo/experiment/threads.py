"""With how many threads is computed. Their number decides the last bits, so it follows a fixed rule, never a timing."""

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
"""That a checkpoint may ask for."""

SMALL_STEP = 4_000_000
"""FLOPs of a batch on its way forward up to which a second thread gains nothing (4-16-10 at batch 64 has 30,000 and is
1.2 times slower with it, 128-128-10 has 2 million and gains 1.1), and loses much where others use the cores as well."""


def threads_of_data(config: Config, saved: dict[str, Any] | None = None) -> int:
    """What everything but the network is computed with.

    As many threads as a saved run; else as `train.num_threads`, OMP_NUM_THREADS or MKL_NUM_THREADS say; else as torch
    takes, but no more than there are cores.

    Raises:
        CheckpointError: The saved run says no such number.
    """
    if config.train.num_threads is not None:
        count = config.train.num_threads
    else:
        count = torch.get_num_threads() if _said() else min(torch.get_num_threads(), available_cores())
    return _saved(saved, "data_threads", count) if saved else count


def threads_of_network(
    config: Config, device: torch.device, *, flops: int, num_train: int, saved: dict[str, Any] | None = None
) -> int:
    """What the network is trained and evaluated with: one thread on a CPU where a batch has little to do.

    Args:
        config: Resolved.
        device: Where it runs.
        flops: Of one sample; 0 where they are not known.
        num_train: Training samples.
        saved: As it did.

    Raises:
        CheckpointError: The saved run says no such number.
    """
    count = torch.get_num_threads()
    if config.train.num_threads is None and not _said() and device.type == "cpu" and flops:
        batch_size = num_train if config.train.batch_size == "full" else min(num_train, config.train.batch_size)
        count = 1 if flops * batch_size * config.train.restarts <= SMALL_STEP else count
    return _saved(saved, "num_threads", count) if saved else count


@contextlib.contextmanager
def computing_with(num_threads: int) -> Iterator[None]:
    """Computes with that many threads while it is entered."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _said() -> bool:
    """Whether the user told torch how many."""
    return any(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))


def _saved(saved: dict[str, Any], key: str, fresh: int) -> int:
    """What a checkpoint says, where a run that begins would take `fresh`."""
    count = saved.get(key)
    if type(count) is not int or not 1 <= count <= MOST_THREADS:
        raise CheckpointError(f"does not fit this run: {key} is {str(count)[:40]}.", where=CHECKPOINT)
    if count != fresh:
        log.info("using %d threads as before: their number decides the last bits", count)
    return count
