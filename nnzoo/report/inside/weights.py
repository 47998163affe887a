"""The weights of the first layer as images, where the inputs are pixels, steps or named columns."""

from __future__ import annotations

from torch import Tensor, nn

from nnzoo.report.charts import Heatmap, Images, Picture
from nnzoo.report.inside.network import Found, Network
from nnzoo.report.inside.pictures import diverging, sample_image

MAX_FILTERS, MAX_CELLS = 64, 4096


def weight_parts(network: Network) -> Found:
    """Returns the weights of the first layer with weights: filters, weights per pixel, or weights per input."""
    for module in network.module.modules():
        if isinstance(module, nn.Embedding):
            return "The first layer has a vector per token, which has no image."
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            return _filters(module.weight.detach().cpu())
        if isinstance(module, nn.Linear):
            return _linear(network, module.weight.detach().cpu())
        if isinstance(module, nn.RNNBase):
            return _recurrent(network, module)
    return "The network has no layer whose weights belong to inputs."


def _filters(weights: Tensor) -> Found:
    """Returns the filters (O, C, K) or (O, C, H, W) as images."""
    shown = weights[:MAX_FILTERS]
    largest = float(shown.abs().max())
    if weights.ndim == 3:
        images = [diverging(filters, largest) for filters in shown]  # channels down, steps to the right
        how = "Each row of an image is a feature, each column a step."
    elif weights.shape[1] == 3:
        images = [sample_image(filters) for filters in shown]
        how = "Red, green and blue are the three channels; gray is 0 in all of them."
    else:
        channels = f", the mean of {weights.shape[1]} channels" if weights.shape[1] > 1 else ""
        images = [diverging(filters.mean(0), largest) for filters in shown]
        how = f"White is 0, blue is positive, orange is negative{channels}."
    items = [Picture(png, f"filter {i + 1}", f"{i + 1}") for i, png in enumerate(images)]
    size = " × ".join(map(str, weights.shape[2:]))
    some = f"The first {len(items)} of {len(weights)}" if len(items) < len(weights) else f"The {len(weights)}"
    caption = f"{some} filters of {size} values. {how} All filters have the same scale."
    return [Images("Filters of the first layer", caption, items, size=48)]


def _linear(network: Network, weights: Tensor) -> Found:
    """Returns the weights (O, F) of a fully connected first layer."""
    shape = network.input_shape
    if len(shape) == 3 and shape[0] * shape[1] * shape[2] == weights.shape[1]:
        maps = weights[:MAX_FILTERS].reshape(-1, *shape).mean(1)
        items = [Picture(diverging(each), f"weights of unit {i + 1}", f"{i + 1}") for i, each in enumerate(maps)]
        some = f"The first {len(items)} of {len(weights)} units" if len(items) < len(weights) else "Each unit"
        caption = (
            f"{some} of the first layer, with one weight per pixel: a unit responds to images that are bright where it "
            "is blue and dark where it is orange. White is 0. Each unit has its own scale."
        )
        return [Images("Weights of the first layer", caption, items, size=64)]
    names = network.input_names
    if len(shape) != 1 or len(names) != weights.shape[1]:
        return "The weights of the first layer have no image, since its inputs are neither pixels nor named columns."
    return _matrix(weights, names, "unit", "input")


def _recurrent(network: Network, module: nn.RNNBase) -> Found:
    weights = module.get_parameter("weight_ih_l0").detach().cpu()
    names = network.input_names or tuple(f"input {i + 1}" for i in range(weights.shape[1]))
    if len(names) != weights.shape[1]:
        names = tuple(f"input {i + 1}" for i in range(weights.shape[1]))
    gates = {"LSTM": ("i", "f", "g", "o"), "GRU": ("r", "z", "n")}.get(type(module).__name__, ("h",))
    size = module.hidden_size
    labels = [f"{gate} {unit + 1}" for gate in gates for unit in range(size)]
    return _matrix(weights, names, "gate and unit" if len(gates) > 1 else "unit", "input", labels)


def _matrix(weights: Tensor, names: tuple[str, ...], row: str, column: str, labels: list[str] | None = None) -> Found:
    """Returns the weights (units, inputs) as a matrix of colored cells."""
    if weights.numel() > MAX_CELLS:
        return f"The first layer has {weights.numel():,} weights, which is too many for a matrix on the page."
    rows: list[str] | tuple[str, ...] = labels or [str(i + 1) for i in range(len(weights))]
    columns: list[str] | tuple[str, ...] = names
    if len(columns) <= 4 or (len(columns) < len(rows) and len(rows) > 40):  # else the matrix is tall
        weights, rows, columns, row, column = weights.T, columns, rows, column, row
    caption = f"One row per {row}, one column per {column}: blue is positive, orange is negative."
    title = "Weights of the first layer"
    return [Heatmap(title, caption, weights.tolist(), rows, columns, row, column, diverging=True)]
