"""`nnzoo verify`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.completion import shipped_names
from nnzoo.cli.options import Debug, Device, Json, Quiet, Verbose, print_json, table
from nnzoo.errors import GateError, UsageError
from nnzoo.folders import DATA_VARIABLE
from nnzoo.numbers import number

if TYPE_CHECKING:
    from nnzoo.recipes.verify import Verification


def verify(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A shipped config; see `nnzoo list configs`.", autocompletion=shipped_names
        ),
    ],
    seeds: Annotated[int, typer.Option("--seeds", metavar="K", min=1, help="Number of trainings.")] = 1,
    first_seed: Annotated[
        int,
        typer.Option(
            "--first-seed",
            metavar="N",
            min=0,
            help="Seed of the first training. Seeds that were not measured give new evidence.",
        ),
    ] = 0,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help=f"Folder of the data sets that are not part of nnzoo; default: {DATA_VARIABLE}, or ./data.",
        ),
    ] = None,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Train a shipped config again and check whether its measured result repeats.

    Exits with code 5 if the mean of the new trainings is outside the 99 % prediction interval of the measured seeds.
    """
    from nnzoo.recipes.results import result_of

    result_of(name)  # before torch is imported, which takes seconds
    if data is not None:
        if not os.path.isdir(data):  # noqa: PTH112
            raise UsageError("is not a folder.", where=f"--data {data}")
        os.environ[DATA_VARIABLE] = data
    from nnzoo import log
    from nnzoo.recipes.verify import verify as verify_recipe

    with log.recording(quiet=quiet):
        found = verify_recipe(name, num_seeds=seeds, first_seed=first_seed, device=device or "cpu")
    if as_json and found.repeats:
        print_json(found.as_dict())
    elif not as_json:
        print(report(found))
    if not found.repeats:
        raise GateError(_failure(found), where=name, result=found.as_dict())


def report(found: Verification) -> str:
    """Returns the comparison as text."""
    measured = dict(zip(found.measured.seeds, found.measured.values, strict=True))
    rows = [
        [str(seed), number(measured[seed]) if seed in measured else "", number(value)]
        for seed, value in zip(found.seeds, found.values, strict=True)
    ]
    low, high = map(number, found.interval)
    result, count = found.measured, len(found.measured.seeds)
    lines = [
        f"{found.recipe}: {result.metric}",
        table(["seed", "measured", "now"], rows),
        "",
        f"measured: {number(result.mean)} +- {number(result.std)} over {count} seeds, baseline "
        f"{'none' if result.baseline is None else number(result.baseline)}",
        f"now: {number(found.mean)}; 99 % prediction interval {low} to {high}",
        *(f"note: {note}" for note in found.notes),
        *(["the result repeats"] if found.repeats else []),
    ]
    return "\n".join(lines)


def _failure(found: Verification) -> str:
    low, high = map(number, found.interval)
    causes = f" Possible causes: {'; '.join(found.notes)}." if found.notes else ""
    return (
        f"the result does not repeat: {found.measured.metric} {number(found.mean)} is not in {low} to {high}.{causes}"
    )
