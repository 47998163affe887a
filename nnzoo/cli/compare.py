"""`nnzoo compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnzoo.cli.completion import run_names
from nnzoo.cli.options import Debug, Json, Quiet, RunsDir, Verbose, print_json, table
from nnzoo.numbers import number

if TYPE_CHECKING:
    from nnzoo.comparison.comparison import RunComparison

MAX_COLUMNS = 6
"""Tables with more groups than this are printed in several parts."""
MAX_EPOCHS = 8
MAX_WIDTH = 40
"""Longer config values are truncated; --json and -v show them in full."""


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run directories, names of runs, or 'latest'.", autocompletion=run_names),
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Metric to test, such as test/f1; default: the first metric on test, or on val without a test split.",
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write the comparison as an HTML page.")
    ] = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Compare runs: the differences of their configs, and of their metrics.

    Runs that differ only in their seeds form a group. For each pair of groups, statistical tests show whether the
    metric differs by more than the spread over seeds, and by more than chance on the same rows.
    """
    from nnzoo.comparison.comparison import compare as compare_runs

    compared = compare_runs(runs, metric=metric, runs_dir=runs_dir)
    if html is not None:
        from pathlib import Path

        from nnzoo.report.comparison import write_comparison

        write_comparison(Path(html), compared)
    if as_json:
        print_json(compared.as_dict())
    else:
        print(report(compared, brief=quiet, everything=verbose))


def report(compared: RunComparison, *, brief: bool, everything: bool) -> str:
    """Returns the comparison as text."""
    parts = []
    if compared.groups and not brief:
        rows = [[group.name, *_members(group)] for group in compared.groups]
        parts.append(table(["group", "seeds", "runs"], rows))
        parts += _tables(compared, everything=everything)
        parts += _curves(compared)
    for pair in compared.pairs:
        difference = number(pair.means[0] - pair.means[1])
        means = " against ".join(number(mean) for mean in pair.means)
        title = f"{pair.a} against {pair.b}: {pair.metric} {means} (difference {difference})"
        parts.append("\n".join([title, *(f"    {sentence}" for sentence in pair.sentences())]))
    if len(compared.groups) == 1:
        parts.append("All runs that can be compared have the same settings, so there are no groups to test.")
    parts += compared.notes
    if compared.not_comparable:
        lines = [f"    {folder}: {reason}" for folder, reason in compared.not_comparable]
        reference = f" with {compared.groups[0].name}" if compared.groups else ""
        parts.append("\n".join([f"can't be compared{reference}:", *lines]))
    return "\n\n".join(parts)


def _members(group: Any) -> list[str]:
    names = [run.folder.name or str(run.folder) for run in group.runs]
    return [", ".join(map(str, group.by_seed)), ", ".join(names)]


def _tables(compared: RunComparison, *, everything: bool) -> list[str]:
    """Returns settings and metrics: one row per key, one column per group."""
    from nnzoo.config.yaml_writer import flow

    names = [group.name for group in compared.groups]
    rows: list[list[str]] = []
    for key, values in compared.settings.items():
        texts = [flow(values[name]) if name in values else "" for name in names]
        rows.append([key, *(text if everything else _cut(text) for text in texts)])
    for key, spreads in compared.metrics.items():
        rows.append([key, *(_spread(spreads.get(name)) for name in names)])
    monitor = compared.groups[0].runs[0].config.train.monitor
    if compared.restarts:
        rows.append([f"{monitor} of restarts", *(_spread(compared.restarts.get(name)) for name in names)])
    rows += [
        [key.replace("_", " "), *(_mean(group, key) for group in compared.groups)]
        for key in ("best_epoch", "num_parameters", "seconds")
    ]
    return [
        table(
            ["", *names[start : start + MAX_COLUMNS]],
            [[row[0], *row[1 + start : 1 + start + MAX_COLUMNS]] for row in rows],
        )
        for start in range(0, len(names), MAX_COLUMNS)
    ]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 3]}..."


def _spread(spread: dict[str, Any] | None) -> str:
    if spread is None:
        return ""
    return number(spread["mean"]) + ("" if spread["std"] is None else f" +- {number(spread['std'])}")


def _mean(group: Any, key: str) -> str:
    values = [run.result[key] for run in group.runs if isinstance(run.result.get(key), float | int)]
    return f"{sum(values) / len(values):.6g}" if values else ""


def _curves(compared: RunComparison) -> list[str]:
    """Returns the monitored metric at a few epochs: per group, the mean over the runs that reached the epoch."""
    groups = [group for group in compared.groups if any(run.history.rows for run in group.runs)]
    columns = [run.config.train.monitor for group in groups for run in group.runs]
    if not columns or len(set(columns)) > 1:
        return []
    last = max(len(run.history.rows) for group in groups for run in group.runs)
    count = min(last, MAX_EPOCHS)
    epochs = sorted({round((last - 1) * i / max(1, count - 1)) for i in range(count)})
    parts = []
    for start in range(0, len(groups), MAX_COLUMNS):
        shown = groups[start : start + MAX_COLUMNS]
        rows = []
        for epoch in epochs:
            cells = [
                [run.history.rows[epoch][columns[0]] for run in group.runs if epoch < len(run.history.rows)]
                for group in shown
            ]
            rows.append([str(epoch + 1), *(number(sum(values) / len(values)) if values else "" for values in cells)])
        parts.append(table([f"{columns[0]} after epoch", *(group.name for group in shown)], rows))
    return parts
