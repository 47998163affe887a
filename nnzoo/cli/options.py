"""Arguments and options that several commands share, and how results are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nnzoo.cli.completion import config_names, run_names

ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, the name of a shipped config, or a run directory.",
        autocompletion=config_names,
    ),
]
CheckpointArgument = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT",
        help="A run directory, best.safetensors, last.safetensors, zoo:NAME, a run's name, or 'latest'.",
        autocompletion=run_names,
    ),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="The column to predict, by name, or by position from 0 without a header. Repeat it for several columns.",
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Overrides of config keys, such as optimizer.lr=3e-4.")
]
RunsDir = Annotated[str, typer.Option("--runs-dir", metavar="DIR", help="Folder of the run directories.")]
Device = Annotated[str | None, typer.Option("--device", metavar="D", help="Device: auto, cpu, cuda, cuda:N or mps.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="N", min=1, help="Number of samples per batch.")]
Threshold = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        metavar="T",
        help="Predict the second of two classes if its probability is at least T. auto: the T with the best f1 on "
        "the val split; auto:accuracy, auto:balanced_accuracy: the T with the best of these metrics.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results, warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more details.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def print_json(value: Any) -> None:
    """Prints one JSON object on standard output, in ASCII. NaN and infinity become null."""
    from nnzoo.run.files import finite

    print(json.dumps(finite(value)))


def free_page(stem: str) -> Path:
    """Returns a file in the current folder that does not exist yet: STEM.html, STEM-2.html, ..."""
    path, index = Path(f"{stem}.html"), 1
    while path.exists():
        index += 1
        path = Path(f"{stem}-{index}.html")
    return path


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a table: the first column aligned left, the others right. Unprintable cells are quoted."""
    header, *rows = [list(map(_printable, row)) for row in [header, *rows]]
    widths = [max(_width(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        blanks = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [row[0] + blanks[0], *(blank + cell for cell, blank in zip(row[1:], blanks[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    """Returns the number of columns of a text on a terminal, where Chinese characters take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _printable(cell: str) -> str:
    return cell if cell.isprintable() and not cell.isspace() else repr(cell)
