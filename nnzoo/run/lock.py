"""One process at a time in a run directory. The lock is the kernel's: a process that dies, however, leaves none."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from nnzoo.errors import RunError

LOCK = ".lock"

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps every other process, and every other training of this one, out of a run directory while it is entered.

    The file beside the run's own is there only meanwhile, or after a kill, when it locks nothing.

    Raises:
        RunError: Another training is there, or the file system has no locks.
    """
    path = folder / LOCK
    handle = _acquire(path)
    try:
        yield
    finally:
        # Before the lock is given back: whoever has opened this file meanwhile sees that it is gone.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _acquire(path: Path) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunError(f"can't be written: {error.strerror}.", where=str(path.parent)) from None
        try:
            _try_lock(handle)
        except OSError as error:
            owner = _owner(handle)
            os.close(handle)
            raise _refusal(error, owner, path.parent) from None
        if _is_still(path, handle):
            _sign(handle)
            return handle
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    """Whether a file has the name yet: one that another process has just removed locks nothing."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    with contextlib.suppress(OSError):  # a full disk; it is only for the message
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} on {socket.gethostname()}".encode())


def _owner(handle: int) -> str:
    with contextlib.suppress(OSError):
        return os.read(handle, 300).decode(errors="replace")
    return ""


def _refusal(error: OSError, owner: str, folder: Path) -> RunError:
    if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
        return RunError(
            f"its file system has no locks ({error.strerror}), and two runs could write here. "
            "Give --runs-dir on another one.",
            where=str(folder),
        )
    who = f" (process {owner})" if owner else ""
    return RunError(
        f"another training is writing here{who}. Wait until it has ended, or give this one another --name.",
        where=str(folder),
    )
