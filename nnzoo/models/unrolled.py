"""Recurrent layers of torch step by step, since torch shows only their states and not their gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

GATES = {nn.RNN: ("",), nn.LSTM: ("i", "f", "g", "o"), nn.GRU: ("r", "u", "n")}
"""The gates in the order of torch's weights. torch calls the update gate u of the GRU z."""


def run_steps(
    module: Any, weights: Mapping[str, Tensor | None], steps: Tensor, order: Sequence[int]
) -> dict[str, list[Tensor]]:
    """Returns everything that one layer and direction of a recurrent module computes, by name: gates and states.

    Args:
        module: An `nn.RNN`, `nn.LSTM` or `nn.GRU`.
        weights: `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh` of the layer.
        steps: (N, T, F), the inputs.
        order: The steps in the order in which they are processed.

    Returns:
        One tensor (N, hidden_size) per step for each name, in the order of the sequence.
    """
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
