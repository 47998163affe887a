"""torch's optimizers and Muon, and whether each has a fused kernel."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import optimizer

from nnzoo.training.optimization.muon import Muon


@dataclass(frozen=True)
class Row:
    """An optimizer.

    Attributes:
        build: The class of the optimizer.
        fused: Whether `fused=True` works on CPU and CUDA.
    """

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
    "muon": Row(Muon, fused=False),
    "lbfgs": Row(torch.optim.LBFGS, fused=False),
}


def build_optimizer(
    name: str, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], **fields: Any
) -> torch.optim.Optimizer:
    """Builds an optimizer.

    The fused kernel is used if torch has one. The choice never depends on timing, since the kernel affects the last
    bits of the results.

    Args:
        name: A name in `OPTIMIZERS`.
        parameters: The trained parameters, or parameter groups as in torch.
        fields: The keyword arguments of the class.
    """
    row = OPTIMIZERS[name]
    given: list[Any] = list(parameters)
    trained = [each for part in given for each in (part["params"] if isinstance(part, dict) else [part])]
    # torch has fused Adagrad for the CPU only.
    kinds = ("cpu",) if name == "adagrad" else ("cpu", "cuda")
    if row.fused and all(p.device.type in kinds and p.is_floating_point() for p in trained):
        fields["fused"] = True
    return _without_wrappers(name)(given, **fields)


@functools.cache
def _without_wrappers(name: str) -> type[torch.optim.Optimizer]:
    """Returns the class with the unwrapped methods.

    torch's wrappers exclude the methods from torch.compile. They import it, which takes longer than importing torch,
    although nnzoo never compiles an optimizer. `step` is also wrapped in a profiler range, which takes 15 % of the
    training time of a small network, and in the global optimizer hooks, which are still called if there are any.
    """
    kind = OPTIMIZERS[name].build
    bare = torch.no_grad()(inspect.unwrap(kind.step))
    hooked = torch.optim.Optimizer.profile_hook_step(bare)

    def step(self: torch.optim.Optimizer, closure: Callable[[], float] | None = None) -> Any:
        if optimizer._global_optimizer_pre_hooks or optimizer._global_optimizer_post_hooks:
            return hooked(self) if closure is None else hooked(self, closure)
        return bare(self, closure)

    step.hooked = True  # type: ignore[attr-defined]  # torch does not wrap a step with this mark
    unwrapped = {
        each: inspect.unwrap(getattr(kind, each)) for each in ("add_param_group", "state_dict", "load_state_dict")
    }
    return type(kind.__name__, (kind,), {**unwrapped, "step": step, "__module__": kind.__module__})
