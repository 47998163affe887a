"""Maxout, the step, and the random features of a kernel."""

import math

import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from torch import nn

from nnzoo.errors import UsageError
from nnzoo.models.activations import Maxout, Step
from nnzoo.models.kernel import RandomFourierFeatures


def test_maxout_takes_the_largest_piece_of_each_unit() -> None:
    inputs = torch.tensor([[1.0, 5.0, -2.0, -3.0, 0.0, 4.0]])
    assert Maxout(2)(inputs).tolist() == [[5.0, -2.0, 4.0]]
    assert Maxout(3)(inputs).tolist() == [[5.0, 4.0]]
    assert Maxout(1)(inputs).equal(inputs)
    images = torch.randn(2, 6, 4, 5)
    assert Maxout(3)(images).equal(torch.stack([images[:, :3].amax(1), images[:, 3:].amax(1)], dim=1))


def test_maxout_of_two_pieces_can_be_relu_and_the_absolute_value() -> None:
    inputs = torch.linspace(-2, 2, 9).unsqueeze(1)
    assert Maxout(2)(inputs * torch.tensor([1.0, 0.0])).equal(inputs.relu())
    assert Maxout(2)(inputs * torch.tensor([1.0, -1.0])).equal(inputs.abs())


def test_maxout_says_what_does_not_divide() -> None:
    with pytest.raises(UsageError, match=r"maxout: 5 inputs do not divide into units of 2 pieces"):
        Maxout(2)(torch.zeros(1, 5))
    with pytest.raises(UsageError, match=r"maxout\.num_pieces: .*got 0"):
        Maxout(0)


def test_step_is_one_above_zero_alone() -> None:
    inputs = torch.tensor([-2.0, -1e-30, 0.0, 1e-30, 3.0, math.inf])
    assert Step()(inputs).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_no_gradient_passes_a_step() -> None:
    inputs = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    Step()(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("module", [Maxout(3), RandomFourierFeatures(6, 8, 0.3).double()], ids=["maxout", "fourier"])
def test_gradients_are_those_of_finite_differences(module: nn.Module) -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(module, torch.randn(4, 6, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize(("gamma", "expected"), [(0.05, 0.05), (None, 1 / 7)])
def test_inner_products_of_fourier_features_are_the_kernel(gamma: float | None, expected: float) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(40, 7, dtype=torch.float64)
    features = RandomFourierFeatures(7, 20_000, gamma).double()(inputs)
    error = features @ features.T - torch.from_numpy(rbf_kernel(inputs.numpy(), gamma=expected))
    # A component's product has a standard deviation below 1; of the 820 pairs some lie 4 of them out.
    assert error.abs().max() < 5 / math.sqrt(20_000)
    assert error.square().mean().sqrt() < 1 / math.sqrt(20_000)


def test_fourier_features_are_kept_and_not_trained() -> None:
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
def test_a_kernel_has_a_width(gamma: float) -> None:
    with pytest.raises(UsageError, match="gamma: must be above 0"):
        RandomFourierFeatures(3, 5, gamma)
    with pytest.raises(UsageError, match="n_components: must be at least 1"):
        RandomFourierFeatures(3, 0)
