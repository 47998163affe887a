"""Hooks that collect what a training step computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.trace.record import Recorded
from nnzoo.training.state import TrainState


class Capture:
    """Hooks that collect the inputs, outputs and gradients of a step.

    Args:
        state: The training state.
    """

    def __init__(self, state: TrainState) -> None:
        # By batch: of a module that runs several times per batch, only the last call is kept.
        self.calls: dict[str, dict[int, tuple[Tensor, Tensor]]] = {}
        self.grads: dict[str, dict[int, Tensor]] = {}
        self.losses: list[tuple[Tensor, Tensor, Tensor]] = []
        self.output_grads: list[Tensor] = []
        self.raw: dict[str, Tensor] = {}
        self.modules = {name: each for name, each in state.model.named_modules() if not any(each.children())}
        self.handles = [each.register_forward_hook(self._note(name)) for name, each in self.modules.items()]
        self.handles.append(state.loss.register_forward_hook(self._note_loss))
        for name, parameter in state.model.named_parameters():
            if parameter.requires_grad:
                register: Any = parameter.register_hook  # has no type hints
                self.handles.append(register(self._add(name)))

    def _note(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Any) -> None:  # noqa: ARG001
            tensor = output[0] if isinstance(output, tuple) else output
            number = len(self.losses)
            kept = tensor.detach()
            self.calls.setdefault(name, {})[number] = (arguments[0].detach(), kept)
            # Below the first trained parameter, no gradient is computed.
            unknown = 0.0 if tensor.requires_grad else torch.nan
            self.grads.setdefault(name, {})[number] = torch.full_like(kept, unknown, dtype=torch.float64)

            def keep(grad: Tensor) -> None:
                if self.calls[name][number][1] is kept:
                    self.grads[name][number] = grad.detach()

            if tensor.requires_grad:
                register: Any = tensor.register_hook
                register(keep)

        return hook

    def _note_loss(self, module: nn.Module, arguments: tuple[Tensor, ...], value: Tensor) -> None:  # noqa: ARG002
        outputs, targets = arguments
        self.losses.append((outputs.detach(), targets.detach(), value.detach()))
        if outputs.requires_grad:
            register: Any = outputs.register_hook
            register(lambda grad: self.output_grads.append(grad.detach()))

    def _add(self, name: str) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            self.raw[name] = self.raw[name] + grad if name in self.raw else grad.detach().clone()

        return hook

    def close(self) -> None:
        """Removes the hooks."""
        for handle in self.handles:
            handle.remove()

    def recorded(self) -> dict[str, Recorded]:
        """Returns the modules of the step, in the order in which they ran."""
        return {
            name: Recorded(
                self.modules[name],
                torch.cat([inputs for inputs, _ in calls.values()]),
                torch.cat([outputs for _, outputs in calls.values()]),
                torch.cat(list(self.grads[name].values())),
            )
            for name, calls in self.calls.items()
        }
