"""Formulas of the course, computed with the modules that nnzoo trains with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nnzoo.builders import build_loss
from nnzoo.builders.model import build_activation
from nnzoo.config import load_config
from nnzoo.config.activation import Activation
from nnzoo.config.base import members
from nnzoo.config.loss import LossSection
from nnzoo.config.suggest import did_you_mean
from nnzoo.data import Dataset, Preprocess, Split
from nnzoo.errors import UsageError
from nnzoo.lessons.functions.maths import Array, plain
from nnzoo.models.blocks import ConvLayer, Layer, PoolLayer, build_block, output_size


def _tensor(values: ArrayLike) -> Tensor:
    return torch.as_tensor(np.asarray(values, float))


def _module(name: str, fields: dict[str, Any]) -> nn.Module:
    known = members(Activation)
    if name not in known:
        raise UsageError(f"'{name}' is not an activation.{did_you_mean(name, known)}", where="lesson")
    module = build_activation(cast("Activation", known[name].model_validate({"name": name, **fields})))
    return nn.Identity() if module is None else module.double()


def activation(name: str, x: ArrayLike, **fields: Any) -> Any:
    """Returns the values of an activation; of softmax and maxout over each row."""
    with torch.no_grad():
        return plain(_module(name, fields)(_tensor(x)).numpy())


def derivative(name: str, x: ArrayLike, **fields: Any) -> Any:
    """Returns the derivative of an elementwise activation, by backpropagation."""
    inputs = _tensor(x).requires_grad_()
    outputs = _module(name, fields)(inputs)
    if not outputs.requires_grad:  # a step: constant wherever it has a derivative
        return plain(np.zeros(inputs.shape))
    return plain(torch.autograd.grad(outputs.sum(), inputs)[0].numpy())


def _loss(name: str, fields: dict[str, Any]) -> nn.Module:
    known = members(LossSection)
    if name not in known:
        raise UsageError(f"'{name}' is not a loss.{did_you_mean(name, known)}", where="lesson")
    is_for_classes = "classification" in known[name].tasks  # type: ignore[attr-defined]
    data = {"name": "random", "shape": [1], **({"classes": 2} if is_for_classes else {"targets": 1})}
    config = load_config({"data": data, "model": "linear", "loss": {"name": name, **fields}})
    return build_loss(config, None).double()


def loss(name: str, outputs: ArrayLike, targets: ArrayLike, **fields: Any) -> Any:
    """Returns the loss of outputs and targets.

    Targets are values for mse, l1, huber and smooth_l1; 0 or 1 for bce, hinge and perceptron; class indices or rows of
    probabilities for the other losses, whose outputs are rows of logits.
    """
    with torch.no_grad():
        return _value_of_loss(name, _tensor(outputs), targets, fields).item()


def losses(name: str, outputs: ArrayLike, targets: ArrayLike, **fields: Any) -> Any:
    """Returns the loss of each pair of output and target."""
    values, truth = np.broadcast_arrays(np.asarray(outputs, float), np.asarray(targets, float))
    return np.array([loss(name, [[each]], [[t]], **fields) for each, t in zip(values, truth, strict=True)])


def loss_gradient(name: str, outputs: ArrayLike, targets: ArrayLike, **fields: Any) -> Any:
    """Returns the derivative of the loss with respect to each output."""
    inputs = _tensor(outputs).requires_grad_()
    return plain(torch.autograd.grad(_value_of_loss(name, inputs, targets, fields), inputs)[0].numpy())


def _value_of_loss(name: str, outputs: Tensor, targets: ArrayLike, fields: dict[str, Any]) -> Tensor:
    truth = _tensor(targets)
    if truth.ndim < outputs.ndim:
        truth = truth.long()
    value: Tensor = _loss(name, fields)(outputs, truth)
    return value


def preprocess(rows: ArrayLike, **steps: Any) -> Array:
    """Returns rows after normalize, pca and whiten, or zca, fitted on the same rows."""
    values = _tensor(rows)
    targets = torch.zeros(len(values), 1)
    data = Dataset({"train": Split(values, targets)}, task="regression", layout="features", target_names=("y",))
    prepared: Array = Preprocess.fit(data, **steps)(values).double().numpy()
    return prepared


def _block(layer: Layer, image: ArrayLike, kernel: Tensor | None = None) -> Any:
    values = _tensor(image)
    values = values if values.ndim == 3 else values[None]
    block, _ = build_block(layer, tuple(values.shape))
    if kernel is not None:
        conv = next(part for part in block.modules() if isinstance(part, nn.Conv2d))
        conv.weight.data = kernel
    with torch.no_grad():
        maps = block.double()(values[None])[0].numpy()
    return maps[0] if len(maps) == 1 else maps


def convolve(image: ArrayLike, kernel: ArrayLike, stride: int = 1, padding: int = 0) -> Array:
    """Returns the map of a convolution of an image (H, W) or (C, H, W) with a kernel, without a bias."""
    weight = _tensor(kernel)
    weight = weight if weight.ndim == 3 else weight[None]
    size = (weight.shape[1], weight.shape[2])
    layer = ConvLayer(1, size, stride=int(stride), padding=int(padding), bias=False, activation=None)
    return cast("Array", _block(layer, image, weight[None]))


def pool(image: ArrayLike, kind: str, size: int, stride: int | None = None) -> Array:
    """Returns the map of max or avg pooling of an image (H, W) or (C, H, W)."""
    layer = PoolLayer(kind=kind, kernel_size=int(size), stride=int(stride or size))  # type: ignore[arg-type]
    return cast("Array", _block(layer, image))


def conv_size(width: int, kernel: int, padding: int = 0, stride: int = 1) -> int:
    """Returns the width of the map of a convolution, (W - K + 2P) / S + 1, rounded down."""
    return int(output_size(int(width), int(kernel), stride=int(stride), padding=int(padding)))


def finite_difference(name: str, x: float, step: float = 1e-5) -> float:
    """Returns the central difference of an activation at x."""
    return float(activation(name, x + step) - activation(name, x - step)) / (2 * step)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        activation,
        derivative,
        loss,
        losses,
        loss_gradient,
        preprocess,
        convolve,
        pool,
        conv_size,
        finite_difference,
    )
}
"""The functions by the name that expressions use."""
