"""`nnzoo trace`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.options import ConfigArgument, Debug, Json, Overrides, Quiet, RunsDir, Verbose, free_page, print_json
from nnzoo.errors import UsageError

if TYPE_CHECKING:
    from nnzoo.trace.explain import Trace
    from nnzoo.trace.surface import Surface

FORMATS = ("text", "latex", "html", "json")


def trace(
    config: ConfigArgument,
    overrides: Overrides = None,
    row: Annotated[
        int | None,
        typer.Option("--row", metavar="N", min=0, help="Train only on this sample of the train split, from 0."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, max=10_000, help="Number of steps.")] = 1,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="Show only this layer, such as hidden.0 or output.")
    ] = None,
    unit: Annotated[
        int | None, typer.Option("--unit", metavar="N", min=1, help="Show only this unit of each layer, from 1.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="F", help="text, latex, html (one page that works offline) or json.")
    ] = "text",
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Write to this file instead of standard output.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot",
            help="Draw the loss over one and over two weights, with the path of the steps: in the HTML page, or in a "
            "page of its own, trace_NAME.html. In JSON, the numbers.",
        ),
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="W[,W]",
            help="Draw the loss over these weights: w5, or output.linear.weight[0,1]. Default: those with the "
            "largest gradients.",
        ),
    ] = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Show a training step by hand: every number from the inputs to the new weights, with its formula."""
    from nnzoo.config import load_config
    from nnzoo.trace.stage import Limits

    kind = "json" if as_json else format_
    _check(kind, output, overwrite=overwrite, is_drawn=plot, weights=weights)
    load_config(config, overrides or [])
    from nnzoo.trace.run import trace_config
    from nnzoo.trace.surface import find_weights, surface_of

    many = verbose or layer is not None or unit is not None
    found = trace_config(
        config,
        overrides or [],
        row=row,
        num_steps=steps,
        limits=Limits(layer=layer, unit=unit, **({"units": 64, "terms": 64, "rows": 8, "places": 16} if many else {})),
        runs_dir=runs_dir,
        watch=(lambda recording: find_weights(recording, weights)) if plot else None,
    )
    surface = surface_of(found.recording) if plot else None
    if kind == "json" and output is None:
        from nnzoo.trace.as_json import as_dict

        print_json(as_dict(found, surface))
    elif output is None:
        print(_rendered(found, surface, kind).rstrip("\n"))
    else:
        from nnzoo.run.files import write_text

        write_text(Path(output), _rendered(found, surface, kind).rstrip("\n") + "\n")
        if kind == "json":
            print_json({"output": output})
        else:
            print(output)
    if surface is not None and kind in ("text", "latex"):
        _write_plots(found, surface, quiet=quiet)


def _check(kind: str, output: str | None, *, overwrite: bool, is_drawn: bool, weights: str | None) -> None:
    """Checks the options before anything is computed.

    Raises:
        UsageError: An option is wrong, or a file would be replaced.
    """
    if kind not in FORMATS:
        raise UsageError(f"expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got '{kind}'.", where="--format")
    if weights is not None and not is_drawn:
        raise UsageError("chooses the weights of --plot. Add --plot.", where="--weights")
    if output is None:
        return
    path, where = Path(output), f"--output {output}"
    if path.is_dir():
        raise UsageError("is a folder. Pass the path of a file.", where=where)
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist. Create it first.", where=where)
    if path.exists() and not overwrite:
        raise UsageError("the file exists. Choose another name, or pass --overwrite.", where=where)


def _rendered(trace: Trace, surface: Surface | None, kind: str) -> str:
    """Returns the trace in a format."""
    if kind == "latex":
        from nnzoo.trace.latex import latex

        return latex(trace)
    if kind == "html":
        from nnzoo.trace.html import html

        return html(trace, surface)
    if kind == "json":
        from nnzoo.run.files import to_json
        from nnzoo.trace.as_json import as_dict

        return to_json(as_dict(trace, surface))
    from nnzoo.trace.text import text

    return text(trace)


def _write_plots(trace: Trace, surface: Surface, *, quiet: bool) -> None:
    """Writes the plots as a page, if the format of the trace has no drawings."""
    import sys

    from nnzoo.run.files import write_text
    from nnzoo.trace.html import plot_page

    name = re.sub(r"[^\w.-]", "_", trace.config.name)
    path = free_page(f"trace_{name}")
    write_text(path, plot_page(trace, surface))
    if not quiet:
        print(f"plots written to {path}", file=sys.stderr)
