"""Trees: reading them, and that levels of a batch give what node after node would."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.trees import Forest, RecursiveNet, Tree, TreeBatch, TreeLSTM, parse_tree

VOCABULARY = {"It": 1, "'s": 2, "fun": 3}
NETS = [pytest.param(RecursiveNet, id="recursive"), pytest.param(TreeLSTM, id="tree_lstm")]

Nested = str | tuple["Nested", "Nested"]
NESTED: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["It", "'s", "fun", "unknown"]), lambda nodes: st.tuples(nodes, nodes), max_leaves=12
)


def write(nested: Any, label: int = 0) -> str:
    """A tree's text; labels tell nodes apart."""
    if isinstance(nested, str):
        return f"({label} {nested})"
    return f"({label} {write(nested[0], 2 * label + 1)} {write(nested[1], 2 * label + 2)})"


def forest(*nested: Any) -> Forest:
    return Forest.of([parse_tree(write(tree)) for tree in nested], VOCABULARY, unknown=0)


def make(kind: type[RecursiveNet] | type[TreeLSTM], **config: Any) -> RecursiveNet | TreeLSTM:
    torch.manual_seed(0)
    return kind(4, 3, **{"hidden_size": 2, **config}).double()


def node_after_node(net: RecursiveNet | TreeLSTM, nested: Any, label: int = 0) -> dict[int, Tensor]:
    """The slow way, from the papers: outputs by label. The state of the root is under -1."""
    weights = dict(net.named_parameters())
    composed: dict[int, Tensor] = {}
    if isinstance(nested, str):
        state = weights["embedding.weight"][VOCABULARY.get(nested, 0)]
        if isinstance(net, TreeLSTM):
            i, o, u = (weights["read.weight"] @ state + weights["read.bias"]).chunk(3)
            c = i.sigmoid() * u.tanh()
            state = torch.stack([o.sigmoid() * c.tanh(), c])
    else:
        composed = {**(left := node_after_node(net, nested[0], 2 * label + 1))}
        composed |= (right := node_after_node(net, nested[1], 2 * label + 2))
        one, two = left[-1], right[-1]
        if isinstance(net, TreeLSTM):
            gates = weights["compose.weight"] @ torch.cat([one[0], two[0]]) + weights["compose.bias"]
            i, f_left, f_right, o, u = gates.chunk(5)
            c = i.sigmoid() * u.tanh() + f_left.sigmoid() * one[1] + f_right.sigmoid() * two[1]
            state = torch.stack([o.sigmoid() * c.tanh(), c])
        else:
            state = (weights["compose.weight"] @ torch.cat([one, two]) + weights["compose.bias"]).tanh()
    h = state[0] if isinstance(net, TreeLSTM) else state
    output = weights["output.linear.weight"] @ h + weights["output.linear.bias"]
    return {**composed, label: output, -1: state}


def by_label(batch: TreeBatch, outputs: Tensor) -> dict[int, Tensor]:
    """Of a batch of one tree."""
    return dict(zip(batch.labels.tolist(), outputs, strict=True))


def test_a_tree_is_its_nodes_children_first() -> None:
    assert parse_tree("(3 (2 It) (4 (2 's) (4 fun)))\n") == Tree(
        labels=(2, 2, 4, 4, 3),
        words=("It", "'s", "fun", None, None),
        left=(-1, -1, -1, 1, 0),
        right=(-1, -1, -1, 2, 3),
    )
    assert parse_tree(" ( 12\tword ) ") == Tree((12,), ("word",), (-1,), (-1,))
    assert parse_tree("(3(2 It)(4 fun))") == parse_tree("(3 (2 It)\n(4 fun))")


def test_words_keep_what_is_no_blank() -> None:
    assert parse_tree("(2 (2 8\u00a01\\/2) (2 -LRB-))").words == ("8\u00a01\\/2", "-LRB-", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: there is no tree"),
        (" \n", "column 1: there is no tree"),
        ("fun", r"column 1: a tree starts with '\(' \(got 'fun'\)"),
        (" ) ", r"column 2: a tree starts with '\(' \(got '\)'\)"),
        ("(3 (2 It) (4 fun)", "column 1: this bracket is never closed"),
        ("(3 (2 It) (4 fun", "column 11: this bracket is never closed"),
        ("(3 fun))", r"column 8: the tree has ended \(got '\)'\)"),
        ("(3 fun) (3 fun)", r"column 9: the tree has ended \(got '\('\)"),
        ("()", r"column 1: a node is '\(label word\)' or '\(label node node\)'.* \(got '\(\)'\)"),
        ("(3)", r"column 1: a node is .* \(got '\(3\)'\)"),
        ("(fun)", "column 1: a node is"),
        ("(x fun)", "column 1: a node is .*, its label a whole number"),
        ("(-1 fun)", "column 1: a node is"),
        ("(2.5 fun)", "column 1: a node is"),
        ("(3 (2 It))", "column 1: a node is"),
        ("(3 (2 It) (2 's) (4 fun))", "column 1: a node is"),
        ("(3 (2 It) (4 not fun))", "column 11: a node is"),
        ("(3 (2 It) fun)", "column 1: a node is"),
        ("((2 It) (4 fun))", "column 1: a node is"),
        ("(3 (2 It) 4)", "column 1: a node is"),
    ],
)
def test_malformed_trees_say_where(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_tree(text)


def test_a_deep_tree_needs_no_deep_stack() -> None:
    depth = 5_000
    tree = parse_tree("(1 (0 fun) " * depth + "(0 It)" + ")" * depth)
    batch = Forest.of([tree], VOCABULARY, unknown=0).batch()
    assert len(batch.level_sizes) == depth + 1
    assert make(RecursiveNet)(batch).shape == (2 * depth + 1, 3)


def test_a_batch_is_in_levels_from_the_roots_down() -> None:
    batch = forest(("It", ("'s", "fun")), "unknown", (("It", "It"), "fun")).batch()
    assert len(batch) == 3
    assert batch.level_sizes == (3, 4, 4)
    assert batch.leaf_sizes == (1, 2, 4)
    # Below the roots: the left children of the two inner ones, then the right ones; two of these four have children.
    assert batch.labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 5, 4, 6]
    assert batch.tokens.tolist() == [0, 1, 3, 1, 2, 1, 3]
    assert batch.places.tolist() == [1, 0, 2, 0, 2, 3, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("kind", NETS)
@given(nested=st.lists(NESTED, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_levels_give_what_node_after_node_would(kind: Any, nested: list[Any]) -> None:
    net, trees = make(kind), forest(*nested)
    batch = trees.batch()
    outputs, slow = net(batch), [node_after_node(net, tree) for tree in nested]
    torch.testing.assert_close(outputs[: len(nested)], torch.stack([tree[0] for tree in slow]))
    for number, expected in enumerate(slow):
        alone = trees.batch([number])
        for label, output in by_label(alone, net(alone)).items():
            torch.testing.assert_close(output, expected[label])
    # Gradients, through weights that differ from node to node.
    parameters = list(net.parameters())
    weights = torch.cos(batch.labels.double()).unsqueeze(1)
    fast = torch.autograd.grad((outputs.square() * weights).sum(), parameters, materialize_grads=True)
    total = sum(
        output.square().sum() * math.cos(label) for tree in slow for label, output in tree.items() if label != -1
    )
    assert isinstance(total, Tensor)
    for one, two in zip(fast, torch.autograd.grad(total, parameters, materialize_grads=True), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("kind", NETS)
def test_gradients_are_those_of_finite_differences(kind: Any) -> None:
    net, batch = make(kind), forest(("It", ("'s", "fun")), "fun").batch()
    names, parameters = zip(*net.named_parameters(), strict=True)

    def outputs(*values: Tensor) -> Any:
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (batch,))

    assert torch.autograd.gradcheck(outputs, parameters)


@pytest.mark.parametrize("kind", NETS)
def test_a_tree_does_not_depend_on_its_batch(kind: Any) -> None:
    net = make(kind)
    trees = forest(("It", ("'s", "fun")), "fun", (("It", "It"), "fun"), ("fun", "It"))
    roots = net(trees.batch())[:4]
    for numbers in ([2], [3, 0], [1, 1, 2], np.array([2, 3])):
        batch = trees.batch(numbers)
        torch.testing.assert_close(net(batch)[: len(batch)], roots[numbers])
    assert len(trees) == 4
    with pytest.raises(UsageError, match="at least one tree"):
        trees.batch([])


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (RecursiveNet(100, 5), 100 * 25 + (50 * 25 + 25) + (25 * 5 + 5)),
        (TreeLSTM(100, 5), 100 * 100 + (100 * 300 + 300) + (200 * 500 + 500) + (100 * 5 + 5)),
        (TreeLSTM(100, 5, embedding_dim=7, hidden_size=4), 100 * 7 + (7 * 12 + 12) + (8 * 20 + 20) + (4 * 5 + 5)),
    ],
)
def test_parameter_counts(net: nn.Module, expected: int) -> None:
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@pytest.mark.parametrize("kind", NETS)
def test_gradients_reach_every_parameter_and_weights_travel(kind: Any) -> None:
    net, batch = make(kind), forest(("It", ("'s", "fun"))).batch()
    net(batch).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
    torch.manual_seed(1)
    other = kind(4, 3, hidden_size=2).double()
    assert not other(batch).equal(net(batch))
    other.load_state_dict(net.state_dict())
    assert other(batch).equal(net(batch))


@pytest.mark.parametrize("kind", NETS)
def test_dropout_is_before_the_output_alone(kind: Any) -> None:
    net, plain = make(kind, dropout=1.0), make(kind)
    batch = forest(("It", ("'s", "fun"))).batch()
    assert net.train()(batch).equal(net.state_dict()["output.linear.bias"].expand(5, -1))
    assert net.states(batch).equal(plain.states(batch))
    assert net.eval()(batch).equal(plain(batch))


def test_a_network_learns_what_only_the_whole_tree_tells() -> None:
    """The label is that of the parts if both agree, which no single word and no sum of words says."""
    texts = [f"({int(a == b)} (0 {a}) (0 {b}))" for a in ("It", "fun") for b in ("It", "fun")]
    batch = Forest.of([parse_tree(text) for text in texts], VOCABULARY, unknown=0).batch()
    torch.manual_seed(0)
    net = RecursiveNet(4, 2, hidden_size=8)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(200):
        loss = nn.CrossEntropyLoss()(net(batch), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert net(batch).argmax(1).equal(batch.labels)


def test_a_batch_moves() -> None:
    batch = forest(("It", "fun")).batch()
    moved = batch.to("meta")
    assert {moved.labels.device.type, moved.tokens.device.type, moved.places.device.type} == {"meta"}
    assert moved.level_sizes == batch.level_sizes
