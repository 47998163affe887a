"""Repeats a recurrent layer of torch step by step, since it shows only its last states, and derives it by autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.trace.record import StepRecord

GATES = {nn.RNN: ("",), nn.LSTM: ("i", "f", "g", "o"), nn.GRU: ("r", "u", "n")}
"""The gates in the order of torch's weights. torch calls the update gate u of the GRU z."""
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
                directions.append(_run(module, weights, steps, order[::-1] if suffix else order))
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


def _run(module: Any, weights: dict[str, Tensor | None], steps: Tensor, order: list[int]) -> dict[str, list[Tensor]]:
    """Returns the tensors of each step, in the order of the sequence."""
    gates = GATES[type(module)]
    # With a gradient, so that everything in the first step has one, too.
    state = cell = steps.new_zeros(len(steps), module.hidden_size, requires_grad=True)
    nodes: dict[str, list[Tensor]] = {}
    for step in order:
        from_input = nn.functional.linear(steps[:, step], _given(weights["weight_ih"]), weights["bias_ih"])
        from_state = nn.functional.linear(state, _given(weights["weight_hh"]), weights["bias_hh"])
        found: dict[str, Tensor] = {}
        pairs = zip(from_input.chunk(len(gates), 1), from_state.chunk(len(gates), 1), strict=True)
        parts = dict(zip(gates, pairs, strict=True))
        if isinstance(module, nn.RNN):
            found["z"] = sum(parts[""])  # type: ignore[assignment]
            state = torch.tanh(found["z"]) if module.nonlinearity == "tanh" else torch.relu(found["z"])
        elif isinstance(module, nn.LSTM):
            for gate in gates:
                found[f"z_{gate}"] = parts[gate][0] + parts[gate][1]
                found[gate] = torch.tanh(found["z_g"]) if gate == "g" else torch.sigmoid(found[f"z_{gate}"])
            cell = found["c"] = found["f"] * cell + found["i"] * found["g"]
            state = found["o"] * torch.tanh(cell)
        else:
            for gate in ("r", "u"):
                found[f"z_{gate}"] = parts[gate][0] + parts[gate][1]
                found[gate] = torch.sigmoid(found[f"z_{gate}"])
            found["m"] = parts["n"][1]
            found["z_n"] = parts["n"][0] + found["r"] * found["m"]
            found["n"] = torch.tanh(found["z_n"])
            state = (1 - found["u"]) * found["n"] + found["u"] * state
        found["h"] = state
        for key, tensor in found.items():
            nodes.setdefault(key, [tensor] * len(order))[step] = tensor
    return nodes


def _given(weight: Tensor | None) -> Tensor:
    assert weight is not None
    return weight
