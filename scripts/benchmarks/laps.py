"""A contender's process, in which it trains on and on: one epoch each time that the driver says so."""

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
    """Attributes: wall time of training and validation, and the accuracy that validation found."""

    seconds: float
    accuracy: float


class Failure(NamedTuple):
    """Why a contender can't be measured."""

    reason: str


Lap = Callable[[float], None]
"""Ends an epoch with its accuracy, a plain number, so that a device was waited for; returns when it is on again."""


class Contender:
    """A framework in a process of its own, with the epochs that it is told to train.

    Args:
        name: A file of `contenders`.
        job: What it trains.

    Attributes:
        failure: Why it can't go on, if it can't.
    """

    def __init__(self, name: str, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, job, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.failure: Failure | None = None

    def warm_up(self) -> None:
        """Waits for its first epoch, which has the imports before it, and whatever is made only once in it."""
        self._receive()

    def turn(self, epochs: int) -> list[Epoch]:
        """So many epochs on end; fewer where it fails."""
        done: list[Epoch] = []
        while self.failure is None and len(done) < epochs:
            self._pipe.send("go")
            epoch = self._receive()
            done += [epoch] if epoch else []
        return done

    def end(self) -> None:
        """Stops the process: it would train for ever."""
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
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # some take a GPU wherever there is one
    # What frameworks print belongs to no table.
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
        failure = Failure("stopped by itself")
    except ModuleNotFoundError as error:
        failure = Failure(f"{error}: pip install -e '.[bench]'")
    except Exception as error:  # whatever a framework raises, the others go on
        failure = Failure(f"{type(error).__name__}: {error}")
    pipe.send(failure)
