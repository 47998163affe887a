"""Training: from a config to a run directory."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnzoo import log
from nnzoo.config import Config, ConfigLike, load_config
from nnzoo.config.load import check_overrides
from nnzoo.data import data_in_memory
from nnzoo.errors import DivergedError, InterruptedRunError, UsageError
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.prepare import fetch, prepare, without_raw_inputs
from nnzoo.experiment.pretrained.pretrained import check_survives, with_checkpoint
from nnzoo.experiment.resume.resume import (
    check_data,
    check_same,
    check_shared,
    describe_start,
    digests_of,
    find_run,
    restore,
    saved_warnings,
)
from nnzoo.experiment.threads import computing_with, threads_of_data
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.record import Recorder
from nnzoo.experiment.train.restarts import choose_training
from nnzoo.experiment.train.single import Training
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.run import directory
from nnzoo.run.checkpoint import load_last
from nnzoo.run.lock import locked
from nnzoo.summaries import Summary
from nnzoo.training.processes.group import Group
from nnzoo.training.processes.start import process_group
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest

DRY_RUN_BATCHES = 2


def train(
    config: ConfigLike,
    *,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    model: nn.Module | None = None,
    data: Any = None,
    target: str | Sequence[str] | None = None,
    name: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    show: Callable[[str], None] = print,
) -> Run:
    """Trains a network, keeps its best weights, measures them, and writes a run directory.

    It seeds the global generators of torch, numpy and random. Trainings in several threads of one process take turns,
    because these generators belong to the process.

    Warnings about the data are given as `nnzoo.DataWarning`, whatever `quiet` says, and are in `result["warnings"]`.
    Progress is logged to the logger `nnzoo`; where nothing listens to it, the lines go to standard error.

    Args:
        config: A path, the name of a shipped config, a run directory, a dict (its `name` names the run, else it is
            "run"), or a config. With `data` it needs no `data` of its own.
        overrides: `{"optimizer.lr": 3e-4}`, or texts such as `optimizer.lr=3e-4`.
        model: Your own module in place of the config's: (N, *input_shape) -> (N, outputs).
        data: Your own data in place of the config's. `(x, y)`, as arrays, tensors, or a data frame and its targets; a
            dict with `x` and `y`, maybe `lengths`, and the same with `_val` and `_test`; a data frame of pandas, polars
            or pyarrow with `target`; a torch Dataset that gives `(x, y)`; or a dict with `train` and maybe `val` and
            `test` of these. Keys of the config's `data` that are not about files are used: `split`, `task`,
            `categorical`. Keys that do not apply to such data, such as `limit`, are an error, and so is a series.
            The data is not kept in the run directory: pass it again to resume.
        target: The column of the data frame to predict, or several; default: `data.target` of the config.
        name: Of the run; default: the config's.
        runs_dir: Where run directories are made.
        device: auto, cpu, cuda, cuda:N or mps; default: the config's.
        resume: Continue the newest run of that name; start it if there is none.
        overwrite: Replace the run of that name.
        dry_run: Run two batches through everything, and keep nothing.
        quiet: Show neither the summary nor progress.
        show: Is called with the summary.

    Returns:
        The run: `run.metrics`, `run.history`, `run.model`, `run.run_dir`.

    Raises:
        UsageError: The arguments are wrong or contradict each other, or there is no such config.
        ConfigError: The config can't be used (a UsageError).
        DataError: The data is missing, damaged or does not fit, or was changed since the run was started.
        CheckpointError: The checkpoint to resume from, or that of `model.pretrained`, is damaged.
        RunError: The run directory can't be written, or another training is there.
        DivergedError: The loss is not finite; its `result` is the content of result.json.
        InterruptedRunError: A signal came; its `result` is the content of result.json.
        GroupError: Another process of the same training failed or can't be reached.
    """
    if model is not None and not isinstance(model, nn.Module):
        raise UsageError(f"expected an nn.Module, got {model!r}. Pass an instance: MyModule().", where="model")
    directory.check_options(resume=resume, overwrite=overwrite, dry_run=dry_run)
    if target is not None and data is None:
        raise UsageError("it names a column of data=, which is missing. Pass both.", where="target")
    in_memory = None if data is None else data_in_memory(data, target)
    section = None if in_memory is None else in_memory.section()
    changes = _with_options(overrides, name=name, device=device)
    with contextlib.ExitStack() as alone:
        journal = alone.enter_context(log.recording(quiet=quiet))
        alone.enter_context(one_at_a_time())
        group = alone.enter_context(process_group())
        journal.silent = group.rank > 0
        quiet = journal.quiet = quiet or journal.silent
        with group.fail_together():
            loaded = load_config(config, changes, custom_model=model is not None, data=section)
            alone.enter_context(deterministic(loaded))
        found, saved = None, None
        if resume:
            named = loaded if name else config
            found, saved = group.from_first(lambda: _find(named, loaded.name, Path(runs_dir), alone))
        fetch(loaded, group)
        with group.fail_together():
            alone.enter_context(computing_with(threads_of_data(loaded, saved)))
            loaded = with_checkpoint(loaded, Path(runs_dir), resumed=Path(found) if found else None)
            if overwrite:
                check_survives(loaded, Path(runs_dir) / loaded.name)
            experiment = prepare(loaded, in_memory, batches=DRY_RUN_BATCHES if dry_run else None, group=group)
            digests = digests_of(experiment.dataset)
            experiment = without_raw_inputs(experiment)
            if found and group.rank == 0:
                check_same(Path(found), experiment.config)
            given = copy.deepcopy(model.state_dict()) if model is not None and loaded.train.restarts > 1 else None
            shown = (lambda _: None) if quiet else show
            state, report, num_threads = build_state(experiment, model, saved=saved, show=shown)
            alone.enter_context(computing_with(num_threads))
            start = partial(start_again, experiment, model, given)
            training = choose_training(experiment, state, start, restored=bool(saved))
        if dry_run:
            return replace(_dry_run(training, report, Path(runs_dir), journal, digests), data=in_memory)
        folder = found or group.from_first(lambda: _make(Path(runs_dir), loaded.name, alone, overwrite=overwrite))
        return replace(_run(training, report, Path(folder), journal, digests, saved=saved), data=in_memory)


def _find(
    config: ConfigLike, name: str, runs_dir: Path, alone: contextlib.ExitStack
) -> tuple[str | None, dict[str, Any] | None]:
    """The run to continue, if there is one, locked; and the content of its checkpoint."""
    found = find_run(config, name, runs_dir)
    if found is None:
        return None, None
    alone.enter_context(locked(found))
    return str(found), load_last(found)


def _make(runs_dir: Path, name: str, alone: contextlib.ExitStack, *, overwrite: bool) -> str:
    """Makes a run directory, empty and locked."""
    folder = directory.create(runs_dir, name, overwrite=overwrite)
    alone.callback(_remove_empty, folder)
    alone.enter_context(locked(folder))
    directory.clear(folder)
    return str(folder)


def _remove_empty(folder: Path) -> None:
    """Removes a run directory if no file could be written, so that its name is free again."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _with_options(
    overrides: Mapping[str, Any] | Sequence[str], *, name: str | None, device: str | None
) -> Mapping[str, Any] | Sequence[str]:
    """The overrides, and the options that are short for one. An option is a text, even if YAML would read a number."""
    check_overrides(overrides)
    given = {key: value for key, value in (("name", name), ("train.device", device)) if value is not None}
    if isinstance(overrides, Mapping):
        return {**overrides, **given}
    texts = [overrides] if isinstance(overrides, str) else overrides
    return [*texts, *(f"{key}={json.dumps(value)}" for key, value in given.items())]


def _run(
    training: Training,
    report: Summary,
    folder: Path,
    journal: log.Journal,
    digests: dict[str, str],
    *,
    saved: dict[str, Any] | None = None,
) -> Run:
    """Trains in a run directory, from the start or from what was saved, and records every kind of end."""
    experiment = training.experiment
    group = experiment.settings.group
    everywhere = group.gather(digests)
    with group.fail_together():
        check_shared(everywhere)
        if saved:
            check_data(saved, digests, experiment.dataset)
            restore(folder, training, saved)
            journal.continue_from(saved_warnings(saved))
    recorder = Recorder(folder, experiment, report.render(), report.num_parameters, digests, journal.warnings)
    progress = Progress(experiment.settings.epochs, quiet=journal.quiet)
    group.from_first(recorder.start)
    with journal.to_file(folder / directory.LOG), StopRequest() as stop:
        if saved:
            log.info("%s", describe_start(folder, training))
        try:
            status = training.fit(recorder, progress, stop)
        except DivergedError as error:
            log.error("%s", error)
            error.result = group.from_first(lambda: recorder.finish(training.kept(), "diverged", training.restarts()))
            raise
        finally:
            progress.end_epoch()
        kept = training.kept()
        result = group.from_first(lambda: recorder.finish(kept, status, training.restarts()))
        log.debug("%s after %d epochs, best epoch %s", status, kept.epoch, result["best_epoch"])
        for note in result["notes"]:
            log.info("note: %s", note)
    if stop.signal_number is not None and status == "interrupted":
        raise InterruptedRunError(
            f"interrupted in {training.place()}; the same command with --resume continues.",
            signal_number=stop.signal_number,
            result=result,
        )
    own = kept.model if experiment.config.model.name == "custom" else None
    return Run(folder, result, experiment.config, kept.history, _load_everywhere(folder, own, group))


def _load_everywhere(folder: Path, model: nn.Module | None, group: Group) -> TrainedModel:
    """The trained network; only the first process needs access to the run directory."""
    if group.size == 1:
        return load(folder, model=model)
    artifact = group.from_first(
        lambda: torch.frombuffer(bytearray((folder / directory.ARTIFACT).read_bytes()), dtype=torch.uint8)
    )
    with tempfile.TemporaryDirectory(prefix="nnzoo-") as temporary:
        copied = Path(temporary) / directory.ARTIFACT
        copied.write_bytes(artifact.numpy().tobytes())
        return replace(load(copied, model=model), path=folder / directory.ARTIFACT)


def _dry_run(training: Training, report: Summary, runs_dir: Path, journal: log.Journal, digests: dict[str, str]) -> Run:
    """Trains one epoch of two batches in a temporary directory."""
    experiment = training.experiment
    training.experiment = replace(experiment, settings=replace(experiment.settings, epochs=1))
    with tempfile.TemporaryDirectory(prefix="nnzoo-dry-run-") as temporary:
        journal.quiet = True
        run = _run(training, report, Path(temporary), journal, digests)
    kept_nowhere = runs_dir / experiment.config.name
    return replace(run, run_dir=kept_nowhere, result={**run.result, "run_dir": None})


@contextlib.contextmanager
def deterministic(config: Config) -> Iterator[None]:
    """Makes torch refuse CUDA kernels whose result depends on timing, if the config asks for it."""
    if not config.train.deterministic or not torch.cuda.is_available():
        yield
        return
    # cuBLAS reads it when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its property is not in its types
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Else all new memory is filled with NaN first, at a kernel each.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled
