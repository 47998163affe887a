"""Trees with the predicted label of every node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnzoo.data import Split
from nnzoo.data.reader import NO_TARGET
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Cell, Details, Drawing, Part, Section, TableOf
from nnzoo.report.escape import escape
from nnzoo.report.inside.network import MAX_SAMPLES, Network, network_of
from nnzoo.report.samples import Samples, symbols_of
from nnzoo.report.svg import NUM_COLORS

NUM_TREES = 3
MAX_NODES = 31
"""Larger trees are not drawn, unless there are no others."""
LEVEL, SIDE, TOP = 34, 14, 44
LETTER = 7.5
"""The width of a letter in pixels."""


def trees_section(run: RunWithData) -> Section | None:
    """Returns some trees with the predicted label of every node; None if samples are not trees."""
    network = network_of(run)
    if network is None or run.outputs is None or run.dataset.per != "node":
        return None
    samples = Samples(run, run.split)
    parts = [part for index in _chosen(network) for part in _tree(network, samples, index)]
    return Section("trees", "Trees", parts)


def _chosen(network: Network) -> list[int]:
    """Returns evenly spaced samples, if possible of at most `MAX_NODES` nodes."""
    sizes = _is_node(network.inputs(network.split, slice(0, MAX_SAMPLES))).sum(1)
    fitting = ((sizes <= MAX_NODES) & (sizes > 1)).nonzero()[:, 0]
    rows = fitting if len(fitting) else sizes.argsort()[:NUM_TREES]
    kept = torch.linspace(0, len(rows) - 1, min(NUM_TREES, len(rows))).round().long()
    chosen: list[int] = rows[kept].tolist()
    return chosen


def _is_node(inputs: Tensor) -> Tensor:
    """Returns which rows of trees (*, M, 3) are nodes: leaves have a token, inner nodes have children."""
    return (inputs[..., 0] > 0) | (inputs[..., 1] > 0)


@dataclass(frozen=True)
class LabelledTree:
    """A tree with the predicted label of every node. Nodes are in preorder, each before its children.

    Attributes:
        words: The word of each leaf.
        left: The left child of each node; the node itself for leaves.
        right: The right child of each node; the node itself for leaves.
        targets: The target of each node; `NO_TARGET` if it has none.
        answers: The predicted label of each node.
        shares: The probability of the predicted label.
        classes: The names of the labels.
    """

    words: Sequence[str]
    left: Sequence[int]
    right: Sequence[int]
    targets: Sequence[int]
    answers: Sequence[int]
    shares: Sequence[float]
    classes: Sequence[str]

    @property
    def phrases(self) -> list[str]:
        """The words below each node."""
        found = list(self.words)
        for node in reversed(range(len(found))):
            if self.left[node] != node:
                found[node] = f"{found[self.left[node]]} {found[self.right[node]]}"
        return found

    @property
    def wrong(self) -> list[bool]:
        """Whether each node has a target that is not its predicted label."""
        return [target not in (NO_TARGET, answer) for target, answer in zip(self.targets, self.answers, strict=True)]

    @property
    def description(self) -> str:
        """The text for those who don't see the drawing."""
        return f"The tree of: {self.phrases[0]}. Predicted: {self.classes[self.answers[0]]}."


def read_tree(network: Network, split: Split, index: int) -> LabelledTree:
    """Returns a sample of a split with the labels that the network predicts."""
    inputs = network.inputs(split, slice(index, index + 1)).cpu()
    count = int(_is_node(inputs[0]).sum())
    nodes = inputs[0, :count]
    outputs = network.outputs(inputs)[0, :count]
    answers = network.decoder.labels(outputs)
    shares = network.decoder.probabilities(outputs).gather(1, answers.unsqueeze(1))[:, 0]
    left, right = ((torch.arange(count) + nodes[:, i]).tolist() for i in (1, 2))
    words = symbols_of(nodes[:, 0], network.dataset.reader)
    targets = split.targets[index, :count].tolist()
    return LabelledTree(
        words, left, right, targets, answers.tolist(), list(map(float, shares)), network.dataset.classes
    )


def _tree(network: Network, samples: Samples, index: int) -> list[Part]:
    tree = read_tree(network, network.split, index)
    wrong, classes = tree.wrong, tree.classes
    rows: list[list[Cell]] = [
        [
            phrase,
            classes[target] if target != NO_TARGET else "",
            classes[answer],
            share,
            "wrong" if is_wrong else "",
        ]
        for phrase, target, answer, share, is_wrong in zip(
            tree.phrases, tree.targets, tree.answers, tree.shares, wrong, strict=True
        )
    ]
    num_labelled = sum(target != NO_TARGET for target in tree.targets)
    place = samples.place(index)
    title = f"{place or f'sample {index}'}: {num_labelled - sum(wrong)} of {num_labelled} labels right"
    caption = "The color of a node is its predicted label, × a wrong one. Nodes without a label are not counted."
    alt = f"{tree.description} The labels of all nodes are in the table below."
    table = TableOf(f"Nodes of {place}", "", ["phrase", "target", "answer", "probability", ""], rows)
    return [Drawing(title, caption, draw_tree(tree), alt), Details("The nodes as a table", [table])]


def draw_tree(tree: LabelledTree) -> str:
    """Returns the drawing of a tree: words from left to right, each node above its children."""
    words, left, right, answers, classes = tree.words, tree.left, tree.right, tree.answers, tree.classes
    wrong, count = tree.wrong, len(words)
    depth, place, edge = [0] * count, [0.0] * count, 10.0
    for node in range(count):  # a node comes before its children, and the left subtree before the right one
        if left[node] == node:
            width = max(4, min(len(words[node]), 16)) * LETTER + 12
            place[node] = edge + width / 2
            edge += width
        else:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    for node in reversed(range(count)):
        if left[node] != node:
            place[node] = (place[left[node]] + place[right[node]]) / 2
    legend, x = [], 10.0
    for i in dict.fromkeys(sorted(answers)):
        legend.append(f'<rect class="s{i % NUM_COLORS}" x="{x}" y="6" width="{SIDE}" height="{SIDE}" rx="3"/>')
        legend.append(f'<text x="{x + SIDE + 5}" y="18">{escape(classes[i], 24)}</text>')
        x += min(len(classes[i]), 24) * LETTER + SIDE + 20
    edges, drawn = [], []
    for node in range(count):
        y = TOP + depth[node] * LEVEL
        edges += [
            f'<path class="grid" d="M{place[node]:.1f} {y}L{place[child]:.1f} {TOP + depth[child] * LEVEL}"/>'
            for child in (left[node], right[node])
            if child != node
        ]
        corner = f'x="{place[node] - SIDE / 2:.1f}" y="{y - SIDE / 2}"'
        drawn.append(
            f'<rect class="s{answers[node] % NUM_COLORS}" {corner} width="{SIDE}" height="{SIDE}" rx="3"/>'
            + (f'<text class="middle strong" x="{place[node]:.1f}" y="{y + 5}">×</text>' if wrong[node] else "")
        )
        if left[node] == node:
            drawn.append(f'<text class="middle" x="{place[node]:.1f}" y="{y + 22}">{escape(words[node], 16)}</text>')
    wide, high = max(edge, x) + 10, TOP + max(depth) * LEVEL + 32
    style = f"width:{wide:.0f}px;max-width:none"
    return f'<svg viewBox="0 0 {wide:.0f} {high}" style="{style}">{"".join([*legend, *edges, *drawn])}</svg>'
