"""Trains the trials of a sweep in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnzoo import log
from nnzoo.config import Config
from nnzoo.config.yaml_writer import flow
from nnzoo.errors import ConfigError, DataError, DivergedError, InterruptedRunError, NnzooError, RunError
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.run import train
from nnzoo.numbers import number
from nnzoo.search.plan import Plan
from nnzoo.search.records import State, best_of
from nnzoo.search.study import Claim, SweepStudy


@dataclass(frozen=True)
class Worker:
    """Trains trials until none is waiting.

    Attributes:
        plan: The plan.
        study: The database of the sweep.
        verbose: Whether the epochs of each trial are shown.
    """

    plan: Plan
    study: SweepStudy
    verbose: bool = False

    def run(self) -> None:
        """Trains trials until none is waiting.

        Raises:
            InterruptedRunError: A signal arrived. Its trial is waiting again.
            NnzooError: The disk is full, or the data can't be read.
        """
        with self.study.working(), log.repeated_warnings_hidden():
            while claims := self.study.claim():
                try:
                    self._train(claims[0])
                except BaseException:
                    self.study.give_back(claims)
                    raise

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
        result = run.result
        state: State = "pruned" if result["status"] == "pruned" else "completed"
        value = result["metrics"][result["monitor"]]
        kept = {key: result[key] for key in ("epochs", "seconds", "monitor")}
        self.study.finish(claim, state, value, **kept)
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
        return not isinstance(error, RunError | OSError)

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
