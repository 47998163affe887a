"""Writes the results as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.epochs import EPOCHS_PER_TURN, Result, describe
from benchmarks.workloads import NETWORKS

TITLES = {
    "limit": "hand-written loop (limit)",
    "nnzoo": "**nnzoo**",
    "nnzoo-bf16": "**nnzoo**, bf16-mixed",
    "nnzoo-fp16": "**nnzoo**, fp16-mixed",
    "nnzoo-compile": "**nnzoo**, compiled",
    "nnzoo-graphs": "**nnzoo**, CUDA graphs",
    "dataloader": "DataLoader loop",
    "ignite": "Ignite",
    "skorch": "skorch",
    "lightning": "Lightning",
    "fastai": "fastai",
    "keras": "Keras on torch",
}
PLOTTED_BATCH_SIZE = 64
"""The batch size of the plot, and of the table in docs/performance.md."""
BEGIN, END = "<!-- benchmark -->", "<!-- end of benchmark -->"


def write(found: dict[str, Any], path: Path) -> str:
    """Writes all results to a file.

    Returns:
        The text without its title.
    """
    results = [Result(**each) for each in found["epochs"]]
    missing = {name: reason for result in results for name, reason in result.missing.items()}
    left_out = [f"- {TITLES[name]}: {reason.splitlines()[-1]}" for name, reason in missing.items()]
    left_out += [f"- {name}: {reason.splitlines()[-1]}" for name, reason in found["skipped"].items()]
    parts = [on_machine(found["machine"]), *(epochs_table(group, found) for group in grouped(results))]
    parts += other_tables(found)
    parts += ["Not measured:\n\n" + "\n".join(left_out)] if left_out else []
    text = "\n\n".join(parts) + "\n"
    path.write_text(f"# Benchmark\n\n{text}", encoding="utf-8")
    return text


def put_into_page(found: dict[str, Any], page: Path) -> None:
    """Writes the machine, the table of the plotted batch size and the other tables between the markers of a page."""
    groups = grouped([Result(**each) for each in found["epochs"]])
    shown = [
        group for group in groups if (group[0].device, group[0].batch_size) == ("cpu", PLOTTED_BATCH_SIZE)
    ] or groups[:1]
    parts = [on_machine(found["machine"]), *(epochs_table(group, found) for group in shown), *other_tables(found)]
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    text = "\n\n".join(parts)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def on_machine(facts: dict[str, Any]) -> str:
    """Returns a sentence on the machine."""
    gpu = f", {facts['gpu']}" if facts["gpu"] else ""
    threads = facts["threads"] or "default of each"
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"Measured by `scripts/benchmark` on {facts['date']}: {facts['processor']}, {facts['cores']} cores, "
        f"{facts['memory_gigabytes']} GB{gpu}, {facts['system']}; threads: {threads}; {versions}."
    )


def grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Groups results by device and batch size; each group is a table."""
    groups: dict[tuple[str, int | None], list[Result]] = {}
    places = [*NETWORKS].index
    for result in sorted(results, key=lambda each: (each.device, each.batch_size or math.inf, places(each.network))):
        groups.setdefault((result.device, result.batch_size), []).append(result)
    return list(groups.values())


def epochs_table(results: Sequence[Result], found: dict[str, Any]) -> str:
    """Returns a table with one row per contender and one column per network."""
    first = results[0]
    names = [name for name in TITLES if any(name in result.turns for result in results)]
    rows = [[TITLES[name], *(cell(result, name) for result in results)] for name in names]
    head = ["", *(NETWORKS[result.network].title for result in results)]
    rounds = max((len(turns) for result in results for turns in result.turns.values()), default=0)
    rows.append([f"accuracy after {1 + EPOCHS_PER_TURN} epochs (range)", *(accuracies(result) for result in results)])
    return (
        f"Seconds per epoch on {first.device}, {describe(first.batch_size, found['samples'])}: training on "
        f"{found['samples']:,} samples with Adam, then loss and accuracy on a fifth as many. Medians of {rounds} "
        f"turns of {EPOCHS_PER_TURN} warm epochs; in parentheses, the ratios to the hand-written loop and to "
        f"nnzoo.\n\n{table(head, rows)}"
    )


def cell(result: Result, name: str) -> str:
    """Returns seconds, with the ratios to the limit and to nnzoo."""
    if name not in result.turns:
        return ""
    ratios = [f"{result.ratio(name, to):.2f}" for to in ("limit", "nnzoo") if to in result.turns]
    return f"{short(result.seconds(name))} ({', '.join(ratios)})" if ratios else short(result.seconds(name))


def accuracies(result: Result) -> str:
    """Returns the range of the accuracies, which shows whether all contenders learn the same."""
    values = [value for name, value in result.accuracy.items() if name in result.turns]
    return f"{min(values):.2f} to {max(values):.2f}" if values else ""


def short(seconds: float) -> str:
    """Returns seconds with three significant digits."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def other_tables(found: dict[str, Any]) -> list[str]:
    """Returns a table of the other parts, with one row per measurement; empty if there are none."""
    rows = [row for part, rows_of in ROWS.items() if part in found for row in rows_of(found[part])]
    return [table(["measure", "value"], rows)] if rows else []


def pipeline_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    ours = short(part["medians"]["nnzoo"])
    for name, seconds in part["medians"].items():
        if name != "nnzoo":
            ratio = part["ratios"][name]
            yield [
                f"epoch of LeNet on Fashion-MNIST, batch size 64: {name}",
                f"{short(seconds)} s, {ratio:.1f} times the {ours} s of nnzoo",
            ]


def processes_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    medians = part["medians"]
    step = medians["one step"]
    yield ["entire process: import torch, one step of AdamW", f"{step:.1f} s"]
    yield [
        "entire process: `nnzoo train digits_mlp`, 20 epochs",
        f"{medians['digits']:.1f} s ({medians['digits'] - step:.1f} s more)",
    ]
    yield [f"entire process: `nnzoo train`, CSV ({part['table']}), 3 epochs", f"{medians['table']:.1f} s"]


def scaling_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    values = ", ".join(f"{value:.2f}" for value in part["best"].values())
    sizes = ", ".join(f"{int(size):,}" for size in part["best"])
    yield [f"microseconds per sample of 30 features, with {sizes} samples", values]


def memory_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    yield [
        "peak memory on Fashion-MNIST above that of one step",
        f"{part['multiple']:.1f} times the size of the data ({part['raw_bytes'] / 1e6:.0f} MB)",
    ]


def large_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    anonymous = (part["anonymous_bytes"] or part["peak_bytes"]) / 1e6
    yield [
        f"training on {part['bytes'] / 1e9:.1f} GB of .npy: peak memory, without mapped files",
        f"{part['peak_bytes'] / 1e6:,.0f} MB, {anonymous:,.0f} MB (one step: {part['baseline_bytes'] / 1e6:,.0f} MB)",
    ]
    yield [
        "its throughput (files may be in the page cache), relative to training on a tenth of the data in memory",
        f"{part['ratio']:.0%}",
    ]


ROWS = {
    "pipeline": pipeline_rows,
    "processes": processes_rows,
    "scaling": scaling_rows,
    "memory": memory_rows,
    "large": large_rows,
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
