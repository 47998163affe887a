"""Starts and ends the process group of torchrun, and reports each error only once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import torch

from nnzoo.errors import ConfigError, DivergedError, GroupError, InterruptedRunError, NnzooError, UsageError
from nnzoo.training.processes.group import SINGLE_PROCESS, Group, ProcessGroup
from nnzoo.training.processes.torchrun import current_rank, is_distributed

RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
"""Timeout for the rendezvous store. Torchrun starts all processes at about the same time."""
GROUP_TIMEOUT = timedelta(days=7)
"""Timeout for collectives. It is long since only rank 0 downloads, decodes and evaluates the best weights.

A process that has ended is detected by its closed connection, and by torchrun, which ends the others.
"""
ERROR_TIMEOUT = timedelta(seconds=20)
"""Timeout for reporting an error."""

_last_store: Any = None
_num_groups = 0


@contextlib.contextmanager
def process_group() -> Iterator[Group]:
    """A context manager with the group of the processes that torchrun started, or `SINGLE_PROCESS` without torchrun.

    Raises:
        GroupError: The other processes can't be reached.
    """
    if not is_distributed():
        yield SINGLE_PROCESS
        return
    from torch import distributed

    group = _join()
    leave = distributed.destroy_process_group
    try:
        yield group
    except (DivergedError, InterruptedRunError):  # every rank raises it
        raise
    except BaseException as error:
        _ignore_sigterm()
        if _has_nccl():
            # Destroying the group would wait for pending kernels, which the other ranks will not join.
            leave = distributed.distributed_c10d._abort_process_group
        is_first = group.claim_error_report()
        if isinstance(error, GroupError):
            error.printed_elsewhere = error.printed_elsewhere or not is_first
        elif isinstance(error, KeyboardInterrupt) and not is_first:
            raise GroupError("interrupted.", printed_elsewhere=True, exit_code=130) from None
        raise
    finally:
        with contextlib.suppress(RuntimeError):
            leave()


def report_once(failure: NnzooError, say: Callable[[NnzooError], None]) -> None:
    """Lets one process report an error. The others wait for it, since torchrun ends all processes once one has ended.

    Args:
        failure: The error of this process. If only one rank failed, the message begins with that rank.
        say: Prints the error.
    """
    global _last_store
    from torch.distributed.rendezvous import rendezvous

    _ignore_sigterm()
    rank = current_rank()
    own = _last_store is not None and not isinstance(failure, DivergedError | InterruptedRunError)
    # Before the group exists, all ranks fail with the same error.
    reports = not failure.printed_elsewhere if isinstance(failure, GroupError) else rank == 0 or own
    with contextlib.suppress(RuntimeError, ValueError):
        if _last_store is None:
            _last_store = _store_for_restart(next(rendezvous("env://", timeout=ERROR_TIMEOUT))[0])
        if not reports:
            _last_store.wait(["reported"], ERROR_TIMEOUT)
    if reports:
        if rank and not isinstance(failure, GroupError):
            if failure.where and not isinstance(failure, ConfigError):
                failure.where = f"rank {rank}: {failure.where}"
            else:
                failure.message = f"rank {rank}: {failure.message}"
        say(failure)
        with contextlib.suppress(RuntimeError):
            if _last_store is not None:
                _last_store.set("reported", "yes")


def _join() -> ProcessGroup:
    global _last_store, _num_groups
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if distributed.is_initialized():
        raise UsageError(
            "a process group already exists, and nnzoo creates its own. Destroy it first.", where="torchrun"
        )
    try:
        store, rank, size = next(rendezvous("env://", timeout=RENDEZVOUS_TIMEOUT))
        _num_groups += 1
        # An earlier group of this process has left its addresses in the store.
        _last_store = _store_for_restart(store, f"/{_num_groups}")
        backend = "cpu:gloo,cuda:nccl" if _has_nccl() else "gloo"
        distributed.init_process_group(backend, store=_last_store, rank=rank, world_size=size, timeout=GROUP_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise GroupError(
            f"the processes can't connect to each other ({reason}). Start them with torchrun, which sets the addresses."
        ) from None
    return ProcessGroup(rank, size, _last_store)


def _store_for_restart(store: Any, name: str = "") -> Any:
    """Returns the store with a prefix for this restart.

    torchrun reuses its store when it restarts all processes, so its prefix contains the number of the restart. If the
    processes create the store themselves, it is new after a restart. Its prefix then has no such number, since each
    machine counts its own restarts and the prefixes would differ.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    is_reused = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if is_reused else "0"
    return PrefixStore(f"nnzoo/{restart}{name}", store)


def _has_nccl() -> bool:
    from torch import distributed

    return torch.cuda.is_available() and distributed.is_nccl_available()


def _ignore_sigterm() -> None:
    """Ignores SIGTERM, which torchrun sends to the remaining processes, until the error is reported."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
