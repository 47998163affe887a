"""The curve of a learning-rate range test, as a chart and as a page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from nnzoo.report.charts import Lines, Mark, Part, Section, TableOf, Text
from nnzoo.report.page import page
from nnzoo.run.files import write_text
from nnzoo.search.lr_curve import CAP
from nnzoo.search.lr_result import LrRange


def title_of(found: LrRange) -> str:
    """Returns what was tested, in a line."""
    passes = len(found.losses) / found.steps_per_epoch
    epochs = f"{passes:.1f}" if passes < 10 else f"{passes:.0f}"
    accumulated = found.config.train.accumulate_grad_batches
    batch = f"{found.batch_size} samples" if accumulated == 1 else f"{accumulated} x {found.batch_size} samples"
    networks = f"{found.num_networks} networks, " if found.num_networks > 1 else ""
    end = ", where the loss diverged" if found.has_diverged else ""
    rates = f"lr {found.rates[0]:.2g} to {found.rates[-1]:.2g}"
    steps = f"{len(found.losses)} steps of {batch} ({epochs} epochs)"
    return f"{found.config.name}, {found.config.optimizer.name}: {networks}{rates} in {steps}{end}"


def chart_of(found: LrRange) -> Lines:
    """Returns the curve. Losses far above the loss before training are left out, since they would flatten it."""
    reading = found.reading
    top = max(CAP * reading.start if reading.start > 0 else reading.start, max(reading.smoothed, default=0.0))
    top = min(top, 1.25 * reading.start) if reading.start > 0 else top

    def shown(values: list[float]) -> list[float]:
        return [value if value <= top else math.nan for value in values]

    marks = [] if found.suggestion is None else [Mark(found.suggestion, f"suggestion {found.suggestion:.2g}")]
    return Lines(
        "Loss over the learning rate",
        "The loss of each step. The learning rate rises by the same factor after each step. The smoothed loss is an "
        "average over neighboring steps. Losses far above the loss before training are not shown.",
        "lr",
        "loss",
        {"loss": (found.rates, shown(found.losses)), "smoothed": (found.rates, shown(reading.smoothed))},
        marks=marks,
        log_x=True,
    )


def command(found: LrRange, config: str, changes: Sequence[str]) -> str:
    """Returns the command that trains with the suggestion.

    Args:
        found: The result.
        config: The config as the user named it.
        changes: The overrides of the user. Those that the suggestion replaces are left out.
    """
    keys = {each.partition("=")[0] for each in found.overrides()}
    kept = [each for each in changes if each.partition("=")[0] not in keys]
    return f"nnzoo train {shlex.join([config, *kept, *found.overrides()])}"


def write_page(path: Path, found: LrRange, config: str, changes: Sequence[str]) -> None:
    """Writes the page of a range test.

    Raises:
        RunError: The file can't be written.
    """
    rate = found.suggestion
    parts: list[Part] = [Text(_verdict(found))]
    if rate is not None:
        parts.append(Text(command(found, config, changes), code=True))
    rows: list[list[str | float | int | None]] = [
        ["suggestion", rate],
        ["steepest descent", found.steepest],
        ["minimum", found.minimum],
        ["a tenth of the minimum", None if found.minimum is None else found.minimum / 10],
        ["lr of the config", found.lr],
    ]
    parts.append(TableOf("", "", ["", "lr"], rows))
    sections = [
        Section("result", "Result", parts),
        Section("curve", "Curve", [chart_of(found), *map(Text, found.notes)]),
    ]
    write_text(path, page(f"{found.config.name}: learning-rate range test", sections, lead=title_of(found)))


def _verdict(found: LrRange) -> str:
    reason = found.reason()
    if found.suggestion is None:
        return f"No suggestion: {reason}"
    return f"Suggestion: lr {found.suggestion:.2g}, since {reason}"
