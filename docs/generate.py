"""Generates the reference pages from the config schema and the command line."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnzoo.cli.app import app, run
from nnzoo.config.describe import catalogue, describe, fields_of
from nnzoo.config.experiment import Config
from nnzoo.config.yaml_writer import flow
from nnzoo.lessons.figures.kinds import KINDS
from nnzoo.lessons.results import functions_of
from nnzoo.lessons.schema import catalog

_TITLES = {
    "models": "Models",
    "data": "Data sources",
    "augmentations": "Augmentations",
    "initializers": "Initializers",
    "activations": "Activations",
    "losses": "Losses",
    "optimizers": "Optimizers",
    "schedulers": "Schedulers",
    "metrics": "Metrics",
    "configs": "Shipped configs",
}


def write_reference(folder: Path) -> None:
    """Writes one page per kind of section, one for the config file itself, one for the commands, and their index."""
    folder.mkdir(exist_ok=True)
    os.environ["COLUMNS"] = "100"  # the width of the help texts
    pages = {"config": _config_page(), "commands": _commands_page(), "lessons": _lessons_page()}
    pages |= {kind: _kind_page(kind, title) for kind, title in _TITLES.items()}
    pages["index"] = _index_page(list(pages))
    for name, text in pages.items():
        target = folder / f"{name}.md"
        # An unchanged page keeps its time stamp, so that Sphinx does not build it again.
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def _index_page(names: list[str]) -> str:
    listed = "\n".join(names)
    return f"# Reference\n\nGenerated from the config schema and the command line.\n\n```{{toctree}}\n{listed}\n```\n"


def _config_page() -> str:
    lines = [
        "# The config file",
        "",
        "Only `data` and `model` are required. Sections with a `name` are described on separate pages.",
        "",
    ]
    plain: list[dict[str, Any]] = []
    sections: list[dict[str, Any]] = []
    for field in fields_of(Config):
        (sections if "fields" in field else plain).append(field)
    lines += _field_table(plain)
    for field in sections:
        lines += ["", f"## `{field['name']}`", "", *_field_table(field["fields"])]
    return "\n".join(lines) + "\n"


def _kind_page(kind: str, title: str) -> str:
    lines = [f"# {title}", ""]
    for name in catalogue(kind):
        found = describe(kind, name)
        lines += [f"## `{name}`", "", _escaped(found["meaning"]), ""]
        if "text" in found:
            lines += ["```yaml", found["text"].rstrip(), "```", ""]
        if "better" in found:
            tasks = ", ".join(found["tasks"])
            better = "Lower" if found["better"] == "less" else "Higher"
            lines += [f"{better} is better. Tasks: {tasks}.", ""]
        if found["fields"]:
            lines += [*_field_table(found["fields"]), ""]
    return "\n".join(lines)


def _field_table(fields: list[dict[str, Any]], prefix: str = "") -> list[str]:
    head = [] if prefix else ["| key | default | description |", "| --- | --- | --- |"]
    rows = []
    for field in fields:
        name, inner = f"{prefix}{field['name']}", field.get("fields")
        default = "required" if field["required"] else "" if inner else f"`{flow(field['default'])}`"
        rows.append(f"| `{name}` | {_escaped(default)} | {_escaped(field['meaning'])} |")
        if inner:
            rows += _field_table(inner, f"{name}.")
    return [*head, *rows]


def _escaped(text: str) -> str:
    """Escapes the special characters of Markdown outside of code spans."""
    parts = text.replace("|", r"\|").split("`")
    for index in range(0, len(parts), 2):
        for sign in ("*", "_", "<", "[", "$", "{"):
            parts[index] = parts[index].replace(sign, f"\\{sign}")
    return "`".join(parts)


def _lessons_page() -> str:
    lines = ["# Lessons", "", "`nnzoo lesson NAME` runs a lesson.", "", "| no. | name | claim |", "| --- | --- | --- |"]
    lines += [f"| {each.number} | `{each.name}` | {_escaped(each.en.claim)} |" for each in catalog().values()]
    lines += ["", "## Kinds of figures", "", "| kind | figure | arguments |", "| --- | --- | --- |"]
    for name, draw in KINDS.items():
        arguments = list(inspect.signature(draw).parameters)[2:]
        lines.append(f"| `{name}` | {_first_sentence(draw)} | {', '.join(f'`{each}`' for each in arguments)} |")
    lines += ["", "## Functions of expressions", "", "| function | value |", "| --- | --- |"]
    for name, function in functions_of({}).items():
        lines.append(f"| `{name}` | {_first_sentence(function)} |")
    return "\n".join(lines) + "\n"


def _first_sentence(function: Callable[..., Any]) -> str:
    return _escaped((function.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip())


def _commands_page() -> str:
    lines = ["# Commands", "", "The output of `--help` for each command.", ""]
    for command in app.registered_commands:
        help_text = io.StringIO()
        with contextlib.redirect_stdout(help_text):
            run([str(command.name), "--help"])
        lines += [f"## `nnzoo {command.name}`", "", "```text", help_text.getvalue().strip(), "```", ""]
    return "\n".join(lines)
