"""Trains the network of a config and writes a run directory."""

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
from torch import Tensor, nn

from nnzoo import log
from nnzoo.config import Config, ConfigLike, load_config
from nnzoo.config.load import check_overrides
from nnzoo.data import data_in_memory
from nnzoo.errors import DivergedError, InterruptedRunError, UsageError
from nnzoo.experiment.checksums import digests_of
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.prepare import fetch, prepare, without_raw_inputs
from nnzoo.experiment.pretrained.pretrained import check_not_overwritten, with_checkpoint
from nnzoo.experiment.resume.resume import (
    check_data,
    check_preprocess,
    check_same,
    check_shared,
    describe_start,
    find_run,
    restore,
    saved_warnings,
)
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.finished import Run, RunWithData, kept_inputs
from nnzoo.experiment.train.folds import Options, cross_validate
from nnzoo.experiment.train.record import Recorder
from nnzoo.experiment.train.restarts import choose_training
from nnzoo.experiment.train.single import Training
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.experiment.train.tensorboard import TensorBoard, check_installed, sample_images
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.run import directory
from nnzoo.run.checkpoint import load_last
from nnzoo.run.lock import locked
from nnzoo.summaries import Summary
from nnzoo.training.processes.group import Group
from nnzoo.training.processes.start import process_group
from nnzoo.training.processes.torchrun import is_distributed
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest

DRY_RUN_BATCHES = 2
Diagnose = Callable[[RunWithData], list[dict[str, Any]]]
Page = tuple[dict[str, Tensor], Callable[[RunWithData], object] | None, Diagnose | None]
"""The raw inputs that are kept for the page of a run, the function that writes it, and the one that finds problems."""


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
    report: Callable[[RunWithData], object] | None = None,
    diagnose: Diagnose | None = None,
    prune: Callable[[int, float], bool] | None = None,
) -> Run:
    """Trains a network, evaluates its best weights, and writes a run directory.

    The global generators of torch, numpy and random are seeded. Only one thread of a process trains at a time, because
    these generators are global.

    Warnings about the data are issued as `nnzoo.DataWarning`, even if `quiet` is set, and are listed in
    `result["warnings"]`. Progress is logged to the logger `nnzoo`; without a handler, it is written to standard error.

    Args:
        config: A path, the name of a shipped config, a run directory, a dict (its `name` is the name of the run, by
            default "run"), or a config. Its `data` is not required if `data` is passed.
        overrides: `{"optimizer.lr": 3e-4}`, or strings such as `optimizer.lr=3e-4`.
        model: A custom module, instead of the config's model: (N, *input_shape) -> (N, outputs).
        data: The data, instead of that of the config: `(x, y)`, as arrays, tensors, or a data frame and its targets; a
            dict with `x` and `y`, optionally `lengths`, and the same keys with the suffixes `_val` and `_test`, and
            optionally `sample_weight`, (N,) weights of the samples of `x` in the loss; a data frame of pandas, polars
            or pyarrow, with `target`; a torch Dataset of `(x, y)` pairs; or a dict with any of these as `train` and
            optionally `val` and `test`. The keys `split`, `task` and `categorical` of the config's `data` are used.
            Keys that do not apply to data from Python, such as `limit`, raise an error, and so does a series. The data
            is not saved in the run directory: pass it again to resume.
        target: The columns of the data frame that are predicted; by default, `data.target` of the config.
        name: The name of the run; by default, that of the config.
        runs_dir: The directory that contains the run directories.
        device: auto, cpu, cuda, cuda:N or mps; by default, that of the config.
        resume: Whether to resume the newest run of that name, or start one if there is none.
        overwrite: Whether to replace the run of that name.
        dry_run: Whether to only train, save and evaluate with two batches, and keep no files.
        quiet: Whether to hide the summary and the progress.
        show: A function that is called with the summary.
        report: A function that writes the page of the run; `nnzoo.train` writes report.html. Its errors become
            warnings.
        diagnose: A function that returns what went wrong, for `result["findings"]`; `nnzoo.train` uses that of
            `nnzoo doctor`. Its errors are ignored.
        prune: A function that is called after each epoch with its number and its monitored value, and returns whether
            training ends with the status "pruned"; for one network in one process.

    Returns:
        The run: `run.metrics`, `run.history`, `run.model`, `run.run_dir`.

    Raises:
        UsageError: The arguments are wrong or contradict each other, or there is no such config.
        ConfigError: The config can't be used (a UsageError).
        DataError: The data is missing, damaged or does not fit, or has changed since the run was started.
        CheckpointError: The checkpoint to resume from, or that of `model.pretrained`, is damaged.
        RunError: The run directory can't be written, or another training run is using it.
        DivergedError: The loss is not finite; its `result` is the content of result.json.
        InterruptedRunError: A signal interrupted training; its `result` is the content of result.json.
        GroupError: Another process of the same run failed or can't be reached.
    """
    if model is not None and not isinstance(model, nn.Module):
        raise UsageError(f"expected an nn.Module, got {model!r}. Pass an instance: MyModule().", where="model")
    directory.check_options(resume=resume, overwrite=overwrite, dry_run=dry_run)
    if target is not None and data is None:
        raise UsageError("target= needs a data frame, but data= is missing. Pass both.", where="target")
    in_memory = None if data is None else data_in_memory(data, target)
    section = None if in_memory is None else in_memory.section()
    changes = _with_options(overrides, name=name, device=device)
    if not is_distributed():
        loaded = load_config(config, changes, custom_model=model is not None, data=section)
        if loaded.train.folds is not None:
            one = partial(train, data=data, target=target, quiet=quiet, report=report, diagnose=diagnose)
            fields = {"resume": resume, "overwrite": overwrite, "dry_run": dry_run, "quiet": quiet}
            options = Options(Path(runs_dir), **fields, show=show, report=report, model=model, in_memory=in_memory)
            return cross_validate(loaded, config, one, options)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(log.recording(quiet=quiet))
        stack.enter_context(one_at_a_time())
        group = stack.enter_context(process_group())
        journal.silent = group.rank > 0
        quiet = journal.quiet = quiet or journal.silent
        with group.fail_together():
            loaded = load_config(config, changes, custom_model=model is not None, data=section)
            check_installed(loaded)
            if loaded.train.folds is not None:
                message = "a cross-validation runs in one process. Start it without torchrun."
                raise UsageError(message, where="train.folds")
            stack.enter_context(deterministic(loaded))
        resumed, saved = None, None
        if resume:
            source = loaded if name else config
            resumed, saved = group.from_first(lambda: _find(source, loaded.name, Path(runs_dir), stack))
        fetch(loaded, group)
        with group.fail_together():
            stack.enter_context(use_threads(threads_of_data(loaded, saved)))
            loaded = with_checkpoint(loaded, Path(runs_dir), resumed=Path(resumed) if resumed else None)
            if overwrite:
                check_not_overwritten(loaded, Path(runs_dir) / loaded.name)
            batches = DRY_RUN_BATCHES if dry_run else None
            experiment = prepare(loaded, in_memory, batches=batches, group=group, saved=saved)
            digests = digests_of(experiment.dataset)
            raw = kept_inputs(experiment.dataset) if report is not None and group.rank == 0 else {}
            images = sample_images(loaded, experiment.dataset) if group.rank == 0 else None
            experiment = without_raw_inputs(experiment)
            if loaded.train.restarts == 1:
                experiment = replace(experiment, settings=replace(experiment.settings, prune=prune))
            if resumed and group.rank == 0:
                check_same(Path(resumed), experiment.config)
            initial_weights = (
                copy.deepcopy(model.state_dict()) if model is not None and loaded.train.restarts > 1 else None
            )
            show_summary = (lambda _: None) if quiet else show
            state, summary, num_threads = build_state(experiment, model, saved=saved, show=show_summary)
            stack.enter_context(use_threads(num_threads))
            start = partial(start_again, experiment, model, initial_weights)
            training = choose_training(experiment, state, start, restored=bool(saved))
        if dry_run:
            return replace(_dry_run(training, summary, Path(runs_dir), journal, digests, images), data=in_memory)
        folder = resumed or group.from_first(lambda: _make(Path(runs_dir), loaded.name, stack, overwrite=overwrite))
        page = raw, report, diagnose
        run = _run(training, summary, Path(folder), journal, digests, saved=saved, images=images, page=page)
        return replace(run, data=in_memory)


def _find(
    config: ConfigLike, name: str, runs_dir: Path, stack: contextlib.ExitStack
) -> tuple[str | None, dict[str, Any] | None]:
    """Finds and locks the run to resume; returns it and the content of its checkpoint, or None and None."""
    folder = find_run(config, name, runs_dir)
    if folder is None:
        return None, None
    stack.enter_context(locked(folder))
    return str(folder), load_last(folder)


def _make(runs_dir: Path, name: str, stack: contextlib.ExitStack, *, overwrite: bool) -> str:
    """Creates and locks an empty run directory."""
    folder = directory.create(runs_dir, name, overwrite=overwrite)
    stack.callback(_remove_empty, folder)
    stack.enter_context(locked(folder))
    directory.clear(folder)
    return str(folder)


def _remove_empty(folder: Path) -> None:
    """Removes a run directory if no file could be written, so that its name is available again."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _with_options(
    overrides: Mapping[str, Any] | Sequence[str], *, name: str | None, device: str | None
) -> Mapping[str, Any] | Sequence[str]:
    """Adds `name` and `device` to the overrides, as strings even if YAML would parse a number."""
    check_overrides(overrides)
    options = {key: value for key, value in (("name", name), ("train.device", device)) if value is not None}
    if isinstance(overrides, Mapping):
        return {**overrides, **options}
    texts = [overrides] if isinstance(overrides, str) else overrides
    return [*texts, *(f"{key}={json.dumps(value)}" for key, value in options.items())]


def _run(
    training: Training,
    summary: Summary,
    folder: Path,
    journal: log.Journal,
    digests: dict[str, str],
    *,
    images: Tensor | None,
    saved: dict[str, Any] | None = None,
    page: Page = ({}, None, None),
) -> Run:
    """Trains in a run directory, from the start or from a checkpoint, and records the result."""
    experiment = training.experiment
    group = experiment.settings.group
    all_digests = group.gather(digests)
    with group.fail_together():
        check_shared(all_digests)
        if saved:
            check_data(saved, digests, experiment.dataset)
            check_preprocess(saved, experiment.preprocess)
            restore(folder, training, saved)
            journal.continue_from(saved_warnings(saved))
    counts = summary.num_parameters
    recorder = Recorder(folder, experiment, summary.render(), counts, digests, journal.warnings, *page)
    if "tensorboard" in experiment.config.train.log:
        recorder.board = TensorBoard(folder, experiment, images)
    progress = Progress(experiment.settings.epochs, quiet=journal.quiet)
    group.from_first(recorder.start)
    with journal.to_file(folder / directory.LOG), StopRequest() as stop, contextlib.closing(recorder):
        if saved:
            log.info("%s", describe_start(folder, training))
        try:
            status = training.fit(recorder, progress, stop)
        except DivergedError as error:
            log.error("%s", error)
            error.result = group.from_first(
                lambda: recorder.finish(training.best_state(), "diverged", training.restarts())
            )
            _log_findings(error.result)
            raise
        finally:
            progress.end_epoch()
        best = training.best_state()
        result = group.from_first(lambda: recorder.finish(best, status, training.restarts()))
        log.debug("%s after %d epochs, best epoch %s", status, best.epoch, result["best_epoch"])
        _log_findings(result)
    if stop.signal_number is not None and status == "interrupted":
        raise InterruptedRunError(
            f"interrupted in {training.position()}; the same command with --resume continues.",
            signal_number=stop.signal_number,
            result=result,
        )
    custom = best.model if experiment.config.model.name == "custom" else None
    return Run(folder, result, experiment.config, best.history, _load_on_all_ranks(folder, custom, group))


def _log_findings(result: dict[str, Any]) -> None:
    """Logs what went wrong; without a diagnosis, only the comparisons with simple references."""
    for finding in result["findings"]:
        fix = f" Fix: {' '.join(finding['fix'])}" if finding["fix"] else ""
        log.info("%s: %s%s", finding["topic"], finding["message"], fix)
    if result["findings"]:
        log.info("`nnzoo doctor %s` examines the run in detail.", result["run_dir"])
    else:
        for note in result["notes"]:
            log.info("note: %s", note)


def _load_on_all_ranks(folder: Path, model: nn.Module | None, group: Group) -> TrainedModel:
    """Returns the trained network; only rank 0 needs access to the run directory."""
    if group.size == 1:
        return load(folder, model=model)
    artifact = group.from_first(
        lambda: torch.frombuffer(bytearray((folder / directory.ARTIFACT).read_bytes()), dtype=torch.uint8)
    )
    with tempfile.TemporaryDirectory(prefix="nnzoo-") as temporary:
        copy_of_artifact = Path(temporary) / directory.ARTIFACT
        copy_of_artifact.write_bytes(artifact.numpy().tobytes())
        return replace(load(copy_of_artifact, model=model), path=folder / directory.ARTIFACT)


def _dry_run(
    training: Training,
    summary: Summary,
    runs_dir: Path,
    journal: log.Journal,
    digests: dict[str, str],
    images: Tensor | None,
) -> Run:
    """Trains one epoch of two batches in a temporary directory."""
    experiment = training.experiment
    training.experiment = replace(experiment, settings=replace(experiment.settings, epochs=1))
    with tempfile.TemporaryDirectory(prefix="nnzoo-dry-run-") as temporary:
        journal.quiet = True
        run = _run(training, summary, Path(temporary), journal, digests, images=images)
    unused_folder = runs_dir / experiment.config.name
    return replace(run, run_dir=unused_folder, result={**run.result, "run_dir": None})


@contextlib.contextmanager
def deterministic(config: Config) -> Iterator[None]:
    """Sets torch's deterministic mode for CUDA if `train.deterministic` is set."""
    if not config.train.deterministic or not torch.cuda.is_available():
        yield
        return
    # cuBLAS reads this variable when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # the property is missing in the type hints
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Otherwise all new memory is filled with NaN, which costs a kernel launch per allocation.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled
