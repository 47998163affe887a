"""Trains a network from several initialisations, batched or sequentially."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Protocol

import torch

from nnzoo import log
from nnzoo.builders import build_average, build_optimizer, build_schedule, build_unfreezing
from nnzoo.config.init import Auto
from nnzoo.config.model import Custom
from nnzoo.errors import DivergedError, UsageError
from nnzoo.experiment.prepare import Experiment, steps_per_epoch
from nnzoo.experiment.resume.untrusted import check_saved
from nnzoo.experiment.train.record import Recorder
from nnzoo.experiment.train.single import Training, shapes_of
from nnzoo.run.directory import CHECKPOINT
from nnzoo.run.history import History
from nnzoo.training.evaluate import LossSum
from nnzoo.training.finite import REMEDY
from nnzoo.training.health.record import Health
from nnzoo.training.learner import Status
from nnzoo.training.loop import fit, is_over
from nnzoo.training.measures.metrics import ReplicaSums
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.outcome import End, Outcome, Restarts
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.restarts.replicas import Replicas, ReplicaState, why_not_batched
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState


class Start(Protocol):
    """Builds the initial weights, optimizer and schedule for a given seed."""

    def __call__(self, seed: int, /, *, restored: bool = False) -> TrainState:
        """If `restored` is set, the weights may have any values, since a checkpoint replaces them next."""


class _RestartTraining(Training):
    """Base class of batched and sequential restarts. Restart k is trained with the seed `seed + k`."""

    def __init__(self, experiment: Experiment, state: TrainState) -> None:
        super().__init__(experiment, state)
        self.count = experiment.config.train.restarts
        self.seed = experiment.config.seed

    def _results(self, outcomes: list[Outcome], reason: str | None) -> Restarts:
        train = self.experiment.config.train
        return Restarts(
            count=self.count,
            how="one after another" if reason else "batched",
            reason=reason,
            monitor=train.monitor,
            mode="max" if train.mode == "max" else "min",
            outcomes=outcomes,
        )

    def _save(self, recorder: Recorder, state: dict[str, Any]) -> None:
        """Writes last.safetensors: the best weights so far, and `state` for resuming."""
        best = self.best_state()
        content = {
            "model": best.best or dict(best.model.state_dict()),
            "num_threads": torch.get_num_threads(),
            "restarts": state,
        }
        recorder.save(best, content, self.restarts())


class BatchedRestarts(_RestartTraining):
    """Restarts that are trained together in batched operations."""

    def __init__(self, experiment: Experiment, state: TrainState, start: Start, *, restored: bool) -> None:
        super().__init__(experiment, state)
        seeds = [self.seed + index for index in range(self.count)]
        # Copies, since a custom module is the same object in every restart.
        networks = [
            copy.deepcopy(state.model),
            *(copy.deepcopy(start(seed, restored=restored).model) for seed in seeds[1:]),
        ]
        replicas = Replicas(networks)
        optimizer = build_optimizer(experiment.config, replicas.network)
        self.replicas = ReplicaState(
            replicas=replicas,
            loss=experiment.loss,
            optimizer=optimizer,
            schedule=build_schedule(experiment.config, optimizer, steps_per_epoch(experiment, state.model)),
            seeds=seeds,
            stopping=[copy.copy(state.early_stopping) for _ in seeds],
            train_loss=LossSum(experiment.loss),
            train_metrics=ReplicaSums(experiment.settings.metrics, experiment.decoder),
            average=build_average(experiment.config, replicas.network),
            unfreezing=build_unfreezing(experiment.config, replicas.network),
        )

    def restarts(self) -> Restarts:
        return self._results([self.replicas.outcome(index) for index in range(self.count)], None)

    def best_state(self) -> TrainState:
        replicas, leader = self.replicas, self.restarts().leader()
        times: dict[str, Any] = {"seconds": replicas.seconds, "epoch_seconds": replicas.epoch_seconds}
        if leader is None:
            return replace(self.state, **times)
        return replace(
            self.state,
            best=replicas.best_of(leader),
            history=replicas.history(leader),
            health=replicas.health.of(leader, last_epoch=replicas.epochs[leader]),
            early_stopping=replicas.stopping[leader],
            epoch=replicas.epochs[leader],
            **times,
        )

    def position(self) -> str:
        return f"epoch {self.replicas.epoch + 1}"

    def done(self) -> str:
        return f"epoch {self.replicas.epoch}, step {self.replicas.step}"

    def is_over(self) -> bool:
        return is_over(ReplicaLearner(self.replicas), self.experiment.settings)

    def check(self, saved: dict[str, Any]) -> None:
        if "ended" in saved["restarts"]:
            raise UsageError(
                "the restarts were trained by several processes. Resume the run with torchrun.", where=CHECKPOINT
            )
        check_saved(saved["restarts"], self.replicas.state_dict(), shapes_of(self.replicas.optimizer))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.replicas.load_state_dict(saved["restarts"])

    def fit(self, recorder: Recorder, progress: Progress, stop: StopRequest) -> Status:
        log.info("%d batched restarts, seeds %d to %d", self.count, self.seed, self.seed + self.count - 1)
        experiment = self.experiment
        status = fit(
            ReplicaLearner(self.replicas),
            experiment.splits,
            experiment.settings,
            save=lambda state: self._save(recorder, state.state_dict()),
            progress=progress,
            stop=stop,
        )
        return status if status == "interrupted" else status_of(self.restarts())


class SequentialRestarts(_RestartTraining):
    """Restarts that are trained one after another.

    Args:
        experiment: The experiment.
        state: The initial state of the first restart.
        start: Builds the initial state of the next restart.
        reason: The reason why the restarts are not batched.
    """

    def __init__(self, experiment: Experiment, state: TrainState, start: Start, reason: str) -> None:
        super().__init__(experiment, state)
        self.start = start
        self.reason = reason
        self.ended: list[Outcome] = []
        self.spent = 0.0
        # Parts of the state of the best restart that has ended.
        self.best: dict[str, Any] = {}
        self.is_open = True

    def restarts(self) -> Restarts:
        return self._results([*self.ended, *([self._outcome("running")] if self.is_open else [])], self.reason)

    def _outcome(self, status: End) -> Outcome:
        state, best = self.state, self.state.early_stopping.best_epoch
        row = state.history.rows[best - 1] if best else {}
        metrics = {key: value for key, value in row.items() if "/" in key}
        return Outcome(self.seed + len(self.ended), status, state.epoch, best, metrics)

    def best_state(self) -> TrainState:
        leader = self.restarts().leader()
        is_current = leader is None or leader == len(self.ended)
        times: dict[str, Any] = {"seconds": self.spent, "epoch_seconds": 0.0}
        if self.is_open:
            times = {"seconds": self.spent + self.state.seconds, "epoch_seconds": self.state.epoch_seconds}
        return replace(self.state, **times, **({} if is_current else self.best))

    def position(self) -> str:
        return f"restart {len(self.ended) + 1} of {self.count}, epoch {self.state.epoch + 1}"

    def done(self) -> str:
        return f"epoch {self.state.epoch}, step {self.state.step} of restart {len(self.ended) + 1}"

    def _state_dict(self) -> dict[str, Any]:
        best = None
        if self.best:
            parts = {name: self.best[name].state_dict() for name in ("history", "early_stopping", "health")}
            best = {"best": self.best["best"], "epoch": self.best["epoch"], **parts}
        return {
            "ended": [outcome.state_dict() for outcome in self.ended],
            "spent": self.spent,
            "best": best,
            "epochs": self.experiment.settings.epochs,
            "current": self.state.state_dict(),
        }

    def is_over(self) -> bool:
        longest, spent = self.experiment.settings.max_seconds, self.spent + self.state.seconds
        is_last = len(self.ended) == self.count - 1 or (longest is not None and spent >= longest)
        return is_last and super().is_over()

    def check(self, saved: dict[str, Any]) -> None:
        if "stopping" in saved["restarts"]:
            raise UsageError(
                "the restarts were trained as a batch in one process. Resume the run without torchrun.",
                where=CHECKPOINT,
            )
        check_saved(saved["restarts"], self._state_dict(), shapes_of(self.state.optimizer))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        state, best = saved["restarts"], saved["restarts"]["best"]
        if state["ended"] and state["epochs"] != self.experiment.settings.epochs:
            raise UsageError(
                f"{len(state['ended'])} restarts have ended with train.epochs {state['epochs']} and can't be "
                "continued. Restore train.epochs, or start a new run without --resume.",
                where=CHECKPOINT,
            )
        self.ended = [Outcome(**outcome) for outcome in state["ended"]]
        self.spent = state["spent"]
        if self.ended:
            self.state = self.start(self.seed + len(self.ended), restored=True)
        if best is not None:
            stopping = copy.copy(self.state.early_stopping)
            stopping.load_state_dict(best["early_stopping"])
            health = Health()
            health.load_state_dict(best.get("health"), torch.device("cpu"))
            weights = {name: tensor.to(self.experiment.device) for name, tensor in best["best"].items()}
            self.best = {
                "best": weights,
                "epoch": best["epoch"],
                "history": History.from_state(best["history"]),
                "early_stopping": stopping,
                "health": health,
            }
        self.state.load_state_dict(state["current"])

    def rank_states(self, saved: dict[str, Any]) -> Any:
        return saved["restarts"]["current"].get("ranks", [])

    def fit(self, recorder: Recorder, progress: Progress, stop: StopRequest) -> Status:
        log.info("%d restarts run one after another: %s", self.count, self.reason)
        longest = self.experiment.settings.max_seconds
        while True:
            log.info("restart %d of %d, seed %d", len(self.ended) + 1, self.count, self.seed + len(self.ended))
            end: Status | End
            try:
                end = self._fit_one(recorder, progress, stop)
            except DivergedError as error:
                progress.end_epoch()
                log.warning("restart %d failed: %s", len(self.ended) + 1, error.message)
                end = "diverged"
            assert end != "pruned", "restarts are not pruned"
            if end == "interrupted":
                return end
            self._close(end)
            if len(self.ended) == self.count:
                break
            if longest is not None and self.spent >= longest:
                log.info("the time limit was reached after %d of %d restarts", len(self.ended), self.count)
                break
            self.state = self.start(self.seed + len(self.ended))
            self.is_open = True
        if all(outcome.status == "diverged" for outcome in self.ended):
            raise DivergedError(
                f"the loss of every restart is no longer finite, or its monitored value was always NaN. {REMEDY}"
            )
        return status_of(self.restarts())

    def _fit_one(self, recorder: Recorder, progress: Progress, stop: StopRequest) -> Status:
        experiment, settings = self.experiment, self.experiment.settings
        left = None if settings.max_seconds is None else settings.max_seconds - self.spent
        with settings.group.training(self.state.model, self.state.forward or self.state.model):
            return fit(
                SingleLearner(self.state),
                experiment.splits,
                replace(settings, seed=self.seed + len(self.ended), max_seconds=left),
                save=lambda _: self._save_all(recorder),
                progress=progress,
                stop=stop,
            )

    def _save_all(self, recorder: Recorder) -> None:
        state = self._state_dict()
        self._save(recorder, {**state, "current": self.experiment.settings.group.gather_state(state["current"])})

    def _close(self, end: End) -> None:
        state = self.state
        self.ended.append(self._outcome(end))
        # Clocks differ between processes, so the time of rank 0 is used.
        self.spent = self.experiment.settings.group.from_first(lambda: self.spent + state.seconds + state.epoch_seconds)
        self.is_open = False
        if self.restarts().leader() == len(self.ended) - 1:
            parts = ("best", "epoch", "history", "early_stopping", "health")
            self.best = {name: getattr(state, name) for name in parts}


def status_of(restarts: Restarts) -> Status:
    """Returns the status of the best restart."""
    leader = restarts.leader()
    assert leader is not None
    return "early_stopped" if restarts.outcomes[leader].status == "early_stopped" else "completed"


def choose_training(experiment: Experiment, state: TrainState, start: Start, *, restored: bool = False) -> Training:
    """Returns the training of one network, or of restarts, which are batched if possible.

    Args:
        experiment: The experiment.
        state: The initial state of the first network.
        start: Builds the initial states of the other restarts.
        restored: Whether the state is restored from a checkpoint next.
    """
    if experiment.config.train.restarts == 1:
        return Training(experiment, state)
    config = experiment.config
    if isinstance(config.model, Custom) and isinstance(config.init, Auto):
        log.warning(
            "every restart starts with the weights of your module. Set `init` to initialise each restart differently."
        )
    reason = why_not_batched(state, experiment.splits["train"].targets)
    if experiment.settings.augment is not None:
        reason = "each augments its own batches"
    if experiment.settings.group.size > 1:
        reason = "several processes train each of them"
    if reason:
        return SequentialRestarts(experiment, state, start, reason)
    return BatchedRestarts(experiment, state, start, restored=restored)
