"""Locks a run directory for one training run. The kernel releases the lock if the process is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from nnzoo.errors import RunError

LOCK = ".lock"
_SECONDS = 0.2
"""Timeout: the training that held the lock may be removing the file at this moment."""

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A context manager that locks a run directory against other processes and other training runs of this process.

    The lock file is removed at the end. If the process is killed, it remains, but unlocked.

    Raises:
        RunError: Another training run holds the lock, or the file system does not support locks.
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    # A soft lock, which is only the existence of a file, would remain after a kill.
    lock = FileLock(path, timeout=_SECONDS, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"another training run is writing to this folder{_holder(path)}. Wait until it has ended, or use another "
            "--name.",
            where=str(folder),
        ) from None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise RunError(f"can't be written: {error.strerror}.", where=str(folder)) from None
        raise RunError(
            f"its file system does not support locks ({error.strerror}), so two runs could write to it at once. "
            "Use a --runs-dir on another file system.",
            where=str(folder),
        ) from None
    try:
        with contextlib.suppress(OSError):  # a full disk; the content is only for the message
            path.write_text(f"{os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        # Before the release, so that a process that has opened the file meanwhile detects that it was removed.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return f" (process {path.read_text(errors='replace')[:300]})"
    return ""
