"""Estimates the time and the memory of a training from its first steps."""

from __future__ import annotations

import contextlib
import copy
import math
import statistics
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnzoo.errors import DivergedError
from nnzoo.experiment.prepare import Experiment, steps_per_epoch
from nnzoo.experiment.train.restarts import BatchedRestarts, choose_training
from nnzoo.experiment.train.start import start_again, state_of
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.learner import Learner
from nnzoo.training.loop import fit
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner

SECONDS = 0.5
"""The time for which the training is tried."""
FEWEST_STEPS = 3
"""More steps than that are taken only within the time. The first one is slower than the others."""
EVALUATED = 256
"""The number of val samples whose evaluation is timed if no epoch was finished."""


class _Clock(Progress):
    """Records when each step ends (also those of the last finished epoch), and requests a stop once the time is over.

    Args:
        stop: Receives the request.
        device: The device, on which steps may still be running when they return.
    """

    def __init__(self, stop: StopRequest, device: torch.device) -> None:
        super().__init__(1, quiet=True)
        self.stop = stop
        self.device = device
        self.start = time.monotonic()
        self.stamps: list[float] = []
        self.finished: list[float] = []

    def start_epoch(self, epoch: int, num_steps: int, done: int) -> None:  # noqa: ARG002
        self.stamps = [time.monotonic()]

    def step(self) -> None:
        if self.device.type != "cpu":
            (torch.cuda if self.device.type == "cuda" else torch.mps).synchronize()
        self.stamps.append(time.monotonic())
        if self.stamps[-1] - self.start > SECONDS and len(self.stamps) > FEWEST_STEPS:
            self.stop.signal_number = 1

    def report(
        self,
        row: dict[str, float],
        stopping: EarlyStopping | None = None,
        *,
        note: str = "",
        seconds_left: float = math.inf,
    ) -> None:
        """Shows nothing, and requests a stop after an epoch once the time is over."""
        del row, stopping, note, seconds_left
        self.finished = self.stamps
        if time.monotonic() - self.start > SECONDS:
            self.stop.signal_number = 1


def estimate(experiment: Experiment, module: nn.Module) -> dict[str, Any]:
    """Trains a copy of a network for half a second, and extrapolates.

    Returns:
        `seconds` for all epochs, `seconds_per_epoch` (with restarts, those of one after another add up), both
        including the evaluation of val; `epochs`; `memory_bytes`, the peak so far of the process, or on CUDA that of
        the tensors, None if the system does not tell.
    """
    config, settings = experiment.config, experiment.settings
    if config.train.compile:
        # Compiling takes longer than all of the checks.
        train = config.train.model_copy(update={"compile": False})
        experiment = replace(experiment, config=config.model_copy(update={"train": train}))
    if experiment.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(experiment.device)
    state = state_of(experiment, copy.deepcopy(module))
    state.unfreezing.release(math.inf)
    learner: Learner[Any] = SingleLearner(state)
    times = config.train.restarts
    if times > 1:
        training = choose_training(experiment, state, partial(start_again, experiment, None, None))
        if isinstance(training, BatchedRestarts):
            learner, times = ReplicaLearner(training.replicas), 1
    per_epoch = _seconds_per_epoch(experiment, learner, module) * times
    total = per_epoch * settings.epochs
    return {
        "seconds": total if settings.max_seconds is None else min(total, settings.max_seconds),
        "seconds_per_epoch": per_epoch,
        "epochs": settings.epochs,
        "steps_per_epoch": steps_per_epoch(experiment, module),
        "early_stopping": config.train.early_stopping is not None,
        "compiled": config.train.compile,
        "memory_bytes": _peak_memory(experiment.device),
        "device": str(experiment.device),
    }


def _seconds_per_epoch(experiment: Experiment, learner: Learner[Any], module: nn.Module) -> float:
    splits, settings = experiment.splits, experiment.settings
    stop = StopRequest()
    clock = _Clock(stop, experiment.device)
    with contextlib.suppress(DivergedError):  # the steps until then took as long as others
        fit(learner, splits, settings, save=lambda _: None, progress=clock, stop=stop)
    state = learner.state
    if state.epoch > 1:
        return (float(state.seconds) - _first_epoch(learner)) / float(state.epoch - 1)
    if state.epoch == 1:
        # The first step also warms up caches, so the others count.
        stamps = clock.finished
        return float(state.seconds) - (stamps[-1] - stamps[0]) + _per_step(stamps) * (len(stamps) - 1)
    return _per_step(clock.stamps) * steps_per_epoch(experiment, module) + _evaluation(experiment, learner)


def _per_step(stamps: list[float]) -> float:
    """Returns the median seconds of the steps after the first one."""
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    return statistics.median(steps[1:] or steps)


def _first_epoch(learner: Learner[Any]) -> float:
    """Returns the seconds of the first epoch, which also warms up caches."""
    state = learner.state
    if isinstance(learner, ReplicaLearner):
        return float(state.rows[0][state.columns.index("seconds")][0])
    return float(state.history.rows[0]["seconds"])


def _evaluation(experiment: Experiment, learner: Learner[Any]) -> float:
    """Returns the estimated seconds for the evaluation of val."""
    val = experiment.splits.get("val")
    if val is None:
        return 0.0
    part = val.take(torch.arange(min(EVALUATED, len(val)), device=val.targets.device))
    start = time.monotonic()
    learner.evaluate(part, experiment.settings, batch_size=experiment.settings.batch_size or len(part))
    return (time.monotonic() - start) * len(val) / len(part)


def _peak_memory(device: torch.device) -> int | None:
    """Returns the peak memory in bytes: of the tensors on CUDA, of the whole process otherwise."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
