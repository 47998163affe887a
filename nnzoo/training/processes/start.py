"""How processes that torchrun started become a group, how the group ends, and who says why."""

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
from nnzoo.training.processes.group import ALONE, Group, ProcessGroup
from nnzoo.training.processes.torchrun import is_distributed, own_rank

RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
"""How long whoever knows where the others are is waited for. Torchrun has started all at about the same time."""
GROUP_TIMEOUT = timedelta(days=7)
"""How long the others are waited for: the first alone downloads, decodes, and measures the best weights on every split.

A process that is dead is not noticed by this, but by its closed connection, and by torchrun, which ends the others.
"""
ERROR_TIMEOUT = timedelta(seconds=20)
"""How long an error may take to be shown."""

_last_store: Any = None
_joined = 0


@contextlib.contextmanager
def process_group() -> Iterator[Group]:
    """The processes that torchrun started with this one, as a group while it is entered; alone without torchrun.

    Raises:
        GroupError: They can't be reached.
    """
    if not is_distributed():
        yield ALONE
        return
    from torch import distributed

    group = _join()
    leave = distributed.destroy_process_group
    try:
        yield group
    except (DivergedError, InterruptedRunError):  # of all at once
        raise
    except BaseException as error:
        _ignore_sigterm()
        if _has_nccl():
            # What is under way on the devices would be waited for, and the others are gone.
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
    """Has one process of the group say what went wrong; the others wait for it, since torchrun ends all with the first.

    Args:
        failure: That of this process. What is its own alone begins with its rank.
        say: Shows it.
    """
    global _last_store
    from torch.distributed.rendezvous import rendezvous

    _ignore_sigterm()
    rank = own_rank()
    own = _last_store is not None and not isinstance(failure, DivergedError | InterruptedRunError)
    # Before there is a group, all do the same with the same words.
    says = not failure.printed_elsewhere if isinstance(failure, GroupError) else rank == 0 or own
    with contextlib.suppress(RuntimeError, ValueError):
        if _last_store is None:
            _last_store = _store_for_restart(next(rendezvous("env://", timeout=ERROR_TIMEOUT))[0])
        if not says:
            _last_store.wait(["said"], ERROR_TIMEOUT)
    if says:
        if rank and not isinstance(failure, GroupError):
            if failure.where and not isinstance(failure, ConfigError):
                failure.where = f"rank {rank}: {failure.where}"
            else:
                failure.message = f"rank {rank}: {failure.message}"
        say(failure)
        with contextlib.suppress(RuntimeError):
            if _last_store is not None:
                _last_store.set("said", "yes")


def _join() -> ProcessGroup:
    global _last_store, _joined
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if distributed.is_initialized():
        raise UsageError("a process group is there already. nnzoo makes its own: destroy it first.", where="torchrun")
    try:
        store, rank, size = next(rendezvous("env://", timeout=RENDEZVOUS_TIMEOUT))
        _joined += 1
        # A group of before has left its addresses there.
        _last_store = _store_for_restart(store, f"/{_joined}")
        backend = "cpu:gloo,cuda:nccl" if _has_nccl() else "gloo"
        distributed.init_process_group(backend, store=_last_store, rank=rank, world_size=size, timeout=GROUP_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise GroupError(
            f"the processes can't find each other: {reason}. Start them with torchrun, which says where they are."
        ) from None
    return ProcessGroup(rank, size, _last_store)


def _store_for_restart(store: Any, name: str = "") -> Any:
    """A store as if it were new: torchrun keeps its own when it starts all processes again, with what they left there.

    A store that is made anew needs no number, and on several machines it must have none: each counts for itself.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    is_kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    life = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if is_kept else "0"
    return PrefixStore(f"nnzoo/{life}{name}", store)


def _has_nccl() -> bool:
    from torch import distributed

    return torch.cuda.is_available() and distributed.is_nccl_available()


def _ignore_sigterm() -> None:
    """Torchrun ends the processes that are left, which would come before they have said why they end."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
