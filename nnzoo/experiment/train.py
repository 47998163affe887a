"""Training from the first word to the last file."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnzoo.build import build_model, build_optimizer, build_schedule, prepare_model
from nnzoo.config import Config, ConfigLike, load_config
from nnzoo.config.load import problems_of
from nnzoo.errors import DivergedError, InterruptedRunError, NnzooError, UsageError
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.notes import report_on
from nnzoo.experiment.prepare import Experiment, check_output, prepare
from nnzoo.experiment.record import Recorder
from nnzoo.experiment.resume import check_same, find_run, load_saved, restore, threads_of
from nnzoo.models.parameters import has_batch_norm
from nnzoo.run import directory
from nnzoo.run.history import History
from nnzoo.run.log import log, log_to
from nnzoo.summaries import Summary
from nnzoo.training.batches import boundaries
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.evaluate import LossSum
from nnzoo.training.loop import fit
from nnzoo.training.metrics import MetricSums
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest
from nnzoo.training.state import TrainState, seed_everything

DRY_RUN_BATCHES = 2


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        run_dir: Where its files are; for a dry run, where they would have been.
        result: What result.json holds.
        config: What was run, with every default filled in.
        history: A column a name: `history["val/loss"]` has a value an epoch.
        model: The best weights, ready for raw data.
    """

    run_dir: Path
    result: dict[str, Any]
    config: Config
    history: History
    model: TrainedModel

    @property
    def metrics(self) -> dict[str, float]:
        """Of the best weights: "val/loss", "test/accuracy", ..."""
        metrics: dict[str, float] = self.result["metrics"]
        return metrics


def train(
    config: ConfigLike,
    *,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    model: nn.Module | None = None,
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

    Seeds the global generators of torch, numpy and random.

    Args:
        config: A path, the name of a shipped config, a run directory, a dict (its `name` names the run, else it is
            "run"), or a config.
        overrides: `{"optimizer.lr": 3e-4}`, or texts such as `optimizer.lr=3e-4`.
        model: Your own module in place of the config's: (N, *input_shape) -> (N, outputs).
        name: Of the run; default: the config's.
        runs_dir: Where run directories are made.
        device: auto, cpu, cuda, cuda:N or mps; default: the config's.
        resume: Go on with the newest run of that name; start it where there is none.
        overwrite: Replace the run of that name.
        dry_run: Two batches through everything; nothing is kept.
        quiet: No summary and no lines.
        show: Gets the summary.

    Raises:
        ConfigError: The config can't be used.
        DataError: The data can't be used.
        DivergedError: The loss is not finite; its `result` holds what result.json does.
        InterruptedRunError: A signal came; its `result` holds what result.json does.
        RunError: The run directory can't be written.
    """
    if model is not None and not isinstance(model, nn.Module):
        raise UsageError(f"expected an nn.Module, got {model!r}. Pass an instance: MyModule().", where="model")
    changes = _with_options(overrides, name=name, device=device)
    loaded = load_config(config, changes, custom_model=model is not None)
    found = find_run(loaded if name else config, loaded.name, Path(runs_dir)) if resume and not dry_run else None
    saved = load_saved(found) if found else None
    with log_to(Path(os.devnull) if quiet else None), deterministic(loaded), threads_of(saved):
        experiment = prepare(loaded, batches=DRY_RUN_BATCHES if dry_run else None)
        if found:
            check_same(found, experiment.config)
        state, report = build_state(experiment, model, show=(lambda _: None) if quiet else show)
        if dry_run:
            return _dry_run(experiment, state, report, Path(runs_dir))
        folder = found or directory.create(Path(runs_dir), loaded.name, overwrite=overwrite)
        return _run(experiment, state, report, folder, saved=saved, quiet=quiet)


def _with_options(
    overrides: Mapping[str, Any] | Sequence[str], *, name: str | None, device: str | None
) -> Mapping[str, Any] | Sequence[str]:
    """The overrides, and the options that are short for one. An option is a text, even if YAML would see a number."""
    given = {key: value for key, value in (("name", name), ("train.device", device)) if value is not None}
    if isinstance(overrides, Mapping):
        return {**overrides, **given}
    texts = [overrides] if isinstance(overrides, str) else overrides
    return [*texts, *(f"{key}={json.dumps(value)}" for key, value in given.items())]


def build_state(
    experiment: Experiment, model: nn.Module | None, *, show: Callable[[str], None]
) -> tuple[TrainState, Summary]:
    """Network, optimizer and schedule at the start, and the report on the network, shown before anything is trained."""
    config, settings = experiment.config, experiment.settings
    seed_everything(config.seed)
    inputs = experiment.splits["train"].inputs
    if model is None:
        dataset = experiment.dataset
        module = build_model(config, tuple(inputs.shape[1:]), experiment.num_outputs, dataset.num_tokens, dataset.per)
    else:
        module = model
        prepare_model(config, module)
    report = report_on(config, module, tuple(inputs.shape[1:]), dtype=inputs.dtype)
    if has_batch_norm(module) and min(settings.batch_size or len(inputs), len(inputs)) == 1:
        key = ("model",) if len(inputs) == 1 else ("train", "batch_size")
        problem = f"batch norm needs at least two samples a batch, got 1 of {len(inputs)} training samples."
        raise problems_of(config, [(key, problem)])
    show(report.render())
    module = module.to(experiment.device)
    check_output(module, experiment)
    optimizer = build_optimizer(config, module)
    num_train = len(experiment.splits["train"])
    batches = boundaries(num_train, settings.batch_size or num_train, at_least_two=has_batch_norm(module))
    steps_per_epoch = -(-len(batches) // settings.accumulate)
    stopping = config.train.early_stopping
    early_stopping = EarlyStopping(
        mode="max" if config.train.mode == "max" else "min",
        patience=stopping.patience if stopping else None,
        min_delta=stopping.min_delta if stopping else 0.0,
    )
    state = TrainState(
        model=module,
        loss=experiment.loss,
        optimizer=optimizer,
        schedule=build_schedule(config, optimizer, steps_per_epoch),
        early_stopping=early_stopping,
        train_loss=LossSum(experiment.loss),
        train_metrics=MetricSums(settings.metrics, experiment.decoder),
    )
    return state, report


def _run(
    experiment: Experiment,
    state: TrainState,
    report: Summary,
    folder: Path,
    *,
    saved: dict[str, Any] | None = None,
    quiet: bool,
) -> Run:
    """Trains in a run directory, from the start or from what was saved, whatever the end."""
    if saved:
        restore(folder, state, saved)
    recorder = Recorder(folder, experiment, report.render(), report.num_parameters)
    progress = Progress(experiment.settings.epochs, quiet=quiet)
    try:
        recorder.start()
    except NnzooError:
        # Not one file could be written: an empty directory would only take the name.
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    with log_to(folder / directory.LOG), StopRequest() as stop:
        if saved:
            log.info("resuming %s after epoch %d, step %d", folder, state.epoch, state.step)
        try:
            status = fit(
                state,
                experiment.splits,
                experiment.decoder,
                experiment.settings,
                save=recorder.save,
                progress=progress,
                stop=stop,
            )
        except DivergedError as error:
            log.error("%s", error)
            state.history.write(folder / directory.METRICS)
            error.result = recorder.finish(state, "diverged")
            raise
        finally:
            progress.end_epoch()
        result = recorder.finish(state, status)
        log.debug("%s after %d epochs, best epoch %s", status, state.epoch, result["best_epoch"])
    if stop.signal_number is not None and status == "interrupted":
        raise InterruptedRunError(
            f"interrupted in epoch {state.epoch + 1}; the same command with --resume goes on.",
            signal_number=stop.signal_number,
            result=result,
        )
    own = state.model if experiment.config.model.name == "custom" else None
    return Run(folder, result, experiment.config, state.history, load(folder, model=own))


def _dry_run(experiment: Experiment, state: TrainState, report: Summary, runs_dir: Path) -> Run:
    """One epoch of two batches in a directory that is thrown away."""
    short = replace(experiment, settings=replace(experiment.settings, epochs=1))
    with tempfile.TemporaryDirectory(prefix="nnzoo-dry-run-") as temporary:
        run = _run(short, state, report, Path(temporary), quiet=True)
    kept_nowhere = runs_dir / experiment.config.name
    return replace(run, run_dir=kept_nowhere, result={**run.result, "run_dir": None})


@contextlib.contextmanager
def deterministic(config: Config) -> Iterator[None]:
    """Has torch refuse CUDA kernels whose result depends on timing, if the config asks for that."""
    if not config.train.deterministic or not torch.cuda.is_available():
        yield
        return
    # cuBLAS reads it when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
