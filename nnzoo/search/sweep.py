"""Runs a sweep: claims and trains its trials in one or several processes, and writes its results."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

from nnzoo import log
from nnzoo.errors import GroupError, InterruptedRunError, RunError, UsageError
from nnzoo.run.cores import available_cores
from nnzoo.run.directory import CONFIG
from nnzoo.run.files import write_text
from nnzoo.search.plan import FILE, Plan
from nnzoo.search.results import result_of, write_results
from nnzoo.search.storage import check_installed, hidden
from nnzoo.search.study import SweepStudy
from nnzoo.search.worker import Worker

WORKER = "NNZOO_SWEEP_WORKER"
"""The environment variable of the processes of --jobs, which only train. Its value is their number."""


def sweep(
    plan: Plan,
    *,
    url: str | None = None,
    jobs: int = 1,
    batch: bool = True,
    verbose: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Runs a sweep, continues it, or joins it if other processes are running it.

    Args:
        plan: The plan.
        url: The database, as a URL of SQLAlchemy; None for an SQLite file in the directory of the sweep.
        jobs: The number of processes.
        batch: Whether trials are trained at the same time if they can be batched.
        verbose: Whether the epochs of each trial are shown.
        quiet: Whether no progress is shown.

    Returns:
        The content of result.json.

    Raises:
        UsageError: Optuna is missing, the sweep was started with a different plan, or its directory is in use.
        RunError: The directory or the database can't be written, or all trials failed.
        InterruptedRunError: A signal arrived. The same command continues.
        DataError: The data can't be read.
    """
    check_installed()
    _make(plan)
    study = SweepStudy(plan, url)
    is_worker = WORKER in os.environ
    if not is_worker:
        write_text(plan.folder / FILE, plan.as_yaml())
    try:
        if jobs > 1:
            _run_processes(jobs, [*command_of(plan, url), *([] if batch else ["--no-batch"])], quiet=quiet)
        Worker(plan, study, verbose, batch, int(os.environ.get(WORKER, "1"))).run()
    except (KeyboardInterrupt, InterruptedRunError) as error:
        raise _interrupted(plan, study, url, error, is_worker=is_worker) from None
    records = study.records()
    if is_worker:
        return result_of(plan, records)
    result = write_results(plan, study)
    if result["status"] == "failed":
        reason = next(each.reason for each in records if each.reason)
        raise RunError(f"all {len(records)} trials failed. The first one: {reason}", where=str(plan.folder))
    return result


def _make(plan: Plan) -> None:
    """Creates the directory of the sweep."""
    folder = plan.folder
    if (folder / CONFIG).exists():
        raise UsageError("is a run directory. Choose another name for the sweep with --name.", where=str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"can't be created: {error.strerror}.", where=str(error.filename or folder)) from None


def command_of(plan: Plan, url: str | None) -> list[str]:
    """Returns the command that continues a sweep."""
    return ["nnzoo", "sweep", str(plan.folder), *([] if url is None else ["--storage", url])]


def _interrupted(
    plan: Plan, study: SweepStudy, url: str | None, error: BaseException, *, is_worker: bool
) -> InterruptedRunError:
    """Writes what is known so far, and returns the error with the command that continues."""
    number = getattr(error, "exit_code", 130) - 128
    result = {**result_of(plan, study.records()), "status": "interrupted"}
    if not is_worker:
        write_results(plan, study, status="interrupted", page=False)
    command = shlex.join(command_of(plan, None if url is None else hidden(url)))
    ended = sum(result["counts"][state] for state in ("completed", "pruned", "failed"))
    return InterruptedRunError(
        f"interrupted after {ended} of {study.num_trials} trials; `{command}` continues.",
        signal_number=number,
        result=result,
    )


def _run_processes(jobs: int, own: list[str], *, quiet: bool) -> None:
    """Trains in several processes, and waits until they have ended. This process then trains what is left."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, available_cores() // jobs))
    environment = {**os.environ, WORKER: str(jobs), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", *own, *(["--quiet"] if quiet else [])]
    log.info("%d processes, %s threads each", jobs, threads)
    # In sessions of their own, so that Ctrl-C reaches them only once: from this process.
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        for _ in range(jobs)
    ]

    def forward(signal_number: int, _: FrameType | None) -> None:
        for process in processes:
            process.send_signal(signal_number)

    before = {each: signal.signal(each, forward) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        codes = [process.wait() for process in processes]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for code in codes:
        if code in (130, 143):
            raise InterruptedRunError("interrupted", signal_number=code - 128, result={})
        if code > 0:
            raise GroupError("a process of the sweep failed; its message is above.", exit_code=code)
