"""`nnzoo validate`."""

from __future__ import annotations

from typing import Annotated

import typer

from nnzoo.cli.options import ConfigArgument, Debug, Json, Overrides, Quiet, Verbose, print_json


def validate(
    config: ConfigArgument,
    overrides: Overrides = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print the config with all defaults filled in.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Check a config without reading data."""
    from nnzoo.config import dump, load_config, resolve, to_yaml

    checked = load_config(config, overrides or [])
    filled = resolve(checked, checked.data.facts())
    if as_json:
        print_json({"config": config, "valid": True, **({"resolved": dump(filled)} if resolved else {})})
    elif resolved:
        print(to_yaml(filled), end="")
    elif not quiet:
        print(f"{config}: valid")
