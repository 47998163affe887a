"""Measures `nnzoo doctor`: plants illnesses into configs that train well, and counts what the doctor finds.

scripts/doctor_score [--seed 0] [--cases 165] [--healthy 64] [--processes 2] [--only ILLNESS] [--no-cures]
                     [--folder FOLDER] [--output FILE.json] [--wrong FILE.md] [--page FILE.md]

A planted case is a config that trains well (its twin) and one change that is the illness. Cases whose twin does not
train well, or whose change does no harm, are dropped and counted. The doctor also examines healthy runs: the shipped
configs that train in seconds, and random sensible configs, unless a linear model beats them. A verdict is a finding
that `nnzoo train` would print. The fix of each right verdict is applied, and cures if the run regains 80 % of the
twin's gain over the baseline.

Everything is drawn from the seed. Trainings and verdicts are kept in the folder: a run that was interrupted continues,
and after a change of the doctor only the verdicts and changed fixes are computed again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from doctor_cases.runs import Laboratory
from doctor_cases.score import ILLNESSES, Judgement, Row, healthy_plans, judge_healthy, judge_planted, rows_of

BEGIN, END = "<!-- score -->", "<!-- end of score -->"
DEFAULT_FOLDER = Path(tempfile.gettempdir()) / "nnzoo-doctor-score"


def main() -> None:
    """Prints the table."""
    options = _options()
    started = time.monotonic()
    tasks = _tasks(options)
    healthy: list[Judgement] = []
    planted: list[Judgement] = []
    dropped: Counter[str] = Counter()
    for done, (kind, judgements, reasons) in enumerate(_results(tasks, options.processes), start=1):
        (healthy if kind == "healthy" else planted).extend(judgements)
        dropped.update(reasons)
        print(f"{done} of {len(tasks)}: {kind}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    order = list(ILLNESSES)
    planted.sort(key=lambda each: (order.index(each.truth), each.folder))
    rows = rows_of(planted, healthy)
    text = table(rows, planted, healthy, dropped, options.seed)
    print(text)
    print(f"\n{time.monotonic() - started:.0f} seconds in {options.processes} processes", file=sys.stderr)
    if options.output:
        content = {
            "seed": options.seed,
            "rows": {topic: vars(row) for topic, row in rows.items()},
            "planted": [each.as_dict() for each in planted],
            "healthy": [each.as_dict() for each in healthy],
            "dropped": dropped,
        }
        options.output.write_text(json.dumps(content, indent=2), encoding="utf-8")
    if options.wrong:
        options.wrong.write_text(wrong_verdicts(planted, healthy), encoding="utf-8")
    if options.page:
        before, _, rest = options.page.read_text(encoding="utf-8").partition(BEGIN)
        options.page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=5 * len(ILLNESSES), help="number of planted cases")
    parser.add_argument("--healthy", type=int, default=64, help="number of healthy runs")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", action="append", choices=list(ILLNESSES), help="plant only this illness; repeatable")
    parser.add_argument("--no-cures", action="store_true", help="do not train with the fixes")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where trainings and verdicts are kept")
    parser.add_argument("--output", type=Path, help="a JSON file with all verdicts")
    parser.add_argument("--wrong", type=Path, help="a Markdown file with the wrong verdicts")
    parser.add_argument("--page", type=Path, help="a page in which the table replaces the previous one")
    return parser.parse_args()


Result = tuple[str, list[Judgement], Counter[str]]
Task = Callable[[], Result]


def _tasks(options: argparse.Namespace) -> list[Task]:
    """Returns the healthy runs first, since they are twins of planted cases, then one task per illness."""
    seed, folder = options.seed, options.folder
    tasks: list[Task] = [
        partial(_healthy_task, folder, seed, options.healthy, index) for index in range(options.healthy)
    ]
    topics = options.only or list(ILLNESSES)
    counts = [options.cases // len(topics) + (index < options.cases % len(topics)) for index in range(len(topics))]
    for topic, count in zip(topics, counts, strict=True):
        if count:
            tasks.append(partial(_planted_task, folder, seed, topic, count, cures=not options.no_cures))
    return tasks


def _healthy_task(folder: Path, seed: int, number: int, index: int) -> Result:
    name, plan = healthy_plans(seed, number)[index]
    judgement = judge_healthy(Laboratory(folder), name, plan)
    if judgement is None:
        return "healthy", [], Counter({"a healthy config does not train well, or a linear model is better": 1})
    return "healthy", [judgement], Counter()


def _planted_task(folder: Path, seed: int, topic: str, number: int, *, cures: bool) -> Result:
    judgements, dropped = judge_planted(Laboratory(folder), topic, seed, number, cures=cures)
    return topic, judgements, dropped


def _results(tasks: Sequence[Task], processes: int) -> Iterator[Result]:
    if processes <= 1:
        _prepare()
        yield from map(_call, tasks)
        return
    # Torch is imported once per process.
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_prepare) as pool:
        yield from pool.imap_unordered(_call, tasks)


def _prepare() -> None:
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def _call(task: Task) -> Result:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return task()


def table(
    rows: dict[str, Row], planted: Sequence[Judgement], healthy: Sequence[Judgement], dropped: Counter[str], seed: int
) -> str:
    """Returns the table in Markdown, and the sentences below it."""
    lines = [
        "| illness | cases | recall | named first | precision | fixes | cured |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for topic, row in rows.items():
        if not row.cases:
            wrong = f"{row.right} of {row.right + row.wrong}" if row.right + row.wrong else ""
            lines.append(f"| {topic} | 0 | | | {wrong} | | |")
            continue
        cured = f"{row.cured} of {row.tried}" if row.tried else ""
        fixes = f"{row.fixes} of {row.named}" if row.named else ""
        lines.append(
            f"| {topic} | {row.cases} | {row.recall:.2f} | {row.first / row.cases:.2f} | {row.precision:.2f} "
            f"| {fixes} | {cured} |"
        )
    alarms = sum(bool(each.topics) for each in healthy)
    seconds = sorted(each.seconds for each in (*planted, *healthy))
    lines += [
        "",
        f"Seed {seed}: {len(planted)} planted cases; {alarms} of {len(healthy)} healthy runs have a finding that "
        "`train` would print.",
    ]
    if seconds:
        median, most = seconds[len(seconds) // 2], seconds[-1]
        lines.append(f"An examination takes {median:.1f} s of CPU time (median), at most {most:.1f} s.")
    if dropped:
        lines.append(f"Dropped: {', '.join(f'{count} x {reason}' for reason, count in dropped.most_common())}.")
    return "\n".join(lines)


def wrong_verdicts(planted: Sequence[Judgement], healthy: Sequence[Judgement]) -> str:
    """Returns the misses, false alarms and cures that do not help, in Markdown."""
    lines = ["# Wrong verdicts", ""]
    for each in (*planted, *healthy):
        problems = [
            *(["missed"] if each.truth and not each.right else []),
            *(["not first"] if each.right and not each.is_first else []),
            *([f"wrong: {', '.join(each.wrong)}"] if each.wrong else []),
            *(["no fix"] if each.right and each.curable and not each.fix else []),
            *([f"fix does not cure: {' '.join(each.fix)}"] if each.is_cured is False else []),
            *([f"error: {each.error}"] if each.error and (each.truth == "" or each.fix or not each.findings) else []),
        ]
        if problems:
            gains = ", twin ".join("nan" if math.isnan(value) else f"{value:.2f}" for value in each.gain)
            lines += [
                f"## {each.truth or 'healthy'}: {'; '.join(problems)}",
                f"planted: {each.change} (gain {gains}), run: {each.folder}",
                *(_finding(finding) for finding in each.findings),
                "",
            ]
    return "\n".join(lines)


def _finding(finding: dict[str, Any]) -> str:
    fix = f" FIX {' '.join(finding['fix'])}" if finding["fix"] else ""
    return f"- {finding['severity']} {finding['topic']}: {finding['message']}{fix}"


if __name__ == "__main__":
    main()
