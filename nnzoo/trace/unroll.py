"""Repeats a recurrent layer of torch step by step, since it shows only its last states, and derives it by autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnzoo.models.unrolled import run_steps
from nnzoo.trace.record import StepRecord

Nodes = dict[str, tuple[Tensor, Tensor]]
"""Values and derivatives, (N, H, T), of everything that a layer computes, by name."""


def unrolled(record: StepRecord, name: str) -> list[list[Nodes]]:
    """Returns the numbers of a recurrent module, for each of its layers and each direction.

    Args:
        record: The step.
        name: The module.
    """
    if name not in record.unrolled:
        record.unrolled[name] = _unroll(record, name)
    found: list[list[Nodes]] = record.unrolled[name]
    return found


def _unroll(record: StepRecord, name: str) -> list[list[Nodes]]:
    recorded = record.modules[name]
    module: Any = recorded.module
    suffixes = ["", "_reverse"] if module.bidirectional else [""]
    steps = recorded.inputs.double()  # (N, T, F)
    layers: list[list[dict[str, list[Tensor]]]] = []
    with torch.enable_grad():
        for depth in range(module.num_layers):
            directions = []
            for suffix in suffixes:
                weights = {
                    key: record.before.get(f"{name}.{key}_l{depth}{suffix}")
                    for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                }
                order = list(range(steps.shape[1]))
                directions.append(run_steps(module, weights, steps, order[::-1] if suffix else order))
            steps = torch.cat([torch.stack(each["h"], 1) for each in directions], 2)
            layers.append(directions)
        found = [
            (values, number)
            for directions in layers
            for nodes in directions
            for values in nodes.values()
            for number in range(len(values))
        ]
        tensors = [values[number] for values, number in found]
        grads = torch.autograd.grad((steps * recorded.grad).sum(), tensors, allow_unused=True)
    by_tensor = {id(tensor): grad for tensor, grad in zip(tensors, grads, strict=True)}

    def stacked(values: list[Tensor]) -> tuple[Tensor, Tensor]:
        derived = [by_tensor[id(each)] for each in values]
        zeros = [torch.zeros_like(each) if grad is None else grad for each, grad in zip(values, derived, strict=True)]
        return torch.stack([each.detach() for each in values], 2), torch.stack(zeros, 2)

    return [[{key: stacked(values) for key, values in nodes.items()} for nodes in layer] for layer in layers]
