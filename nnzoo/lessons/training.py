"""Trains the variants of a lesson, and keeps what its figures read: histories, weights and how they moved."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nnzoo import log
from nnzoo.config import Config, load_config
from nnzoo.data import DataInMemory, data_in_memory
from nnzoo.errors import DivergedError, InterruptedRunError, UsageError
from nnzoo.experiment.prepare import Experiment, prepare, steps_per_epoch
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.experiment.train.restarts import BatchedRestarts
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.lessons.schema import Lesson
from nnzoo.models.parameters import load_weights
from nnzoo.report.inside.network import Network
from nnzoo.run.health import HealthRow
from nnzoo.run.history import History
from nnzoo.training.batches.order import Batch
from nnzoo.training.evaluate import evaluate
from nnzoo.training.learner import Learner, Status
from nnzoo.training.loop import fit
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.restarts.replicas import ReplicaState, why_not_batched
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState

Weights = dict[str, Tensor]

MAX_SNAPSHOTS = 400
"""The largest number of steps after which the weights are kept; more steps are thinned evenly."""
MAX_SNAPSHOT_ENTRIES = 4_000_000
"""No weights are kept along the way if they would have more entries than this, 16 MB."""
SEEDS_PER_LESSON = 100
"""The distance of the seeds of configs for two values of --seed, so that their restarts share no seed."""


@dataclass
class Replica:
    """One trained network: the only one of a variant, or one of its restarts.

    Attributes:
        history: One row per finished epoch.
        status: completed, early_stopped or diverged.
        weights: The best weights by the monitored metric; the initial ones if there is no finished epoch.
        last: The weights at the end.
        path: The weights after some of the steps, the first one before training: pairs of step and weights.
        health: What the probes measured.
    """

    history: History
    status: str
    weights: Weights
    last: Weights
    path: list[tuple[int, Weights]] = field(default_factory=list)
    health: list[HealthRow] = field(default_factory=list)


@dataclass
class Variant:
    """A trained variant of a lesson.

    Attributes:
        name: The name.
        config: The resolved config.
        experiment: The data and the loss.
        module: The network, with the best weights of the best replica, in evaluation mode.
        replicas: The replicas, in the order of their seeds.
        best: The index of the best replica by the monitored metric.
        metrics: The metrics of the best weights: "train/loss", "test/accuracy", ...
    """

    name: str
    config: Config
    experiment: Experiment
    module: nn.Module
    replicas: list[Replica]
    best: int
    metrics: dict[str, float]

    @property
    def replica(self) -> Replica:
        """The best replica."""
        return self.replicas[self.best]

    @property
    def network(self) -> Network:
        """The best network with its data, as the parts of a report read it."""
        return self.with_weights(self.replica.weights)

    def with_weights(self, weights: Weights) -> Network:
        """Returns a network of this variant with other weights."""
        module = copy.deepcopy(self.module)
        load_weights(module, weights)
        split = next(name for name in ("test", "val", "train") if name in self.experiment.splits)
        run = RunWithData(
            Path(), {}, self.config, self.replica.history, split, experiment=self.experiment, module=module
        )
        return Network(run, self.experiment, module.eval())


class _Path:
    """The weights of a network after some of its steps.

    Args:
        network: The network, or the stacked replicas.
        num_steps: The number of steps of the training.
    """

    def __init__(self, network: nn.Module, num_steps: int) -> None:
        self.network = network
        self.every = max(1, -(-num_steps // MAX_SNAPSHOTS))
        entries = sum(tensor.numel() for tensor in network.state_dict().values())
        self.is_kept = entries * num_steps // self.every <= MAX_SNAPSHOT_ENTRIES
        self.snapshots = [(0, _copy(network))]

    def after(self, step: int) -> None:
        """Keeps the weights after a step, if they are due."""
        if self.is_kept and step % self.every == 0:
            self.snapshots.append((step, _copy(self.network)))


class _Single(SingleLearner):
    def __init__(self, state: TrainState, num_steps: int) -> None:
        super().__init__(state)
        self.path = _Path(state.model, num_steps)

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        super().train_step(batches, settings)
        self.path.after(self.state.step + 1)


class _Batched(ReplicaLearner):
    def __init__(self, state: ReplicaState, num_steps: int) -> None:
        super().__init__(state)
        self.path = _Path(state.replicas.network, num_steps)

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        super().train_step(batches, settings)
        self.path.after(self.state.step + 1)


def train_lesson(lesson: Lesson, *, seed: int = 0, overrides: Sequence[str] = ()) -> dict[str, Variant]:
    """Trains the variants of a lesson. Nothing is left on disk.

    Args:
        lesson: The lesson.
        seed: The seed of the lesson; the seed of its configs is `SEEDS_PER_LESSON` times as large.
        overrides: `KEY=VALUE` for the configs of all variants, after those of each variant.

    Raises:
        UsageError: The lesson trains nothing, or an override can't be used.
        ConfigError: A config can't be used.
        InterruptedRunError: A signal arrived.
    """
    if overrides and lesson.runs is None:
        raise UsageError(f"{lesson.name} trains nothing, so no config key can be set.", where="--set")
    trained: dict[str, Variant] = {}
    with tempfile.TemporaryDirectory(prefix="nnzoo-lesson-") as folder:
        for name, text in lesson.files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        for index, name in enumerate(lesson.variants):
            log.info("%s: training %s (%d of %d)", lesson.name, name, index + 1, len(lesson.variants))
            plain = _with_files(written_config(lesson, name, seed=seed), lesson, Path(folder))
            pretrained = _take_pretrained(plain, trained)
            given = data_in_memory(_arrays(lesson.samples), None) if lesson.samples else None
            section = None if given is None else given.section()
            config = load_config({"name": lesson.name, **plain}, list(overrides), data=section)
            with log.recording(quiet=True):
                trained[name] = _train(name, config, given, pretrained)
    return trained


def written_config(lesson: Lesson, variant: str, *, seed: int = 0) -> dict[str, Any]:
    """Returns the config of a variant as plain values with only the keys that the lesson sets."""
    assert lesson.runs is not None
    plain = copy.deepcopy(lesson.runs)
    for key, value in lesson.variants[variant].items():
        _set(plain, key.split("."), copy.deepcopy(value))
    if seed:
        plain["seed"] = seed * SEEDS_PER_LESSON
    return plain


def _set(plain: dict[str, Any], keys: list[str], value: Any) -> None:
    """Sets a key. A section that is written as a name becomes a mapping."""
    *parents, last = keys
    section = plain
    for key in parents:
        inner = section.get(key)
        section[key] = inner if isinstance(inner, dict) else {} if inner is None else {"name": inner}
        section = section[key]
    section[last] = value


def _with_files(plain: dict[str, Any], lesson: Lesson, folder: Path) -> dict[str, Any]:
    """Returns the config with the paths of the files of the lesson."""
    data = plain.get("data")
    if isinstance(data, dict):
        found = {
            key: str(folder / value) for key, value in data.items() if isinstance(value, str) and value in lesson.files
        }
        return {**plain, "data": {**data, **found}}
    return plain


def _take_pretrained(plain: dict[str, Any], trained: Mapping[str, Variant]) -> Weights:
    """Removes `model.pretrained`, the name of an earlier variant, from a config, and returns the weights of that."""
    model = plain.get("model")
    source = model.pop("pretrained", None) if isinstance(model, dict) else None
    if source is not None and source not in trained:
        raise UsageError(f"'{source}' is not an earlier variant.", where="lesson: model.pretrained")
    return {} if source is None else trained[source].replica.weights


def _arrays(samples: dict[str, list[Any]]) -> dict[str, NDArray[Any]]:
    """Returns the samples of a lesson: class indices as integers, other numbers in float64."""
    arrays = {key: np.asarray(values) for key, values in samples.items()}
    return {key: each if key == "y" and each.dtype.kind == "i" else each.astype(float) for key, each in arrays.items()}


def _train(name: str, config: Config, given: DataInMemory | None, pretrained: Weights) -> Variant:
    """Trains one variant: a single network, or its restarts, which are batched if possible.

    Args:
        name: The name of the variant.
        config: Its config.
        given: The data, if it is in memory.
        pretrained: The weights to start from. Those of another shape, as of a new last layer, are not used.
    """
    with one_at_a_time(), use_threads(threads_of_data(config, None)):
        experiment = prepare(config, given)
        # No checkpoints: nothing is resumed.
        settings = replace(experiment.settings, every_epochs=None, every_steps=None, every_seconds=None)
        experiment = replace(experiment, settings=settings)
        state, _, num_threads = build_state(experiment, None, show=lambda _: None)
        with use_threads(num_threads):
            replicas = _train_replicas(experiment, state, pretrained)
            train = experiment.config.train
            best = _best(replicas, train.monitor, is_max=train.mode == "max")
            load_weights(state.model, replicas[best].weights)
            metrics = measure(experiment, state.model)
    return Variant(name, experiment.config, experiment, state.model.eval(), replicas, best, metrics)


def _train_replicas(experiment: Experiment, state: TrainState, pretrained: Weights) -> list[Replica]:
    config = experiment.config

    def start(seed: int, /, *, restored: bool = False) -> TrainState:
        return with_pretrained(start_again(experiment, None, None, seed, restored=restored))

    def with_pretrained(started: TrainState) -> TrainState:
        own = started.model.state_dict()
        fitting = {key: each for key, each in pretrained.items() if key in own and each.shape == own[key].shape}
        load_weights(started.model, {**own, **fitting})
        return started

    count = config.train.restarts
    is_batched = count > 1 and why_not_batched(state, experiment.splits["train"].targets) is None
    if is_batched and experiment.settings.augment is None:
        return _train_batched(experiment, BatchedRestarts(experiment, state, start, restored=False).replicas)
    replicas = []
    for seed in range(config.seed, config.seed + count):
        own = with_pretrained(state) if seed == config.seed and count == 1 else start(seed)
        settings = replace(experiment.settings, seed=seed)
        replicas.append(_train_single(replace(experiment, settings=settings), own))
    return replicas


def _train_single(experiment: Experiment, state: TrainState) -> Replica:
    learner = _Single(state, experiment.settings.epochs * steps_per_epoch(experiment, state.model))
    status = _fit(learner, experiment)
    snapshots = learner.path.snapshots
    return Replica(
        state.history,
        status,
        snapshots[0][1] if state.best is None else {name: each.clone() for name, each in state.best.items()},
        _copy(state.model),
        snapshots,
        list(state.health.table()),
    )


def _train_batched(experiment: Experiment, state: ReplicaState) -> list[Replica]:
    learner = _Batched(state, experiment.settings.epochs * steps_per_epoch(experiment, state.replicas.network))
    _fit(learner, experiment)
    last = dict(state.replicas.network.state_dict())
    return [
        Replica(
            state.history(index),
            state.ends[index],
            _part(learner.path.snapshots[0][1], index) if state.best is None else state.best_of(index),
            _part(last, index),
            [(step, _part(weights, index)) for step, weights in learner.path.snapshots],
            list(state.health.table(index, last_epoch=state.epochs[index])),
        )
        for index in range(len(state.seeds))
    ]


def _fit(learner: Learner[Any], experiment: Experiment) -> str:
    """Trains until the end. A training that diverges is a result as well.

    Raises:
        InterruptedRunError: A signal arrived.
    """
    status: Status
    settings = experiment.settings
    progress = Progress(settings.epochs, quiet=True)
    with StopRequest() as stop:
        try:
            status = fit(learner, experiment.splits, settings, save=lambda _: None, progress=progress, stop=stop)
        except DivergedError:
            return "diverged"
    if stop.signal_number is not None:
        raise InterruptedRunError("interrupted during a lesson.", signal_number=stop.signal_number, result={})
    return status


def _copy(module: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _part(stacked: Weights, index: int) -> Weights:
    return {name: tensor[index] for name, tensor in stacked.items()}


def _best(replicas: Sequence[Replica], monitor: str, *, is_max: bool) -> int:
    """Returns the index of the replica with the best monitored value of any epoch."""
    values = []
    for replica in replicas:
        column = replica.history[monitor] if replica.history.rows and monitor in replica.history else []
        finite = [-value if is_max else value for value in column if math.isfinite(value)]
        values.append((replica.status == "diverged", min(finite, default=math.inf)))
    return values.index(min(values))


def measure(experiment: Experiment, module: nn.Module) -> dict[str, float]:
    """Returns the metrics of a network on every split."""
    settings = experiment.settings
    found: dict[str, float] = {}
    size = settings.batch_size or len(experiment.splits["train"])
    for name, split in experiment.splits.items():
        sums = MetricSums(settings.metrics, experiment.decoder)
        evaluated = evaluate(module, experiment.loss, split, sums, batch_size=size, mirror=settings.mirrored)
        found |= {f"{name}/{key}": value for key, value in evaluated.metrics.items()}
    return found
