"""The section of the page in which the trained network answers to what a person enters."""

from __future__ import annotations

from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Program, Section, Text
from nnzoo.report.inside.network import network_of
from nnzoo.report.live.bundle import computation, controls, script
from nnzoo.report.live.model import as_json, model_of

CAPTION = (
    "The page computes the trained network itself, with its preprocessing: its answers are those of nnzoo predict. "
    "Nothing leaves this page."
)


def live_section(run: RunWithData) -> Section | None:
    """Returns the network to try, or the reason why the page can't compute it; None without the network or its data."""
    network = network_of(run)
    if network is None:
        return None
    model = model_of(network)
    if isinstance(model, str):
        return Section("live", "Try the network", [Text(f"The network can't be tried in this page: {model}.")])
    names = [*computation(model), *controls(model)]
    code = script(names, "start(document.currentScript.previousElementSibling);")
    return Section("live", "Try the network", [Program("", CAPTION, as_json(model), code)])
