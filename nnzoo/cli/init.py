"""`nnzoo init`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from nnzoo.cli.completion import shipped_and_data_names
from nnzoo.cli.options import Debug, Json, Quiet, Target, Verbose, print_json


def init(
    name: Annotated[
        str,
        typer.Argument(
            metavar="FILE|FOLDER|NAME",
            help="Your data: a table, images, texts, a time series or arrays. Or a shipped config; see `nnzoo list "
            "configs`.",
            autocompletion=shipped_and_data_names,
        ),
    ],
    destination: Annotated[
        str | None,
        typer.Argument(metavar="DEST", help="Config file or folder; default: NAME.yaml in the current folder."),
    ] = None,
    target: Target = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write a config for your data, or copy a shipped config, as a starting point.

    The config says in comments what was found in the data and why each value was chosen.
    """
    from nnzoo.config.shipped import shipped_configs

    is_shipped = name in shipped_configs()
    if is_shipped and not target:
        _copy(name, destination, as_json=as_json, quiet=quiet)
        return
    _write_for_data(name, destination, target or [], as_json=as_json, quiet=quiet)


def _copy(name: str, destination: str | None, *, as_json: bool, quiet: bool) -> None:
    """Copies a shipped config and its data."""
    from nnzoo import log
    from nnzoo.config.shipped import shipped_configs

    shipped = shipped_configs()[name]
    path = _destination(destination, name)
    with _writing(path), path.open("x", encoding="utf-8") as file:
        file.write(shipped.read_text(encoding="utf-8"))
        data = shipped.with_suffix(".npz")
        if data.is_file() and not (path.parent / data.name).exists():
            (path.parent / data.name).write_bytes(data.read_bytes())
    if Path(name).exists():
        log.warning("%s is a shipped config and also a file or folder here; for your data: nnzoo init ./%s", name, name)
    if as_json:
        print_json({"config": name, "path": str(path)})
    elif not quiet:
        print(f"{path}: a copy of {name}. Change it, then: nnzoo train {path}")


def _destination(destination: str | None, stem: str) -> Path:
    """Returns the file to write: DEST, a file in the folder DEST, which is created, or a file in the current folder."""
    path = Path(destination or f"{stem}.yaml")
    if (destination or "").endswith("/"):
        with _writing(path):
            path.mkdir(parents=True, exist_ok=True)
    return path / f"{stem}.yaml" if path.is_dir() else path


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns errors of the file system into messages about a path."""
    from nnzoo.errors import RunError, UsageError

    try:
        yield
    except FileExistsError:
        raise UsageError("already exists. Choose a different DEST.", where=str(path)) from None
    except OSError as error:
        raise RunError(f"can't be written: {error.strerror}.", where=str(path)) from None


def _write_for_data(name: str, destination: str | None, target: list[str], *, as_json: bool, quiet: bool) -> None:
    """Writes a config for a file or folder."""
    from nnzoo import log
    from nnzoo.config.shipped import shipped_configs
    from nnzoo.config.suggest import did_you_mean
    from nnzoo.errors import UsageError
    from nnzoo.suggestion.suggest import config_stem, free_path, shell_command, suggest, written

    data = Path(name)
    if not data.exists():
        shipped = shipped_configs()
        hint = did_you_mean(name, [*shipped, *(str(each) for each in data.parent.glob("*"))])
        raise UsageError(
            f"there is no such file, folder or shipped config.{hint} (`nnzoo list configs` lists them)", where=name
        )
    command = shell_command("nnzoo init", name)
    suggestion = suggest(data, target, command)
    path = _destination(destination, config_stem(data))
    if destination is None:
        path = free_path(path)
    text = written(suggestion, path, shell_command("nnzoo init", name, target))
    with _writing(path), path.open("x", encoding="utf-8") as file:
        file.write(text)
    if as_json:
        print_json({"path": str(path), **suggestion.as_dict()})
        return
    for text in suggestion.warnings:
        log.data_warning("%s", text)
    if not quiet:
        print("\n".join([f"{path}: {suggestion.summary()}", *(f"  {note}" for note in suggestion.notes)]))
        print(f"Next: nnzoo train {path}")
