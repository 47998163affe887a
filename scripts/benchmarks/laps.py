"""Runs a contender in its own process, which trains one epoch each time that the driver asks for it."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.workloads import Job


class Epoch(NamedTuple):
    """Wall time of training and validation, and validation accuracy."""

    seconds: float
    accuracy: float


class Failure(NamedTuple):
    """The reason why a contender can't be measured."""

    reason: str


Lap = Callable[[float], None]
"""Ends an epoch with its accuracy, a float, which synchronizes the device; returns when the next epoch may start."""


class Contender:
    """A framework in its own process, which trains a number of epochs per turn.

    Args:
        name: The name of a file in `contenders`.
        job: The job to train.

    Attributes:
        failure: Why the contender failed; None if it did not.
    """

    def __init__(self, name: str, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, job, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.failure: Failure | None = None

    def warm_up(self) -> None:
        """Waits for the first epoch, which includes imports and other one-time work."""
        self._receive()

    def turn(self, epochs: int) -> list[Epoch]:
        """Trains a number of epochs; fewer if the contender fails."""
        done: list[Epoch] = []
        while self.failure is None and len(done) < epochs:
            self._pipe.send("go")
            epoch = self._receive()
            done += [epoch] if epoch else []
        return done

    def end(self) -> None:
        """Kills the process, which would train forever."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _receive(self) -> Epoch | None:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            answer = Failure(f"its process ended with code {self._process.exitcode}")
        if isinstance(answer, Epoch):
            return answer
        self.failure = answer
        return None


def _serve(name: str, job: Job, pipe: Connection) -> None:
    if job.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # some frameworks use a GPU if there is one
    # Discard the output of the frameworks.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stdout.fileno())
    os.dup2(quiet, sys.stderr.fileno())
    warnings.simplefilter("ignore")
    start = time.perf_counter()

    def lap(accuracy: float) -> None:
        nonlocal start
        pipe.send(Epoch(time.perf_counter() - start, accuracy))
        pipe.recv()
        start = time.perf_counter()

    try:
        importlib.import_module(f"benchmarks.contenders.{name}").train(job, lap)
        failure = Failure("training ended early")
    except ModuleNotFoundError as error:
        failure = Failure(f"{error}: pip install -e '.[bench]'")
    except Exception as error:  # the other contenders continue
        failure = Failure(f"{type(error).__name__}: {error}")
    pipe.send(failure)
