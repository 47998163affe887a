"""Selects the parameters of a module that are trained, frozen or penalised."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn

BatchNorm = nn.modules.batchnorm._BatchNorm


def head_of(model: nn.Module) -> str:
    """Returns the dotted name of the last layer: the module's own `head`, else the last module with parameters.

    A model that has a layer called `head` gives the name of its last layer in `head_name` instead.
    """
    head = getattr(model, "head_name", getattr(model, "head", None))
    if isinstance(head, str):
        return head
    owners = [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]
    return owners[-1] if owners else ""


def set_train_mode(model: nn.Module) -> None:
    """Calls `model.train()`, but keeps batch norms in evaluation mode if all of their parameters are frozen."""
    model.train()
    for module in model.modules():
        if isinstance(module, BatchNorm) and module.affine and not any(p.requires_grad for p in module.parameters()):
            module.eval()


def penalised(model: nn.Module) -> list[nn.Parameter]:
    """Returns the trained parameters that L1 and L2 penalise: those with two or more axes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.ndim >= 2]


def hidden_weights(model: nn.Module) -> list[nn.Parameter]:
    """Returns the parameters with two or more axes, except for those of embeddings and of the last layer."""
    head = head_of(model)
    others = {
        id(parameter)
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) or name == head or name.startswith(f"{head}.")
        for parameter in module.parameters()
    }
    return [each for each in model.parameters() if each.ndim >= 2 and id(each) not in others]


def has_batch_norm(model: nn.Module) -> bool:
    """Whether the model has batch norm, for which a training batch of one sample is too small."""
    return any(isinstance(module, BatchNorm) for module in model.modules())


def takes_lengths(model: nn.Module) -> bool:
    """Whether `forward(inputs, lengths)` accepts the number of valid steps of each sequence."""
    return "lengths" in inspect.signature(model.forward).parameters


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], *, assign: bool = False) -> None:
    """Calls `model.load_state_dict` for tensors that were saved without the version numbers of torch's modules.

    The tensors come from the same model, so its own version numbers apply. Some networks of torchvision fail to load
    without them.

    Args:
        model: The module to load into.
        weights: One tensor for every name of its state_dict.
        assign: Whether the tensors replace the model's own instead of being copied into them.

    Raises:
        RuntimeError: The names or shapes differ from those of the model.
    """
    state = OrderedDict(weights)
    versions = getattr(model.state_dict(), "_metadata", None)
    if versions is not None:
        state._metadata = versions  # type: ignore[attr-defined]  # torch keeps them there
    model.load_state_dict(state, assign=assign)
