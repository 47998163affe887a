"""The command line under torchrun: every rank runs it, but only rank 0 prints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from nnzoo.errors import NnzooError
from nnzoo.training.processes.torchrun import current_rank, is_distributed


@contextlib.contextmanager
def only_rank_zero_prints() -> Iterator[None]:
    """Discards standard output on every rank except 0 inside the context."""
    if current_rank() == 0:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield


def report(failure: NnzooError, say: Callable[[NnzooError], None]) -> None:
    """Prints an error on one rank."""
    if not is_distributed():
        say(failure)
        return
    from nnzoo.training.processes.start import report_once

    report_once(failure, say)
