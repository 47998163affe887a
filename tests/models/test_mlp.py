"""The feedforward network: its two forms, the order of its parts, and networks that are linear."""

from typing import Any

import pytest
import torch
from torch import nn

import nnzoo
from nnzoo.models import MLP, Dense, HiddenLayer

DATA: dict[str, Any] = {"data": {"name": "random", "shape": [6], "classes": 3}}


def build(model: object, *, seed: int = 0, **sections: Any) -> nn.Module:
    torch.manual_seed(seed)
    return nnzoo.build_model({**DATA, "model": model, **sections})


def test_both_forms_build_the_same_network() -> None:
    shared = {"activation": "tanh", "batch_norm": True, "dropout": 0.3, "bias": False}
    short = build({"name": "mlp", "hidden": [5, 4], **shared})
    long = build({"name": "mlp", "layers": [{"units": 5, **shared}, {"units": 4, **shared}]})
    mixed = build({"name": "mlp", "layers": [{"units": 5}, {"units": 4}], **shared})
    for other in (long, mixed):
        assert str(other) == str(short)
        assert all(
            one.equal(two) for one, two in zip(short.state_dict().values(), other.state_dict().values(), strict=True)
        )


def test_a_layer_overrides_the_settings_of_the_model() -> None:
    layers = [{"units": 5, "batch_norm": False, "dropout": 0.0, "bias": True, "activation": "identity"}, {"units": 4}]
    net = build({"name": "mlp", "layers": layers, "batch_norm": True, "dropout": 0.5, "bias": False})
    first, second = (net.get_submodule(f"hidden.{index}") for index in (0, 1))
    assert [name for name, _ in first.named_children()] == ["linear"]
    assert "bias" in first.get_submodule("linear").state_dict()
    assert [name for name, _ in second.named_children()] == ["linear", "norm", "activation", "dropout"]
    assert "bias" not in second.get_submodule("linear").state_dict()


def test_without_hidden_layers_the_mlp_is_a_linear_model() -> None:
    linear, empty = build("linear"), build({"name": "mlp", "hidden": []})
    assert linear.state_dict().keys() == empty.state_dict().keys() == {"output.linear.weight", "output.linear.bias"}
    inputs = torch.randn(7, 6)
    assert linear(inputs).equal(empty(inputs))


def test_batch_norm_before_the_activation_and_dropout_after_it() -> None:
    dense = Dense(3, 4, activation=nn.ReLU(), batch_norm=True, dropout=0.5)
    assert [type(part) for part in dense] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    inputs = torch.randn(100, 3)
    with torch.no_grad():
        outputs = dense(inputs)
        linear = dense.get_submodule("linear")(inputs)
        expected = ((linear - linear.mean(0)) / (linear.var(0, correction=0) + 1e-5).sqrt()).relu()
    # Dropout zeroes half of the values and doubles the others.
    kept = outputs != 0
    torch.testing.assert_close(outputs[kept], 2 * expected[kept], rtol=1e-4, atol=1e-5)
    assert 0.15 < kept.float().mean() < 0.35


def test_batch_norm_keeps_a_sigmoid_out_of_saturation() -> None:
    inputs = torch.tensor([90.0, 60.0]) * torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).abs()
    shares = []
    for batch_norm in (False, True):
        torch.manual_seed(0)
        outputs = Dense(2, 50, activation=nn.Sigmoid(), batch_norm=batch_norm)(inputs)
        shares.append(float(((outputs < 0.01) | (outputs > 0.99)).float().mean()))
    assert shares[0] > 0.5
    assert shares[1] < 0.02


def test_layers_without_an_activation_collapse_into_one_linear_map() -> None:
    net = MLP(4, 3, hidden=[HiddenLayer(units, activation=None) for units in (5, 9, 2, 6)]).double()
    weight, bias = torch.eye(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    for layer in [*net.hidden, net.output]:
        linear = layer.get_submodule("linear")
        weight, bias = linear.weight @ weight, linear.weight @ bias + linear.bias
    inputs = torch.randn(10, 4, dtype=torch.float64)
    torch.testing.assert_close(net(inputs), inputs @ weight.T + bias)
    assert torch.linalg.matrix_rank(weight) == 2  # at most the width of the narrowest layer


def test_output_without_a_bias() -> None:
    net = build({"name": "mlp", "hidden": [4], "bias": False, "output": {"bias": False}})
    assert [name for name, _ in net.named_parameters()] == ["hidden.0.linear.weight", "output.linear.weight"]
    assert net(torch.zeros(1, 6)).equal(torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", nn.ReLU()),
        ({"name": "leaky_relu", "negative_slope": 0.3}, nn.LeakyReLU(0.3)),
        ({"name": "prelu", "num_parameters": 4, "init": 0.1}, nn.PReLU(4, 0.1)),
        ({"name": "elu", "alpha": 0.5}, nn.ELU(0.5)),
        ("selu", nn.SELU()),
        ({"name": "gelu", "approximate": "tanh"}, nn.GELU("tanh")),
        ("silu", nn.SiLU()),
        ("sigmoid", nn.Sigmoid()),
        ("tanh", nn.Tanh()),
        ({"name": "softplus", "beta": 2, "threshold": 5}, nn.Softplus(2.0, 5.0)),
        ({"name": "hardtanh", "min_val": -0.5, "max_val": 2}, nn.Hardtanh(-0.5, 2.0)),
        ("softmax", nn.Softmax(1)),
        ("log_softmax", nn.LogSoftmax(1)),
    ],
)
def test_activations_are_those_of_torch_with_their_options(activation: object, expected: nn.Module) -> None:
    net = build({"name": "mlp", "hidden": [4, 4], "activation": activation})
    first, second = (net.get_submodule(f"hidden.{index}.activation") for index in (0, 1))
    assert first is not second
    assert str(first) == str(expected)
    inputs = torch.randn(20, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(first.double()(inputs), expected.double()(inputs))
    assert torch.autograd.gradcheck(first, inputs)


def test_identity_adds_no_module() -> None:
    net = build({"name": "mlp", "hidden": [4], "activation": "identity"})
    assert [name for name, _ in net.get_submodule("hidden.0").named_children()] == ["linear"]


def test_sizes_can_be_overridden() -> None:
    net = nnzoo.build_model({**DATA, "model": {"name": "mlp", "hidden": [4]}}, input_shape=(3, 5, 5), num_outputs=11)
    assert net(torch.zeros(2, 3, 5, 5)).shape == (2, 11)
    only_outputs = nnzoo.build_model({**DATA, "model": "linear"}, num_outputs=9)
    assert only_outputs(torch.zeros(2, 6)).shape == (2, 9)


def test_every_parameter_gets_a_gradient() -> None:
    net = build({"name": "mlp", "hidden": [8, 8], "activation": "prelu", "batch_norm": True})
    loss = nn.functional.cross_entropy(net(torch.randn(16, 6)), torch.arange(16) % 3)
    names, parameters = zip(*net.named_parameters(), strict=True)
    found = {
        name
        for name, gradient in zip(names, torch.autograd.grad(loss, parameters), strict=True)
        if gradient.abs().max() > 1e-5
    }
    # A bias before batch norm is removed with the mean.
    assert found == set(names) - {"hidden.0.linear.bias", "hidden.1.linear.bias"}


def test_activations_that_are_not_zero_centred_give_the_weight_gradients_of_a_neuron_one_sign() -> None:
    def share_of_one_sign(activation: nn.Module) -> float:
        torch.manual_seed(0)
        net = MLP(5, 40, hidden=[HiddenLayer(10, activation=activation)])
        weight = net.get_parameter("output.linear.weight")
        (gradient,) = torch.autograd.grad(net(torch.randn(1, 5)).square().sum(), weight)
        return float(((gradient > 0).all(1) | (gradient < 0).all(1)).float().mean())

    assert share_of_one_sign(nn.Sigmoid()) == 1
    assert share_of_one_sign(nn.Tanh()) == 0
