"""The network of the report's page as a JavaScript module, its weights, and an example page."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel
from nnzoo.export.built import Built
from nnzoo.export.served import Interface
from nnzoo.report.inside.network import Network, network_of
from nnzoo.report.live.bundle import computation, script
from nnzoo.report.live.inputs import raw_sample
from nnzoo.report.live.model import as_json, model_of
from nnzoo.report.reading import read_run

_FOLDER = Path(__file__).parent / "js"


def build_js(trained: TrainedModel, interface: Interface, module_name: str) -> Built:
    """Returns a network as a module of JavaScript, its weights as JSON, and an example page.

    Args:
        trained: The network, on the CPU.
        interface: The inputs, as features, and the outputs.
        module_name: The file name of the module, for the page.

    Raises:
        UsageError: The page of the run can't compute this network, or mini-racer is missing.
    """
    try:
        from py_mini_racer import MiniRacer
    except ImportError:
        raise UsageError(
            "mini-racer must be installed to compare the module with nnzoo. Run: pip install 'nnzoo[export]'.",
            where="--format js",
        ) from None
    network = _network(trained)
    model = model_of(network)
    if isinstance(model, str):
        raise UsageError(f"the network can't be run by JavaScript: {model}.", where=str(trained.path))
    text = as_json(model)
    module = script(computation(model), (_FOLDER / "module.js").read_text(encoding="utf-8")) + "\n"
    page = (_FOLDER / "example.html").read_text(encoding="utf-8")
    title = escape(f"{trained.config.model.name} on {trained.config.data.name}")
    page = page.replace("TITLE", title).replace("MODULE", quote(module_name)).replace("MODEL", text)
    context = MiniRacer()
    context.eval(f"var module = {{}}; {module}\nvar network = globalThis.nnzoo.load({text});")

    def run(arguments: tuple[Tensor, ...]) -> list[Tensor]:
        inputs, *lengths = arguments
        answers = []
        for row, values in enumerate(inputs):
            length = int(lengths[0][row]) if lengths else None
            raw = json.dumps(raw_sample(network, model["input"], values, length))
            answers.append(json.loads(str(context.eval(f"JSON.stringify(network.predict({raw}))"))))
        return _tensors(answers, interface, num_steps=inputs.shape[1] if inputs.ndim > 1 else 0)

    return Built((module.encode(), text.encode(), page.encode()), run, "V8 (mini-racer)")


def _network(trained: TrainedModel) -> Network:
    """Returns the network with the data of its run.

    Raises:
        UsageError: The data can't be read again.
    """
    run = read_run(str(trained.path), ".")
    network = network_of(run)
    if network is None:
        reason = run.missing.removeprefix("The page has no samples, since ")
        raise UsageError(
            f"the module needs the data of the run, to describe its inputs: {reason}", where=str(trained.path)
        )
    experiment = replace(network.experiment, preprocess=trained.preprocess, decoder=trained.decoder)
    return Network(run, experiment, trained.module)


def _tensors(answers: list[dict[str, Any]], interface: Interface, *, num_steps: int) -> list[Tensor]:
    """Returns scores and labels from the answers of the module; steps beyond the end of a sample are 0."""
    scores = "outputs" if interface.scores == "margins" else interface.scores
    parts = []
    for name in (scores, "labels" if "labels" in answers[0] else "label"):
        if name == "label" and not interface.labels:
            continue
        if "steps" not in answers[0]:
            parts.append(torch.tensor([each[name] for each in answers]))
            continue
        rows = [torch.tensor([step[name] for step in each["steps"]]) for each in answers]
        padded = torch.zeros(len(rows), num_steps, *rows[0].shape[1:], dtype=rows[0].dtype)
        for row, values in zip(padded, rows, strict=True):
            row[: len(values)] = values[: len(row)]
        parts.append(padded)
    return parts
