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
            "schedulers, metrics, configs, zoo (trained networks) or runs.",
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
    from nnzoo.run.zoo import zoo_names

    kinds = [*KINDS, "zoo", "runs"]
    if kind != "runs" and (sort or html):
        raise UsageError("is an option of `nnzoo list runs` only.", where="--sort" if sort else "--html")
    if kind is None:
        everything = {**{each: list(catalogue(each)) for each in KINDS}, "zoo": zoo_names()}
        if as_json:
            print_json(everything)
        else:
            print("\n".join(f"{each}: {', '.join(names)}" for each, names in everything.items()))
        return
    if kind not in kinds:
        raise UsageError(f"'{kind}' is not a kind.{did_you_mean(kind, kinds)} ({', '.join(kinds)})", where="list")
    if kind == "runs":
        _list_runs(runs_dir, name, sort, html, as_json=as_json)
        return
    if kind == "zoo":
        _list_zoo(name, as_json=as_json, quiet=quiet)
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


def _list_zoo(name: str | None, *, as_json: bool, quiet: bool) -> None:
    """Prints the shipped networks, or the card of one of them."""
    from nnzoo.run.zoo import PREFIX, read_card, zoo_names

    cards = [read_card(each) for each in ([name.removeprefix(PREFIX)] if name is not None else zoo_names())]
    if as_json:
        dumped = [card.model_dump(mode="json") for card in cards]
        names = {card.name: card.task for card in cards}
        print_json({"kind": "zoo", **(dumped[0] if name is not None else {"names": names, "cards": dumped})})
    elif name is not None:
        lines = {
            "data": cards[0].data,
            "licence": cards[0].licence,
            "result": f"{cards[0].metric} {number(cards[0].value)}{_baseline(cards[0].baseline)}, seed {cards[0].seed}",
            "size": f"{cards[0].num_parameters:,} parameters, {cards[0].num_bytes:,} bytes",
            "recipe": f"nnzoo train {cards[0].recipe}",
            "limits": cards[0].limits,
            "example": cards[0].example,
        }
        print(f"{PREFIX}{cards[0].name}: {cards[0].task}")
        print("\n".join(f"{key}: {text}" for key, text in lines.items()))
    elif quiet:
        print("\n".join(card.name for card in cards))
    else:
        header = ["network", "result", "baseline", "parameters", "KB", "licence of the data"]
        rows = [
            [
                f"{PREFIX}{card.name}",
                f"{card.metric} {number(card.value)}",
                "" if card.baseline is None else number(card.baseline),
                f"{card.num_parameters:,}",
                f"{card.num_bytes / 1000:.0f}",
                card.licence,
            ]
            for card in cards
        ]
        print(table(header, rows))


def _baseline(value: float | None) -> str:
    return "" if value is None else f" (baseline {number(value)})"


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
