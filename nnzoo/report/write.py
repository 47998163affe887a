"""Writes the page of a run."""

from __future__ import annotations

from pathlib import Path

from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Section
from nnzoo.report.classes import classes_section
from nnzoo.report.inputs import data_section
from nnzoo.report.inside.section import inside_section, network_section
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
    """Returns the sections of the page: those that apply to the run, in order."""
    found = [
        result_section(run),
        live_section(run),
        curves_section(run),
        health_section(run),
        classes_section(run),
        labels_section(run),
        values_section(run),
        steps_section(run),
        inside_section(run),
        network_section(run),
        data_section(run),
        repeat_section(run),
    ]
    return [section for section in found if section is not None and section.parts]
