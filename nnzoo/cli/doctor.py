"""`nnzoo doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli import doctor_gate
from nnzoo.cli.completion import config_or_run_names
from nnzoo.cli.options import Debug, Json, Overrides, Quiet, RunsDir, Verbose, print_json, table
from nnzoo.numbers import number

if TYPE_CHECKING:
    from nnzoo.doctor import Examination

MAX_SHOWN = 25


def doctor(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RUN",
            help="A config before training, or a run directory after it.",
            autocompletion=config_or_run_names,
        ),
    ],
    overrides: Overrides = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Find problems in a config or a run.

    For a config, reads the data, builds the network, learns one batch by heart, and estimates the training time. For a
    run, explains what went wrong. Exits with code 5 if a problem invalidates the result.
    """
    from nnzoo.doctor import examine

    found = examine(subject, overrides or [], runs_dir=runs_dir)
    if as_json and not found.spoiling:
        print_json(found.as_dict())
    elif not as_json:
        print(report(found, brief=quiet, everything=verbose))
    if found.spoiling:
        from nnzoo.errors import GateError

        topics = ", ".join(dict.fromkeys(finding.topic for finding in found.spoiling))
        raise GateError(f"problems that invalidate the result: {topics}.", where=found.subject, result=found.as_dict())


def report(found: Examination, *, brief: bool, everything: bool) -> str:
    """Returns the report on an examination."""
    parts = [] if brief else [*_data(found, everything=everything), _scores(found), _network(found)]
    if found.gate:
        parts.append(doctor_gate.lines(found.gate))
    lines = [
        "\n".join(
            [
                f"{finding.severity:8}{finding.topic}: {finding.message}",
                *(f"        {name}" for name in finding.samples),
            ]
        )
        for finding in found.findings
    ]
    return "\n\n".join([*parts, "\n".join(lines) or "no problems found."])


def _data(found: Examination, *, everything: bool) -> list[str]:
    data = found.data
    sizes = ", ".join(f"{count} {name}" for name, count in data["splits"].items())
    shape = " x ".join(map(str, data["input_shape"]))
    parts = [f"{found.subject}: {data['source']}, {data['task']} of {data['layout']} ({shape}); {sizes} samples"]
    classes = data.get("classes", {})
    limit = None if everything else MAX_SHOWN
    if classes:
        splits = list(data["splits"])
        unit = "class" if data["per"] == "sample" else f"class per {data['per']}"
        rows = [[name, *(str(counts[split]) for split in splits)] for name, counts in classes.items()]
        more = [f"... and {len(rows) - MAX_SHOWN} more (-v)"] if limit and len(rows) > limit else []
        parts.append("\n".join([table([unit, *splits], rows[:limit]), *more]))
    types, forms = data.get("types", {}), data.get("forms", {})
    if types or forms:
        kinds = {kind: [name for name, each in types.items() if each == kind] for kind in types.values()}
        lines = [f"{kind}: {_joined(names, limit)}" for kind, names in kinds.items()]
        written = [f"{name}: {types.get(name, '')} ({form})".replace(":  (", ": (") for name, form in forms.items()]
        more = [f"... and {len(written) - MAX_SHOWN} more (-v)"] if limit and len(written) > limit else []
        parts.append("\n".join([*lines, *written[:limit], *more]))
    missing = data.get("missing", {})
    if missing:
        shown = [f"{name} {each['count']} ({each['share']:.1%})" for name, each in missing.items()]
        parts.append(f"missing in train: {_joined(shown, limit)}")
    for word, columns in (("target", data.get("targets", {})), ("column", data.get("columns", {}))):
        if columns:
            keys = ["mean", "std", "min", "max"]
            rows = [[name, *(number(figures[key]) for key in keys)] for name, figures in columns.items()]
            more = [f"... and {len(rows) - MAX_SHOWN} more (-v)"] if limit and len(rows) > limit else []
            parts.append("\n".join([table([word, *keys], rows[:limit]), *more]))
    return parts


def _joined(names: list[str], limit: int | None) -> str:
    more = f", ... and {len(names) - limit} more (-v)" if limit and len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _scores(found: Examination) -> str:
    names = list(found.baseline)
    rows = [["baseline", *(number(found.baseline[name]) for name in names)]]
    if found.linear:
        rows.append(["linear model", *(number(found.linear[name]) if name in found.linear else "" for name in names)])
    text = table([f"on {found.measured_on}", *names], rows)
    scores = [f"{name} {number(value)}" for name, value in found.scores.items()]
    return text if not scores else f"{text}\nbest weights (epoch {found.scores_epoch}): {', '.join(scores)}"


def _network(found: Examination) -> str:
    state = f"after epoch {found.network_epoch}" if found.network_epoch else "before training"
    lines = [f"network {state}: loss {number(found.network['loss'])} on a few train samples"]
    for word, shares in (("dead ReLU units", found.network["dead"]), ("saturated", found.network["saturated"])):
        if shares:
            shown = ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:MAX_SHOWN])
            lines.append(f"{word}: {shown}")
    gradients = list(found.network["gradients"].items())
    if gradients:
        ends = gradients if len(gradients) <= 4 else [gradients[0], gradients[len(gradients) // 2], gradients[-1]]
        lines.append(f"gradients: {', '.join(f'{name} {value:.1e}' for name, value in ends)}")
    return "\n".join(lines)
