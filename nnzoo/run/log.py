"""The log of a run: lines to standard error for a person, and to train.log with the time."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from nnzoo.errors import RunError

log = logging.getLogger("nnzoo")


class _LogFile(logging.FileHandler):
    """A log that a full disk cuts short. What matters more is written after it, and fails with a message."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Says nothing, where the base class prints a traceback."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def log_to(target: Path | None) -> Iterator[None]:
    """Sends nnzoo's log to a file (appending), or to standard error where there is none, while it is entered.

    Raises:
        RunError: The file can't be written.
    """
    handler: logging.Handler
    if target is None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.setLevel(logging.INFO)
        # An error is raised too, and shown by whoever catches it.
        handler.addFilter(lambda record: record.levelno < logging.ERROR)
    else:
        try:
            handler = _LogFile(target, encoding="utf-8")
        except OSError as error:
            raise RunError(f"can't be written: {error.strerror}.", where=str(target)) from None
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
