"""The sections about the network itself: the drawing, and what happens inside."""

from __future__ import annotations

from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Details, Drawing, Part, Section, Text
from nnzoo.report.drawing import draw_network
from nnzoo.report.guard import note_failure
from nnzoo.report.inside.activations import feature_map_parts, hidden_state_parts
from nnzoo.report.inside.importance import importance_parts
from nnzoo.report.inside.network import network_of
from nnzoo.report.inside.regions import function_parts
from nnzoo.report.inside.representation import representation_parts
from nnzoo.report.inside.saliency import saliency_parts
from nnzoo.report.inside.weights import weight_parts

PARTS = (
    function_parts,
    importance_parts,
    weight_parts,
    representation_parts,
    feature_map_parts,
    saliency_parts,
    hidden_state_parts,
)


def network_section(run: RunWithData) -> Section | None:
    """Returns the drawing of the network; None if the network or its data is missing."""
    network = network_of(run)
    if network is None:
        return None
    dtype = network.dtype
    names = network.dataset.target_names if network.decoder.task == "regression" else network.dataset.classes
    drawing = draw_network(
        network.module,
        network.input_shape,
        name=run.config.name,
        dtype=dtype,
        inputs=network.input_names,
        outputs=names[-network.experiment.num_outputs :],
    )
    if drawing.by_units:
        caption = "Each unit with its weights: the color of an edge is the sign of its weight, the width its size."
    else:
        caption = (
            "The blocks from the inputs to the outputs, with the shape of each output and the number of parameters."
        )
    return Section("network", "The network", [Drawing("", caption, drawing.svg, drawing.description)])


def inside_section(run: RunWithData) -> Section | None:
    """Returns what happens inside the network on its data; None if the network or its data is missing."""
    network = network_of(run)
    if network is None:
        return None
    parts: list[Part] = []
    reasons: list[str] = []
    for function in PARTS:
        try:
            found = function(network)
        except Exception as error:
            name = function.__name__.removesuffix("_parts").replace("_", " ")
            found = f"{name.capitalize()}: {note_failure(name, error)}"
        if isinstance(found, str):
            reasons.append(found)
        else:
            parts += found
    if reasons:
        parts.append(Details("What is not shown, and why", [Text(reason) for reason in reasons]))
    return Section("inside", "Inside the network", parts)
