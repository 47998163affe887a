"""SIGINT and SIGTERM: the first lets the step finish, the second quits at once.

Under torchrun a second SIGTERM does nothing: systemd and Slurm send it to every process of a job, and torchrun, itself
one of them, passes it on. It kills whoever is still there after 30 s.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

from nnzoo.training.processes.torchrun import is_distributed


class StopRequest:
    """While it is entered, notes a signal in place of dying of it. Outside the main thread nothing can be noted.

    Attributes:
        signal_number: The first signal that came; None before.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.signal_number is not None:
            if number == signal.SIGTERM and is_distributed():
                return
            # Files are whole or not there, so quitting here loses nothing but the work since the last checkpoint.
            os._exit(128 + number)
        self.signal_number = number
