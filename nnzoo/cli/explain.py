"""`nnzoo explain`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.completion import config_keys
from nnzoo.cli.list import field_lines
from nnzoo.cli.options import Debug, Json, Quiet, Verbose, print_json

if TYPE_CHECKING:
    from nnzoo.config.explain import Explanation

WIDTH = 110
MAX_PATHS = 4


def explain(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="A config key, such as optimizer.lr, model.mlp.dropout or lr; or a name, such as adamw, gru or f1.",
            autocompletion=config_keys,
        ),
    ],
    as_json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Explain a config key or a name: meaning, default, allowed values, formula, papers and lessons.

    If several keys have the name, all are shown.
    """
    from nnzoo.config.explain import explain as find

    found = find(key)
    if as_json:
        matches = [vars(each) | {"defaults": [{"value": v, "of": of} for v, of in each.defaults]} for each in found]
        print_json({"query": key, "matches": matches})
    else:
        print("\n\n".join("\n".join(_lines(each)) for each in found))


def _lines(found: Explanation) -> Iterator[str]:
    more = f" and {len(found.paths) - MAX_PATHS} more" if len(found.paths) > MAX_PATHS else ""
    yield ", ".join(found.paths[:MAX_PATHS] or [found.title]) + more
    rows = [("meaning", found.meaning), ("of", ", ".join(found.names))]
    rows += [("default", _defaults(found)), ("values", found.values), ("formula", found.formula)]
    rows += [("paper", f"{citation}: {title}" if title else citation) for citation, title in found.papers.items()]
    rows += [("lessons", ", ".join(f"nnzoo lesson {name}" for name in found.lessons))]
    for label, text in rows:
        if text:
            yield from textwrap.wrap(
                text, WIDTH, initial_indent=f"  {label:8} ", subsequent_indent=" " * 11, break_on_hyphens=False
            )
    if found.fields:
        yield "  keys"
        yield from field_lines(found.fields, 4)


def _defaults(found: Explanation) -> str:
    """Returns the defaults as YAML; a section with a name as that name, and nothing if its keys are listed anyway."""
    from nnzoo.config.yaml_writer import flow

    if found.required:
        return "none: required"
    if found.fields and all(isinstance(value, dict) for value, _ in found.defaults):
        return ""
    values = [value["name"] if isinstance(value, dict) and "name" in value else value for value, _ in found.defaults]
    if len(values) == 1:
        return flow(values[0])
    return "; ".join(
        f"{flow(value)} ({', '.join(names)})" for value, (_, names) in zip(values, found.defaults, strict=True)
    )
