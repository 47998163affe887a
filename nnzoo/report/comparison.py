"""The page of a comparison of runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from nnzoo.comparison.comparison import RunComparison
from nnzoo.comparison.groups import Group
from nnzoo.comparison.pairs import Pair
from nnzoo.comparison.run_files import RunFiles
from nnzoo.config.metrics import direction
from nnzoo.config.yaml_writer import flow
from nnzoo.numbers import number
from nnzoo.report.charts import Bars, Cell, Curve, Details, Lines, Part, Scatter, Section, TableOf, Text
from nnzoo.report.page import page
from nnzoo.run.files import write_text

MAX_CURVES = 12
"""More curves than this in one chart can't be told apart, so the curves of single runs are left out."""

MAX_SENTENCES = 12


def write_comparison(path: Path, compared: RunComparison) -> None:
    """Writes a comparison as one HTML file.

    Raises:
        RunError: The file can't be written.
    """
    num_runs = sum(len(group.runs) for group in compared.groups)
    lead = f"{num_runs} runs in {len(compared.groups)} groups; the runs of a group differ only in their seeds"
    write_text(path, page("Comparison of runs", sections(compared), lead=lead))


def sections(compared: RunComparison) -> list[Section]:
    """Returns the sections of the page that apply to the runs."""
    found = [
        Section("result", "Result", _result(compared)),
        Section("differences", "Settings and metrics", _differences(compared)),
        Section("curves", "Curves", _curves(compared)),
        Section("not-comparable", "Runs that can't be compared", _not_comparable(compared)),
    ]
    return [section for section in found if section.parts]


def _result(compared: RunComparison) -> list[Part]:
    parts: list[Part] = []
    if compared.pairs:
        rows: list[list[Cell]] = [
            [
                f"{pair.a} against {pair.b}",
                *pair.means,
                pair.means[0] - pair.means[1],
                None if pair.seeds is None else pair.seeds.adjusted_p,
                None if pair.rows is None else pair.rows.adjusted_p,
                _verdict(pair),
            ]
            for pair in compared.pairs
        ]
        header = ["groups", "first", "second", "difference", "p over seeds", "p over rows", "verdict"]
        corrected = " p-values are corrected for the number of pairs (Holm)." if len(compared.pairs) > 1 else ""
        parts.append(TableOf(str(compared.metric), f"Differences of the mean over seeds.{corrected}", header, rows))
        said = [
            Text(f"{pair.a} against {pair.b}, {sentence}") for pair in compared.pairs for sentence in pair.sentences()
        ]
        parts += said if len(said) <= MAX_SENTENCES else [Details("The tests in words", said)]
    if len(compared.groups) == 1:
        parts.append(Text("All runs that can be compared have the same settings, so there are no groups to test."))
    return [*parts, *map(Text, compared.notes)]


def _verdict(pair: Pair) -> str:
    if pair.better is None:
        return pair.verdict
    return f"{pair.better} is better" + ("" if pair.seeds else ", with one seed")


def _differences(compared: RunComparison) -> list[Part]:
    if compared.metric is None:
        return []
    names = [group.name for group in compared.groups]
    rows: list[list[Cell]] = [["seeds", *(", ".join(map(str, group.by_seed)) for group in compared.groups)]]
    for key, values in compared.settings.items():
        rows.append([key, *(flow(values[name]) if name in values else None for name in names)])
    for key, spreads in compared.metrics.items():
        cells = (spreads.get(name) for name in names)
        rows.append([key, *(None if each is None else _with_std(each["mean"], each["std"]) for each in cells)])
    caption = "Config keys that differ, then the metrics of the best weights: mean +- standard deviation over seeds."
    parts: list[Part] = [TableOf("Differences", caption, ["", *names], rows)]
    spreads = compared.metrics[compared.metric]
    better = "higher" if direction(compared.metric.partition("/")[2]) == "max" else "lower"
    caption = f"Mean over seeds, with the standard deviation as error bar; {better} is better."
    means = {compared.metric: [spreads[name]["mean"] for name in spreads]}
    errors = {compared.metric: [spreads[name]["std"] or 0.0 for name in spreads]}
    parts.append(Bars(compared.metric, caption, list(spreads), means, compared.metric, errors))
    by_seed = {group.name: _by_seed(group, compared.metric) for group in compared.groups}
    if any(len(xs) > 1 for xs, _ in by_seed.values()):
        parts.append(Scatter(f"{compared.metric} by seed", "One point per run.", "seed", compared.metric, by_seed))
    parts += _restarts(compared)
    return parts


def _by_seed(group: Group, metric: str) -> Curve:
    values = [(seed, run.metrics[metric]) for seed, run in group.by_seed.items() if metric in run.metrics]
    return [seed for seed, _ in values], [value for _, value in values]


def _restarts(compared: RunComparison) -> list[Part]:
    if not compared.restarts:
        return []
    rows: list[list[Cell]] = [
        [name, len(each["values"]), each["mean"], each["std"], each["min"], each["max"]]
        for name, each in compared.restarts.items()
    ]
    caption = "The monitor of the best epoch of each random restart that did not diverge."
    return [TableOf("Restarts", caption, ["group", "restarts", "mean", "std", "min", "max"], rows)]


def _with_std(mean: float, std: float | None) -> str:
    return number(mean) + ("" if std is None else f" +- {number(std)}")


def _curves(compared: RunComparison) -> list[Part]:
    """Returns one chart per column of metrics.csv: the groups, then the single runs if there are few."""
    columns = dict.fromkeys(key for group in compared.groups for run in group.runs for key in run.history if "/" in key)
    several = any(len(group.runs) > 1 for group in compared.groups)
    caption = "Mean over the runs of each group that reached the epoch." if several else "One curve per run."
    parts: list[Part] = []
    for column in columns:
        means = {group.name: _mean_curve(group.runs, column) for group in compared.groups}
        parts.append(Lines(column, caption, "epoch", column, {name: each for name, each in means.items() if each[0]}))
    runs = [run for group in compared.groups for run in group.runs]
    if several and len(runs) <= MAX_CURVES:
        each: list[Part] = []
        for column in columns:
            curves = {str(run.folder): _mean_curve([run], column) for run in runs}
            each.append(Lines(column, "One curve per run.", "epoch", column, curves))
        parts.append(Details("Curves of single runs", each))
    return parts


def _mean_curve(runs: Sequence[RunFiles], column: str) -> Curve:
    """Returns the mean of a column of metrics.csv over the runs that have it, at each epoch."""
    found: dict[float, list[float]] = {}
    for run in runs:
        for row in run.history.rows:
            if column in row:
                found.setdefault(row["epoch"], []).append(row[column])
    epochs = sorted(found)
    return epochs, [statistics.fmean(found[epoch]) for epoch in epochs]


def _not_comparable(compared: RunComparison) -> list[Part]:
    if not compared.not_comparable:
        return []
    reference = f"Compared with {compared.groups[0].name}." if compared.groups else ""
    return [TableOf("", reference, ["run", "reason"], [list(each) for each in compared.not_comparable])]
