"""SIGINT and SIGTERM: the first one stops training after the current step, the second one exits immediately.

Under torchrun a second SIGTERM is ignored: systemd and Slurm send the signal to every process of a job, and torchrun
forwards the one it receives to its workers. torchrun kills workers that are still running after 30 s.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

from nnzoo.training.processes.torchrun import is_distributed


class StopRequest:
    """A context manager that records signals, so they do not end the process. Outside the main thread it does nothing.

    Inside another one, both know a signal that arrived in either of them: a sweep stops after a trial that was already
    being evaluated.

    Attributes:
        signal_number: The first signal that arrived; None if there was none.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._record)
        self.signal_number = next((each.signal_number for each in self._around()), None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        for each in self._around():
            each.signal_number = self.signal_number

    def _around(self) -> list[StopRequest]:
        """Returns the one that this is in, once per signal."""
        found = (getattr(handler, "__self__", None) for handler in self._before.values())
        return [each for each in found if isinstance(each, StopRequest)]

    def _record(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.signal_number is not None:
            if number == signal.SIGTERM and is_distributed():
                return
            # Files are written atomically, so exiting here loses only the work since the last checkpoint.
            os._exit(128 + number)
        self.signal_number = number
