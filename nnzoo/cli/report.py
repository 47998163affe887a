"""`nnzoo report`."""

from __future__ import annotations

from typing import Annotated

import typer

from nnzoo.cli.completion import run_names
from nnzoo.cli.options import Debug, Json, Quiet, RunsDir, Verbose, print_json


def report(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run directory, a run's name, or 'latest'.", autocompletion=run_names),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="The HTML file; default: report.html in the run directory."),
    ] = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write one self-contained HTML page about a run.

    The page shows the result, the learning curves, samples with their predictions, and how to reproduce the run.
    Training writes the same page when it ends.
    """
    from pathlib import Path

    from nnzoo.report.reading import read_run
    from nnzoo.report.write import write_report

    path = write_report(read_run(run, runs_dir), None if output is None else Path(output))
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
    elif not quiet:
        print(path)
