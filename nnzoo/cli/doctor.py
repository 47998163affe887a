"""`nnzoo doctor`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnzoo.cli import doctor_gate, doctor_proofs
from nnzoo.cli.completion import config_or_run_names
from nnzoo.cli.options import Debug, Json, Overrides, Quiet, RunsDir, Verbose, print_json, table
from nnzoo.numbers import number

if TYPE_CHECKING:
    from nnzoo.doctor import Examination
    from nnzoo.doctor.proof.session import Proved

MAX_SHOWN = 25
SEEDS, MINUTES = 5, 10.0


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
    prove: Annotated[
        bool,
        typer.Option("--prove", help="Train the run again with each fix, over several seeds, and compare the scores."),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", min=3, max=100, help="Number of seeds for --prove (default: 5)."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="N", help="Time limit for --prove (default: 10).")
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="FILE",
            help="Write a config with the fixes to a new file: the proved ones, or all without --prove.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Find problems in a config or a run.

    For a config, reads the data, builds the network, learns one batch by heart, and estimates the training time. For a
    run, explains what went wrong. --prove tries the fixes. Exits with code 5 if a problem invalidates the result.
    """
    _check_options(prove=prove, seeds=seeds, minutes=minutes)
    from nnzoo.doctor import examine
    from nnzoo.doctor.proof import session
    from nnzoo.doctor.proof.apply import check_target

    if apply is not None:
        check_target(apply)
    if prove:
        session.check_is_run(subject, runs_dir)
    found = examine(subject, overrides or [], runs_dir=runs_dir)
    proved, value = None, {}
    if prove:
        found, proved = session.prove(
            found,
            subject,
            runs_dir=runs_dir,
            seeds=seeds or SEEDS,
            minutes=minutes or MINUTES,
            combine=apply is not None,
            quiet=quiet,
        )
        value = proved.as_dict()
    texts = [report(found, brief=quiet, everything=verbose)]
    texts += [] if proved is None else [doctor_proofs.report(proved)]
    if apply is not None and (proved is None or proved.signal_number is None):
        if proved is None:
            fix = session.write_unproved(apply, subject, found.findings, overrides or [], runs_dir=runs_dir)
        else:
            fix = session.write_proved(apply, subject, proved, runs_dir=runs_dir)
        texts.append(doctor_proofs.written(apply, fix, proved=prove))
        value["applied"] = {"file": str(apply) if fix else None, "fix": list(fix), "proved": prove}
    _end(found, proved, found.as_dict() | value, "\n\n".join(texts), as_json=as_json)


def _check_options(*, prove: bool, seeds: int | None, minutes: float | None) -> None:
    from nnzoo.errors import UsageError

    for name, given in (("--seeds", seeds), ("--minutes", minutes)):
        if given is not None and not prove:
            raise UsageError("applies only to --prove. Add it, or leave this option out.", where=name)
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"must be more than 0 (got {minutes:g}).", where="--minutes")


def _end(found: Examination, proved: Proved | None, value: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Prints the result, or raises the error that contains it."""
    from nnzoo.errors import GateError, InterruptedRunError

    if not as_json:
        print(text)
    if proved is not None and proved.signal_number is not None:
        raise InterruptedRunError(
            "interrupted; fixes that were not tried are undecided.", signal_number=proved.signal_number, result=value
        )
    if found.spoiling:
        topics = ", ".join(dict.fromkeys(finding.topic for finding in found.spoiling))
        raise GateError(f"problems that invalidate the result: {topics}.", where=found.subject, result=value)
    if as_json:
        print_json(value)


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
