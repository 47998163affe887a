"""Which process trains a trial, and whether it is still alive."""

from __future__ import annotations

import contextlib
import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


class Owner:
    """This process, as the owner of trials. Its lock file is released by the kernel if the process is killed.

    Args:
        folder: The directory of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.path = (folder / f".process-{uuid.uuid4().hex[:12]}.lock").absolute()
        self._lock = FileLock(self.path, fallback_to_soft=False)

    @property
    def text(self) -> str:
        """The machine, its network address, and the lock file, as JSON."""
        return json.dumps([*_machine(), str(self.path)])

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """A context manager in which other processes know that this one is alive."""
        with self._lock:
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    self.path.unlink()


def host_of(owner: str) -> str:
    """Returns the name of the machine of an owner."""
    return str(json.loads(owner)[0]) if owner else ""


def is_dead(owner: str) -> bool:
    """Whether an owner was a process of this machine and has ended. Nothing is known about other machines."""
    host, address, path = json.loads(owner)
    if [host, address] != _machine():
        return False
    if not Path(path).exists():
        return True
    try:
        with FileLock(path, timeout=0, fallback_to_soft=False):
            with contextlib.suppress(OSError):
                Path(path).unlink()
            return True
    except Timeout:
        return False


def _machine() -> list[str]:
    """Returns the name and the network address, since the names of virtual machines may be equal."""
    return [socket.gethostname(), f"{uuid.getnode():x}"]
