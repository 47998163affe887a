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
        list[str] | None, typer.Argument(metavar="INPUT", help="New raw data: files or folders; - is standard input.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Write the predictions to this CSV or text file.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="COLUMN",
            help="Copy this column of the input table unchanged to the predictions. Can be repeated; all: copy every "
            "column.",
        ),
    ] = None,
    threshold: Threshold = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text", metavar="S", help="A text to predict for, instead of files; a language model continues it."
        ),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", metavar="N", help="Number of tokens that a language model generates.")
    ] = 200,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            metavar="T",
            help="Sampling temperature; 0: always the most likely token.",
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Random seed of the sampling.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if an input would be skipped or repaired.")] = False,
    device: Device = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Predict for new raw data, or continue a text.

    Prints a CSV with predictions and probabilities.
    """
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
                f"a language model continues a single text (got {extra}, too). Remove the other inputs.",
                where="--text",
            )
        found = continue_text(trained, text[0], length=length, temperature=temperature, seed=seed)
        _show_text(found, output, as_json=as_json, quiet=quiet)
        return
    columns = None if keep is not None and "all" in keep else keep or ()
    predictions = predict_files(
        trained, inputs or [], texts=text or (), keep=columns, threshold=decision, strict=strict
    )
    _show(predictions, output, as_json=as_json, quiet=quiet)
    if predictions.broken:
        for line in predictions.broken:
            print(f"nnzoo: {line}", file=sys.stderr)
        raise typer.Exit(DataError.exit_code)


def _show(predictions: Predictions, output: str | None, *, as_json: bool, quiet: bool) -> None:
    """Prints or writes the predictions."""
    if predictions.threshold is not None and not quiet:
        print(predictions.threshold.describe(), file=sys.stderr)
    if output is not None:
        predictions.write(output)
        if not quiet:
            print(f"{len(predictions.rows)} predictions written to {output}", file=sys.stderr)
    if as_json:
        print_json(predictions.as_dict() | ({"output": output} if output else {}))
    elif output is None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(predictions.header)
        writer.writerows(predictions.rows)


def _check_output(output: Path, inputs: Sequence[str]) -> None:
    """Checks that the output can be written and is not an input, before anything is computed."""
    if output.is_dir():
        raise UsageError("is a folder. Pass the path of a file.", where=f"--output {output}")
    if not output.parent.is_dir():
        raise UsageError(f"the folder {output.parent} does not exist. Create it first.", where=f"--output {output}")
    if output.exists() and any(Path(name).exists() and output.samefile(name) for name in inputs):
        raise UsageError(
            "is one of the inputs and would be overwritten. Choose a different file.", where=f"--output {output}"
        )


def _show_text(found: Continuation, output: str | None, *, as_json: bool, quiet: bool) -> None:
    if output is not None:
        found.write(output)
        if not quiet:
            print(f"{found.length} tokens written to {output}", file=sys.stderr)
    if as_json:
        print_json(found.as_dict() | ({"output": output} if output else {}))
    elif output is None:
        print(found.text)
