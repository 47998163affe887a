"""Recurrent layers that can be exported for any number of steps: as operators of ONNX, and as `scan` of torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_GATES = {nn.LSTM: ("LSTM", (0, 3, 1, 2)), nn.GRU: ("GRU", (1, 0, 2)), nn.RNN: ("RNN", (0,))}
"""The operator of each layer, and its gates in the order of ONNX, as indices into those of torch."""


class OnnxRecurrent(nn.Module):
    """Computes what a recurrent layer of torch computes, but can only be exported: (N, T, F) -> (N, T, S), None.

    torch's exporter unrolls these layers for a fixed number of steps.

    Args:
        layer: An nn.LSTM, nn.GRU or nn.RNN with biases and `batch_first`.
    """

    def __init__(self, layer: nn.LSTM | nn.GRU | nn.RNN) -> None:
        super().__init__()
        self.operator, self.gates = _GATES[type(layer)]
        self.hidden_size, self.num_layers = layer.hidden_size, layer.num_layers
        self.num_directions = 1 + layer.bidirectional
        self.attributes: dict[str, Any] = {
            "hidden_size": layer.hidden_size,
            "direction": "bidirectional" if layer.bidirectional else "forward",
        }
        if isinstance(layer, nn.GRU):
            self.attributes["linear_before_reset"] = 1
        if isinstance(layer, nn.RNN):
            name = "Relu" if layer.nonlinearity == "relu" else "Tanh"
            self.attributes["activations"] = [name] * self.num_directions
        for depth in range(layer.num_layers):
            suffixes = [f"l{depth}", f"l{depth}_reverse"][: self.num_directions]
            read = [self._ordered(getattr(layer, f"weight_ih_{each}")) for each in suffixes]
            kept = [self._ordered(getattr(layer, f"weight_hh_{each}")) for each in suffixes]
            biases = [
                torch.cat([self._ordered(getattr(layer, f"bias_{kind}_{each}")) for kind in ("ih", "hh")])
                for each in suffixes
            ]
            for name, parts in (("read", read), ("kept", kept), ("bias", biases)):
                self.register_buffer(f"{name}_{depth}", torch.stack(parts))

    def forward(self, steps: Tensor) -> tuple[Tensor, None]:
        """(N, T, F) -> (N, T, num_directions * hidden_size), None."""
        states = steps.transpose(0, 1)
        num_steps, num_samples, _ = states.shape
        for depth in range(self.num_layers):
            tensors = [getattr(self, f"{name}_{depth}") for name in ("read", "kept", "bias")]
            outputs: Tensor = torch.onnx.ops.symbolic(
                self.operator,
                [states, *tensors],
                self.attributes,
                dtype=steps.dtype,
                shape=(num_steps, self.num_directions, num_samples, self.hidden_size),
            )
            states = outputs.transpose(1, 2).flatten(2)
        return states.transpose(0, 1), None

    def _ordered(self, weight: Tensor) -> Tensor:
        parts = weight.detach().chunk(len(self.gates))
        return torch.cat([parts[gate] for gate in self.gates])


class ScannedRecurrent(nn.Module):
    """Computes a recurrent layer of torch step by step, with `scan`: (N, T, F) -> (N, T, S), None.

    torch.export unrolls these layers for a fixed number of steps.

    Args:
        layer: An nn.LSTM, nn.GRU or nn.RNN with biases and `batch_first`.
    """

    def __init__(self, layer: nn.LSTM | nn.GRU | nn.RNN) -> None:
        super().__init__()
        self.layer = layer
        self.suffixes = ("", "_reverse") if layer.bidirectional else ("",)
        self.step = _STEPS[layer.mode]

    def forward(self, steps: Tensor) -> tuple[Tensor, None]:
        """(N, T, F) -> (N, T, num_directions * hidden_size), None."""
        states = steps.transpose(0, 1)
        for depth in range(self.layer.num_layers):
            states = torch.cat([self._run(states, f"l{depth}{suffix}") for suffix in self.suffixes], dim=2)
        return states.transpose(0, 1), None

    def _run(self, steps: Tensor, name: str) -> Tensor:
        """(T, N, F) -> (T, N, hidden_size)."""
        from torch._higher_order_ops.scan import scan

        weights = [getattr(self.layer, f"{kind}_{name}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        read, kept, read_bias, kept_bias = weights
        given = nn.functional.linear(steps, read, read_bias)
        start = given.new_zeros(given.shape[1], self.layer.hidden_size)

        def step(state: tuple[Tensor, ...], own: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
            state = self.step(own, nn.functional.linear(state[0], kept, kept_bias), *state)
            return state, state[0].clone()

        states = (start, start.clone()) if isinstance(self.layer, nn.LSTM) else (start,)
        outputs: Tensor = scan(step, states, given, reverse=name.endswith("_reverse"))[1]
        return outputs


def _lstm_step(given: Tensor, kept: Tensor, _: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
    i, f, u, o = (given + kept).chunk(4, 1)
    cell = f.sigmoid() * cell + i.sigmoid() * u.tanh()
    return o.sigmoid() * cell.tanh(), cell


def _gru_step(given: Tensor, kept: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    (r, z, n), (r_kept, z_kept, n_kept) = given.chunk(3, 1), kept.chunk(3, 1)
    z = (z + z_kept).sigmoid()
    return ((1 - z) * (n + (r + r_kept).sigmoid() * n_kept).tanh() + z * hidden,)


def _rnn_step(given: Tensor, kept: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return ((given + kept).tanh(),)


def _relu_step(given: Tensor, kept: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return ((given + kept).relu(),)


_STEPS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "LSTM": _lstm_step,
    "GRU": _gru_step,
    "RNN_TANH": _rnn_step,
    "RNN_RELU": _relu_step,
}
"""Returns the next state, which begins with the hidden state, from both products of a step and the state before."""


def with_layers(module: nn.Module, build: type[OnnxRecurrent] | type[ScannedRecurrent]) -> nn.Module:
    """Returns the module with its recurrent layers replaced; the module itself if it has none.

    Args:
        module: The network; it is not changed.
        build: Builds the layer that replaces a layer.
    """
    if not any(_is_replaced(each) for each in module.modules()):
        return module
    replaced = copy.deepcopy(module)
    for name, layer in list(replaced.named_modules()):
        if _is_replaced(layer):
            replaced.set_submodule(name, build(layer))
    return replaced


def _is_replaced(layer: nn.Module) -> bool:
    settings: Any = layer
    return type(layer) in _GATES and settings.batch_first and settings.bias and not getattr(settings, "proj_size", 0)
