"""Saliency maps: how much the predicted output changes with each input."""

from __future__ import annotations

import torch
from torch import Tensor

from nnzoo.report.charts import Heatmap, Images, Part, Picture
from nnzoo.report.inside.network import Found, Network
from nnzoo.report.inside.pictures import gray, sample_image
from nnzoo.training.batches.order import arguments_of

NUM_IMAGES = 6
MAX_STEPS = 200


def saliency_parts(network: Network) -> Found:
    """Returns the absolute gradient of the predicted output by each pixel, or by each value of a sequence."""
    inputs = network.inputs(network.split, slice(0, NUM_IMAGES))
    if not inputs.is_floating_point():
        return "Input gradients need inputs that are numbers, and tokens are not."
    if inputs.ndim == 2:
        return "Input gradients are shown for images and sequences; tables have the permutation importance."
    if network.decoder.per != "sample":
        return "Input gradients are shown if each sample has one prediction."
    gradients = input_gradients(network, inputs, network.lengths(network.split, slice(0, NUM_IMAGES)))
    return _images(network, inputs, gradients) if inputs.ndim == 4 else _sequence(network, gradients)


def input_gradients(network: Network, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Returns the gradients of the predicted outputs (Simonyan et al. 2014), of the shape of the inputs, on the CPU.

    The predicted output is the largest one for classes, the only one for two classes with one unit, and the first one
    for regression. A gradient says how the output changes with a small change of an input.
    """
    leaf = inputs.detach().clone().to(network.device).requires_grad_()
    # cuDNN has no backward pass of recurrent layers in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        outputs = network.module(*arguments_of(network.module, leaf, lengths))
        chosen = outputs[:, 0] if network.decoder.task == "regression" else outputs.amax(1)
        (gradients,) = torch.autograd.grad(chosen.sum(), leaf)
    return gradients.cpu()


def _images(network: Network, inputs: Tensor, gradients: Tensor) -> list[Part]:
    maps = gradients.abs().amax(1)  # (N, H, W), the largest of the channels
    predicted = network.outputs(inputs)
    labels = network.decoder.labels(predicted).tolist() if network.decoder.task == "classification" else []
    items = []
    for i in range(len(inputs)):
        name = f"predicted {network.class_name(labels[i])}" if labels else f"sample {i + 1}"
        items.append(Picture(sample_image(inputs[i]), f"sample {i + 1}, {name}", name))
        items.append(Picture(gray(maps[i]), f"the gradient for sample {i + 1}", "gradient"))
    caption = (
        f"The first samples of {network.run.split}, each with the size of the gradient of its predicted output by each "
        "pixel: a small change of a white pixel changes the output most. Each map has its own scale."
    )
    return [Images("Saliency maps", caption, items, size=96)]


def _sequence(network: Network, gradients: Tensor) -> list[Part]:
    steps = gradients[0] if network.lengths(network.split, slice(0, 1)) is None else _valid(network, gradients[0])
    shown = steps[:MAX_STEPS].T.abs()  # (F, T)
    names = network.input_names or tuple(f"feature {i + 1}" for i in range(len(shown)))
    caption = (
        f"The size of the gradient of the predicted output by each value of the first sample of {network.run.split}: "
        "the output depends most on the dark cells."
    )
    columns = [str(i + 1) for i in range(shown.shape[1])]
    return [Heatmap("Saliency over time", caption, shown.tolist(), names, columns, "feature", "step")]


def _valid(network: Network, steps: Tensor) -> Tensor:
    lengths = network.lengths(network.split, slice(0, 1))
    assert lengths is not None
    return steps[: int(lengths[0])]
