"""Ensures that only one thread of a process trains at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from nnzoo import log
from nnzoo.errors import UsageError

_lock = threading.Lock()
_owner: int | None = None


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Waits until no other thread of the process is training.

    Dropout, shuffling and initialisation use torch's global generators, and torch's number of threads and deterministic
    mode are global settings, so concurrent training runs would change each other's results.

    Raises:
        UsageError: The same thread is already training, so waiting would deadlock.
    """
    global _owner
    if _owner == threading.get_ident():
        raise UsageError(
            "a training run can't be started within another one. Start it after the other one has ended.", where="train"
        )
    if not _lock.acquire(blocking=False):
        log.info("waiting for another training run in this process, since torch's random generators are global")
        _lock.acquire()
    _owner = threading.get_ident()
    try:
        yield
    finally:
        _owner = None
        _lock.release()


def _reset_lock() -> None:
    """Resets the lock in a forked process, since a thread that held it is not copied by the fork."""
    global _lock, _owner
    _lock, _owner = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_lock)
