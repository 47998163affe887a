"""`nnzoo predict`."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer

from nnzoo.cli.options import CheckpointArgument, Debug, Device, Json, Quiet, RunsDir, Verbose, print_json


def predict(
    checkpoint: CheckpointArgument,
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Raw new data: files or folders; - is standard input.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="A text in place of files; may be repeated.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", metavar="FILE", help="A CSV file to write.")] = None,
    device: Device = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Answer for raw new data: a CSV of predictions and probabilities."""
    from nnzoo.experiment.predict import predict_checkpoint

    found = predict_checkpoint(checkpoint, inputs or [], texts=text or (), device=device, runs_dir=runs_dir)
    if output is not None:
        found.write(output)
        if not quiet:
            print(f"{len(found.rows)} predictions in {output}", file=sys.stderr)
    if as_json:
        print_json(found.as_dict() | ({"output": output} if output else {}))
    elif output is None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.header)
        writer.writerows(found.rows)
