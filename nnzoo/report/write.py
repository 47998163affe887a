"""Writes the page of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Section, Text
from nnzoo.report.classes import classes_section
from nnzoo.report.guard import note_failure
from nnzoo.report.inputs import data_section
from nnzoo.report.inside.section import inside_section, network_section
from nnzoo.report.language import language_section
from nnzoo.report.learning import curves_section, health_section
from nnzoo.report.live.section import live_section
from nnzoo.report.overview import repeat_section, result_section
from nnzoo.report.page import page
from nnzoo.report.steps import labels_section, steps_section
from nnzoo.report.values import values_section
from nnzoo.run.directory import REPORT
from nnzoo.run.files import write_text


def write_report(run: RunWithData, output: Path | None = None) -> Path:
    """Writes the page of a run as one HTML file, and returns its path.

    Args:
        run: The run.
        output: The file; by default, report.html in the run directory.

    Raises:
        RunError: The file can't be written.
    """
    path = output or run.folder / REPORT
    write_text(path, page(run.config.name, sections(run), lead=_lead(run)))
    return path


def _lead(run: RunWithData) -> str:
    return f"{run.config.model.name} on {run.config.data.name}, trained with nnzoo"


def sections(run: RunWithData) -> list[Section]:
    """Returns the sections of the page: those that apply to the run, in order. A section that fails is one line."""
    makers = [
        result_section,
        live_section,
        curves_section,
        health_section,
        classes_section,
        labels_section,
        values_section,
        steps_section,
        language_section,
        inside_section,
        network_section,
        data_section,
        repeat_section,
    ]
    found = [_section_or_reason(maker, run) for maker in makers]
    return [section for section in found if section is not None and section.parts]


def _section_or_reason(maker: Callable[[RunWithData], Section | None], run: RunWithData) -> Section | None:
    try:
        return maker(run)
    except Exception as error:
        name = maker.__name__.removesuffix("_section")
        return Section(name, name.capitalize(), [Text(note_failure(name, error))])
