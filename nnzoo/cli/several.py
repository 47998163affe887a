"""The command line under torchrun: every process runs it, and only rank 0 prints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from nnzoo.errors import NnzooError
from nnzoo.training.processes.torchrun import is_distributed, own_rank


@contextlib.contextmanager
def first_prints() -> Iterator[None]:
    """Discards standard output on every rank except 0 while it is entered."""
    if own_rank() == 0:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield


def report(failure: NnzooError, say: Callable[[NnzooError], None]) -> None:
    """Lets one process print an error."""
    if not is_distributed():
        say(failure)
        return
    from nnzoo.training.processes.start import report_once

    report_once(failure, say)
