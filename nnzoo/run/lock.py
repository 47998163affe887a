"""One training at a time in a run directory. The kernel holds the lock: a process that is killed leaves none."""

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
"""How long to try: the training that held the lock may be removing the file just now."""

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps every other process, and every other training of this one, out of a run directory while it is entered.

    The lock file is removed at the end. After a kill it stays and locks nothing.

    Raises:
        RunError: Another training is in the directory, or the file system has no locks.
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    # A lock that is only the existence of a file would outlive a kill.
    lock = FileLock(path, timeout=_SECONDS, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"another training is writing here{_holder(path)}. Wait until it has ended, or give this one another "
            "--name.",
            where=str(folder),
        ) from None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise RunError(f"can't be written: {error.strerror}.", where=str(folder)) from None
        raise RunError(
            f"its file system has no locks ({error.strerror}), and two runs could write here. "
            "Give --runs-dir on another one.",
            where=str(folder),
        ) from None
    try:
        with contextlib.suppress(OSError):  # a full disk; it is only for the message
            path.write_text(f"{os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        # While the lock is held: whoever has opened this file meanwhile sees that it is gone.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return f" (process {path.read_text(errors='replace')[:300]})"
    return ""
