"""The trials of a sweep in its database: which one comes next, which ones are lost, and their results.

Each trial of the plan has a number from 1. In the database, an entry of Optuna belongs to one number. There may be
several for one number, because the entry of a process that was killed is marked as failed, without a result, and a new
one with the same values takes its place. Only entries with a result, or with the reason of a failure, are counted.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from nnzoo.errors import UsageError
from nnzoo.search.distributions import distributions_of
from nnzoo.search.importances import importances_of
from nnzoo.search.owner import Owner, host_of, is_dead
from nnzoo.search.plan import Plan
from nnzoo.search.points import config_values, points_of
from nnzoo.search.records import Record, State
from nnzoo.search.storage import HEARTBEAT, create_or_load, database_errors, open_storage, silent

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

REPORTS = 40
"""About the largest number of epochs whose monitored value is stored."""
JOIN_SECONDS = 60.0
_UNOWNED_SECONDS = 60.0


@dataclass(frozen=True)
class Claim:
    """A trial that this process trains.

    Attributes:
        number: Its number, from 1.
        values: The value of each searched key, as in a config.
        trial: The entry of the database.
    """

    number: int
    values: dict[str, Any]
    trial: optuna.Trial

    @property
    def run(self) -> str:
        """The name of its run directory."""
        return run_name(self.number)


def run_name(number: int) -> str:
    """Returns the name of the run directory of a trial."""
    return f"trial-{number:03d}"


class SweepStudy:
    """The database of a sweep.

    Args:
        plan: The plan.
        url: As in `open_storage`.

    Raises:
        UsageError: The sweep was started with a different plan, or the directory belongs to something else.
        RunError: The database can't be opened.
    """

    def __init__(self, plan: Plan, url: str | None) -> None:
        import optuna

        self.plan = plan
        self.is_local = url is None
        self.owner = Owner(plan.folder)
        self._lock = FileLock(plan.folder / ".claim.lock", fallback_to_soft=False)
        self._running: set[int] = set()
        self._stop = threading.Event()
        self._states = optuna.trial.TrialState
        epochs = plan.config.train.epochs
        self.report_every = -(-epochs // REPORTS)
        with self._claiming():
            self.storage = open_storage(url, plan.folder)
            self.study, is_new = create_or_load(self.storage, plan.name, plan.mode)
            if not is_new and self._is_replaceable():
                optuna.delete_study(study_name=plan.name, storage=self.storage)
                self.study, is_new = create_or_load(self.storage, plan.name, plan.mode)
            self.study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, epochs // 10))
            if not is_new:
                self._check_same()
            elif self._has_runs():
                optuna.delete_study(study_name=plan.name, storage=self.storage)
                raise UsageError(
                    "has trials of another sweep, whose database is missing. Choose another --name.",
                    where=str(plan.folder),
                )
            else:
                self.study.set_user_attr("plan", plan.identity())
                self.study.set_user_attr("trials", plan.trials)

    def _has_runs(self) -> bool:
        return any(self.plan.folder.glob("trial-*"))

    def _is_replaceable(self) -> bool:
        """Whether the settings may still change: no trial has begun, for example because the data was not found."""
        known = self.study.user_attrs
        if known.get("plan") in (None, self.plan.identity()) or self._has_runs():
            return False
        return not any(
            self._counts(each) or (each.state == self._states.RUNNING and not self._is_lost(each))
            for each in self._entries()
        )

    def _check_same(self) -> None:
        """Checks that the sweep was started with the same plan; more trials are allowed."""
        deadline = time.monotonic() + JOIN_SECONDS
        while "trials" not in (known := self.study.user_attrs):
            # Another process is creating the sweep, or was killed while it did.
            if time.monotonic() > deadline:
                self.study.set_user_attr("plan", self.plan.identity())
                self.study.set_user_attr("trials", self.plan.trials)
            time.sleep(0.2)
        before, now = known["plan"], self.plan.identity()
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            shown = "; ".join(_change(key, before.get(key), now.get(key)) for key in changed[:4])
            more = f"; and {len(changed) - 4} more" if len(changed) > 4 else ""
            raise UsageError(
                f"this sweep was started with other settings, so its trials could not be compared. Changed: {shown}"
                f"{more}. Restore them, or start another sweep with --name.",
                where=str(self.plan.folder),
            )
        if self.plan.trials > known["trials"]:
            self.study.set_user_attr("trials", self.plan.trials)
        elif self.plan.trials < known["trials"]:
            raise UsageError(
                f"this sweep has {known['trials']} trials (got {self.plan.trials}). Their number can only be "
                "increased.",
                where=str(self.plan.folder),
            )

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A context manager in which this process may claim trials: it shows other processes that it is alive."""
        thread = threading.Thread(target=self._beat, daemon=True)
        with self.owner.alive():
            thread.start()
            try:
                yield
            finally:
                self._stop.set()
                thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            for trial_id in tuple(self._running):
                # The next sign of life comes soon enough.
                with contextlib.suppress(Exception):
                    self.storage.record_heartbeat(trial_id)

    @contextlib.contextmanager
    def _claiming(self) -> Iterator[None]:
        """A context manager in which no other process on this file system claims trials."""
        with database_errors(self.plan.name), self._lock, silent():
            yield

    def claim(self, count: int = 1) -> list[Claim]:
        """Returns the next trials, at most `count`, in the order of their numbers; an empty list if none is left."""
        claims: list[Claim] = []
        with self._claiming():
            self._revive()
            # An entry that a killed process left waiting may come first, so that there can be no claim at first.
            while not claims and (numbers := self._open_numbers()):
                for number, before in numbers[:count]:
                    self.study.add_trial(self._waiting(number, before))
                    self.study.sampler = self._sampler(number)
                    trial = self.study.ask(distributions_of(self.plan))
                    own = trial.user_attrs.get("number")
                    # Another machine may have claimed this trial at the same time.
                    if own is None or self._is_taken(own, trial.number):
                        self.study.tell(trial, state=self._states.FAIL)
                        continue
                    trial.set_user_attr("owner", self.owner.text)
                    self._running.add(trial._trial_id)
                    self.storage.record_heartbeat(trial._trial_id)
                    claims.append(Claim(own, config_values(self.plan, trial.params), trial))
        return claims

    def _open_numbers(self) -> list[tuple[int, FrozenTrial | None]]:
        """Returns the trials that no process trains or has trained, with the lost entry of each, if there is one."""
        entries = self._entries()
        running = self._states.RUNNING
        covered = {_number(each) for each in entries if each.state == running or self._counts(each)}
        lost = {_number(each): each for each in entries if each.params}
        return [(number, lost.get(number)) for number in range(1, self.num_trials + 1) if number not in covered]

    def _waiting(self, number: int, before: FrozenTrial | None) -> FrozenTrial:
        """Returns an entry that `ask` takes next. A lost trial has the same values again, and its epochs so far."""
        import optuna

        points = points_of(self.plan, number)
        fixed = points[number - 1] if points is not None else {} if before is None else dict(before.params)
        return optuna.trial.create_trial(
            state=self._states.WAITING,
            system_attrs={"fixed_params": fixed},
            user_attrs={"number": number},
            intermediate_values={} if before is None else before.intermediate_values,
        )

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Returns a sampler whose random numbers depend only on the seed and the trial."""
        import optuna

        return optuna.samplers.TPESampler(seed=(self.plan.seed * 1_000_003 + number) % 2**32)

    def _is_taken(self, number: int, own: int) -> bool:
        """Whether another entry has a result, or was made earlier and has not failed."""
        others = [each for each in self._entries() if _number(each) == number and each.number != own]
        return any(self._counts(each) or (each.state != self._states.FAIL and each.number < own) for each in others)

    def report(self, claim: Claim, epoch: int, value: float, *, prune: bool) -> bool:
        """Stores the monitored value of an epoch, and returns whether the trial should be ended."""
        if (epoch - 1) % self.report_every:
            return False
        with database_errors(self.plan.name), silent():
            claim.trial.report(value, epoch)
            return prune and claim.trial.should_prune()

    def finish(self, claim: Claim, state: State, value: float | None, **result: Any) -> None:
        """Stores the result of a trial.

        Args:
            claim: The trial.
            state: completed, pruned or failed.
            value: Its best monitored value; None if it failed.
            result: `epochs`, `seconds`, `monitor`, `batch`, and `reason` if it failed.
        """
        states = self._states
        by_name = {"completed": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}
        with self._claiming():
            claim.trial.set_user_attr("result", {**result, "value": value})
            # Another process may have taken the trial over, if this one was suspended for long.
            with contextlib.suppress(ValueError):
                self.study.tell(claim.trial, value if state == "completed" else None, state=by_name[state])
        self._running.discard(claim.trial._trial_id)

    def give_back(self, claims: Sequence[Claim]) -> None:
        """Lets other processes train these trials, since this one is interrupted."""
        with self._claiming():
            for claim in claims:
                self._running.discard(claim.trial._trial_id)
                with contextlib.suppress(ValueError):
                    self.study.tell(claim.trial, state=self._states.FAIL)

    def _revive(self) -> None:
        """Marks the entries of dead processes as failed, so that their trials are open again."""
        import optuna

        for entry in self._entries(self._states.RUNNING):
            if self._is_lost(entry):
                with contextlib.suppress(ValueError):
                    self.study.tell(entry.number, state=self._states.FAIL)
        optuna.storages.fail_stale_trials(self.study)

    def _is_lost(self, entry: FrozenTrial) -> bool:
        """Whether the process of a running entry has ended."""
        owner = entry.user_attrs.get("owner")
        if owner:
            return is_dead(owner)
        # Its process was killed between two writes. On one file system, no other process claims at the moment.
        started = entry.datetime_start
        return self.is_local or started is None or time.time() - started.timestamp() > _UNOWNED_SECONDS

    def _entries(self, *states: optuna.trial.TrialState) -> list[FrozenTrial]:
        """Returns the entries of trials, in the order of the database."""
        found = self.study.get_trials(deepcopy=False, states=states or None)
        return [each for each in found if "number" in each.user_attrs]

    def _counts(self, entry: FrozenTrial) -> bool:
        states = self._states
        return entry.state in (states.COMPLETE, states.PRUNED) or (
            entry.state == states.FAIL and "result" in entry.user_attrs
        )

    @property
    def num_trials(self) -> int:
        """The number of trials of the sweep."""
        return int(self.study.user_attrs["trials"])

    def records(self) -> list[Record]:
        """Returns all trials, by number."""
        with self._claiming():
            entries = self._entries()
        found: dict[int, tuple[int, FrozenTrial]] = {}
        for entry in entries:
            rank = 0 if self._counts(entry) else 1
            if entry.state in (self._states.FAIL, self._states.WAITING) and rank:
                continue
            number = _number(entry)
            if number not in found or rank < found[number][0]:
                found[number] = rank, entry
        return [
            self._record(number, found[number][1]) if number in found else Record(number, "waiting")
            for number in range(1, self.num_trials + 1)
        ]

    def importances(self) -> tuple[dict[str, float], str]:
        """Returns how much of the variance of the results each key explains, or an empty dict and why not."""
        return importances_of(self._entries(self._states.COMPLETE), self.plan.mode)

    def _record(self, number: int, entry: FrozenTrial) -> Record:
        states, known = self._states, entry.user_attrs.get("result", {})
        names: dict[Any, Any] = {
            states.COMPLETE: "completed",
            states.PRUNED: "pruned",
            states.FAIL: "failed",
            states.RUNNING: "running",
        }
        is_chosen = entry.params.keys() == self.plan.space.keys()
        return Record(
            number=number,
            state=names[entry.state],
            values=config_values(self.plan, entry.params) if is_chosen else {},
            value=known.get("value"),
            curve=dict(entry.intermediate_values),
            run=run_name(number),
            epochs=known.get("epochs", 0),
            seconds=known.get("seconds", 0.0),
            reason=known.get("reason", ""),
            monitor=known.get("monitor", ""),
            batch=known.get("batch", 1),
            host=host_of(entry.user_attrs.get("owner", "")),
        )


def _number(entry: FrozenTrial) -> int:
    return int(entry.user_attrs["number"])


def _change(key: str, before: Any, now: Any) -> str:
    name = key.removeprefix("config ").removeprefix("space ")
    return f"{name} from {'none' if before is None else before} to {'none' if now is None else now}"
