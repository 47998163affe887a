"""`nnzoo summary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.completion import config_or_run_names
from nnzoo.cli.options import BatchSize, Debug, Json, Overrides, Quiet, RunsDir, Verbose, print_json
from nnzoo.errors import UsageError

if TYPE_CHECKING:
    from nnzoo.experiment.describe import DescribedNetwork


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
    plot: Annotated[
        str | None, typer.Option("--plot", metavar="FILE", help="Draw the network and write it to this SVG file.")
    ] = None,
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
    if plot is not None:
        _check_svg(Path(plot))
    from nnzoo.experiment.describe import describe_network

    described = describe_network(network, overrides or [], runs_dir=runs_dir, batch_size=batch_size or -1)
    if plot is not None:
        _draw(described, Path(plot))
        if not quiet:
            print(f"drawing written to {plot}", file=sys.stderr)
    if as_json:
        parameters = {"parameters": described.parameters()} if verbose else {}
        print_json({**described.summary.as_dict(), **parameters, **({"plot": plot} if plot else {})})
        return
    print(described.summary.render())
    if verbose:
        print(described.parameter_table())


def _check_svg(file: Path) -> None:
    """Checks that a drawing can be written, before anything is computed.

    Raises:
        UsageError: The name does not end in .svg, it is a folder, or its folder does not exist.
    """
    where = f"--plot {file}"
    if file.suffix.lower() != ".svg":
        got = f"got {file.suffix}" if file.suffix else "got no ending"
        raise UsageError(
            f"drawings are SVG files, so the name must end in .svg ({got}). Use --plot {file.with_suffix('.svg')}, and "
            "convert it with a browser or Inkscape if you need another format.",
            where=where,
        )
    if file.is_dir():
        raise UsageError("is a folder. Pass the path of a file.", where=where)
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist. Create it first.", where=where)


def _draw(described: DescribedNetwork, file: Path) -> None:
    from nnzoo.report.drawing import draw_network
    from nnzoo.run.files import write_text

    drawing = draw_network(
        described.module,
        described.summary.input_shape,
        name=described.config.name or described.summary.model,
        dtype=described.dtype,
        inputs=described.inputs,
        outputs=described.outputs,
    )
    write_text(file, drawing.svg + "\n")
