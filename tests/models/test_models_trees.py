"""Trees: parsing, and the computation by levels against one node at a time."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnzoo.data.trees import Tree, TreeReader, parse_tree
from nnzoo.data.vocabulary import Vocabulary
from nnzoo.models import initialize, plan
from nnzoo.models.initializers import Rule
from nnzoo.models.trees import Levels, RecursiveNet, TreeLSTM

VOCABULARY = {"unknown": 1, "It": 2, "'s": 3, "fun": 4}
READER = TreeReader(labels=5, vocabulary=Vocabulary(tokenizer="word", lowercase=False, symbols=("It", "'s", "fun")))
NETS = [pytest.param(RecursiveNet, id="recursive"), pytest.param(TreeLSTM, id="tree_lstm")]

Nested = str | tuple["Nested", "Nested"]
NESTED: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["It", "'s", "fun", "unknown"]), lambda nodes: st.tuples(nodes, nodes), max_leaves=12
)


def write(nested: Any, label: int = 0) -> str:
    """Returns the text of a tree, with a distinct label per node."""
    if isinstance(nested, str):
        return f"({label} {nested})"
    return f"({label} {write(nested[0], 2 * label + 1)} {write(nested[1], 2 * label + 2)})"


def rows(*nested: Any) -> Tensor:
    """Returns trees as inputs of a network."""
    return READER.encode([parse_tree(write(tree)) for tree in nested])


def make(kind: type[RecursiveNet] | type[TreeLSTM], **config: Any) -> RecursiveNet | TreeLSTM:
    torch.manual_seed(0)
    return kind(5, 3, **{"hidden_size": 2, **config}).double()


def node_by_node(net: RecursiveNet | TreeLSTM, nested: Any, label: int = 0) -> dict[int, Tensor]:
    """Computes outputs one node at a time, as in the papers, by label. The state of the root is under -1."""
    weights = dict(net.named_parameters())
    composed: dict[int, Tensor] = {}
    if isinstance(nested, str):
        state = weights["embedding.weight"][VOCABULARY[nested]]
        if isinstance(net, TreeLSTM):
            i, o, u = (weights["read.weight"] @ state + weights["read.bias"]).chunk(3)
            c = i.sigmoid() * u.tanh()
            state = torch.stack([o.sigmoid() * c.tanh(), c])
    else:
        composed = {**(left := node_by_node(net, nested[0], 2 * label + 1))}
        composed |= (right := node_by_node(net, nested[1], 2 * label + 2))
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


def labels(nested: Any, label: int = 0) -> list[int]:
    """Returns the labels that `write` assigns, each node before its children."""
    if isinstance(nested, str):
        return [label]
    return [label, *labels(nested[0], 2 * label + 1), *labels(nested[1], 2 * label + 2)]


def test_a_tree_is_encoded_with_each_node_before_its_children() -> None:
    assert parse_tree("(3 (2 It) (4 (2 's) (4 fun)))\n") == Tree(
        labels=(3, 2, 4, 2, 4),
        words=(None, "It", None, "'s", "fun"),
        left=(1, 0, 1, 0, 0),
        right=(2, 0, 2, 0, 0),
    )
    assert parse_tree(" ( 12\tword ) ") == Tree((12,), ("word",), (0,), (0,))
    assert parse_tree("(3(2 It)(4 fun))") == parse_tree("(3 (2 It)\n(4 fun))")


def test_words_are_split_only_at_spaces() -> None:
    assert parse_tree("(2 (2 8\u00a01\\/2) (2 -LRB-))").words == (None, "8\u00a01\\/2", "-LRB-")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: there is no tree"),
        (" \n", "column 1: there is no tree"),
        ("fun", r"column 1: a tree starts with '\(' \(got 'fun'\)"),
        (" ) ", r"column 2: a tree starts with '\(' \(got '\)'\)"),
        ("(3 (2 It) (4 fun)", "column 1: this bracket is never closed"),
        ("(3 (2 It) (4 fun", "column 11: this bracket is never closed"),
        ("(3 fun))", r"column 8: text after the end of the tree \(got '\)'\)"),
        ("(3 fun) (3 fun)", r"column 9: text after the end of the tree \(got '\('\)"),
        ("()", r"column 1: a node must be '\(label word\)' or '\(label node node\)'.* \(got '\(\)'\)"),
        ("(3)", r"column 1: a node must be .* \(got '\(3\)'\)"),
        ("(fun)", "column 1: a node must be"),
        ("(x fun)", "column 1: a node must be .* with an integer label"),
        ("(-1 fun)", "column 1: a node must be"),
        ("(2.5 fun)", "column 1: a node must be"),
        ("(3 (2 It))", "column 1: a node must be"),
        ("(3 (2 It) (2 's) (4 fun))", "column 1: a node must be"),
        ("(3 (2 It) (4 not fun))", "column 11: a node must be"),
        ("(3 (2 It) fun)", "column 1: a node must be"),
        ("((2 It) (4 fun))", "column 1: a node must be"),
        ("(3 (2 It) 4)", "column 1: a node must be"),
    ],
)
def test_errors_of_malformed_trees_have_a_position(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_tree(text)


def test_a_deep_tree_needs_no_recursion() -> None:
    depth = 5_000
    tree = parse_tree("(1 (0 fun) " * depth + "(0 It)" + ")" * depth)
    inputs = READER.encode([tree])
    assert len(Levels.of(inputs).num_leaves) == depth + 1
    assert make(RecursiveNet)(inputs).shape == (1, 2 * depth + 1, 3)


def test_a_batch_is_split_into_levels_from_the_roots_down() -> None:
    levels = Levels.of(rows(("It", ("'s", "fun")), "unknown", (("It", "It"), "fun")))
    assert (levels.num_leaves, levels.num_inner) == ([1, 2, 4], [2, 2, 0])
    # Trees of five rows each. In each level leaves come before nodes with children.
    assert levels.rows.tolist() == [5, 0, 10, 1, 14, 2, 11, 3, 4, 12, 13]
    assert levels.leaf_rows.tolist() == [5, 1, 14, 3, 4, 12, 13]
    assert levels.children[:, [1, 2, 5, 6]].tolist() == [[0, 3, 0, 2], [2, 1, 1, 3]]


@pytest.mark.parametrize("kind", NETS)
@given(nested=st.lists(NESTED, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_levels_match_node_by_node_computation(kind: Any, nested: list[Any]) -> None:
    net, inputs = make(kind), rows(*nested)
    outputs, slow = net(inputs), [node_by_node(net, tree) for tree in nested]
    weights = torch.zeros(inputs.shape[:2], dtype=torch.float64)
    for number, (tree, expected) in enumerate(zip(nested, slow, strict=True)):
        for row, label in enumerate(labels(tree)):
            torch.testing.assert_close(outputs[number, row], expected[label])
            weights[number, row] = math.cos(label)
    # Gradients, with a different weight per node.
    parameters = list(net.parameters())
    fast = torch.autograd.grad((outputs.square().sum(2) * weights).sum(), parameters, materialize_grads=True)
    total = sum(
        output.square().sum() * math.cos(label) for tree in slow for label, output in tree.items() if label != -1
    )
    assert isinstance(total, Tensor)
    for one, two in zip(fast, torch.autograd.grad(total, parameters, materialize_grads=True), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("kind", NETS)
def test_gradients_match_finite_differences(kind: Any) -> None:
    net, inputs = make(kind), rows(("It", ("'s", "fun")), "fun")
    names, parameters = zip(*net.named_parameters(), strict=True)

    def outputs(*values: Tensor) -> Any:
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (inputs,))

    assert torch.autograd.gradcheck(outputs, parameters)


@pytest.mark.parametrize("kind", NETS)
def test_a_tree_does_not_depend_on_its_batch(kind: Any) -> None:
    net = make(kind)
    inputs = rows(("It", ("'s", "fun")), "fun", (("It", "It"), "fun"), ("fun", "It"))
    roots = net(inputs)[:, 0]
    for numbers in ([2], [3, 0], [1, 1, 2]):
        torch.testing.assert_close(net(inputs[numbers])[:, 0], roots[numbers])
    wider = torch.nn.functional.pad(inputs, (0, 0, 0, 4))
    torch.testing.assert_close(net(wider)[:, 0], roots)


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
def test_gradients_reach_every_parameter_and_weights_are_loaded(kind: Any) -> None:
    net, batch = make(kind), rows(("It", ("'s", "fun")))
    net(batch).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
    torch.manual_seed(1)
    other = kind(5, 3, hidden_size=2).double()
    assert not other(batch).equal(net(batch))
    other.load_state_dict(net.state_dict())
    assert other(batch).equal(net(batch))


@pytest.mark.parametrize("kind", NETS)
def test_dropout_is_only_before_the_output(kind: Any) -> None:
    net, plain = make(kind, dropout=1.0), make(kind)
    inputs = rows(("It", ("'s", "fun")))
    levels, tokens = Levels.of(inputs), inputs[:, :, 0].flatten()
    assert net.train()(inputs).equal(net.state_dict()["output.linear.bias"].expand(1, 5, -1))
    assert net.states(levels, tokens).equal(plain.states(levels, tokens))
    assert net.eval()(inputs).equal(plain(inputs))


def test_word_vectors_start_small() -> None:
    net = RecursiveNet(5000, 2)
    initialize(plan(net, Rule("auto")))
    assert float(net.embedding.weight.detach().std()) == pytest.approx(0.1, rel=0.02)
