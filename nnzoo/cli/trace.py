"""`nnzoo trace`."""

from __future__ import annotations

from typing import Annotated

import typer

from nnzoo.cli.options import ConfigArgument, Debug, Json, Overrides, Quiet, RunsDir, Verbose, print_json


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
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Show a training step by hand: every number from the inputs to the new weights, with its formula."""
    from nnzoo.config import load_config
    from nnzoo.trace.stage import Limits

    load_config(config, overrides or [])
    from nnzoo.trace.run import trace_config

    many = verbose or layer is not None or unit is not None
    limits = Limits(layer=layer, unit=unit, **({"units": 64, "terms": 64, "rows": 8, "places": 16} if many else {}))
    found = trace_config(config, overrides or [], row=row, num_steps=steps, limits=limits, runs_dir=runs_dir)
    if as_json:
        from nnzoo.trace.as_json import as_dict

        print_json(as_dict(found))
        return
    from nnzoo.trace.text import text

    print(text(found))
