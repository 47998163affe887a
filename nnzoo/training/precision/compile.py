"""torch.compile, where it works: a network that it can't take runs as it is, and a line says why."""

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
"""Letters of torch's messages, which go on for pages."""


class Compiled:
    """Calls what torch.compile makes of a network; the network itself stays as it is.

    One shape is compiled for training and one for evaluation, the first that comes; batches of another, the rest of an
    epoch, run uncompiled. So nothing is compiled twice, and kernels are made for the shape that counts.

    Args:
        network: To be compiled in one piece.
        deterministic: Leave out kernels that are chosen by timing where that decides the last bits.
    """

    def __init__(self, network: nn.Module, *, deterministic: bool) -> None:
        self.network = network
        self.deterministic = deterministic
        self.shapes: dict[bool, torch.Size] = {}
        self.compiled: Callable[..., Tensor] | None = None

    def start(self) -> None:
        """Has torch.compile take the network; it works when it is first called.

        Raises:
            RuntimeError: torch has no compiler for this system.
        """
        # It takes each class of networks no more than eight times, those of earlier trainings included.
        torch.compiler.reset()
        options: dict[str, Any] | None = {"deterministic": True} if self.deterministic else None
        self.compiled = torch.compile(self.network, fullgraph=True, dynamic=False, options=options)

    def __call__(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor
        shape = inputs[0].shape
        if self.compiled is None or self.shapes.setdefault(self.network.training, shape) != shape:
            outputs = self.network(*inputs)
            return outputs
        try:
            return self.compiled(*inputs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # torch documents none. If it is the network's own, it comes again
            self.give_up(error)
            outputs = self.network(*inputs)
            return outputs

    def give_up(self, error: Exception) -> None:
        """Goes on without it, and says why."""
        self.compiled = None
        log.warning("train.compile: %s; training continues without it", reason_of(error))


def reason_of(error: Exception) -> str:
    """One line of torch's message: the explanation where there is one, else the first."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()] or [type(error).__name__]
    explained = [line for line in lines if line.startswith("Explanation: ")]
    reason = (explained or lines)[0].removeprefix("Explanation: ").rpartition("Reason: ")[2]
    return reason.rstrip(".")[:MAX_REASON]


def try_out(compiled: Compiled, forward: Callable[..., Tensor], inputs: Sequence[Tensor]) -> None:
    """Compiles the step of training before training begins, and leaves network and random numbers as they were.

    Args:
        compiled: Of the network that is trained.
        forward: What training calls, and calls it.
        inputs: A batch of the usual size, as the network takes it.
    """
    network, start = compiled.network, time.monotonic()
    numbers = rng_state()
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    set_train_mode(network)
    try:
        compiled.start()
        outputs = forward(*inputs)
        if outputs.requires_grad:
            # Zeros: a compiled backward pass is like any other, and gradients are made anew by each step.
            torch.autograd.backward(outputs, torch.zeros_like(outputs))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # as in Compiled
        compiled.give_up(error)
    finally:
        for parameter in network.parameters():
            parameter.grad = None
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        set_rng_state(numbers)
    if compiled.compiled is not None:
        log.info("compiled in %.1f s", time.monotonic() - start)
