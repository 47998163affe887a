"""The classification models of torchvision, adapted to any number of channels and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from nnzoo.errors import UsageError
from nnzoo.models.alexnet import AveragedTo
from nnzoo.models.cnn import image_shape
from nnzoo.models.torchvision_weights import check_weights, fetch_weights, find_weights

_AVERAGED = {"alexnet": 6, "vgg": 7}
"""Models whose last maps are averaged to a fixed size, with that size."""


def torchvision_net(
    arch: str, *, input_shape: Sequence[int], out_features: int, weights: str | None = None, download: bool = True
) -> nn.Module:
    """Builds a classification model of torchvision: (N, C, H, W) -> (N, out_features).

    GoogLeNet and Inception have no auxiliary outputs. With pretrained weights, only the last layer is newly
    initialised. Without them torchvision initialises the model; if the number of channels is not 3, the first
    convolution is replaced and initialised by PyTorch. Vision transformers are built for the size of the images.

    Args:
        arch: torchvision's name.
        input_shape: (C, H, W).
        out_features: Output units.
        weights: The name of pretrained weights, or DEFAULT; None for random initialisation.
        download: Whether to load the pretrained weights. If False, the model has the same structure with random
            weights; use it if other weights are loaded afterwards.

    Raises:
        UsageError: There is no such model or there are no such weights, they can't be downloaded, or the images do not
            fit the model.
    """
    from torchvision import models

    channels, height, width = image_shape(input_shape, model=arch)
    if arch not in models.list_models(module=models):
        raise UsageError(f"torchvision has no classification model '{arch}'.", where="model.arch")
    options: dict[str, Any] = {}
    if arch in ("googlenet", "inception_v3"):
        # init_weights: GoogLeNet's and Inception's own; leaving it out only warns that it is slow.
        options = {"aux_logits": False, "init_weights": weights is None}
    if arch.startswith(("vit_", "maxvit_")):
        options = _size_options(arch, height, width, pretrained=weights is not None)
    if weights is None:
        net: Any = models.get_model(arch, num_classes=out_features, **options)
        if channels != 3:
            _replace(net, _first_convolution(net), in_channels=channels)
    else:
        net = _pretrained(arch, weights, channels, options, download=download)
        _replace(net, _output_layer(net), out_features=out_features)
    for prefix, size in _AVERAGED.items():
        if arch.startswith(prefix):
            net.avgpool = AveragedTo(size)
    net.head_name = _output_layer(net)
    return cast("nn.Module", net)


def _pretrained(arch: str, weights: str, channels: int, options: dict[str, Any], *, download: bool) -> nn.Module:
    """Builds the model for 1000 classes with its weights."""
    from torchvision import models

    chosen = find_weights(arch, weights)
    if channels != 3:
        raise UsageError(
            f"pretrained weights are for images of 3 channels (got {channels}). Repeat the channel, or train without "
            "pretrained weights.",
            where="model.weights",
        )
    if download:
        path = fetch_weights(arch, weights)
        check_weights(path)
        try:
            return cast("nn.Module", models.get_model(arch, weights=chosen, **options))
        except RuntimeError as error:
            reason = str(error).partition("\n")[2].strip().partition("\n")[0] or str(error)
            raise UsageError(f"{path} does not fit {arch}: {reason}", where="model.weights") from None
    net: Any = models.get_model(arch, **options)
    if hasattr(net, "transform_input"):
        net.transform_input = True
    return cast("nn.Module", net)


def _size_options(arch: str, height: int, width: int, *, pretrained: bool) -> dict[str, Any]:
    """Returns the arguments that set the image size of a vision transformer."""
    size: dict[str, Any]
    if arch == "maxvit_t":
        multiple, size = 224, {"input_size": (height, width)}
    else:
        multiple, size = int(arch.rsplit("_", 1)[1]), {"image_size": height}
    if height != width or height % multiple or (pretrained and height != 224):
        fits = "of 224 x 224" if pretrained else f"with sides that are a multiple of {multiple}"
        raise UsageError(f"{arch} needs square images {fits} (got {height} x {width}). Resize them.", where="model")
    return {} if pretrained else size


def _first_convolution(net: nn.Module) -> str:
    names: list[str] = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    return names[0]


def _output_layer(net: nn.Module) -> str:
    """Returns the name of the output layer: the last linear layer or convolution."""
    names: list[str] = [name for name, module in net.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return names[-1]


def _replace(net: nn.Module, name: str, **changes: int) -> None:
    """Replaces a layer by one with the same settings except for `changes`."""
    layer: Any = net.get_submodule(name)
    bias = layer.bias is not None
    new: nn.Module
    if isinstance(layer, nn.Linear):
        new = nn.Linear(layer.in_features, changes["out_features"], bias=bias)
    else:
        new = nn.Conv2d(
            changes.get("in_channels", layer.in_channels),
            changes.get("out_features", layer.out_channels),
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=bias,
        )
    net.set_submodule(name, new)
