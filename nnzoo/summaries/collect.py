"""Records a forward pass of a copy of the network: the calls of its modules and the FLOPs."""

from __future__ import annotations

import copy
import math
import random
import warnings
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nnzoo.errors import UsageError
from nnzoo.summaries.flops import FlopCounter

# Batch norm in train mode needs several samples, and an unusual size identifies the batch axis.
_NUM_SAMPLES = 5
# Parameters, and values per sample, up to which a forward pass takes a few milliseconds on a CPU.
_SMALL_NET, _SMALL_INPUT = 1_000_000, 10_000


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Args:
        name: The module's dotted path in the network; empty for the network itself.
        module: The module, taken from the copied network.
        input_shape: Shape of the first input tensor, without the batch axis; None if there was none.
        output_shape: Shape of the first output tensor, without the batch axis; None if there was none.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Recording:
    """The record of one forward pass.

    Args:
        net: The copy that ran, with the names, ties and `requires_grad` of the original.
        calls: The calls in the order in which they ended, so the network's own call comes last.
        flops: The FLOPs of one sample.
        num_operations: The number of operations of the pass; 0 for large networks, where it is not counted.
    """

    net: nn.Module
    calls: tuple[Call, ...]
    flops: int
    num_operations: int

    @cached_property
    def called_names(self) -> frozenset[str]:
        """The dotted paths of all modules that were called."""
        return frozenset(call.name for call in self.calls)

    @property
    def num_steps(self) -> int:
        """The most time steps that a recurrent layer processes one after another; 1 without recurrent layers."""
        steps = [
            call.input_shape[0]
            for call in self.calls
            if isinstance(call.module, nn.RNNBase) and call.module.batch_first and call.input_shape
        ]
        cells = Counter(call.name for call in self.calls if isinstance(call.module, nn.RNNCellBase))
        return max([1, *steps, *cells.values()])

    @cached_property
    def leaf_names(self) -> frozenset[str]:
        """The dotted paths of the called modules that did not call a submodule."""
        called = {call.module for call in self.calls}
        return frozenset(
            call.name
            for call in self.calls
            if not any(part in called for part in call.module.modules() if part is not call.module)
        )


def record(model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype) -> Recording:
    """Runs a copy of the net once, in the mode of the net. The net and the random generators do not change.

    A small net runs on the CPU. A large one runs on the meta device, which needs neither memory nor time, except for
    the import of torch's compiler (it takes longer than importing torch). A net whose control flow depends on values
    (`.item()`, lengths taken from the data) fails there, and then runs on the CPU. All inputs are 1: every vocabulary
    has a token 1, and lengths that are counted from entries other than padding (0) are not zero. A net whose inputs
    must meet constraints defines `summary_inputs(num_samples, input_shape)`, which returns them.

    Raises:
        UsageError: The net can't be copied, or its forward pass fails on this shape.
    """
    given = model, input_shape, dtype
    with _isolated():
        if sum(each.numel() for each in model.parameters()) <= _SMALL_NET and math.prod(input_shape) <= _SMALL_INPUT:
            # FlopCounter does not support all control flow, and other errors are raised again below.
            with suppress(UsageError):
                return _record_on(torch.device("cpu"), FlopCounter(), *given)
        try:
            return _record_on(torch.device("meta"), FlopCounterMode(display=False), *given)
        except UsageError:
            return _record_on(torch.device("cpu"), FlopCounterMode(display=False), *given)


@contextmanager
def _isolated() -> Iterator[None]:
    """A context that restores the random generators, and disables fused operations that have no FLOP formula."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    cuda_in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if cuda_in_use else ()
    with warnings.catch_warnings(), torch.random.fork_rng(devices), torch.no_grad():
        warnings.simplefilter("ignore")  # warnings of the forward pass appear when the net is used
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused_attention)
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def _record_on(
    device: torch.device,
    counter: FlopCounter | FlopCounterMode,
    model: nn.Module,
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Recording:
    net = _copy_onto(device, model)
    calls: list[Call] = []
    open_calls: list[Call] = []

    def enter(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        open_calls.append(Call(name, module, _sample_shape((args, kwargs)), None))

    def leave(module: nn.Module, args: tuple[Any, ...], output: object) -> None:  # noqa: ARG001
        while (call := open_calls.pop()).module is not module:
            pass  # a call that failed, whose error the net caught
        calls.append(Call(call.name, module, call.input_shape, _sample_shape(output)))

    with device:  # overrides the default device of the caller
        batch = _example(model, input_shape, dtype).to(device)
    try:
        for name, module in net.named_modules():
            if "parametrizations" not in name.split("."):  # parametrizations compute weights, not activations
                module.register_forward_pre_hook(partial(enter, name), with_kwargs=True)
                module.register_forward_hook(leave)
        with counter:
            net(batch)
    except Exception as error:  # a forward pass may raise anything
        raise _failed_call(model, open_calls, error) from error
    if isinstance(counter, FlopCounter):
        return Recording(net, tuple(calls), counter.flops // _NUM_SAMPLES, counter.operations)
    return Recording(net, tuple(calls), counter.get_total_flops() // _NUM_SAMPLES, 0)


def _example(model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    make = getattr(model, "summary_inputs", None)
    inputs = make(_NUM_SAMPLES, input_shape) if callable(make) else None
    return inputs if isinstance(inputs, Tensor) else torch.ones((_NUM_SAMPLES, *input_shape), dtype=dtype)


def _copy_onto(device: torch.device, model: nn.Module) -> nn.Module:
    """Returns a deep copy with every tensor on `device`, with ties but without hooks, which may have side effects."""
    memo: dict[int, Any] = {}
    try:
        for module in model.modules():
            # Plain attributes too: pruning stores a computed weight there, which deepcopy does not support.
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False), *vars(module).values()):
                if isinstance(tensor, Tensor) and id(tensor) not in memo:
                    memo[id(tensor)] = _tensor_onto(device, tensor)
            for hooks in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._backward_hooks,
                module._backward_pre_hooks,
            ):
                memo[id(hooks)] = OrderedDict()
        return copy.deepcopy(model, memo)
    except Exception as error:  # a __deepcopy__ may raise anything
        reason = _first_line(error)
        message = f"a summary runs a copy of the model, and copy.deepcopy fails ({reason}). Make it support deepcopy."
        raise UsageError(message, where=type(model).__name__) from error


def _tensor_onto(device: torch.device, tensor: Tensor) -> Tensor:
    values = tensor.detach()
    # A net on the meta device has no values to copy.
    copied = torch.zeros_like(values, device=device) if values.is_meta else values.to(device, copy=True)
    return nn.Parameter(copied, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied


def _failed_call(model: nn.Module, open_calls: list[Call], error: Exception) -> UsageError:
    """Returns an error that names the innermost module that was running."""
    if not open_calls:
        message = f"its forward pass can't be recorded ({_first_line(error)}). Use a plain nn.Module."
        return UsageError(message, where=type(model).__name__)
    call = open_calls[-1]
    got = "no tensor" if call.input_shape is None else f"an input of shape {[-1, *call.input_shape]}"
    kind = type(call.module).__name__
    message = (
        f"the forward pass fails (got {got}): {_first_line(error)}. Use a matching input shape or change the layer."
    )
    return UsageError(message, where=f"layer {call.name} ({kind})" if call.name else kind)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _sample_shape(value: object) -> tuple[int, ...] | None:
    """Returns the shape of the first tensor without the batch axis, which is axis 1 of `(time, batch, features)`."""
    tensor = _first_tensor(value)
    if tensor is None:
        return None
    shape = tuple(tensor.shape)
    axis = 1 if _NUM_SAMPLES in shape[1:2] and shape[0] != _NUM_SAMPLES else 0
    return shape[:axis] + shape[axis + 1 :]


def _first_tensor(value: object) -> Tensor | None:
    """Returns the first tensor in nested tuples, lists and mappings, such as the output in `(output, hidden)`."""
    if isinstance(value, Tensor):
        return value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((tensor for part in parts if (tensor := _first_tensor(part)) is not None), None)
