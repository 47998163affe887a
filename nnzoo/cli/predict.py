"""`nnzoo predict`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.options import CheckpointArgument, Debug, Device, Json, Quiet, RunsDir, Verbose, print_json
from nnzoo.errors import DataError, UsageError

if TYPE_CHECKING:
    from nnzoo.experiment.language import Continuation


def predict(
    checkpoint: CheckpointArgument,
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Raw new data: files or folders; - is standard input.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", metavar="FILE", help="A CSV or text file to write.")] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="S", help="A text in place of files. A language model goes on with it."),
    ] = None,
    length: Annotated[int, typer.Option("--length", metavar="N", help="Symbols that a language model adds.")] = 200,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="T", help="Of what it adds: 0 takes the likeliest symbols.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of what it adds.")] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at an input that can't be read or needs a repair.")
    ] = False,
    device: Device = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Answer for raw new data: a CSV of predictions and probabilities. Or go on with a text."""
    if output is not None:
        _check_output(Path(output), inputs or ())
    from nnzoo.experiment.language import continue_text, is_language_model
    from nnzoo.experiment.predict import predict_checkpoint

    if text and is_language_model(checkpoint, runs_dir=runs_dir):
        if inputs or len(text) > 1:
            extra = (*(inputs or ()), *text[1:])[0]
            raise UsageError(
                f"a language model goes on with one text, and answers for no data beside it (got {extra} too).",
                where="--text",
            )
        found = continue_text(
            checkpoint, text[0], length=length, temperature=temperature, seed=seed, device=device, runs_dir=runs_dir
        )
        _show_text(found, output, as_json=as_json, quiet=quiet)
        return
    answered = predict_checkpoint(
        checkpoint, inputs or [], texts=text or (), device=device, strict=strict, runs_dir=runs_dir
    )
    if output is not None:
        answered.write(output)
        if not quiet:
            print(f"{len(answered.rows)} predictions in {output}", file=sys.stderr)
    if as_json:
        print_json(answered.as_dict() | ({"output": output} if output else {}))
    elif output is None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answered.header)
        writer.writerows(answered.rows)
    if answered.broken:
        for line in answered.broken:
            print(f"nnzoo: {line}", file=sys.stderr)
        raise typer.Exit(DataError.exit_code)


def _check_output(output: Path, inputs: Sequence[str]) -> None:
    """Before anything is computed: whether the answers have a place of their own."""
    if output.is_dir():
        raise UsageError("is a folder. Name a file in it.", where=f"--output {output}")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}. Make it first.", where=f"--output {output}")
    if output.exists() and any(Path(name).exists() and output.samefile(name) for name in inputs):
        raise UsageError("is a file to answer for, and would be overwritten. Name another.", where=f"--output {output}")


def _show_text(found: Continuation, output: str | None, *, as_json: bool, quiet: bool) -> None:
    if output is not None:
        found.write(output)
        if not quiet:
            print(f"{found.length} symbols in {output}", file=sys.stderr)
    if as_json:
        print_json(found.as_dict() | ({"output": output} if output else {}))
    elif output is None:
        print(found.text)
