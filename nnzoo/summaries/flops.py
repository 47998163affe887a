"""Counts the FLOPs of a forward pass with torch's formulas, without importing torch's compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class _CountsOperations:
    """Counts operations and adds up their FLOPs, as `torch.utils.flop_counter.FlopCounterMode` does.

    If a direct subclass of TorchDispatchMode defines the method below, torch wraps it in a function that imports its
    compiler. That import takes longer than importing torch, so this class is a mixin.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.operations = 0

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        with self:  # type: ignore[attr-defined]  # TorchDispatchMode is the context
            output = operation.decompose(*args, **given)
        if output is not NotImplemented:
            return output
        output = operation(*args, **given)
        self.operations += 1
        formula = flop_registry.get(operation.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **given, out_val=output)
        return output


class FlopCounter(_CountsOperations, TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """A context manager that counts FLOPs and operations. Control-flow operations such as `torch.cond` fail.

    Attributes:
        operations: The number of operations so far, views included.
        flops: The count so far; a multiplication and an addition count as two.
    """
