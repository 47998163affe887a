"""`nnzoo lr-find`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.options import ConfigArgument, Debug, Device, Json, Overrides, Quiet, RunsDir, Verbose, print_json
from nnzoo.errors import GateError, UsageError

if TYPE_CHECKING:
    from nnzoo.search.lr_result import LrRange


def lr_find(
    config: ConfigArgument,
    overrides: Overrides = None,
    min_lr: Annotated[
        float | None, typer.Option("--min", metavar="LR", help="Learning rate of the first step; default: 1e-6.")
    ] = None,
    max_lr: Annotated[
        float | None,
        typer.Option(
            "--max",
            metavar="LR",
            help="Learning rate of the last step; default: 100. Divergence ends the test earlier.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            min=20,
            max=100_000,
            help="Number of steps; default: 25 per factor of 10, more for small batches or if the loss falls little.",
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write the curve as an HTML page.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
    device: Device = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Find a learning rate: train a new network with a rising learning rate, and show the loss.

    The steps are those of `nnzoo train`; only the scheduler is replaced. Nothing is kept, and no file is written except
    the page of --html.
    """
    from nnzoo.config import load_config

    changes = overrides or []
    if html is not None:
        _check_page(Path(html), overwrite=overwrite)
    load_config(config, changes)
    from nnzoo.search.lr_page import write_page
    from nnzoo.search.lr_range import MAX_LR, MIN_LR, find_lr

    found = find_lr(
        config,
        changes,
        min_lr=MIN_LR if min_lr is None else min_lr,
        max_lr=MAX_LR if max_lr is None else max_lr,
        num_steps=steps,
        runs_dir=runs_dir,
        device=device,
    )
    if html is not None:
        write_page(Path(html), found, config, changes)
    result = {**found.as_dict(), "page": html}
    if not as_json:
        print(_report(found, config, changes, brief=quiet))
        if html is not None and not quiet:
            print(f"page: {html}")
    if found.suggestion is None:
        raise GateError(f"no suggestion: {found.reason()}", where=config, result=result)
    if as_json:
        print_json(result)


def _check_page(path: Path, *, overwrite: bool) -> None:
    """Checks that the page can be written, before anything is computed.

    Raises:
        UsageError: It is a folder, its folder does not exist, or it would be replaced.
    """
    where = f"--html {path}"
    if path.is_dir():
        raise UsageError("is a folder. Pass the path of a file.", where=where)
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist. Create it first.", where=where)
    if path.exists() and not overwrite:
        raise UsageError("the file exists. Choose another name, or pass --overwrite.", where=where)


def _report(found: LrRange, config: str, changes: list[str], *, brief: bool) -> str:
    """Returns the result as text."""
    from textwrap import fill

    from nnzoo.report.text_chart import WIDTH, text_lines
    from nnzoo.search.lr_page import chart_of, command, title_of

    parts = [] if brief else [fill(title_of(found), WIDTH), text_lines(chart_of(found)), *found.notes]
    if found.suggestion is not None:
        text = f"suggestion: lr {found.suggestion:.2g} (config: {found.lr:.2g})"
        parts += [text if brief else f"{text}\n{fill(found.reason(), WIDTH)}", command(found, config, changes)]
    return ("\n" if brief else "\n\n").join(parts)
