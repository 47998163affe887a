"""`nnzoo predict`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.options import (
    CheckpointArgument,
    Debug,
    Device,
    Json,
    Quiet,
    RunsDir,
    Threshold,
    Verbose,
    print_json,
)
from nnzoo.errors import DataError, UsageError

if TYPE_CHECKING:
    from nnzoo.experiment.predict.language import Continuation
    from nnzoo.experiment.predict.predict import Predictions


def predict(
    checkpoint: CheckpointArgument,
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Raw new data: files or folders; - is standard input.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", metavar="FILE", help="A CSV or text file to write.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="COLUMN",
            help="Copy this column of the new table beside the predictions, as it is written there. Repeat it for "
            "several; all: every column.",
        ),
    ] = None,
    threshold: Threshold = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="S", help="A text instead of files. A language model continues it."),
    ] = None,
    length: Annotated[int, typer.Option("--length", metavar="N", help="Tokens that a language model adds.")] = 200,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="T", help="Of what it adds: 0 takes the likeliest tokens.")
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
    """Answer for raw new data: a CSV of predictions and probabilities. Or continue a text."""
    if output is not None:
        _check_output(Path(output), inputs or ())
    from nnzoo.data import LanguageReader
    from nnzoo.experiment.evaluate.threshold import parse_threshold
    from nnzoo.experiment.load import load
    from nnzoo.experiment.predict.language import continue_text
    from nnzoo.experiment.predict.predict import predict_files

    decision = None if threshold is None else parse_threshold(threshold)
    trained = load(checkpoint, runs_dir=runs_dir, device=device)
    if text and isinstance(trained.reader, LanguageReader):
        if inputs or len(text) > 1:
            extra = (*(inputs or ()), *text[1:])[0]
            raise UsageError(
                f"a language model continues one text, and answers for no other input beside it (got {extra} too).",
                where="--text",
            )
        found = continue_text(trained, text[0], length=length, temperature=temperature, seed=seed)
        _show_text(found, output, as_json=as_json, quiet=quiet)
        return
    columns = None if keep is not None and "all" in keep else keep or ()
    answered = predict_files(trained, inputs or [], texts=text or (), keep=columns, threshold=decision, strict=strict)
    _show(answered, output, as_json=as_json, quiet=quiet)
    if answered.broken:
        for line in answered.broken:
            print(f"nnzoo: {line}", file=sys.stderr)
        raise typer.Exit(DataError.exit_code)


def _show(answered: Predictions, output: str | None, *, as_json: bool, quiet: bool) -> None:
    """Prints or writes the table."""
    if answered.threshold is not None and not quiet:
        print(answered.threshold.describe(), file=sys.stderr)
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


def _check_output(output: Path, inputs: Sequence[str]) -> None:
    """Checks, before anything is computed, that the answers have a place of their own."""
    if output.is_dir():
        raise UsageError("is a folder. Name a file in it.", where=f"--output {output}")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}. Make it first.", where=f"--output {output}")
    if output.exists() and any(Path(name).exists() and output.samefile(name) for name in inputs):
        raise UsageError(
            "is one of the inputs, and would be overwritten. Name another file.", where=f"--output {output}"
        )


def _show_text(found: Continuation, output: str | None, *, as_json: bool, quiet: bool) -> None:
    if output is not None:
        found.write(output)
        if not quiet:
            print(f"{found.length} tokens in {output}", file=sys.stderr)
    if as_json:
        print_json(found.as_dict() | ({"output": output} if output else {}))
    elif output is None:
        print(found.text)
