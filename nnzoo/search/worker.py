"""Trains the trials of a sweep in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnzoo import log
from nnzoo.config import Config
from nnzoo.config.yaml_writer import flow
from nnzoo.errors import ConfigError, DataError, DivergedError, InterruptedRunError, NnzooError, RunError
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.run import train
from nnzoo.experiment.train.together import (
    NotBatchedError,
    common_part,
    is_batchable,
    train_together,
    why_not_together,
)
from nnzoo.numbers import number
from nnzoo.run.directory import CHECKPOINT
from nnzoo.search.plan import Plan
from nnzoo.search.records import State, best_of
from nnzoo.search.study import Claim, SweepStudy
from nnzoo.training.signals import StopRequest

MAX_BATCH = 32
"""More trials at once are hardly faster, and lose more if the batch is interrupted."""
ROUNDS = 2
"""Trials of TPE are trained in this many rounds at least, since each round learns from the earlier ones."""


@dataclass
class Worker:
    """Trains trials until none is waiting.

    Attributes:
        plan: The plan.
        study: The database of the sweep.
        verbose: Whether the epochs of each trial are shown.
        batch: Whether trials are trained at the same time if they can be batched.
        jobs: The number of processes that share the trials.
    """

    plan: Plan
    study: SweepStudy
    verbose: bool = False
    batch: bool = True
    jobs: int = 1

    def run(self) -> None:
        """Trains trials until none is waiting.

        Raises:
            InterruptedRunError: A signal arrived. Its trials are waiting again.
            NnzooError: The disk is full, or the data can't be read.
        """
        size, how = self._batch_size()
        with StopRequest() as stop, self.study.working(), log.repeated_warnings_hidden():
            while claims := self.study.claim(size if self.batch else 1):
                if how:
                    log.info("%s", how)
                    how = ""
                left = list(claims)
                try:
                    for group in self._groups(claims):
                        if len(group) > 1 and self._train_batch(group):
                            left = [claim for claim in left if claim not in group]
                        for claim in [each for each in group if each in left]:
                            _check(stop)
                            self._train(claim)
                            left.remove(claim)
                        _check(stop)
                except BaseException:
                    self.study.give_back(left)
                    raise

    def _batch_size(self) -> tuple[int, str]:
        """Returns how many trials are chosen at once, and a line about it."""
        reason = self._why_one_by_one()
        if reason:
            return 1, f"trials are trained one after another: {reason}"
        share = -(-self.plan.trials // (self.jobs * (ROUNDS if self.plan.method == "tpe" else 1)))
        size = max(1, min(MAX_BATCH, share))
        if size == 1:
            return 1, "trials are trained one after another: there are few"
        return size, f"up to {size} trials are trained at the same time, in batched steps, and none is pruned"

    def _why_one_by_one(self) -> str | None:
        if not self.batch:
            return "--no-batch"
        if reason := why_not_together(self.plan.config):
            return reason
        if not any(map(is_batchable, self.plan.space)):
            return f"they differ in {next(iter(self.plan.space))}; only networks of the same shape can be batched"
        return None

    def _groups(self, claims: Sequence[Claim]) -> list[list[Claim]]:
        """Returns the trials that can be trained together. A trial that has a checkpoint continues alone."""
        groups: dict[str, list[Claim]] = {}
        for claim in claims:
            part = str(claim.number)
            if len(claims) > 1 and not (self.plan.folder / claim.run / CHECKPOINT).is_file():
                part = common_part(self.plan.config_of(claim.values, claim.run))
            groups.setdefault(part, []).append(claim)
        return list(groups.values())

    def _train_batch(self, group: Sequence[Claim]) -> bool:
        """Trains trials at the same time. Returns False if that is not possible, so that each is trained alone."""
        configs = [without_baselines(self.plan.config_of(claim.values, claim.run)) for claim in group]
        try:
            results = train_together(configs, self.plan.folder, quiet=not self.verbose)
        except NotBatchedError as error:
            log.info("trials are trained one after another: %s", error)
            # Only trials with other keys may still be batched.
            self.batch = not all(map(is_batchable, self.plan.space))
            return False
        except InterruptedRunError:
            raise
        except Exception as error:
            if isinstance(error, NnzooError) and not self._is_of_trial(error):
                raise
            # Trained alone, each trial fails with its own reason, or not at all.
            log.info("trials %s are trained one after another: %s", _numbers(group), reason_of(error))
            return False
        for claim, result in zip(group, results, strict=True):
            self._store(claim, result, batch=len(group))
        return True

    def _train(self, claim: Claim) -> None:
        """Trains one trial, and stores its result or why it failed."""
        try:
            run = self._run(claim)
        except InterruptedRunError:
            raise
        except Exception as error:
            if not self._is_of_trial(error):
                raise
            result: Any = getattr(error, "result", None) or {}
            self.failed(claim, error, epochs=result.get("epochs", 0), seconds=result.get("seconds", 0.0))
            return
        self._store(claim, run.result)

    def _store(self, claim: Claim, result: Mapping[str, Any], *, batch: int = 1) -> None:
        """Stores and shows the result of a finished trial."""
        kept = {key: result[key] for key in ("epochs", "monitor")}
        # The time of a batch is shared equally, so that the sum over the trials is the time of the sweep.
        kept["seconds"] = round(result["seconds"] / batch, 3)
        if result["status"] == "diverged":
            error = DivergedError("the loss is no longer finite.")
            self.failed(claim, error, batch=batch, **kept)
            return
        state: State = "pruned" if result["status"] == "pruned" else "completed"
        value = result["metrics"][result["monitor"]]
        self.study.finish(claim, state, value, batch=batch, **kept)
        self.show(claim, f"{result['monitor']} {number(value)}{' (pruned)' if state == 'pruned' else ''}")

    def _run(self, claim: Claim) -> Run:
        def prune(epoch: int, value: float) -> bool:
            return self.study.report(claim, epoch, value, prune=self.plan.prune)

        config = self.plan.config_of(claim.values, claim.run)
        is_single = config.train.restarts == 1 and config.train.folds is None
        return train(
            without_baselines(config),
            runs_dir=self.plan.folder,
            resume=True,
            quiet=not self.verbose,
            show=lambda _: None,
            prune=prune if is_single else None,
        )

    def _is_of_trial(self, error: Exception) -> bool:
        """Whether only this trial failed. Others would fail with the same error of the disk or of the data."""
        if isinstance(error, DataError):
            return any(key.startswith("data") for key in self.plan.space)
        if isinstance(error, ConfigError):
            return not self._is_of_all(error)
        return not isinstance(error, RunError | OSError)

    def _is_of_all(self, error: ConfigError) -> bool:
        """Whether the config does not fit the data with any values, such as a metric of another task."""
        try:
            prepare(self.plan.config)
        except ConfigError as own:
            return own.problems == error.problems
        except NnzooError:
            return False
        return False

    def failed(self, claim: Claim, error: Exception, **attributes: Any) -> None:
        """Stores and shows why a trial failed."""
        reason = reason_of(error)
        self.study.finish(claim, "failed", None, reason=reason, **attributes)
        self.show(claim, f"failed: {reason}")

    def show(self, claim: Claim, outcome: str) -> None:
        """Shows the line of a finished trial."""
        best = best_of(self.study.records(), self.plan.mode)
        so_far = "" if best is None or best.value is None else f"; best {number(best.value)} (trial {best.number})"
        log.info(
            "trial %d of %d: %s: %s%s", claim.number, self.study.num_trials, describe(claim.values), outcome, so_far
        )


def _check(stop: StopRequest) -> None:
    """Raises InterruptedRunError if a signal has arrived."""
    if stop.signal_number is not None:
        raise InterruptedRunError("interrupted", signal_number=stop.signal_number, result={})


def _numbers(group: Sequence[Claim]) -> str:
    return ", ".join(str(claim.number) for claim in group)


def without_baselines(config: Config) -> Config:
    """Returns the config of a trial. Its simple models would be the same in every trial."""
    if config.train.baselines != "auto":
        return config
    return config.model_copy(update={"train": config.train.model_copy(update={"baselines": False})})


def describe(values: dict[str, Any]) -> str:
    """Returns the values of a trial on one line."""
    return " ".join(f"{key}={shown(value)}" for key, value in values.items())


def shown(value: Any) -> str:
    """Returns a value for tables and lines: numbers with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else flow(value)


def reason_of(error: Exception) -> str:
    """Returns why a trial failed, on one line."""
    if isinstance(error, DivergedError):
        return f"diverged: {error.message}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory"
    if isinstance(error, RuntimeError) and "allocate memory" in str(error):
        return "out of memory"
    text = error.problems[0] if isinstance(error, ConfigError) else str(error)
    line = text.split("\n")[0]
    return line if isinstance(error, NnzooError) else f"{type(error).__name__}: {line}"
