"""`nnzoo train`."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, TextIO

import typer

from nnzoo.cli import data_config
from nnzoo.cli.completion import shipped_and_data_names
from nnzoo.cli.options import (
    Debug,
    Device,
    Json,
    Overrides,
    Quiet,
    RunsDir,
    Target,
    Verbose,
    print_json,
    table,
)
from nnzoo.errors import UsageError
from nnzoo.numbers import number
from nnzoo.training.processes.torchrun import is_distributed

TrainArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|DATA",
        help="A YAML file, the name of a shipped config, or a run directory; or a file or folder of data.",
        autocompletion=shipped_and_data_names,
    ),
]


def train(
    config: TrainArgument,
    overrides: Overrides = None,
    target: Target = None,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Name of the run directory.")] = None,
    runs_dir: RunsDir = "runs",
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the newest run of that name, or start one if there is none.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run of that name.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Run two batches through training and evaluation without writing any files."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Train a network and write a run directory.

    For data (a table, images, texts, a series), a config is chosen as by `nnzoo init` and written next to the run.
    Prints a summary and one line per epoch, stops early, and evaluates the best weights on every split.
    """
    import sys

    from nnzoo.config import load_config, to_yaml
    from nnzoo.run.directory import check_options

    check_options(resume=resume, overwrite=overwrite, dry_run=dry_run)
    chosen: Any = config
    if data_config.is_data(config, target or ()):
        if is_distributed():
            raise UsageError("several processes need a config. Write one with `nnzoo init` first.", where=config)
        out = None if quiet else sys.stderr if as_json else sys.stdout
        options: dict[str, bool] = {"resume": resume, "overwrite": overwrite, "dry_run": dry_run}
        chosen = data_config.config_for_training(config, target or (), name=name, runs_dir=runs_dir, out=out, **options)
    else:
        data_config.check_no_target(config, target or ())
    if not is_distributed():
        # Check the config before importing torch, which takes seconds.
        load_config(chosen, overrides or [])
    from nnzoo.api import train as train_network

    run = train_network(
        chosen,
        overrides=overrides or [],
        name=name,
        runs_dir=runs_dir,
        device=device,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        quiet=quiet,
        show=lambda text: _show(text, sys.stderr if as_json else sys.stdout),
    )
    if verbose:
        print(to_yaml(run.config), file=sys.stderr)
    if as_json:
        print_json(run.result)
    elif dry_run:
        print(f"dry run: two batches went through training and evaluation; no files were written to {run.run_dir}.")
    else:
        print(report(run.result))


def _show(text: str, file: TextIO) -> None:
    """Prints the summary. Training continues even if the pipe to the reader of the output is closed."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=file, flush=True)


def report(result: dict[str, Any]) -> str:
    """Returns the result of a run as a table, with one row per split and one for the baseline."""
    metrics, baseline = result["metrics"], result["baseline"]
    names = list(dict.fromkeys(key.split("/", 1)[1] for key in metrics))
    splits = list(dict.fromkeys(key.split("/", 1)[0] for key in metrics))
    rows = [[split, *(number(metrics[f"{split}/{name}"]) for name in names)] for split in splits]
    measured = [split for split in splits if any(key.startswith(f"{split}/") for key in baseline)]
    if measured:
        last = measured[-1]
        shown = [f"{last}/{name}" for name in names]
        rows.append([f"baseline ({last})", *(number(baseline[key]) if key in baseline else "" for key in shown)])
    status = result["status"].replace("_", " ")
    best = f", best epoch {result['best_epoch']} by {result['monitor']}" if result["best_epoch"] else ""
    head = f"{status} after {result['epochs']} epochs{best} ({result['seconds']:.1f} s on {result['device']})"
    if "restarts" in result:
        head = f"{head}\n{spread(result['restarts'])}"
    if "folds" in result:
        head = f"{head}\n{of_folds(result['folds'])}"
    line = baselines(result["baselines"])
    beside = f"\n\n{line}" if line else ""
    return f"\n{head}\n\n{table(['', *names], rows)}{beside}\n\nrun directory: {result['run_dir']}"


def baselines(measured: dict[str, dict[str, float]]) -> str:
    """Returns one line with the first metric of each simple model; empty if there are none."""
    from nnzoo.config.train import title_of

    if not measured:
        return ""
    split, metric = next(iter(next(iter(measured.values())))).split("/", 1)
    values = (f"{title_of(name)} {number(metrics[f'{split}/{metric}'])}" for name, metrics in measured.items())
    return f"{metric.replace('_', ' ')} of simple models on {split}: {', '.join(values)}"


def of_folds(folds: dict[str, Any]) -> str:
    """Returns one line about a cross-validation: mean, standard deviation and range of a metric over the folds."""
    ended = f"{folds['count']} folds"
    if folds["finished"] < folds["count"]:
        ended = f"{folds['finished']} of {ended}"
    name = next((name for name in folds["metrics"] if name != "loss"), "loss")
    if name not in folds["metrics"]:
        return ended
    each = folds["metrics"][name]
    std = f" +- {number(each['std'])}" if each["std"] is not None else ""
    return (
        f"{ended}: {name.replace('_', ' ')} on the samples of each fold {number(each['mean'])}{std}, "
        f"from {number(each['min'])} to {number(each['max'])}"
    )


def spread(restarts: dict[str, Any]) -> str:
    """Returns one line about the random restarts: the best one, the mean and the range."""
    values = [value for value in restarts["values"] if value is not None]
    why = f": {restarts['reason']}" if restarts["reason"] else ""
    std = f" +- {number(restarts['std'])}" if restarts["std"] is not None else ""
    ended, count = len(restarts["values"]), restarts["count"]
    counts = f"{count} restarts" if ended == count else f"{ended} of {count} restarts"
    lost = f"; {ended - len(values)} diverged" if ended > len(values) else ""
    return (
        f"{counts} ({restarts['how']}{why}): best seed {restarts['best']}, {restarts['monitor']} "
        f"mean {number(restarts['mean'])}{std}, from {number(restarts['min'])} to {number(restarts['max'])}{lost}"
    )
