"""One row an optimizer: torch's own class, and whether it has a fused kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Row:
    """Attributes: the class, and whether `fused=True` works on CPU and CUDA."""

    build: type[torch.optim.Optimizer]
    fused: bool


OPTIMIZERS = {
    "sgd": Row(torch.optim.SGD, fused=True),
    "adam": Row(torch.optim.Adam, fused=True),
    "adamw": Row(torch.optim.AdamW, fused=True),
    "rmsprop": Row(torch.optim.RMSprop, fused=False),
    "adagrad": Row(torch.optim.Adagrad, fused=True),
    "adadelta": Row(torch.optim.Adadelta, fused=False),
    "adamax": Row(torch.optim.Adamax, fused=False),
    "nadam": Row(torch.optim.NAdam, fused=False),
    "radam": Row(torch.optim.RAdam, fused=False),
    "rprop": Row(torch.optim.Rprop, fused=False),
    "lbfgs": Row(torch.optim.LBFGS, fused=False),
}


def build_optimizer(name: str, parameters: Iterable[nn.Parameter], **fields: Any) -> torch.optim.Optimizer:
    """An optimizer over the parameters that are trained.

    The fused kernel is taken wherever torch has it: by a fixed rule, never by a timing, since it decides the last bits.

    Args:
        name: A name of `OPTIMIZERS`.
        parameters: Frozen ones are left out.
        fields: The class's own keyword arguments.
    """
    row = OPTIMIZERS[name]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    # torch has fused Adagrad for the CPU alone.
    kinds = ("cpu",) if name == "adagrad" else ("cpu", "cuda")
    if row.fused and all(p.device.type in kinds and p.is_floating_point() for p in trained):
        fields["fused"] = True
    return _unhooked(name)(trained, **fields)


@functools.cache
def _unhooked(name: str) -> type[torch.optim.Optimizer]:
    """The class with the step that it was written with.

    When the first optimizer is made, torch puts a profiler's range and its hooks around the step of its class. Here
    nobody sets hooks, and the range costs a small network 15 % of its time.
    """
    kind = OPTIMIZERS[name].build
    step: Callable[..., Any] = kind.step
    if getattr(step, "hooked", False):  # one was made before
        step = step.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(step)
    def bare(self: torch.optim.Optimizer, closure: Callable[[], float] | None = None) -> Any:
        return step(self, closure)

    bare.hooked = True  # type: ignore[attr-defined]  # torch's own mark: it leaves such a step alone
    return type(kind.__name__, (kind,), {"step": bare, "__module__": kind.__module__})
