"""`nnzoo list`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nnzoo.cli.completion import kinds as kinds_of_list
from nnzoo.cli.completion import names_of_kind
from nnzoo.cli.options import Debug, Json, Quiet, RunsDir, Verbose, print_json, table
from nnzoo.numbers import number


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help="Kind of entries: models, data, augmentations, initializers, activations, losses, optimizers, "
            "schedulers, metrics, configs or runs.",
            autocompletion=kinds_of_list,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Describe only this entry.", autocompletion=names_of_kind),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="Order of runs: a metric such as test/accuracy (the best first), best (the first metric of each run), "
            "epochs, best_epoch, num_parameters, seconds, name or status; default: the oldest first.",
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write the runs as an HTML page with links.")
    ] = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """List the entries that a config can use, or describe one of them."""
    from nnzoo.config.describe import KINDS, catalogue, describe
    from nnzoo.config.suggest import did_you_mean
    from nnzoo.errors import UsageError

    kinds = [*KINDS, "runs"]
    if kind != "runs" and (sort or html):
        raise UsageError("is an option of `nnzoo list runs` only.", where="--sort" if sort else "--html")
    if kind is None:
        everything = {each: catalogue(each) for each in KINDS}
        if as_json:
            print_json({each: list(names) for each, names in everything.items()})
        else:
            print("\n".join(f"{each}: {', '.join(names)}" for each, names in everything.items()))
        return
    if kind not in kinds:
        raise UsageError(f"'{kind}' is not a kind.{did_you_mean(kind, kinds)} ({', '.join(kinds)})", where="list")
    if kind == "runs":
        _list_runs(runs_dir, name, sort, html, as_json=as_json)
        return
    names = catalogue(kind)
    if name is None:
        if as_json:
            print_json({"kind": kind, "names": names})
        else:
            width = max(map(len, names))
            print("\n".join(names) if quiet else "\n".join(f"{each:{width}}  {line}" for each, line in names.items()))
        return
    if name not in names:
        raise UsageError(
            f"'{name}' is not listed under {kind}.{did_you_mean(name, names)} ({', '.join(names)})", where="list"
        )
    found = describe(kind, name)
    if as_json:
        print_json({"kind": kind, **found})
    else:
        print(_explained(found))


def _explained(found: dict[str, Any]) -> str:
    lines = [f"{found['name']}: {found['meaning']}"]
    if "better" in found:
        better = "lower" if found["better"] == "less" else "higher"
        lines.append(f"{better} is better; for {', '.join(found['tasks'])}")
    if "text" in found:
        lines += ["", found["text"].rstrip()]
    if found["fields"]:
        lines += ["", *field_lines(found["fields"], 2)]
    return "\n".join(lines)


def field_lines(fields: list[dict[str, Any]], indent: int) -> list[str]:
    """Returns one line per field of `describe.fields_of`: name, default and description."""
    lines = []
    for field in fields:
        inner = field.get("fields")
        default = "required" if field["required"] else "" if inner else f"= {_shown(field['default'])}"
        lines.append(f"{' ' * indent}{field['name']:{24 - indent}} {default:14} {field['meaning']}")
        if inner:
            lines += field_lines(inner, indent + 2)
    return lines


def _shown(value: Any) -> str:
    from nnzoo.config.yaml_writer import flow

    return flow(value)


def _list_runs(runs_dir: str, name: str | None, sort: str | None, html: str | None, *, as_json: bool) -> None:
    from pathlib import Path

    from nnzoo.comparison.listing import list_runs

    found = list_runs(Path(runs_dir), sort=sort, name=name)
    if html is not None:
        from nnzoo.report.runs import write_index

        write_index(Path(html), found, runs_dir)
    if as_json:
        print_json({"kind": "runs", "runs": [run.as_dict() for run in found]})
        return
    if not found:
        print(f"no runs in {runs_dir}")
        return
    rows = []
    for run in found:
        metric = sort if sort in run.metrics else run.best and run.best[0]
        baseline = run.baseline(metric) if metric else None
        figures = (run.figure(key) for key in ("epochs", "num_parameters", "seconds"))
        rows.append(
            [
                run.folder.name,
                run.status,
                *("" if figure is None else f"{figure:.6g}" for figure in figures),
                f"{metric} {number(run.metrics[metric])}" if metric else "",
                "" if baseline is None else number(baseline),
            ]
        )
    header = ["run", "status", "epochs", "parameters", "seconds", "result", "baseline"]
    print(table(header, rows))
