"""The last hidden layer on a plane, by its two leading principal components."""

from __future__ import annotations

import torch
from torch import Tensor

from nnzoo.report.charts import Curve, Scatter
from nnzoo.report.inside.network import MAX_SAMPLES, Found, Network

MAX_GROUPS = 12


def representation_parts(network: Network) -> Found:
    """Returns the samples of the measured split where the last hidden layer puts them, in the color of their class."""
    if network.decoder.per != "sample" or network.decoder.task == "multilabel":
        return "The last hidden layer is shown if each sample has one class or value."
    head = network.head
    if not head:
        return "The network has no output layer that reads a hidden layer."
    rows = slice(0, MAX_SAMPLES)
    inputs = network.inputs(network.split, rows)
    states = network.activations(inputs, [head], network.lengths(network.split, rows), entering=True).get(head)
    if states is None or states.shape[0] != len(inputs) or states.flatten(1).shape[1] < 2 or len(states) < 3:
        return "The last hidden layer is shown if it has two units or more, and the split three samples or more."
    if len(network.blocks) == 1:
        return "The network has no hidden layer."
    points, shares = principal_components(states.flatten(1))
    caption = (
        f"The {states.flatten(1).shape[1]} values that the output layer reads, for {len(points)} samples of "
        f"{network.run.split}, on their two leading principal components, with {shares[0]:.0%} and {shares[1]:.0%} of "
        "the variance. Groups that lie apart are easy to separate."
    )
    x_label, y_label = f"component 1 ({shares[0]:.0%})", f"component 2 ({shares[1]:.0%})"
    return [Scatter("The last hidden layer", caption, x_label, y_label, _groups(network, points))]


def principal_components(values: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the two leading principal components of samples.

    Args:
        values: (N, F) with F of at least 2.

    Returns:
        (N, 2) float64, where the largest weight of a component is positive; and (2,) their shares of the variance.
    """
    centered = values.double() - values.double().mean(0)
    _, singular, components = torch.linalg.svd(centered, full_matrices=False)
    components = components[:2]
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    components = components * torch.where(largest < 0, -1.0, 1.0)
    total = singular.square().sum()
    shares = singular[:2].square() / total if total > 0 else torch.zeros(2, dtype=torch.float64)
    return centered @ components.T, shares


def _groups(network: Network, points: Tensor) -> dict[str, Curve]:
    """Returns the points of each class, or of each quarter of the targets."""
    rows = slice(0, len(points))
    if network.decoder.task == "regression":
        target = network.split.truth[rows, 0].cpu().double()
        edges = target.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
        labels = torch.bucketize(target.contiguous(), edges)
        name = network.dataset.target_names[0]
        names = [f"{name}: {quarter} quarter" for quarter in ("lowest", "second", "third", "highest")]
    else:
        labels = network.true_labels(network.split, rows)
        names = list(network.dataset.classes)
    counts = torch.bincount(labels, minlength=len(names))
    kept = [i for i in counts.argsort(descending=True).tolist() if counts[i]]
    if len(kept) > MAX_GROUPS:
        kept = kept[: MAX_GROUPS - 1]
    groups: dict[str, Curve] = {
        names[i]: (points[labels == i, 0].tolist(), points[labels == i, 1].tolist()) for i in sorted(kept)
    }
    others = ~torch.isin(labels, torch.tensor(kept))
    if bool(others.any()):
        groups[f"{len(names) - len(kept)} other classes"] = (points[others, 0].tolist(), points[others, 1].tolist())
    return groups
