"""The section of the page in which the trained network answers to what a person enters."""

from __future__ import annotations

from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Program, Section, Text
from nnzoo.report.inside.network import Network, network_of
from nnzoo.report.live.bundle import computation, controls, script
from nnzoo.report.live.model import as_json, model_of

CAPTION = (
    "The page computes the trained network itself, with its preprocessing: its answers are those of nnzoo predict. "
    "Nothing leaves this page."
)
TITLE = "Try the network"
MAX_TEXT, MAX_TEXT_WITH_IMAGES = 1_200_000, 1_800_000
"""The largest size of the network in bytes of the page: about 1 MB of weights, and what is needed to use them."""


def live_section(run: RunWithData) -> Section | None:
    """Returns the network to try, or the reason why the page can't compute it; None without the network or its data."""
    network = network_of(run)
    return None if network is None else Section("live", TITLE, [live_part(network)])


def live_part(network: Network, title: str = "") -> Program | Text:
    """Returns the network to try, or the reason why the page can't compute it.

    Args:
        network: The network.
        title: The title; may be empty.
    """
    model = model_of(network)
    if isinstance(model, str):
        return Text(f"The network can't be tried in this page: {model}.")
    text = as_json(model)
    limit = MAX_TEXT_WITH_IMAGES if model["input"]["kind"] == "image" else MAX_TEXT
    if len(text.encode()) > limit:
        model["samples"] = model["samples"][:2]
        text = as_json(model)
    if len(text.encode()) > limit:
        reason = f"it would take {len(text.encode()) / 1e6:.2f} MB of the page (at most {limit / 1e6:g} MB)"
        return Text(f"The network can't be tried in this page: {reason}.")
    names = [*computation(model), *controls(model)]
    code = script(names, "start(document.currentScript.previousElementSibling);")
    return Program(title, CAPTION, text, code)
