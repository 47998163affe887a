"""Compiles networks with torch.compile. A network that can't be compiled runs uncompiled, with a warning."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.models import set_train_mode
from nnzoo.training.state import rng_state, set_rng_state

MAX_REASON = 200
"""Maximum characters of a message of torch, which can be pages long."""


class Compiled:
    """Calls the compiled version of a network; the network itself is unchanged.

    The network is compiled for the first input shape in training and the first one in evaluation. Batches of a
    different shape, such as the last one of an epoch, run uncompiled. This avoids recompilations and dynamic shapes.

    Args:
        network: The network, which is compiled with `fullgraph=True`.
        deterministic: Whether to exclude kernels that are chosen by timing, if the choice affects the last bits of the
            results.
        graphs: Whether the kernels of a pass are recorded as a CUDA graph, so that small kernels are launched together.
    """

    def __init__(self, network: nn.Module, *, deterministic: bool, graphs: bool = False) -> None:
        self.network = network
        self.deterministic = deterministic
        self.graphs = graphs
        self.shapes: dict[bool, torch.Size] = {}
        self.compiled: Callable[..., Tensor] | None = None

    def start(self) -> None:
        """Calls torch.compile. The compilation itself happens when the result is first called.

        Raises:
            RuntimeError: torch.compile does not support this system.
        """
        # torch compiles a class at most eight times, including earlier training runs in this process.
        torch.compiler.reset()
        wanted = {"deterministic": self.deterministic, "triton.cudagraphs": self.graphs}
        options: dict[str, Any] = {name: True for name, is_wanted in wanted.items() if is_wanted}
        self.compiled = torch.compile(self.network, fullgraph=True, dynamic=False, options=options or None)

    def __call__(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor
        shape = inputs[0].shape
        if self.compiled is None or self.shapes.setdefault(self.network.training, shape) != shape:
            outputs = self.network(*inputs)
            return outputs
        try:
            if not self.graphs:
                return self.compiled(*inputs)
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            return self.compiled(*inputs).clone()  # the next replay overwrites the outputs of this one
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # torch documents no type. An error of the network itself is raised again below
            self.disable(error)
            outputs = self.network(*inputs)
            return outputs

    def disable(self, error: Exception) -> None:
        """Disables compilation, and logs a warning with the reason."""
        self.compiled = None
        log.warning("train.compile: %s; training continues without it", reason_of(error))


def is_compiled(forward: object) -> bool:
    """Whether training calls a network that may be compiled, directly or under autocast."""
    return isinstance(forward, Compiled) or isinstance(getattr(forward, "network", None), Compiled)


def reason_of(error: Exception) -> str:
    """Returns one line of torch's message: the explanation if there is one, else the first line."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()] or [type(error).__name__]
    explained = [line for line in lines if line.startswith("Explanation: ")]
    reason = (explained or lines)[0].removeprefix("Explanation: ").rpartition("Reason: ")[2]
    return reason.rstrip(".")[:MAX_REASON]


def compile_ahead(compiled: Compiled, forward: Callable[..., Tensor], inputs: Sequence[Tensor]) -> None:
    """Compiles the forward and backward pass before training. The network and the random state are restored.

    Args:
        compiled: The wrapper of the network that is trained.
        forward: The function that training steps call; it calls `compiled`.
        inputs: The arguments of the network for a batch of the usual size.
    """
    network, start = compiled.network, time.monotonic()
    random_state = rng_state()
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    set_train_mode(network)
    try:
        compiled.start()
        outputs = forward(*inputs)
        if outputs.requires_grad:
            # Zeros are enough to compile the backward pass, and each step clears the gradients.
            torch.autograd.backward(outputs, torch.zeros_like(outputs))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # as in Compiled
        compiled.disable(error)
    finally:
        for parameter in network.parameters():
            parameter.grad = None
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        set_rng_state(random_state)
    if compiled.compiled is not None:
        log.info("compiled in %.1f s", time.monotonic() - start)
