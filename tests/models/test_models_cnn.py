"""The convolutional network: sizes, errors, weight sharing and padding."""

import copy
import math
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models import HiddenLayer, freeze
from nnzoo.models.activations import Maxout
from nnzoo.models.blocks import Conv, ConvLayer, GlobalPool, Layer, PoolLayer, output_size
from nnzoo.models.cnn import CNN

Shape = tuple[int, ...]


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def build(input_shape: Shape, blocks: list[Layer], out_features: int = 3, *, seed: int = 0, **fields: Any) -> CNN:
    torch.manual_seed(seed)
    return CNN(input_shape, out_features, blocks=blocks, **fields)


# Sizes


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "padding", "expected"),
    [(227, 11, 4, 0, 55), (7, 3, 1, 0, 5), (7, 3, 2, 0, 3), (10, 3, 2, 0, 4), (28, 5, 1, 2, 28), (2, 3, 1, 0, 0)],
)
def test_published_output_sizes(size: int, kernel_size: int, stride: int, padding: int, expected: int) -> None:
    assert output_size(size, kernel_size, stride=stride, padding=padding) == expected
    sizes = torch.tensor([size, size])
    assert output_size(sizes, kernel_size, stride=stride, padding=padding).tolist() == [expected] * 2


def test_the_formula_matches_torch() -> None:
    for size, kernel, stride, padding, dilation in product((5, 9, 12), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2)):
        expected = output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
        conv = nn.Conv1d(1, 1, kernel, stride=stride, padding=padding, dilation=dilation)
        if expected > 0:
            assert conv(torch.zeros(1, 1, size)).shape[2] == expected
        else:
            with pytest.raises(RuntimeError, match="Kernel size"):
                conv(torch.zeros(1, 1, size))


def test_weight_sharing_in_the_first_layer_of_alexnet() -> None:
    net = build((3, 227, 227), [ConvLayer(96, 11, stride=4)], out_features=1)
    assert num_parameters(net.blocks) == 34_944
    # Without sharing, each output would have its own 11 x 11 x 3 weights and bias.
    positions = net.output.get_submodule("linear").in_features
    assert positions == 55 * 55 * 96
    assert positions * (11 * 11 * 3 + 1) == 105_705_600


sizes_of_windows = st.integers(1, 4)
conv_layers = st.builds(
    ConvLayer,
    st.sampled_from([2, 4]),
    sizes_of_windows,
    stride=st.integers(1, 2),
    padding=st.integers(0, 2) | st.just("valid"),
    dilation=st.integers(1, 2),
    groups=st.integers(1, 2),
    bias=st.booleans(),
    activation=st.sampled_from([nn.ReLU, nn.Sigmoid, nn.Tanh]).map(lambda kind: kind()) | st.none(),
    batch_norm=st.booleans(),
) | st.builds(ConvLayer, st.just(4), st.sampled_from([1, 3]), padding=st.just("same"), dilation=st.integers(1, 3))
pool_layers = st.integers(1, 4).flatmap(
    lambda size: st.builds(
        PoolLayer,
        st.sampled_from(["max", "avg"]),
        st.just(size),
        stride=st.none() | st.integers(1, 3),
        padding=st.integers(0, size // 2),
    )
)
stacks = st.lists(conv_layers | pool_layers, min_size=1, max_size=4)


@settings(max_examples=80, deadline=None)
@given(stacks, st.sampled_from([(2, 9, 7), (2, 6, 12), (11, 2)]))
def test_inferred_shapes_match_the_data(blocks: list[Layer], input_shape: Shape) -> None:
    """A network accepts inputs of its shape; the head would reject any other size."""
    try:
        net = build(input_shape, blocks).eval()
    except UsageError:
        assume(False)
    assert net(rows(2, *input_shape)).shape == (2, 3)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("input_shape", [(1, 6, 9), (6, 1)])
def test_sizes_may_differ_by_axis(kind: Any, input_shape: Shape) -> None:
    axes = len(input_shape) - 1
    layer = ConvLayer(4, (3, 5)[:axes], stride=(1, 2)[:axes], padding=[1, 0][:axes], dilation=(1, 2)[:axes])
    net = build(input_shape, [layer, PoolLayer(kind, (2, 1)[:axes]), GlobalPool(kind)])
    assert net(rows(5, *input_shape)).shape == (5, 3)


def test_a_cnn_matches_the_same_network_in_plain_torch() -> None:
    net = build(
        (3, 12, 10),
        [
            ConvLayer(8, 3, padding=1, batch_norm=True, dropout=0.2),
            PoolLayer("max", 2),
            ConvLayer(6, (3, 2), stride=2, groups=2, bias=False, activation=nn.Tanh()),
            PoolLayer("avg", 2, stride=1, padding=1),
        ],
        head=[20, HiddenLayer(7, activation=nn.ELU(), dropout=0.1)],
        output_activation=nn.Sigmoid(),
    )
    by_hand = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, (3, 2), stride=2, groups=2, bias=False),
        nn.Tanh(),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.Flatten(),
        nn.Linear(6 * 3 * 3, 20),
        nn.ReLU(),
        nn.Linear(20, 7),
        nn.ELU(),
        nn.Dropout(0.1),
        nn.Linear(7, 3),
        nn.Sigmoid(),
    )
    by_hand.load_state_dict(dict(zip(by_hand.state_dict(), net.state_dict().values(), strict=True)))
    inputs = rows(4, 3, 12, 10)
    for mode in (True, False):  # in training also with the same random numbers of dropout
        results = []
        for module in (net, by_hand):
            torch.manual_seed(1)
            results.append(module.train(mode)(inputs))
        assert results[0].equal(results[1])


def test_parameter_names_match_the_config() -> None:
    net = build((1, 8, 8), [ConvLayer(2, 3, batch_norm=True), PoolLayer("max", 2), GlobalPool()], head=[4])
    assert [name for name, part in net.named_modules() if not list(part.children())] == [
        *(f"blocks.0.{part}" for part in ("conv", "norm", "activation")),
        "blocks.1.pool",
        "blocks.2",
        "flatten",
        "hidden.0.linear",
        "hidden.0.activation",
        "output.linear",
    ]
    freeze(net, "backbone")
    assert [name for name, p in net.named_parameters() if p.requires_grad] == [
        "output.linear.weight",
        "output.linear.bias",
    ]


def test_without_blocks_a_cnn_is_an_mlp() -> None:
    net = build((1, 4, 4), [], head=[5])
    assert num_parameters(net) == 16 * 5 + 5 + 5 * 3 + 3


def test_maxout_gets_channels_for_its_pieces() -> None:
    layer = ConvLayer(4, 3, activation=Maxout(2), batch_norm=True)
    net = build((1, 6, 6), [layer, ConvLayer(2, 3)])
    assert net.blocks.get_submodule("0.conv").weight.shape == (8, 1, 3, 3)
    assert net(rows(2, 1, 6, 6)).shape == (2, 3)


# Errors


@pytest.mark.parametrize(
    ("input_shape", "blocks", "message"),
    [
        (
            (1, 8, 8),
            [ConvLayer(4, 3), PoolLayer("max", 2), ConvLayer(8, 5)],
            r"model\.blocks\[2\]\.conv: the window is larger .*\(got kernel_size 5 on an input of shape \(4, 3, 3\); "
            r"allowed up to 3\)",
        ),
        ((1, 4, 9), [ConvLayer(4, (5, 9))], r"\[0\]\.conv: .*got kernel_size \(5, 9\) .*allowed up to \(4, 9\)"),
        ((1, 9, 9), [ConvLayer(4, 6, dilation=2)], r"6 with dilation 2 .*\(1, 9, 9\); allowed up to 5\)"),
        ((4, 2), [PoolLayer("avg", 6, padding=0)], r"model\.blocks\[0\]\.pool: .*\(2, 4\); allowed up to 4\)"),
        ((1, 8, 8), [GlobalPool(), PoolLayer("max", 2)], r"model\.blocks\[1\]\.pool: .*\(1, 1, 1\); allowed up to 1\)"),
        ((1, 8, 8), [PoolLayer("max", 3, padding=2)], r"\[0\]\.pool\.padding: is more than half .*allowed up to 1\)"),
        ((6, 8, 8), [ConvLayer(4, 3, groups=4)], r"\[0\]\.conv\.groups: .*6 input .*4 output .*allowed 1, 2\)"),
        ((6, 8, 8), [ConvLayer(4, 3, groups=0)], r"\[0\]\.conv\.groups: .*allowed 1, 2\)"),
        ((1, 8, 8), [ConvLayer(4, 3, stride=2, padding="same")], r"\[0\]\.conv\.padding: .*stride 1 \(got stride 2\)"),
        (
            (1, 8, 8),
            [ConvLayer(4, (3, 3, 3))],
            r"\[0\]\.conv\.kernel_size: .*\(got \(3, 3, 3\); .* >= 1, or 2 of them\)",
        ),
        ((8, 1), [ConvLayer(4, (3, 3))], r"\[0\]\.conv\.kernel_size: .*allowed an integer >= 1\)"),
        ((1, 8, 8), [ConvLayer(4, 3, stride=0)], r"\[0\]\.conv\.stride: .*\(got 0; "),
        ((1, 8, 8), [ConvLayer(4, 3, padding=-1)], r"\[0\]\.conv\.padding: .*\(got -1; allowed an integer >= 0"),
        ((1, 8, 8), [ConvLayer(0, 3)], r"\[0\]\.conv\.out_channels: .*\(got 0; "),
        ((1, 8, 8), [PoolLayer("max", 2, stride=0)], r"\[0\]\.pool\.stride: .*\(got 0; "),
        ((5,), [], r"model: a cnn expects images .*\(got \(5,\), num_tokens None.*use an mlp"),
        ((2, 3, 4, 5), [], r"model: a cnn expects images"),
    ],
)
def test_an_invalid_block_is_named(input_shape: Shape, blocks: list[Layer], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(input_shape, blocks)


@pytest.mark.parametrize("size", [3, 8])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_size_that_an_error_allows_is_the_largest_that_fits(size: int, dilation: int, padding: int) -> None:
    with pytest.raises(UsageError) as caught:
        build((1, size, size), [ConvLayer(2, 50, dilation=dilation, padding=padding)])
    largest = int(caught.value.message.split("allowed up to ")[1].split(")")[0])
    build((1, size, size), [ConvLayer(2, largest, dilation=dilation, padding=padding)])
    with pytest.raises(UsageError):
        build((1, size, size), [ConvLayer(2, largest + 1, dilation=dilation, padding=padding)])


@pytest.mark.parametrize("fields", [{"num_tokens": 5}, {"embedding_dim": 5}])
def test_tokens_need_both_sizes(fields: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="num_tokens and embedding_dim"):
        build((5,), [], **fields)


def test_lengths_for_images_are_an_error() -> None:
    net = build((1, 4, 4), [ConvLayer(2, 3)])
    with pytest.raises(UsageError, match="lengths: images have no padding"):
        net(rows(2, 1, 4, 4), torch.tensor([1, 2]))


# Weight sharing


def test_convolution_is_equivariant_and_pooling_invariant_to_small_shifts() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[:, :, 4:8, 4:8] = rows(1, 1, 4, 4).abs()
    shifted = image.roll((1, 1), dims=(2, 3))
    torch.manual_seed(0)
    conv = Conv(1, ConvLayer(3, 3, padding=1), num_axes=2)
    assert conv(shifted).allclose(conv(image).roll((1, 1), dims=(2, 3)))
    assert not conv(shifted).allclose(conv(image))
    net = build((1, 16, 16), [ConvLayer(3, 3, padding=1), GlobalPool("max")])
    assert net(shifted).allclose(net(image))
    spot = torch.zeros(1, 1, 16, 16)
    spot[0, 0, 4, 4] = 1
    pool = build((1, 16, 16), [PoolLayer("max", 4)]).blocks
    assert pool(spot.roll((1, 1), dims=(2, 3))).equal(pool(spot))


def test_a_sobel_filter_finds_vertical_edges() -> None:
    conv = Conv(1, ConvLayer(1, 3, bias=False, activation=None), num_axes=2)
    conv.load_state_dict({"conv.weight": torch.tensor([[[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]]])})
    image = torch.zeros(1, 1, 6, 8)
    image[..., 4:] = 1
    assert conv(image)[0, 0].tolist() == [[0, 0, 4, 4, 0, 0]] * 4


# Sequences and tokens


def test_a_sequence_is_convolved_along_the_time_axis() -> None:
    net = build((7, 2), [ConvLayer(4, 3, activation=None)])
    inputs = rows(5, 7, 2)
    conv: Any = net.blocks.get_submodule("0.conv")
    by_hand = torch.stack(
        [torch.einsum("nkf,cfk->nc", inputs[:, t : t + 3], conv.weight) + conv.bias for t in range(5)], dim=2
    )
    torch.testing.assert_close(net.blocks(inputs.transpose(1, 2)), by_hand)
    assert net(inputs).shape == (5, 3)


def test_tokens_are_embedded_first() -> None:
    net = build((9,), [ConvLayer(4, 3), GlobalPool("max")], num_tokens=6, embedding_dim=5)
    tokens = torch.randint(6, (3, 9), generator=torch.Generator().manual_seed(0))
    assert net.embedding is not None
    assert net.embedding.weight.shape == (6, 5)
    plain = build((9, 5), [ConvLayer(4, 3), GlobalPool("max")])
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if "embedding" not in name})
    assert net(tokens).equal(plain(net.embedding(tokens)))


DEEP: list[Layer] = [
    ConvLayer(6, 3, padding=1, batch_norm=True, activation=nn.Sigmoid()),
    PoolLayer("max", 3, stride=2, padding=1),
    ConvLayer(4, 2, stride=1, dilation=2, activation=nn.Softplus()),
    PoolLayer("avg", 2, stride=1),
]
GARBAGE = [0.0, 1e9, -math.inf, math.nan]


@pytest.mark.parametrize("pooling", [[GlobalPool("avg")], [GlobalPool("max")], []])
@pytest.mark.parametrize("training", [True, False])
def test_padding_values_do_not_change_results(pooling: list[Layer], training: bool) -> None:
    lengths = torch.tensor([20, 9, 1, 14])
    inputs = rows(4, 20, 2)
    results = []
    for filler in GARBAGE:
        net = build((20, 2), copy.deepcopy([*DEEP, *pooling])).train(training)
        padded = inputs.masked_fill((torch.arange(20) >= lengths[:, None]).unsqueeze(2), filler).requires_grad_()
        outputs = net(padded, lengths)
        torch.autograd.backward(outputs.square().sum())
        assert padded.grad is not None
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        assert len(gradients) == len(list(net.parameters()))
        assert not any(padded.grad[row, length:].any() for row, length in enumerate(lengths))
        results.append([outputs, padded.grad, *gradients, *net.buffers()])
    for one, other in pairwise(results):
        assert all(left.equal(right) for left, right in zip(one, other, strict=True))
    assert all(tensor.isfinite().all() for tensor in results[0])


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_the_amount_of_padding_does_not_change_results(kind: Any) -> None:
    """Batch norm in training is included: its statistics are over valid steps only."""
    lengths = torch.tensor([12, 9, 7, 12])
    inputs = rows(4, 12, 2).double()
    results = []
    for more in (0, 1, 5):
        net = build((12, 2), copy.deepcopy([*DEEP, GlobalPool(kind)])).double()
        padded = torch.cat([inputs, rows(4, more, 2).double()], dim=1)
        results.append([net(padded, lengths), *net.buffers()])
    for one, other in pairwise(results):
        torch.testing.assert_close(one, other)


@settings(max_examples=80, deadline=None)
@given(stacks, st.sampled_from(["max", "avg"]), st.integers(1, 9), st.integers(0, 9))
def test_a_padded_sequence_has_the_same_result_as_unpadded(
    blocks: list[Layer], kind: Any, length: int, padding: int
) -> None:
    try:
        net = build((length, 2), [*blocks, GlobalPool(kind)]).eval().double()
    except UsageError:
        assume(False)
    inputs = rows(1, length + padding, 2, seed=1).double()
    torch.testing.assert_close(net(inputs, torch.tensor([length])), net(inputs[:, :length]))


def test_a_sequence_shorter_than_the_window_is_padded_with_zeros() -> None:
    net = build((8, 2), [ConvLayer(4, 5), GlobalPool("avg")])
    inputs = rows(1, 8, 2)
    filled = inputs.clone()
    filled[:, 2:] = 0
    torch.testing.assert_close(net(inputs, torch.tensor([2])), net(filled[:, :5]))


def test_padding_may_contain_invalid_tokens() -> None:
    net = build((6,), [ConvLayer(4, 2), GlobalPool("max")], num_tokens=4, embedding_dim=3)
    short = torch.tensor([[3, 0, 1]])
    padded = torch.tensor([[3, 0, 1, -100, 99, 4]])
    torch.testing.assert_close(net(padded, torch.tensor([3])), net(short))


def test_full_lengths_give_the_same_result_as_no_lengths() -> None:
    net = build((20, 2), copy.deepcopy(DEEP)).eval()
    inputs = rows(3, 20, 2)
    torch.testing.assert_close(net(inputs, torch.tensor([20] * 3)), net(inputs))


# Training


@pytest.mark.parametrize(
    ("input_shape", "fields"), [((2, 12, 12), {}), ((24, 2), {}), ((24,), {"num_tokens": 5, "embedding_dim": 2})]
)
def test_gradients_reach_every_parameter(input_shape: Shape, fields: dict[str, int]) -> None:
    net = build(input_shape, [*copy.deepcopy(DEEP), GlobalPool("avg")], head=[6], **fields)
    inputs = torch.randint(5, (8, *input_shape)) if fields else rows(8, *input_shape)
    net(inputs).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_gradients_of_masked_steps() -> None:
    net = build((9, 2), [*copy.deepcopy(DEEP[:3]), GlobalPool("avg")]).double()
    lengths = torch.tensor([9, 6, 7])
    inputs = rows(3, 9, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda batch: net(batch, lengths), inputs)


@pytest.mark.parametrize("input_shape", [(1, 10, 10), (14, 2)])
def test_weights_are_saved_and_loaded(input_shape: Shape) -> None:
    one, other = (build(input_shape, copy.deepcopy(DEEP[:3]), seed=seed) for seed in (0, 1))
    inputs = rows(4, *input_shape)
    one(inputs)  # batch norm statistics are saved too
    assert not one.eval()(inputs).equal(other.eval()(inputs))
    other.load_state_dict(one.state_dict())
    assert one(inputs).equal(other(inputs))
