"""Initializers: each rule against its formula, and the assignment of rules to parameters."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.builders import build_rule, plan_model
from nnzoo.config import init as init_words
from nnzoo.config import load_config
from nnzoo.config.base import listed
from nnzoo.errors import ConfigError
from nnzoo.models import MLP, HiddenLayer, Rule, initialize, plan
from nnzoo.models.initializers import RULES

DATA: dict[str, Any] = {"data": {"name": "random", "shape": [300], "classes": 5}}
FAN_IN, FAN_OUT = 300, 200


def build(model: Any = None, *, seed: int = 0, **sections: Any) -> nn.Module:
    torch.manual_seed(seed)
    return nnzoo.build_model({**DATA, "model": model or {"name": "mlp", "hidden": [FAN_OUT]}, **sections})


def weight_of(init: object, **model: Any) -> Tensor:
    """Returns the weight of a hidden layer, (200, 300)."""
    net = build({"name": "mlp", "hidden": [FAN_OUT], **model}, init=init)
    return net.get_parameter("hidden.0.linear.weight").detach()


def test_every_initializer_of_the_config_has_a_rule() -> None:
    assert set(listed(init_words.Init)) - {"auto", "default"} == set(RULES) - {"forget_gate_ones"}


@pytest.mark.parametrize(
    ("init", "mean", "std"),
    [
        ({"name": "uniform", "a": -0.5, "b": 1.5}, 0.5, 2 / math.sqrt(12)),
        ({"name": "normal", "mean": 0.3, "std": 0.2}, 0.3, 0.2),
        ("lecun_normal", 0, math.sqrt(1 / FAN_IN)),
        ({"name": "xavier_normal", "gain": 2}, 0, 2 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("xavier", 0, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("xavier_uniform", 0, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("kaiming", 0, math.sqrt(2 / FAN_IN)),
        ({"name": "kaiming_normal", "mode": "fan_out", "nonlinearity": "relu"}, 0, math.sqrt(2 / FAN_OUT)),
        ({"name": "kaiming_normal", "a": 0.5}, 0, math.sqrt(2 / 1.25 / FAN_IN)),
        ({"name": "kaiming_uniform", "nonlinearity": "tanh"}, 0, 5 / 3 / math.sqrt(FAN_IN)),
    ],
    ids=str,
)
def test_mean_and_standard_deviation_match_the_formulas(init: object, mean: float, std: float) -> None:
    weight = weight_of(init).double()
    # 60,000 values: five standard errors of the mean, and 2 % of the standard deviation.
    assert float(weight.mean()) == pytest.approx(mean, abs=5 * std / math.sqrt(weight.numel()))
    assert float(weight.std()) == pytest.approx(std, rel=0.02)


def test_uniform_rules_stay_in_their_bounds() -> None:
    for init, bound in (("xavier_uniform", math.sqrt(6 / 500)), ("kaiming_uniform", math.sqrt(6 / 300))):
        weight = weight_of(init)
        assert 0.999 * bound < float(weight.abs().max()) <= bound
    weight = weight_of({"name": "trunc_normal", "mean": 0, "std": 1, "a": -0.5, "b": 0.25})
    assert -0.5 <= float(weight.min()) < -0.49
    assert 0.24 < float(weight.max()) <= 0.25


def test_deterministic_rules() -> None:
    assert (weight_of("zeros") == 0).all()
    assert (weight_of("ones") == 1).all()
    assert (weight_of({"name": "constant", "val": -0.25}) == -0.25).all()
    assert weight_of("eye").equal(torch.eye(FAN_OUT, FAN_IN))
    orthogonal = weight_of({"name": "orthogonal", "gain": 3}).double()
    torch.testing.assert_close(orthogonal @ orthogonal.T, 9 * torch.eye(FAN_OUT).double(), rtol=0, atol=1e-4)
    convolution = nn.Conv2d(2, 2, 3, bias=False)
    initialize(plan(convolution, Rule("dirac")))
    image = torch.randn(1, 2, 5, 5)
    torch.testing.assert_close(convolution(image), image[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize(
    ("activation", "std"),
    [
        ("relu", math.sqrt(2 / FAN_IN)),
        ("gelu", math.sqrt(2 / FAN_IN)),
        ({"name": "leaky_relu", "negative_slope": 0.5}, math.sqrt(2 / 1.25 / FAN_IN)),
        ({"name": "prelu", "init": 0.5}, math.sqrt(2 / 1.25 / FAN_IN)),
        ("selu", math.sqrt(1 / FAN_IN)),
        *((name, math.sqrt(2 / (FAN_IN + FAN_OUT))) for name in ("tanh", "sigmoid", "softmax", "identity", "hardtanh")),
    ],
)
def test_auto_depends_on_the_activation_of_each_layer(activation: object, std: float) -> None:
    assert float(weight_of("auto", activation=activation).std()) == pytest.approx(std, rel=0.02)
    layers = [{"units": FAN_OUT, "activation": activation}, {"units": 150, "activation": "tanh"}]
    net = build({"name": "mlp", "layers": layers})
    found = [float(net.state_dict()[f"{name}.linear.weight"].std()) for name in ("hidden.0", "hidden.1", "output")]
    assert found == [
        pytest.approx(std, rel=0.02),
        pytest.approx(math.sqrt(2 / (FAN_OUT + 150)), rel=0.02),
        pytest.approx(math.sqrt(2 / 155), rel=0.1),
    ]


def test_default_keeps_the_initialisation_of_pytorch() -> None:
    net = build(init="default")
    torch.manual_seed(0)
    expected = nn.Linear(FAN_IN, FAN_OUT)
    assert net.get_parameter("hidden.0.linear.weight").equal(expected.weight)
    assert net.get_parameter("hidden.0.linear.bias").equal(expected.bias)


@pytest.mark.parametrize("init", ["zeros", {"name": "normal", "std": 3, "bias": 7}])
def test_norms_and_activations_keep_their_initialisation(init: object) -> None:
    net = build({"name": "mlp", "hidden": [4], "batch_norm": True, "activation": "prelu"}, init=init)
    assert (net.get_parameter("hidden.0.norm.weight") == 1).all()
    assert (net.get_parameter("hidden.0.norm.bias") == 0).all()
    assert (net.get_parameter("hidden.0.activation.weight") == 0.25).all()


@pytest.mark.parametrize(
    ("bias", "low", "high"),
    [(0.3, 0.3, 0.3), ("ones", 1, 1), ({"name": "uniform", "a": 2, "b": 3}, 2, 3), ("zeros", 0, 0)],
)
def test_biases_are_constant_or_have_a_rule(bias: object, low: float, high: float) -> None:
    for name in ("auto", "xavier_normal"):
        net = build(init={"name": name, "bias": bias})
        for layer in ("hidden.0", "output"):
            values = net.get_parameter(f"{layer}.linear.bias").detach()
            assert (values >= low - 1e-7).all()
            assert (values <= high + 1e-7).all()
            assert low == high or float(values.std()) > 0


def test_the_rule_of_a_layer_overrides_that_of_the_model() -> None:
    layers = [{"units": 12, "init": {"name": "ones", "bias": 2.0}}, *({"units": 3} for _ in range(11))]
    layers[1] = {"units": 3, "init": "default"}
    net = build({"name": "mlp", "layers": layers, "output": {"init": "eye"}}, init={"name": "constant", "val": 0.5})
    weights = {name: parameter.detach() for name, parameter in net.named_parameters()}
    assert (weights["hidden.0.linear.weight"] == 1).all()
    assert (weights["hidden.0.linear.bias"] == 2).all()
    assert float(weights["hidden.1.linear.weight"].std()) > 0
    assert all((weights[f"hidden.{index}.linear.weight"] == 0.5).all() for index in range(2, 12))
    assert weights["output.linear.weight"].equal(torch.eye(5, 3))


def test_the_plan_lists_every_rule() -> None:
    config = load_config(
        {
            **DATA,
            "model": {
                "name": "mlp",
                "layers": [{"units": 4}, {"units": 3, "init": "default"}],
                "activation": "selu",
                "batch_norm": True,
            },
            "init": {"name": "auto", "bias": {"name": "normal", "std": 0.1}},
        }
    )
    module = MLP(300, 5, hidden=[HiddenLayer(units, nn.SELU(), batch_norm=True) for units in (4, 3)])
    found = {assignment.name: str(assignment.rule) for assignment in plan_model(config, module)}
    assert found == {
        "hidden.0.linear.weight": "lecun_normal",
        "hidden.0.linear.bias": "normal(mean=0.0, std=0.1)",
        "output.linear.weight": "xavier_normal",
        "output.linear.bias": "normal(mean=0.0, std=0.1)",
    }


def test_values_are_copied_and_their_shape_is_checked() -> None:
    numbers = [[0.5, -1, 2e-3], [1, 2, 3]]
    data = {"name": "random", "shape": [3], "targets": 2}
    init = {"name": "values", "values": numbers, "bias": {"name": "values", "values": [7, -7]}}
    net = nnzoo.build_model({"data": data, "model": {"name": "linear", "output": {"init": init}}})
    assert net.get_parameter("output.linear.weight").equal(torch.tensor(numbers))
    assert net.get_parameter("output.linear.bias").equal(torch.tensor([7.0, -7.0]))
    layers = [{"units": 4}, {"units": 2, "init": init}]
    for model, place in (
        ({"name": "linear", "output": {"init": init}}, "model.output.init"),
        ({"name": "mlp", "layers": layers}, "model.layers.1.init"),
    ):
        with pytest.raises(ConfigError) as caught:
            nnzoo.build_model({"data": {**data, "shape": [4]}, "model": model})
        assert place in str(caught.value)
        assert "got (2, 3)" in str(caught.value)
    with pytest.raises(ConfigError, match=r"bias\.values: output\.linear\.bias has the shape \(3,\), got \(2,\)"):
        nnzoo.build_model(
            {
                "data": {**data, "targets": 3},
                "model": {"name": "linear", "output": {"init": {"name": "zeros", "bias": init["bias"]}}},
            }
        )


def test_each_convolution_can_have_its_own_rule() -> None:
    kernel = [[[0.5, -1.0], [2.0, 0.0], [1.0, 1.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]
    values = {"name": "values", "values": kernel, "bias": {"name": "values", "values": [3, 4]}}
    blocks: list[dict[str, Any]] = [
        {"conv": {"out_channels": 2, "kernel_size": 2, "init": values}},
        {"pool": {"kernel_size": 2}},
        {"conv": {"out_channels": 2, "kernel_size": 1, "init": {"name": "dirac", "bias": 0.5}}},
        {"conv": {"out_channels": 2, "kernel_size": 1}},
    ]
    config = {"data": {"name": "random", "shape": [9, 3]}, "init": {"name": "constant", "val": 0.25}}
    found = nnzoo.build_model({**config, "model": {"name": "cnn", "blocks": blocks}}).state_dict()
    assert found["blocks.0.conv.weight"].tolist() == kernel
    assert found["blocks.0.conv.bias"].tolist() == [3, 4]
    assert found["blocks.2.conv.weight"].squeeze().equal(torch.eye(2))
    assert found["blocks.2.conv.bias"].tolist() == [0.5, 0.5]
    assert (found["blocks.3.conv.weight"] == 0.25).all()
    assert (found["output.linear.weight"] == 0.25).all()
    wide = [{"conv": {**blocks[0]["conv"], "kernel_size": 3}}]
    message = (
        r"model\.blocks\.0\.conv\.init\.values: blocks\.0\.conv\.weight has the shape \(2, 3, 3\), got \(2, 3, 2\)"
    )
    with pytest.raises(ConfigError, match=message):
        nnzoo.build_model({**config, "model": {"name": "cnn", "blocks": wide}})


def test_with_zeros_the_units_of_a_layer_stay_identical(tmp_path: Any) -> None:
    config = {
        "data": "iris",
        "model": {"name": "mlp", "hidden": [6], "activation": "sigmoid"},
        "optimizer": {"name": "sgd", "lr": 0.5},
        "train": {"epochs": 10, "early_stopping": None},
    }

    def units(init: str) -> Tensor:
        run = nnzoo.train(config, overrides={"init": init}, runs_dir=tmp_path, quiet=True)
        return run.model.module.get_parameter("hidden.0.linear.weight").detach()

    alike, broken = units("zeros"), units("auto")
    assert alike.abs().max() > 0
    torch.testing.assert_close(alike, alike[:1].expand(6, -1), rtol=1e-4, atol=1e-6)
    assert broken.std(0).min() > 0.05


@pytest.mark.parametrize(("rule", "keeps"), [("kaiming_normal", True), ("auto", True), ("xavier_normal", False)])
def test_kaiming_keeps_the_variance_through_thirty_relu_layers(rule: str, keeps: bool) -> None:
    torch.manual_seed(0)
    net = MLP(256, 1, hidden=[256] * 30)
    assignments = plan(net, Rule(rule, bias=Rule("zeros")))
    logarithms = []
    with torch.no_grad():
        # A single draw of finite width varies by a factor of about e^0.8; the mean over sixteen shows the rule.
        for _ in range(16):
            initialize(assignments)
            outputs, squares = torch.randn(20, 256), []
            for layer in net.hidden:
                before = layer.get_submodule("linear")(outputs)
                squares.append(float(before.square().mean()))
                outputs = before.relu()
            logarithms.append(math.log(squares[-1] / squares[0]))
    kept = math.exp(sum(logarithms) / len(logarithms))
    assert (0.5 < kept < 2) == keeps
    # Xavier halves the variance at every ReLU, to 2^-29.
    assert keeps or 2**-31 < kept < 2**-28


class Own(nn.Module):
    """A custom module with a convolution, a recurrent layer and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 2, 3, padding=1)
        self.norm = nn.LayerNorm(4)
        self.recurrent = nn.GRU(4, 3, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.head(self.recurrent(self.norm(self.convolution(inputs.unsqueeze(1))))[0].flatten(1))
        return hidden


def own(tmp_path: Any, **sections: Any) -> dict[str, Tensor]:
    module = Own()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    train = {"epochs": 1}
    optimizer = {"name": "sgd", "lr": 0}
    config = {"data": "iris", "train": train, "optimizer": optimizer, **sections}
    run = nnzoo.train(config, model=module, runs_dir=tmp_path, quiet=True)
    return {
        name: parameter.detach()
        for name, parameter in run.model.module.named_parameters()
        if not parameter.equal(before[name])
    }


def test_a_custom_module_is_initialised_only_on_request(tmp_path: Any) -> None:
    assert own(tmp_path) == {}
    changed = own(tmp_path, init={"name": "constant", "val": 0.125, "bias": 0.5})
    assert {name for name in changed if "weight" in name} == {
        "convolution.weight",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "head.weight",
    }
    assert {name for name in changed if "bias" in name} == {
        "convolution.bias",
        "recurrent.bias_ih_l0",
        "recurrent.bias_hh_l0",
        "head.bias",
    }
    assert all((values == (0.5 if "bias" in name else 0.125)).all() for name, values in changed.items())


def test_a_rule_that_does_not_fit_a_custom_module_is_an_error_with_its_location(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"init.*dirac can't initialise this network"):
        own(tmp_path, init={"name": "dirac", "groups": 7})


def test_config_sections_become_rules() -> None:
    config = load_config({**DATA, "model": "linear", "init": {"name": "kaiming", "a": 0.1, "bias": 0.5}})
    rule = build_rule(config.init)
    assert str(rule) == "kaiming(a=0.1, mode=fan_in, nonlinearity=leaky_relu)"
    assert str(rule.bias) == "constant(val=0.5)"
