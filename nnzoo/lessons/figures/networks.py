"""Figures of the network itself, with its weights, its gradients, and the values of its units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from nnzoo.lessons.functions.trained import Moment, Trained
from nnzoo.lessons.results import LessonResult
from nnzoo.report.charts import Drawing, Part
from nnzoo.report.drawing import draw_network
from nnzoo.report.drawing_units import Numbers
from nnzoo.report.live.section import live_part


def network(
    result: LessonResult,
    title: str,
    *,
    of: str | Sequence[str],
    at: Moment = "best",
    edges: Literal["weight", "gradient"] = "weight",
    row: Any = None,
    digits: int = 0,
) -> list[Part]:
    """Draws variants: unit by unit with the weights on the edges if they are small, else block by block.

    Args:
        result: The result of the lesson.
        title: The title.
        of: A variant, or several.
        at: The weights that are drawn: start, best or last.
        edges: Whether the edges show the weights, or the gradients of the loss of the train samples.
        row: An expression of raw inputs; the value of each unit for them is written into its circle.
        digits: The number of significant digits; 0 for two decimals.
    """
    trained = Trained(result.variants)
    parts: list[Part] = []
    for name in [of] if isinstance(of, str) else of:
        found = trained.network(name, at)
        outputs = found.dataset.classes or found.dataset.target_names
        head_size = found.experiment.num_outputs
        inputs = result.evaluate(row)
        values = [] if inputs is None else [np.ravel(inputs), *_unit_values(trained, name, inputs, at)]
        if edges == "gradient":
            _replace_by_gradients(found.module, trained, name, at)
        drawn = draw_network(
            found.module,
            found.input_shape,
            name=name if name in result.lesson.vary else result.lesson.name,
            dtype=found.dtype,
            inputs=found.input_names,
            outputs=outputs if len(outputs) == head_size else (),
            numbers=Numbers([list(map(float, each)) for each in values], int(digits), edges),
        )
        parts.append(Drawing(title if not parts else "", "", drawn.svg, drawn.description))
    return parts


def live(result: LessonResult, title: str, *, of: str, at: Moment = "best") -> list[Part]:
    """Puts a variant into the page, which computes it for the inputs that a reader chooses.

    Args:
        result: The result of the lesson.
        title: The title.
        of: A variant.
        at: The weights: start, best or last.
    """
    return [live_part(Trained(result.variants).network(of, at), title)]


def _unit_values(trained: Trained, name: str, inputs: Any, at: Moment) -> list[Any]:
    """Returns the outputs of each block for one row of inputs."""
    blocks = trained.network(name, at).blocks
    return [trained.activations(name, block.last or block.name, [inputs], at)[0] for block in blocks]


def _replace_by_gradients(module: nn.Module, trained: Trained, name: str, at: Moment) -> None:
    """Replaces each parameter by its gradient. Frozen parameters, which have none, are removed."""
    for path, parameter in list(module.named_parameters()):
        if parameter.requires_grad:
            gradient = trained.gradients(name, path, at)
            parameter.data = torch.as_tensor(gradient).reshape(parameter.shape)
        else:
            owner, _, own = path.rpartition(".")
            module.get_submodule(owner).register_parameter(own, None)
