"""What came out, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.epochs import EPOCHS_A_TURN, Result, describe
from benchmarks.workloads import NETWORKS

TITLES = {
    "limit": "the limit: a loop by hand",
    "nnzoo": "**nnzoo**",
    "nnzoo-bf16": "**nnzoo**, bf16-mixed",
    "nnzoo-fp16": "**nnzoo**, fp16-mixed",
    "nnzoo-compile": "**nnzoo**, compiled",
    "dataloader": "DataLoader loop",
    "ignite": "Ignite",
    "skorch": "skorch",
    "lightning": "Lightning",
    "fastai": "fastai",
    "keras": "Keras on torch",
}
PICTURED = 64
"""The batch size of the picture, and of the table in docs/performance.md."""
BEGIN, END = "<!-- benchmark -->", "<!-- end of benchmark -->"


def write(found: dict[str, Any], path: Path) -> str:
    """Writes all that was measured.

    Returns:
        The text.
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
    """Writes the machine, the table of the picture and the other tables between the two marks of a page."""
    groups = grouped([Result(**each) for each in found["epochs"]])
    shown = [group for group in groups if (group[0].device, group[0].batch_size) == ("cpu", PICTURED)] or groups[:1]
    parts = [on_machine(found["machine"]), *(epochs_table(group, found) for group in shown), *other_tables(found)]
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    text = "\n\n".join(parts)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def on_machine(facts: dict[str, Any]) -> str:
    """The machine in a sentence."""
    gpu = f", {facts['gpu']}" if facts["gpu"] else ""
    threads = facts["threads"] or "as many as each takes by itself"
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"Measured by `scripts/benchmark` on {facts['date']}: {facts['processor']}, {facts['cores']} cores, "
        f"{facts['memory_gigabytes']} GB{gpu}, {facts['system']}; threads: {threads}; {versions}."
    )


def grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Those of one device and batch size together: a table each."""
    groups: dict[tuple[str, int | None], list[Result]] = {}
    places = [*NETWORKS].index
    for result in sorted(results, key=lambda each: (each.device, each.batch_size or math.inf, places(each.network))):
        groups.setdefault((result.device, result.batch_size), []).append(result)
    return list(groups.values())


def epochs_table(results: Sequence[Result], found: dict[str, Any]) -> str:
    """A row a contender, a column a network."""
    first = results[0]
    names = [name for name in TITLES if any(name in result.turns for result in results)]
    rows = [[TITLES[name], *(cell(result, name) for result in results)] for name in names]
    head = ["", *(NETWORKS[result.network].title for result in results)]
    rounds = max((len(turns) for result in results for turns in result.turns.values()), default=0)
    rows.append([f"accuracy of all after {1 + EPOCHS_A_TURN} epochs", *(accuracies(result) for result in results)])
    return (
        f"Seconds an epoch on {first.device}, {describe(first.batch_size, found['samples'])}: "
        f"{found['samples']:,} training samples with Adam, then loss and accuracy on a fifth as many. Medians of "
        f"{rounds} turns of {EPOCHS_A_TURN} warm epochs; in brackets, times the limit and times nnzoo.\n\n"
        f"{table(head, rows)}"
    )


def cell(result: Result, name: str) -> str:
    """Seconds, and how many times the limit and nnzoo that is."""
    if name not in result.turns:
        return ""
    ratios = [f"{result.ratio(name, to):.2f}" for to in ("limit", "nnzoo") if to in result.turns]
    return f"{short(result.seconds(name))} ({', '.join(ratios)})" if ratios else short(result.seconds(name))


def accuracies(result: Result) -> str:
    """From the worst to the best: whether they do the same."""
    values = [value for name, value in result.accuracy.items() if name in result.turns]
    return f"{min(values):.2f} to {max(values):.2f}" if values else ""


def short(seconds: float) -> str:
    """Three digits that mean something."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def other_tables(found: dict[str, Any]) -> list[str]:
    """A row a measure besides epochs, if there is one."""
    rows = [row for part, rows_of in ROWS.items() if part in found for row in rows_of(found[part])]
    return [table(["measure", "value"], rows)] if rows else []


def pipeline_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    ours = short(part["medians"]["nnzoo"])
    for name, seconds in part["medians"].items():
        if name != "nnzoo":
            ratio = part["ratios"][name]
            yield [
                f"LeNet on Fashion-MNIST, batch size 64, an epoch: {name}",
                f"{short(seconds)} s, {ratio:.1f} times nnzoo's {ours} s",
            ]


def processes_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    medians = part["medians"]
    step = medians["one step"]
    yield ["whole process: import torch, one step of AdamW", f"{step:.1f} s"]
    yield [
        "whole process: `nnzoo train digits_mlp`, 20 epochs",
        f"{medians['digits']:.1f} s ({medians['digits'] - step:.1f} s more)",
    ]
    yield [f"whole process: `nnzoo train`, CSV ({part['table']}), 3 epochs", f"{medians['table']:.1f} s"]


def scaling_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    values = ", ".join(f"{value:.2f}" for value in part["best"].values())
    sizes = ", ".join(f"{int(size):,}" for size in part["best"])
    yield [f"microseconds a sample of 30 features, at {sizes} samples", values]


def memory_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    yield [
        "peak memory on Fashion-MNIST above a process of one step",
        f"{part['multiple']:.1f} times its {part['raw_bytes'] / 1e6:.0f} MB",
    ]


def large_rows(part: dict[str, Any]) -> Iterable[list[str]]:
    own = (part["anonymous_bytes"] or part["peak_bytes"]) / 1e6
    yield [
        f"training on {part['bytes'] / 1e9:.1f} GB of .npy: peak memory, its own part of it",
        f"{part['peak_bytes'] / 1e6:,.0f} MB, {own:,.0f} MB (one step: {part['baseline_bytes'] / 1e6:,.0f} MB)",
    ]
    yield [
        "its throughput, from the system's file cache where that is large enough, beside that of a tenth in memory",
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
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
