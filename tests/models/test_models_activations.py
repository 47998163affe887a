"""Every activation against its closed form; maxout, the step, and the random features of a kernel."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.metrics.pairwise import rbf_kernel
from torch import nn

import nnzoo
from nnzoo.builders.model import build_activation
from nnzoo.config.activation import Activation
from nnzoo.config.base import listed
from nnzoo.errors import UsageError
from nnzoo.models.activations import Maxout, Step
from nnzoo.models.kernel import RandomFourierFeatures
from nnzoo.models.layers import Dense


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials: np.ndarray = np.exp(x)
    shares: np.ndarray = exponentials / exponentials.sum(1, keepdims=True)
    return shares


SELU = 1.0507009873554805, 1.6732632423543772
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(0, x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "prelu": lambda x: np.where(x > 0, x, 0.25 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * (np.exp(x) - 1)),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "softmax": softmax,
    "log_softmax": lambda x: np.log(softmax(x)),
    "maxout": lambda x: x.reshape(-1, 3, 2).max(2),
    "step": lambda x: (x > 0).astype(float),
}


@pytest.mark.parametrize("name", listed(Activation))
def test_values_and_gradients_match_the_closed_form(name: str) -> None:
    module = build_activation(TypeAdapter(Activation).validate_python({"name": name})) or nn.Identity()
    x = np.random.default_rng(0).uniform(-3, 3, (20, 6))
    inputs = torch.tensor(x, requires_grad=True)
    outputs = module.double()(inputs)
    np.testing.assert_allclose(outputs.detach().numpy(), FORMS[name](x), rtol=1e-12, atol=1e-15)
    # Along a direction: d/dt sum of w * f(x + t d) at t = 0, by the central difference of the closed form.
    rng, step = np.random.default_rng(1), 1e-6
    weights, direction = rng.normal(size=outputs.shape), rng.normal(size=x.shape)
    (gradient,) = torch.autograd.grad((outputs * torch.tensor(weights)).sum(), inputs)
    ahead, behind = (float((weights * FORMS[name](x + sign * step * direction)).sum()) for sign in (1, -1))
    assert float((gradient.numpy() * direction).sum()) == pytest.approx((ahead - behind) / (2 * step), abs=1e-6)


def test_maxout_takes_the_largest_piece_of_each_unit() -> None:
    inputs = torch.tensor([[1.0, 5.0, -2.0, -3.0, 0.0, 4.0]])
    assert Maxout(2)(inputs).tolist() == [[5.0, -2.0, 4.0]]
    assert Maxout(3)(inputs).tolist() == [[5.0, 4.0]]
    assert Maxout(1)(inputs).equal(inputs)
    images = torch.randn(2, 6, 4, 5)
    assert Maxout(3)(images).equal(torch.stack([images[:, :3].amax(1), images[:, 3:].amax(1)], dim=1))


def test_maxout_with_two_pieces_can_be_relu_or_the_absolute_value() -> None:
    inputs = torch.linspace(-2, 2, 9).unsqueeze(1)
    assert Maxout(2)(inputs * torch.tensor([1.0, 0.0])).equal(inputs.relu())
    assert Maxout(2)(inputs * torch.tensor([1.0, -1.0])).equal(inputs.abs())


def test_maxout_with_a_wrong_number_of_inputs_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"maxout: 5 inputs can't be divided into units of 2 pieces"):
        Maxout(2)(torch.zeros(1, 5))
    with pytest.raises(UsageError, match=r"maxout\.num_pieces: .*got 0"):
        Maxout(0)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_layer_before_maxout_has_an_output_per_piece(batch_norm: bool) -> None:
    torch.manual_seed(0)
    layer = Dense(4, 3, activation=Maxout(5), batch_norm=batch_norm)
    assert layer.get_parameter("linear.weight").shape == (15, 4)
    inputs = torch.randn(6, 4)
    pieces = nn.Sequential(*list(layer)[:-1])(inputs)
    assert layer.train()(inputs).shape == (6, 3)
    assert torch.allclose(layer(inputs), pieces.reshape(6, 3, 5).amax(2))


def test_an_mlp_of_maxout_units_learns_xor(tmp_path: Path) -> None:
    config = {
        "data": "xor",
        "model": {"name": "mlp", "hidden": [2], "activation": {"name": "maxout", "num_pieces": 3}},
        "optimizer": {"name": "adam", "lr": 0.05},
        "train": {"epochs": 200, "early_stopping": None},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert run.result["num_parameters"] == 2 * 3 * (2 + 1) + 2 * (2 + 1)
    assert run.metrics["train/accuracy"] == 1
    again = nnzoo.load(run.run_dir)
    assert list(again.predict([[0.0, 1.0], [1.0, 1.0]])) == ["1", "0"]


def test_frozen_steps_solve_xor_under_a_trained_output(tmp_path: Path) -> None:
    # The hidden units are OR and AND of the inputs; XOR is OR and not AND.
    hidden = {"name": "values", "values": [[1, 1], [1, 1]], "bias": {"name": "values", "values": [-0.5, -1.5]}}
    layer = {"units": 2, "activation": "step", "init": hidden}
    config = {
        "data": "xor",
        "model": {"name": "mlp", "layers": [layer], "freeze": "hidden.*"},
        "loss": "perceptron",
        "init": {"name": "zeros"},
        "optimizer": {"name": "sgd", "lr": 1.0},
        "train": {"epochs": 30, "batch_size": 1, "early_stopping": None, "monitor": "train/accuracy"},
    }
    assert nnzoo.train(config, runs_dir=tmp_path, quiet=True).metrics["train/accuracy"] == 1


def test_step_is_one_only_above_zero() -> None:
    inputs = torch.tensor([-2.0, -1e-30, 0.0, 1e-30, 3.0, math.inf])
    assert Step()(inputs).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_step_has_no_gradient() -> None:
    inputs = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    Step()(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("module", [Maxout(3), RandomFourierFeatures(6, 8, 0.3).double()], ids=["maxout", "fourier"])
def test_gradients_match_finite_differences(module: nn.Module) -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(module, torch.randn(4, 6, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize(("gamma", "expected"), [(0.05, 0.05), (None, 1 / 7)])
def test_inner_products_of_fourier_features_approximate_the_kernel(gamma: float | None, expected: float) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(40, 7, dtype=torch.float64)
    features = RandomFourierFeatures(7, 20_000, gamma).double()(inputs)
    error = features @ features.T - torch.from_numpy(rbf_kernel(inputs.numpy(), gamma=expected))
    # The product of a component has a standard deviation below 1; some of the 820 pairs deviate by 4 of them.
    assert error.abs().max() < 5 / math.sqrt(20_000)
    assert error.square().mean().sqrt() < 1 / math.sqrt(20_000)


def test_fourier_features_are_saved_and_not_trained() -> None:
    torch.manual_seed(0)
    one = RandomFourierFeatures(3, 5)
    again, other = RandomFourierFeatures(3, 5), RandomFourierFeatures(3, 5)
    torch.manual_seed(0)
    assert RandomFourierFeatures(3, 5).frequencies.equal(one.frequencies)
    assert not again.frequencies.equal(one.frequencies)
    assert not list(one.parameters())
    other.load_state_dict(one.state_dict())
    inputs = torch.randn(4, 3)
    assert other(inputs).equal(one(inputs))


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.inf, math.nan])
def test_an_invalid_gamma_is_an_error(gamma: float) -> None:
    with pytest.raises(UsageError, match="gamma: must be above 0"):
        RandomFourierFeatures(3, 5, gamma)
    with pytest.raises(UsageError, match="n_components: must be at least 1"):
        RandomFourierFeatures(3, 0)
