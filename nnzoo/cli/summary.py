"""`nnzoo summary`."""

from __future__ import annotations

from typing import Annotated

import typer

from nnzoo.cli.completion import config_or_run_names
from nnzoo.cli.options import BatchSize, Debug, Json, Overrides, Quiet, RunsDir, Verbose, print_json


def summary(
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG|CHECKPOINT",
            help="A config or a trained network; default: config.yaml in the current folder, else the newest run.",
            autocompletion=config_or_run_names,
        ),
    ] = None,
    overrides: Overrides = None,
    batch_size: BatchSize = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Print the torchsummary report of a network.

    The report shows layers, shapes and parameters, followed by neurons, FLOPs and notes.
    """
    import sys
    from pathlib import Path

    from nnzoo.errors import UsageError
    from nnzoo.run.directory import runs

    if network is None:
        network = "config.yaml" if Path("config.yaml").is_file() else "latest"
        if network == "latest" and not any(runs(Path(runs_dir))):
            raise UsageError(
                f"no config.yaml in the current folder and no run in {runs_dir}. Pass a config: nnzoo "
                "summary digits_mlp"
            )
        if not quiet:
            print(f"summary of {network}", file=sys.stderr)
    elif "=" in network and not Path(network).exists():
        raise UsageError("expected a CONFIG or CHECKPOINT before the overrides.", where=network)
    from nnzoo.experiment.describe import describe_network

    described = describe_network(network, overrides or [], runs_dir=runs_dir, batch_size=batch_size or -1)
    if as_json:
        parameters = {"parameters": described.parameters()} if verbose else {}
        print_json({**described.summary.as_dict(), **parameters})
        return
    print(described.summary.render())
    if verbose:
        print(described.parameter_table())
