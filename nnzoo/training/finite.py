"""Detects losses, weights and gradients that are not finite, names the layer and suggests a remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnzoo.errors import DivergedError
from nnzoo.training.precision.scaling import SMALLEST_SCALE
from nnzoo.training.state import TrainState

REMEDY = "Try a smaller optimizer.lr, or train.clip_grad_norm: 1.0."


def check_finite(value: float, state: TrainState, inputs: Sequence[Tensor] = ()) -> None:
    """Raises DivergedError if a loss is NaN or infinite.

    Args:
        value: The loss.
        state: The training state. Its gradients may still be those of the previous step.
        inputs: The arguments of the network, if they are known.
    """
    if math.isfinite(value):
        return
    parts = [f"the training loss is {value} in epoch {state.epoch + 1}, step {state.step + 1}"]
    parts.append(f"at lr {state.schedule.lr:g}")
    norm = gradient_norm(state.model)
    if norm is not None:
        parts.append(f"last gradient norm {norm:.3g}")
    layer = first_layer(state.model, inputs)
    raise DivergedError(f"{', '.join(parts)}{layer and f': {layer}'}. {advice(state)}")


def check_weights(state: TrainState) -> None:
    """Raises DivergedError if a weight is not finite. The epoch's losses do not show the effect of its last step."""
    if any(not weight.isfinite().all() for weight in state.model.parameters()):
        norm = gradient_norm(state.model)
        shown = "" if norm is None else f", last gradient norm {norm:.3g}"
        raise DivergedError(
            f"{first_layer(state.model)} after epoch {state.epoch}, step {state.step}, at lr {state.lr:g}{shown}. "
            f"{advice(state)}"
        )


def check_scale(state: TrainState) -> None:
    """Raises DivergedError if gradients overflow float16 even with the smallest loss scale, so no step is taken."""
    if state.scaler is None or (scale := state.scaler.get_scale()) >= SMALLEST_SCALE:
        return
    raise DivergedError(
        f"the gradients of epoch {state.epoch + 1} overflow float16 even with a loss scale of {scale:.1g}, "
        f"at lr {state.schedule.lr:g}. {advice(state)}"
    )


def gradient_norm(model: nn.Module) -> float | None:
    """Returns the 2-norm of all gradients, in float64 since their squares may overflow; None without gradients."""
    squares = [float(each.grad.cpu().double().square().sum()) for each in model.parameters() if each.grad is not None]
    return math.sqrt(sum(squares)) if squares else None


def first_layer(model: nn.Module, inputs: Sequence[Tensor] = ()) -> str:
    """Describes the first weight that is not finite, else the first such gradient, else the first such layer output.

    Args:
        model: The network. If inputs are given, it is run once more and must not be trained afterwards.
        inputs: The arguments of the network for one batch; empty to skip the outputs.
    """
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            return f"{name} is no longer finite"
    for name, weight in model.named_parameters():
        if weight.grad is not None and not weight.grad.isfinite().all():
            return f"the gradient of {name} is not finite"
    layer = _first_output(model, inputs) if inputs else ""
    return layer and f"the output of {layer} is not finite"


@torch.no_grad()
def _first_output(model: nn.Module, inputs: Sequence[Tensor]) -> str:
    names: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def check(module: nn.Module, arguments: object, output: object) -> None:  # noqa: ARG001
            first = output[0] if isinstance(output, tuple) and output else output
            if isinstance(first, Tensor) and not first.isfinite().all():
                names.append(f"{name} ({type(module).__name__})")

        return check

    layers = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    hooks = [module.register_forward_hook(note(name)) for name, module in layers]
    try:
        model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return names[0] if names else ""


def advice(state: TrainState) -> str:
    """Returns what to do about a loss that is not finite, and which weights were kept."""
    todo = REMEDY
    if isinstance(state.optimizer, torch.optim.LBFGS):
        todo = "lbfgs compares gradients of one loss: try train.batch_size: full, or a smaller optimizer.lr."
    if state.step == 0:
        todo = "Are inputs or targets very large? preprocess.normalize and preprocess.scale_target scale them."
    if state.scaler is not None:
        todo = f"float16 ends at 65504: try train.precision: bf16-mixed. {todo}"
    kept = f"epoch {state.early_stopping.best_epoch}" if state.early_stopping.best_epoch else "before the first epoch"
    return f"{todo} The weights of {kept} were kept."
