"""An estimate of the time of a training step that does not depend on the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_PER_STEP, _PER_OPERATION, _PER_ENTRY, _PER_FLOP = 2e-4, 2e-6, 7e-10, 2e-11
"""CPU seconds, fitted to steps of dense, convolutional and recurrent networks on one core: most estimates are within a
factor of 2."""


class _CountsWork:
    """Counts operations, entries of their outputs, and FLOPs.

    It is a mixin for the same reason as in `nnzoo.summaries.flops`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def clear(self) -> None:
        """Sets all counts to 0."""
        self.operations = self.entries = self.flops = 0

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        output = operation(*args, **given)
        formula = flop_registry.get(operation.overloadpacket)
        self.flops += formula(*args, **given, out_val=output) if formula is not None else 0
        self.operations += 1
        outputs = output if isinstance(output, tuple | list) else (output,)
        self.entries += sum(each.numel() for each in outputs if isinstance(each, torch.Tensor))
        return output


class StepCost(_CountsWork, TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """A context manager that estimates the CPU time of the training step inside it.

    A measured time would differ between two runs of the same training, and so would the decisions based on it.
    """

    @property
    def seconds(self) -> float:
        """The estimated CPU time."""
        work: float = _PER_OPERATION * self.operations + _PER_ENTRY * self.entries + _PER_FLOP * self.flops
        return _PER_STEP + work
