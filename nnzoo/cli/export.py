"""`nnzoo export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnzoo.cli.options import CheckpointArgument, Debug, Json, Quiet, RunsDir, Verbose, print_json

if TYPE_CHECKING:
    from nnzoo.export.export import Exported


def export(
    checkpoint: CheckpointArgument,
    form: Annotated[
        Literal["onnx", "torch", "js"],
        typer.Option(
            "--format",
            help="onnx: for onnxruntime; torch: a file of torch.export, which needs only torch; js: a module of "
            "JavaScript without dependencies, for small networks.",
        ),
    ] = "onnx",
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="File of the network; by default, the run's name."),
    ] = None,
    quantize: Annotated[
        Literal["int8"] | None,
        typer.Option("--quantize", help="int8: weights as 8-bit integers (onnx); prints the metrics with and without."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Export a trained network, with its preprocessing, for other programs.

    The exported network is run on samples of the run and compared with nnzoo before its files are written.
    """
    from nnzoo.experiment.load import load
    from nnzoo.export.export import SUFFIXES, export_network, output_files
    from nnzoo.run.directory import find_checkpoint

    path = find_checkpoint(checkpoint, Path(runs_dir))
    name = path.resolve().parent.name if path.stem in ("best", "last", "previous") else path.stem
    file = Path(output or f"{name}{SUFFIXES[form][0]}")
    output_files(form, file, overwrite=overwrite)
    exported = export_network(load(path), form=form, output=file, quantize=quantize is not None, overwrite=overwrite)
    if as_json:
        print_json(exported.as_dict())
    else:
        print(report(exported, brief=quiet))


def report(exported: Exported, *, brief: bool) -> str:
    """Returns the written files and the comparison as text."""
    files = [f"{path} ({_size(size)})" for path, size in exported.files.items()]
    if brief:
        return "\n".join(exported.files)
    parity = exported.parity
    counts = [each[0] for each in parity.batches]
    steps = [each[1] for each in parity.batches if len(each) > 1]
    lengths = f", {min(steps)} to {max(steps)} steps" if steps else ""
    lines = [] if exported.quantized is None else [exported.quantized.describe(next(iter(exported.files.values())))]
    return "\n".join(
        [
            f"{exported.checkpoint} was written to {', '.join(files)}.",
            f"{parity.measure}: {parity.difference:.1e} (at most {parity.limit:g})",
            f"compared with nnzoo on {parity.samples}: {len(counts)} batches of {min(counts)} to {max(counts)} samples"
            f"{lengths}, by {exported.runtime}",
            *lines,
        ]
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
