"""`nnzoo init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnzoo.cli.completion import shipped_names
from nnzoo.cli.options import Debug, Json, Quiet, Verbose, print_json


def init(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A shipped config; see `nnzoo list configs`.",
            autocompletion=shipped_names,
        ),
    ],
    destination: Annotated[
        str | None,
        typer.Argument(metavar="DEST", help="Target file or folder; default: NAME.yaml in the current folder."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Copy a shipped config as a starting point."""
    from nnzoo.config.shipped import shipped_configs
    from nnzoo.config.suggest import did_you_mean
    from nnzoo.errors import RunError, UsageError

    shipped = shipped_configs()
    if name not in shipped:
        hint = did_you_mean(name, shipped)
        raise UsageError(f"'{name}' is not a shipped config.{hint} ({', '.join(shipped)})", where="init")
    path = Path(destination or f"{name}.yaml")
    is_folder = path.is_dir() or (destination or "").endswith("/")
    path = path / f"{name}.yaml" if is_folder else path
    try:
        if is_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(shipped[name].read_text(encoding="utf-8"))
        data = shipped[name].with_suffix(".npz")
        if data.is_file() and not (path.parent / data.name).exists():
            (path.parent / data.name).write_bytes(data.read_bytes())
    except FileExistsError:
        raise UsageError("already exists. Choose a different DEST.", where=str(path)) from None
    except OSError as error:
        raise RunError(f"can't be written: {error.strerror}.", where=str(path)) from None
    if as_json:
        print_json({"config": name, "path": str(path)})
    elif not quiet:
        print(f"{path}: a copy of {name}. Change it, then: nnzoo train {path}")
