"""One training at a time in a process."""

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
    """Lets the training of one thread run after that of another.

    Dropout, shuffling and initialisation draw from torch's generators, and its number of threads and its deterministic
    mode are settings of the process: two trainings at once would change each other's results.

    Raises:
        UsageError: A training of the same thread is running, so that waiting would never end.
    """
    global _owner
    if _owner == threading.get_ident():
        raise UsageError("a training is started within another one. Start it after that one has ended.", where="train")
    if not _lock.acquire(blocking=False):
        log.info("waiting for another training in this process: torch's random generators belong to the process")
        _lock.acquire()
    _owner = threading.get_ident()
    try:
        yield
    finally:
        _owner = None
        _lock.release()


def _renew() -> None:
    """Gives a forked process a lock of its own: the thread that may hold the lock is not copied with it."""
    global _lock, _owner
    _lock, _owner = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
