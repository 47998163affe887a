"""The index page of a folder of runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nnzoo.comparison.listing import ListedRun
from nnzoo.config.metrics import direction
from nnzoo.config.yaml_reader import read_yaml
from nnzoo.errors import NnzooError
from nnzoo.report.charts import Bars, Cell, Link, Part, Section, TableOf
from nnzoo.report.page import page
from nnzoo.run.directory import CONFIG, REPORT
from nnzoo.run.files import write_text

MAX_BARS = 40


def write_index(path: Path, listed: Sequence[ListedRun], runs_dir: str) -> None:
    """Writes an HTML page with the runs by data source. It links to the pages of the runs.

    Args:
        path: The file.
        listed: The runs, in the order of the page.
        runs_dir: The folder, for the title.

    Raises:
        RunError: The file can't be written.
    """
    found: dict[str, list[tuple[ListedRun, str]]] = {}
    for run in listed:
        data, model = _sections_of(run.folder)
        found.setdefault(data, []).append((run, model))
    sections = [
        Section(f"data-{number}", data, _parts(members, path.parent))
        for number, (data, members) in enumerate(found.items())
    ]
    count = f"{len(listed)} run{'' if len(listed) == 1 else 's'}"
    write_text(path, page(f"Runs in {runs_dir}", sections, lead=f"{count}, by data source."))


def _sections_of(folder: Path) -> tuple[str, str]:
    """Returns the names of the data source and of the model of a run."""
    try:
        config = read_yaml(folder / CONFIG, CONFIG).plain()
    except NnzooError:
        return "unknown data", ""
    values = config if isinstance(config, dict) else {}
    data, model = _name(values.get("data")), _name(values.get("model"))
    path = values["data"].get("path") if isinstance(values.get("data"), dict) else None
    return f"{data or 'unknown data'}{f' ({Path(path).name})' if isinstance(path, str) else ''}", model


def _name(section: Any) -> str:
    """Returns the name of a section, which may be written as its name alone."""
    return str(section.get("name", "")) if isinstance(section, dict) else str(section or "")


def _parts(members: Sequence[tuple[ListedRun, str]], folder: Path) -> list[Part]:
    """Returns the table of some runs, and a chart per metric.

    Args:
        members: The runs with the names of their models.
        folder: The folder of the page, to which links are relative.
    """
    rows: list[list[Cell | Link]] = []
    bars: dict[str, dict[str, float]] = {}
    for run, model in members:
        best = run.best
        metric, value = best or (None, None)
        baseline = None if metric is None else run.baseline(metric)
        figures = (run.figure(key) for key in ("epochs", "num_parameters", "seconds"))
        rows.append([_linked(run, folder), model, run.status, metric, value, baseline, *figures])
        if best is not None:
            bars.setdefault(best[0], {})[run.folder.name] = best[1]
    header = ["run", "model", "status", "metric", "value", "baseline", "epochs", "parameters", "seconds"]
    parts: list[Part] = [TableOf("", "", header, rows)]
    for metric, values in bars.items():
        if 1 < len(values) <= MAX_BARS:
            better = "higher" if direction(metric.partition("/")[2]) == "max" else "lower"
            caption = f"The best weights of each run; {better} is better."
            parts.append(Bars(metric, caption, list(values), {metric: list(values.values())}, metric))
    return parts


def _linked(run: ListedRun, folder: Path) -> Cell | Link:
    """Returns the name of a run as a link to its page, if it has one."""
    page_of_run = run.folder / REPORT
    if not page_of_run.is_file():
        return run.folder.name
    relative = os.path.relpath(page_of_run.resolve(), folder.resolve())
    return Link(run.folder.name, quote(Path(relative).as_posix()))
