"""Trains a config with several seeds in memory, batched if possible, and returns the learning curve of each seed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from nnzoo import log
from nnzoo.config import Config
from nnzoo.data import Split
from nnzoo.doctor.proof.verdict import FEWEST_SEEDS, Score
from nnzoo.errors import DivergedError
from nnzoo.experiment.prepare import Experiment, prepare, without_raw_inputs
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.restarts import BatchedRestarts, Start, choose_training
from nnzoo.experiment.train.run import deterministic
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.loop import fit
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState


@dataclass(frozen=True)
class Curve:
    """The learning curve of one seed.

    Attributes:
        rows: One row of metrics.csv per finished epoch.
        ended: Whether training ended as the config says, and was not cut short.
        diverged: Whether it ended because the loss was not finite.
    """

    rows: list[dict[str, float]]
    ended: bool
    diverged: bool = False


@dataclass(frozen=True)
class Trial:
    """The training of one config with several seeds.

    Attributes:
        curves: The learning curve of each seed, in the order of the seeds.
        monitor: The column that selects the best epoch.
        mode: Whether a lower or a higher monitor is better.
        measured_on: The split of the scores: val, or train without a val split.
        targets: The targets of that split, to recognise a fix that changes its samples.
        batched: Whether the seeds were trained together.
        seconds: The time of the training.
    """

    curves: list[Curve]
    monitor: str
    mode: str
    measured_on: str
    targets: Tensor
    batched: bool
    seconds: float

    def score(self, index: int, metric: str, epochs: int | None) -> Score:
        """Returns a metric of the best epoch of a seed, among the first `epochs`; None if it diverged."""
        curve = self.curves[index]
        sign = 1 if self.mode == "min" else -1
        known = [row for row in curve.rows[:epochs] if not math.isnan(row[self.monitor])]
        if curve.diverged or not known:
            return None
        value = min(known, key=lambda row: sign * row[self.monitor])[f"val/{metric}"]
        return None if math.isnan(value) else value


@dataclass
class Budget:
    """The limits of one trial.

    Attributes:
        seconds: The time limit.
        seconds_per_seed: The expected time of one seed; 0 if unknown.
        epochs: The maximum number of epochs; None for those of the config.
        stop: Receives signals.
    """

    seconds: float
    seconds_per_seed: float = 0.0
    epochs: int | None = None
    stop: StopRequest = field(default_factory=StopRequest)


class _TimeOverError(Exception):
    """The time limit of a training was reached."""


class _Bar(Progress):
    """A progress bar over the epochs of a trial, which also ends a training at its time limit.

    Args:
        title: The text in front of the bar.
        num_epochs: The number of epochs of all seeds.
        shown: Whether there is a bar.
    """

    def __init__(self, title: str, num_epochs: int, *, shown: bool) -> None:
        super().__init__(num_epochs, quiet=True)
        self.deadline = math.inf
        self._epochs: Any = None
        if shown:
            from tqdm import tqdm

            self._epochs = tqdm(total=num_epochs, desc=title, unit="epoch", leave=False, mininterval=0.2)

    def step(self) -> None:
        super().step()
        if time.monotonic() > self.deadline:
            raise _TimeOverError

    def report(
        self,
        row: dict[str, float],
        stopping: EarlyStopping | None = None,
        *,
        note: str = "",
        seconds_left: float = math.inf,
    ) -> None:
        """Advances the bar by an epoch."""
        del row, stopping, note, seconds_left
        if self._epochs is not None:
            self._epochs.update()

    def close(self) -> None:
        if self._epochs is not None:
            self._epochs.close()


def train_seeds(config: Config, num_seeds: int, metrics: tuple[str, ...], budget: Budget, title: str) -> Trial:
    """Trains a config with the seeds `seed`, `seed + 1`, ..., all on the same data.

    Nothing is written. One after another, fewer seeds are trained if the time is too short for all, but at least three.

    Args:
        config: The config, not yet resolved.
        num_seeds: The number of seeds.
        metrics: Metrics that are computed in each epoch, besides those of the config.
        budget: The limits.
        title: The name of the trial in the progress bar.

    Raises:
        ConfigError: The config does not fit the data.
        DataError: The data can't be used.
    """
    shown, start = log.shows_progress(), time.monotonic()
    with log.recording(quiet=True), use_threads(threads_of_data(config)), deterministic(config):
        experiment = without_raw_inputs(prepare(config.model_copy(update={"train": _train_section(config, num_seeds)})))
        experiment, splits = _measured(experiment, metrics, budget)
        state, _, num_threads = build_state(experiment, None, show=lambda _: None)
        with use_threads(num_threads):
            training = choose_training(experiment, state, partial(start_again, experiment, None, None))
            rounds = 1 if isinstance(training, BatchedRestarts) else num_seeds
            bar = _Bar(title, experiment.settings.epochs * rounds, shown=shown)
            try:
                if isinstance(training, BatchedRestarts):
                    curves = _batched(training, splits, experiment.settings, budget, bar)
                else:
                    again = partial(start_again, experiment, None, None)
                    curves = _one_after_another(experiment, state, again, splits, budget, bar)
            finally:
                bar.close()
    measured_on = "val" if "val" in experiment.splits else "train"
    train = experiment.config.train
    return Trial(
        curves,
        train.monitor,
        train.mode,
        measured_on,
        experiment.dataset.splits[measured_on].targets,
        isinstance(training, BatchedRestarts),
        time.monotonic() - start,
    )


def _train_section(config: Config, num_seeds: int) -> Any:
    return config.train.model_copy(
        update={"restarts": num_seeds, "probes": False, "compile": False, "max_minutes": None}
    )


def _measured(experiment: Experiment, metrics: tuple[str, ...], budget: Budget) -> tuple[Experiment, dict[str, Split]]:
    """Returns the experiment with the metrics and limits of a trial, and the splits of the loop.

    Without a val split, the train split is evaluated after each epoch, since the running metrics of training depend on
    dropout and augmentation.
    """
    settings, splits = experiment.settings, experiment.splits
    epochs = settings.epochs if budget.epochs is None else min(settings.epochs, budget.epochs)
    more = tuple(name for name in metrics if name not in settings.metrics)
    settings = replace(settings, metrics=(*settings.metrics, *more), epochs=epochs)
    return replace(experiment, settings=settings), {"train": splits["train"], "val": splits.get("val", splits["train"])}


def _batched(
    training: BatchedRestarts, splits: dict[str, Split], settings: Settings, budget: Budget, bar: _Bar
) -> list[Curve]:
    replicas = training.replicas
    bar.deadline = time.monotonic() + budget.seconds
    diverged = _fit(ReplicaLearner(replicas), splits, settings, budget.stop, bar)
    is_over = replicas.epoch >= training.experiment.config.train.epochs
    ends = ["diverged" if diverged and end == "running" else end for end in replicas.ends]
    return [
        Curve(
            replicas.history(index).rows,
            ended=is_over or end in ("early_stopped", "diverged"),
            diverged=end == "diverged",
        )
        for index, end in enumerate(ends)
    ]


def _one_after_another(
    experiment: Experiment, state: TrainState, start: Start, splits: dict[str, Split], budget: Budget, bar: _Bar
) -> list[Curve]:
    config = experiment.config
    count, curves = config.train.restarts, list[Curve]()
    if budget.seconds_per_seed > 0:
        count = min(count, max(FEWEST_SEEDS, int(budget.seconds / budget.seconds_per_seed)))
    end = time.monotonic() + budget.seconds
    for index in range(count):
        state = state if index == 0 else start(config.seed + index)
        now = time.monotonic()
        bar.deadline = now + max(0.0, end - now) / (count - index)
        settings = replace(experiment.settings, seed=config.seed + index)
        diverged = _fit(SingleLearner(state), splits, settings, budget.stop, bar)
        is_over = state.epoch >= config.train.epochs or state.early_stopping.should_stop()
        is_interrupted = budget.stop.signal_number is not None
        if not (is_interrupted and curves):  # then only the earlier seeds are complete
            curves.append(Curve(list(state.history.rows), ended=is_over or diverged, diverged=diverged))
        if is_interrupted:
            break
    return curves


def _fit(learner: Any, splits: dict[str, Split], settings: Settings, stop: StopRequest, bar: _Bar) -> bool:
    """Trains until the end or the time limit, and returns whether the loss diverged."""
    try:
        fit(learner, splits, settings, save=lambda _: None, progress=bar, stop=stop)
    except DivergedError:
        return True
    except _TimeOverError:
        pass
    return False
