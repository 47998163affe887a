"""The networks of the image papers: published sizes, supported image sizes, and custom layers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models import freeze, head_of
from nnzoo.models.alexnet import AveragedTo, alexnet
from nnzoo.models.cifar_resnet import CifarResNet, PaddedShortcut
from nnzoo.models.lenet import ScaledTanh, lenet5
from nnzoo.models.vgg import vgg

Build = Callable[..., nn.Module]


def resnet(depth: int) -> Build:
    return lambda **fields: CifarResNet(depth=depth, **fields)


def vgg_of(depth: Any, *, batch_norm: bool = False) -> Build:
    return lambda **fields: vgg(depth=depth, batch_norm=batch_norm, **fields)


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("build", "input_shape", "out_features", "expected"),
    [
        (lenet5, (1, 28, 28), 10, 61_706),
        (lenet5, (1, 32, 32), 10, 61_706),
        (alexnet, (3, 224, 224), 1000, 61_100_840),
        (vgg_of(11), (3, 224, 224), 1000, 132_863_336),
        (vgg_of(13), (3, 224, 224), 1000, 133_047_848),
        (vgg_of(16), (3, 224, 224), 1000, 138_357_544),
        (vgg_of(19), (3, 224, 224), 1000, 143_667_240),
        (vgg_of(11, batch_norm=True), (3, 224, 224), 1000, 132_868_840),
        (vgg_of(13, batch_norm=True), (3, 224, 224), 1000, 133_053_736),
        (vgg_of(16, batch_norm=True), (3, 224, 224), 1000, 138_365_992),
        (vgg_of(19, batch_norm=True), (3, 224, 224), 1000, 143_678_248),
        (resnet(20), (3, 32, 32), 10, 269_722),
        (resnet(32), (3, 32, 32), 10, 464_154),
        (resnet(44), (3, 32, 32), 10, 658_586),
        (resnet(56), (3, 32, 32), 10, 853_018),
        (resnet(110), (3, 32, 32), 10, 1_727_962),
    ],
)
def test_published_sizes(build: Build, input_shape: tuple[int, ...], out_features: int, expected: int) -> None:
    with torch.device("meta"):
        net = build(input_shape=input_shape, out_features=out_features)
        assert net(torch.empty(2, *input_shape)).shape == (2, out_features)
    assert num_parameters(net) == expected


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("build", "sizes"),
    [
        (lenet5, [(8, 8), (27, 28), (28, 28), (32, 32), (33, 40), (64, 64), (1, 1)]),
        (alexnet, [(63, 63), (64, 100), (224, 224)]),
        (vgg_of(11), [(32, 32), (33, 63), (64, 64)]),
        (vgg_of(13, batch_norm=True), [(32, 32), (96, 64)]),
        (resnet(20), [(1, 1), (8, 8), (28, 28), (31, 33), (64, 64)]),
    ],
)
def test_all_image_sizes_from_the_minimum_are_accepted(
    build: Build, sizes: list[tuple[int, int]], channels: int
) -> None:
    with torch.device("meta"):
        for height, width in sizes:
            net = build(input_shape=(channels, height, width), out_features=7)
            assert net(torch.empty(2, channels, height, width)).shape == (2, 7)


@pytest.mark.parametrize(
    ("build", "input_shape", "message"),
    [
        (alexnet, (3, 62, 224), r"model: alexnet needs images of at least 63 x 63 \(got 62 x 224\)"),
        (vgg_of(16, batch_norm=True), (1, 28, 28), r"model: vgg16_bn needs .* 32 x 32 \(got 28 x 28\)"),
        (vgg_of(16), (784,), r"model: vgg16 expects images of shape \(C, H, W\) \(got \(784,\)\)"),
        (lenet5, (28, 28), r"model: lenet5 expects images of shape \(C, H, W\) \(got \(28, 28\)\)"),
        (resnet(20), (10,), r"model: resnet20 expects images of shape \(C, H, W\) \(got \(10,\)\)"),
        (resnet(21), (3, 32, 32), r"model\.depth: is not 6 n \+ 2 \(got 21; "),
        (resnet(2), (3, 32, 32), r"model\.depth: is not 6 n \+ 2 \(got 2; "),
    ],
)
def test_an_unsupported_input_shape_is_an_error(build: Build, input_shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(input_shape=input_shape, out_features=10)


@pytest.mark.parametrize(("build", "smallest"), [(alexnet, 63), (vgg_of(11), 32)])
def test_one_pixel_less_than_the_minimum_size_fails(build: Build, smallest: int) -> None:
    with torch.device("meta"):
        net = build(input_shape=(3, smallest, smallest), out_features=2)
        net(torch.empty(1, 3, smallest, smallest))
        with pytest.raises(RuntimeError, match="too small"):
            net(torch.empty(1, 3, smallest - 1, smallest - 1))


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lenet5, 28),
        (resnet(20), 16),
        pytest.param(alexnet, 64, marks=pytest.mark.slow),
        pytest.param(vgg_of(11, batch_norm=True), 32, marks=pytest.mark.slow),
    ],
)
def test_head_name_and_gradients(build: Build, size: int) -> None:
    torch.manual_seed(0)
    net = build(input_shape=(2, size, size), out_features=5)
    inputs = torch.randn(4, 2, size, size)
    net(inputs).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    head = net.get_submodule(head_of(net))
    assert any(part.out_features == 5 for part in head.modules() if isinstance(part, nn.Linear))
    freeze(net, "backbone")
    trained = {id(parameter) for parameter in net.parameters() if parameter.requires_grad}
    assert trained == {id(parameter) for parameter in head.parameters()}


@pytest.mark.parametrize(("build", "size"), [(lenet5, 28), (alexnet, 64), (vgg_of(11), 32), (resnet(20), 16)])
def test_pooling_is_deterministic(build: Build, size: int) -> None:
    """On CUDA adaptive average pooling has a deterministic gradient only with output size 1, where torch uses mean."""
    assert "Mean" in type(nn.AdaptiveAvgPool2d(1)(torch.randn(1, 1, 4, 4, requires_grad=True)).grad_fn).__name__
    with torch.device("meta"):
        net = build(input_shape=(3, size, size), out_features=2)
    adaptive = [module for module in net.modules() if type(module).__name__.startswith("Adaptive")]
    assert all(isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size == 1 for module in adaptive)


@pytest.mark.parametrize(("build", "size"), [(lenet5, 28), (resnet(20), 16)])
def test_weights_are_saved_and_loaded(build: Build, size: int) -> None:
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        nets.append(build(input_shape=(1, size, size), out_features=5))
    one, other = nets
    inputs = torch.randn(4, 1, size, size)
    one(inputs)
    assert not one.eval()(inputs).equal(other.eval()(inputs))
    other.load_state_dict(one.state_dict())
    assert one(inputs).equal(other(inputs))


def test_alexnet_and_vgg_match_torchvision() -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        pairs = [
            (alexnet(input_shape=(3, 224, 224), out_features=1000), models.alexnet()),
            (vgg(depth=11, input_shape=(3, 224, 224), out_features=1000), models.vgg11(init_weights=False)),
            (
                vgg(depth=19, batch_norm=True, input_shape=(3, 224, 224), out_features=1000),
                models.vgg19_bn(init_weights=False),
            ),
        ]
    for ours, theirs in pairs:
        shapes = [{name: value.shape for name, value in net.state_dict().items()} for net in (ours, theirs)]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (6, 6), (6, 13), (7, 12), (20, 3)])
def test_averaging_to_a_size_matches_adaptive_pooling(shape: tuple[int, int]) -> None:
    inputs = torch.randn(2, 3, *shape, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(AveragedTo(6)(inputs), nn.functional.adaptive_avg_pool2d(inputs, 6))
    assert torch.autograd.gradcheck(AveragedTo(6), inputs)


def test_the_squashing_function_of_lenet() -> None:
    squash = ScaledTanh()
    torch.testing.assert_close(
        squash(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4, rtol=0
    )
    assert squash(torch.tensor(100.0)) == pytest.approx(1.7159)
    assert torch.autograd.gradcheck(squash, torch.linspace(-3, 3, 7, dtype=torch.float64).requires_grad_())


def test_lenet_pads_small_images_with_zeros() -> None:
    torch.manual_seed(0)
    small = lenet5(input_shape=(1, 28, 28), out_features=10)
    large = lenet5(input_shape=(1, 32, 32), out_features=10)
    large.load_state_dict(small.state_dict())
    inputs = torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(small(inputs), large(nn.functional.pad(inputs, (2, 2, 2, 2))))


@pytest.mark.parametrize(("size", "expected"), [((4, 6), (2, 3)), ((5, 7), (3, 4)), ((1, 1), (1, 1))])
def test_the_shortcut_without_parameters(size: tuple[int, int], expected: tuple[int, int]) -> None:
    shortcut = PaddedShortcut(stride=2, new_channels=3)
    inputs = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    outputs: Tensor = shortcut(inputs)
    assert outputs.shape == (2, 6, *expected)
    assert outputs[:, :3].equal(inputs[:, :, ::2, ::2])
    assert not outputs[:, 3:].any()
    assert num_parameters(shortcut) == 0
    assert torch.autograd.gradcheck(shortcut, inputs)


def test_a_residual_net_with_zero_blocks_is_the_identity() -> None:
    """If the last batch norm of every block is zero, only the shortcuts remain: the first 16 channels of the stem."""
    torch.manual_seed(0)
    net = CifarResNet(depth=20, input_shape=(3, 16, 16), out_features=4).eval()
    for name, parameter in net.named_parameters():
        if name.endswith("bn2.weight"):
            nn.init.zeros_(parameter)
    inputs = torch.randn(2, 3, 16, 16)
    maps = net.stages(net.stem(inputs))
    assert maps[:, :16].equal(net.stem(inputs)[:, :, ::4, ::4])
    assert not maps[:, 16:].any()
