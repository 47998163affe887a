"""`nnzoo sweep`."""

from __future__ import annotations

import shlex
import socket
from typing import Annotated, Any, Literal

import typer

from nnzoo.cli.completion import config_or_sweep_names
from nnzoo.cli.options import Debug, Json, Quiet, RunsDir, Verbose, print_json, table
from nnzoo.errors import UsageError
from nnzoo.numbers import number
from nnzoo.training.processes.torchrun import is_distributed

MAX_ROWS = 10


def sweep(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|SWEEP",
            help="A YAML file, the name of a shipped config, or a run directory; or a sweep file, or the directory of "
            "a sweep to continue.",
            autocompletion=config_or_sweep_names,
        ),
    ],
    space: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=V1,V2 | KEY=RANGE",
            help="Values of a key, or a range: uniform(LOW,HIGH), log(LOW,HIGH), int(LOW,HIGH), logint(LOW,HIGH). One "
            "value overrides the key in all trials. Quote brackets in a shell.",
        ),
    ] = None,
    method: Annotated[
        Literal["tpe", "random", "grid"] | None,
        typer.Option("--method", help="How trials are chosen; default: grid for lists of values, tpe with a range."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", metavar="N", help="Number of trials of tpe and random; default: 32.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Metric that decides, such as val/accuracy; it becomes train.monitor. Default: that of the config.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of tpe and random; default: 0.")] = None,
    prune: Annotated[
        bool | None,
        typer.Option("--prune/--no-prune", help="End trials early that are worse than others; default: yes."),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch/--no-batch",
            help="Train MLPs at the same time that differ in learning rate, schedule, weight decay, dropout or "
            "initial weights; default: yes.",
        ),
    ] = True,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Number of processes that train.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Database for several machines, as Optuna takes it; default: an SQLite file in the sweep's directory.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="N", help="Name of the sweep's directory; default: the config's, and -sweep."),
    ] = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Search hyperparameters: train many trials of a config, and find the best values.

    The same command continues a sweep that was interrupted, or joins one that another process is running. Trials are
    compared by the best value of the monitor on val, never by test.
    """
    if is_distributed():
        raise UsageError("a sweep does not run under torchrun. Use --jobs for several processes.", where="sweep")
    from nnzoo.search.plan import Options, plan_sweep

    options = Options(method, trials, metric, None, seed, prune, name, runs_dir)
    plan = plan_sweep(config, space or [], options)
    from nnzoo.search.sweep import sweep as run_sweep

    result = run_sweep(plan, url=storage, jobs=jobs, batch=batch, verbose=verbose, quiet=quiet)
    if as_json:
        print_json(result)
    else:
        print(report(result, everything=verbose))


def report(result: dict[str, Any], *, everything: bool = False) -> str:
    """Returns the best trials as a table, and the commands that show more."""
    from nnzoo.search.worker import shown

    counts, folder = result["counts"], result["sweep_dir"]
    states = ", ".join(f"{counts[state]} {state}" for state in counts if state != "all" and counts[state])
    batched = sum(each["batch"] > 1 for each in result["trials"])
    how = f"; {batched} were trained in batches" if batched else ""
    parts = [f"{counts['all']} trials by {result['method']}: {states}{how}"]
    ended = [each for each in result["trials"] if each["value"] is not None]
    sign = 1 if result["mode"] == "min" else -1
    ended.sort(key=lambda each: (each["status"] != "completed", sign * each["value"]))
    rows = [
        [
            str(each["trial"]),
            *(shown(each["values"][key]) for key in result["space"]),
            number(each["value"]),
            str(each["epochs"]),
            "" if each["status"] == "completed" else each["status"],
        ]
        for each in (ended if everything else ended[:MAX_ROWS])
    ]
    header = ["trial", *result["space"], result["metric"], "epochs", ""]
    parts.append(table(header, rows))
    failed = [each for each in result["trials"] if each["status"] == "failed"]
    parts += [f"trial {each['trial']} failed: {each['reason']}" for each in failed[: None if everything else 3]]
    if result["metric"].startswith("train/"):
        parts.append("there is no val split, so trials are compared on train, which can't show overfitting.")
    if result["importances"]:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in result["importances"].items())
        parts.append(f"variance explained: {shares}")
    if counts["running"]:
        parts.append(f"{counts['running']} trials are still running in other processes.")
    if result["best"] is not None:
        run, host = result["best"]["run_dir"], result["best"]["host"]
        absent = "deleted" if host == socket.gethostname() else f"on the machine {host}"
        its_run = f"nnzoo report {shlex.quote(run)}" if run else absent
        parts.append(
            f"best config:  {folder}/best.yaml (its value is optimistic: it chose the trial)\n"
            f"train it:     nnzoo train {shlex.quote(f'{folder}/best.yaml')} seed=1\n"
            f"its run:      {its_run}\n"
            f"page:         {folder}/sweep.html"
        )
    return "\n\n".join(parts)
