"""Optimizers, penalties, clipping and accumulation against their formulas, in float64."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.builders import build_optimizer, build_schedule
from nnzoo.config import load_config
from nnzoo.config.base import members
from nnzoo.config.optimizer import OptimizerSection
from nnzoo.models import penalised
from nnzoo.models.parameters import hidden_weights
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.evaluate import LossSum
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.losses import CrossEntropyLoss
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.settings import Settings
from nnzoo.training.state import TrainState
from nnzoo.training.step import train_step

Step = Callable[[Tensor, list[Tensor]], Tensor]
"""The weights at the start and the gradients of all steps so far -> the weights after the last one."""


def config_of(**sections: Any) -> Any:
    return load_config({"data": "xor", "model": "linear", **sections})


def sgd(
    start: Tensor, gradients: list[Tensor], *, lr: float, mu: float = 0, tau: float = 0, nesterov: bool = False
) -> Tensor:
    """Polyak 1964 and Sutskever et al. 2013; the velocity starts as the first gradient."""
    w, v = start, torch.zeros_like(start)
    for t, g in enumerate(gradients):
        v = g if t == 0 else mu * v + (1 - tau) * g
        w = w - lr * (g + mu * v if nesterov else v)
    return w


def adam(
    start: Tensor, gradients: list[Tensor], *, lr: float, b1: float, b2: float, eps: float, decay: float = 0
) -> Tensor:
    """Kingma & Ba 2015, algorithm 1; with decay Loshchilov & Hutter 2019."""
    w, m, v = start, torch.zeros_like(start), torch.zeros_like(start)
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - lr * decay * w - lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps)
    return w


def rmsprop(start: Tensor, gradients: list[Tensor], *, lr: float, alpha: float, eps: float) -> Tensor:
    """Hinton 2012, lecture 6e."""
    w, v = start, torch.zeros_like(start)
    for g in gradients:
        v = alpha * v + (1 - alpha) * g**2
        w = w - lr * g / (v.sqrt() + eps)
    return w


def adagrad(start: Tensor, gradients: list[Tensor], *, lr: float, eps: float) -> Tensor:
    """Duchi et al. 2011, the diagonal form."""
    w, total = start, torch.zeros_like(start)
    for g in gradients:
        total = total + g**2
        w = w - lr * g / (total.sqrt() + eps)
    return w


def adadelta(start: Tensor, gradients: list[Tensor], *, lr: float, rho: float, eps: float) -> Tensor:
    """Zeiler 2012, algorithm 1."""
    w, squares, steps = start, torch.zeros_like(start), torch.zeros_like(start)
    for g in gradients:
        squares = rho * squares + (1 - rho) * g**2
        step = (steps + eps).sqrt() / (squares + eps).sqrt() * g
        steps = rho * steps + (1 - rho) * step**2
        w = w - lr * step
    return w


def adamax(start: Tensor, gradients: list[Tensor], *, lr: float, b1: float, b2: float, eps: float) -> Tensor:
    """Kingma & Ba 2015, algorithm 2."""
    w, m, u = start, torch.zeros_like(start), torch.zeros_like(start)
    for t, g in enumerate(gradients, 1):
        m, u = b1 * m + (1 - b1) * g, torch.maximum(b2 * u, g.abs() + eps)
        w = w - lr / (1 - b1**t) * m / u
    return w


def nadam(
    start: Tensor, gradients: list[Tensor], *, lr: float, psi: float = 4e-3, decay: float = 0, coupled: float = 0
) -> Tensor:
    """Dozat 2016, algorithm 2, with his warming schedule of mu."""
    b1, b2, eps = 0.9, 0.999, 1e-8
    mu = [b1 * (1 - 0.5 * 0.96 ** (t * psi)) for t in range(len(gradients) + 2)]
    w, m, v = start, torch.zeros_like(start), torch.zeros_like(start)
    for t, plain in enumerate(gradients, 1):
        g = plain + coupled * w
        w = w - lr * decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        ahead = mu[t + 1] * m / (1 - math.prod(mu[1 : t + 2])) + (1 - mu[t]) * g / (1 - math.prod(mu[1 : t + 1]))
        w = w - lr * ahead / ((v / (1 - b2**t)).sqrt() + eps)
    return w


def radam(start: Tensor, gradients: list[Tensor], *, lr: float, b1: float = 0.9, b2: float = 0.999) -> Tensor:
    """Liu et al. 2020, algorithm 2; torch requires rho > 5 instead of 4, and adds eps to the root of v."""
    w, m, v = start, torch.zeros_like(start), torch.zeros_like(start)
    limit = 2 / (1 - b2) - 1
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        rho = limit - 2 * t * b2**t / (1 - b2**t)
        step = m / (1 - b1**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            step = step * r * math.sqrt(1 - b2**t) / (v.sqrt() + 1e-8)
        w = w - lr * step
    return w


def rprop(
    start: Tensor, gradients: list[Tensor], *, lr: float, down: float, up: float, least: float = 1e-6, most: float = 50
) -> Tensor:
    """Riedmiller & Braun 1993; after a change of sign the weight is constant for one step."""
    w, before, size = start, torch.zeros_like(start), torch.full_like(start, lr)
    for g in gradients:
        changed, same = g * before < 0, g * before > 0
        size = torch.where(changed, size * down, torch.where(same, size * up, size)).clamp(least, most)
        g = torch.where(changed, 0.0, g)
        w, before = w - size * g.sign(), g
    return w


FORMULAS: list[tuple[dict[str, Any], Step]] = [
    ({"name": "sgd", "lr": 0.1}, lambda w, g: sgd(w, g, lr=0.1)),
    ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, lambda w, g: sgd(w, g, lr=0.1, mu=0.9)),
    (
        {"name": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.9},
        lambda w, g: sgd(w, g, lr=0.1, mu=0.9, tau=0.9),
    ),
    (
        {"name": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True},
        lambda w, g: sgd(w, g, lr=0.1, mu=0.8, nesterov=True),
    ),
    ({"name": "adam", "lr": 0.01}, lambda w, g: adam(w, g, lr=0.01, b1=0.9, b2=0.999, eps=1e-8)),
    (
        {"name": "adam", "lr": 0.01, "betas": [0.5, 0.9], "eps": 1e-3},
        lambda w, g: adam(w, g, lr=0.01, b1=0.5, b2=0.9, eps=1e-3),
    ),
    ({"lr": 0.01}, lambda w, g: adam(w, g, lr=0.01, b1=0.9, b2=0.999, eps=1e-8, decay=0.01)),
    (
        {"name": "adamw", "lr": 0.01, "weight_decay": 0.2},
        lambda w, g: adam(w, g, lr=0.01, b1=0.9, b2=0.999, eps=1e-8, decay=0.2),
    ),
    ({"name": "rmsprop", "lr": 0.01, "alpha": 0.9}, lambda w, g: rmsprop(w, g, lr=0.01, alpha=0.9, eps=1e-8)),
    ({"name": "adagrad", "lr": 0.1}, lambda w, g: adagrad(w, g, lr=0.1, eps=1e-10)),
    ({"name": "adadelta"}, lambda w, g: adadelta(w, g, lr=1.0, rho=0.9, eps=1e-6)),
    (
        {"name": "adadelta", "lr": 0.3, "rho": 0.5, "eps": 1e-3},
        lambda w, g: adadelta(w, g, lr=0.3, rho=0.5, eps=1e-3),
    ),
    ({"name": "adamax"}, lambda w, g: adamax(w, g, lr=2e-3, b1=0.9, b2=0.999, eps=1e-8)),
    (
        {"name": "adamax", "lr": 0.1, "betas": [0.5, 0.7], "eps": 1e-2},
        lambda w, g: adamax(w, g, lr=0.1, b1=0.5, b2=0.7, eps=1e-2),
    ),
    ({"name": "nadam"}, lambda w, g: nadam(w, g, lr=2e-3)),
    (
        {"name": "nadam", "momentum_decay": 0.1, "weight_decay": 0.2},
        lambda w, g: nadam(w, g, lr=2e-3, psi=0.1, coupled=0.2),
    ),
    (
        {"name": "nadam", "lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True},
        lambda w, g: nadam(w, g, lr=0.1, decay=0.2),
    ),
    ({"name": "radam", "lr": 0.1}, lambda w, g: radam(w, g, lr=0.1)),
    ({"name": "radam", "lr": 0.1, "betas": [0.5, 0.9]}, lambda w, g: radam(w, g, lr=0.1, b1=0.5, b2=0.9)),
    # The last layer is not a hidden weight.
    (
        {"name": "muon", "lr": 0.01, "betas": [0.8, 0.9], "weight_decay": 0.2},
        lambda w, g: adam(w, g, lr=0.01, b1=0.8, b2=0.9, eps=1e-8, decay=0.2),
    ),
    ({"name": "rprop"}, lambda w, g: rprop(w, g, lr=0.01, down=0.5, up=1.2)),
    (
        {"name": "rprop", "lr": 0.1, "etas": [0.3, 2], "step_sizes": [0.05, 0.3]},
        lambda w, g: rprop(w, g, lr=0.1, down=0.3, up=2, least=0.05, most=0.3),
    ),
]


def test_every_optimizer_has_its_formula() -> None:
    # lbfgs has no formula of the gradients only; it is tested below on problems with a known solution.
    assert {fields.get("name", "adamw") for fields, _ in FORMULAS} == set(members(OptimizerSection)) - {"lbfgs"}


@pytest.mark.parametrize(("fields", "step"), FORMULAS)
def test_eight_steps_match_the_paper(fields: dict[str, Any], step: Step) -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 2).double()
    start = module.weight.detach().clone()
    optimizer = build_optimizer(config_of(optimizer=fields), module)
    gradients = [torch.randn(2, 3, dtype=torch.float64) for _ in range(8)]
    # torch stores the product of the momenta of nadam in float32.
    rtol = 1e-6 if fields.get("name") == "nadam" else 1e-12
    for count, gradient in enumerate(gradients, 1):
        module.weight.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(module.weight.detach(), step(start, gradients[:count]), rtol=rtol, atol=rtol / 100)


def muon(start: Tensor, gradients: list[Tensor], *, lr: float, mu: float, decay: float, nesterov: bool) -> Tensor:
    """Jordan 2024, with the factor of Liu et al. 2025."""
    w, m = start.flatten(1), torch.zeros_like(start.flatten(1))
    for g in gradients:
        m = mu * m + (1 - mu) * g.flatten(1)
        x = (1 - mu) * g.flatten(1) + mu * m if nesterov else m
        x = x / (x.square().sum().sqrt() + 1e-7)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        w = w - lr * decay * w - lr * 0.2 * max(w.shape) ** 0.5 * x
    return w.view_as(start)


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_updates_the_hidden_weights(nesterov: bool) -> None:
    torch.manual_seed(0)
    # A wide matrix of a convolution, (5, 18), and a tall one of a linear layer, (7, 5).
    module = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Linear(5, 7), nn.Linear(7, 3)).double()
    starts = [parameter.detach().clone() for parameter in module.parameters()]
    fields = {"name": "muon", "lr": 0.05, "momentum": 0.8, "weight_decay": 0.1, "nesterov": nesterov}
    optimizer = build_optimizer(config_of(optimizer=fields), module)
    draws = [[torch.randn_like(start) for start in starts] for _ in range(4)]
    for draw in draws:
        for parameter, gradient in zip(module.parameters(), draw, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for index, (parameter, start) in enumerate(zip(module.parameters(), starts, strict=True)):
        gradients = [draw[index] for draw in draws]
        expected = adam(start, gradients, lr=0.05, b1=0.9, b2=0.999, eps=1e-8, decay=0.1)
        if index in (0, 2):
            expected = muon(start, gradients, lr=0.05, mu=0.8, decay=0.1, nesterov=nesterov)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-9, atol=1e-11)


def test_muon_agrees_with_that_of_torch() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(6, 9), [torch.randn(6, 9) for _ in range(3)]
    ours, theirs = nn.Linear(9, 6, bias=False), nn.Parameter(start.clone())
    ours.weight.data = start.clone()
    fields: dict[str, Any] = {"name": "muon", "lr": 0.05, "weight_decay": 0.1}
    own = build_optimizer(config_of(optimizer=fields), nn.Sequential(ours, nn.Linear(6, 2)))
    other = torch.optim.Muon([theirs], lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for gradient in gradients:
        ours.weight.grad, theirs.grad = gradient.clone(), gradient.clone()
        own.step()
        other.step()  # type: ignore[no-untyped-call]
    # torch iterates in bfloat16.
    torch.testing.assert_close(ours.weight.detach(), theirs.detach(), rtol=0, atol=2e-3)
    assert (theirs.detach() - start).abs().mean() > 0.02


def test_embeddings_and_the_last_layer_are_not_hidden() -> None:
    config = {"data": {"name": "random", "shape": [6], "classes": 3, "samples": 40}}
    network = nnzoo.build_model({**config, "model": {"name": "mlp", "hidden": [5, 4]}})
    assert [tuple(weight.shape) for weight in hidden_weights(network)] == [(5, 6), (4, 5)]
    tied = nn.Sequential(nn.Embedding(7, 4), nn.LSTM(4, 4), nn.Linear(4, 4), nn.Linear(4, 7))
    tied[3].weight = tied[0].weight
    assert [tuple(weight.shape) for weight in hidden_weights(tied)] == [(16, 4), (16, 4), (4, 4)]


def test_momentum_with_equal_dampening_is_an_exponential_average() -> None:
    b, lr = 0.9, 0.1
    gradients = [torch.randn(4, generator=torch.Generator().manual_seed(k), dtype=torch.float64) for k in range(6)]
    average, way = gradients[0], -lr * gradients[0]
    for gradient in gradients[1:]:
        average = (1 - b) * gradient + b * average
        way = way - lr * average
    torch.testing.assert_close(sgd(torch.zeros(4, dtype=torch.float64), gradients, lr=lr, mu=b, tau=b), way)
    parameter = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    module = nn.Module()
    module.register_parameter("weight", parameter)
    optimizer = build_optimizer(config_of(optimizer={"name": "sgd", "lr": lr, "momentum": b, "dampening": b}), module)
    for gradient in gradients:
        parameter.grad = gradient.reshape(2, 2)
        optimizer.step()
    torch.testing.assert_close(parameter.detach().flatten(), way)


def state_of(module: nn.Module, loss: nn.Module, **sections: Any) -> TrainState:
    """Returns a float64 training of a module."""
    config = config_of(**sections)
    optimizer = build_optimizer(config, module)
    return TrainState(
        model=module,
        loss=loss,
        optimizer=optimizer,
        schedule=build_schedule(config, optimizer, 1),
        early_stopping=EarlyStopping(),
        train_loss=LossSum(loss),
        train_metrics=MetricSums((), Decoder("regression", "values")),
    )


def settings_of(**fields: Any) -> Settings:
    return Settings(epochs=1, batch_size=4, monitor="train/loss", metrics=(), seed=0, **fields)


SGD = {"name": "sgd", "lr": 0.5}


def two_layers(seed: int = 0, *, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Linear(3, 4), *([nn.BatchNorm1d(4)] if norm else []), nn.Tanh(), nn.Linear(4, 2)]
    return nn.Sequential(*layers).double()


def samples(count: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(count, 3, generator=generator, dtype=torch.float64),
        torch.randn(count, 2, generator=generator, dtype=torch.float64),
    )


def step_once(module: nn.Module, loss: nn.Module, batches: list[tuple[Tensor, Tensor]], **fields: Any) -> TrainState:
    state = state_of(module, loss, optimizer=SGD)
    train_step(state, batches, penalised(module), settings_of(**fields))
    return state


def gradients_of(module: nn.Module, loss: nn.Module) -> dict[str, Tensor]:
    inputs, targets = samples()
    names, parameters = zip(*module.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss(module(inputs), targets), parameters), strict=True))


def test_l2_adds_2_l2_w_to_the_gradient() -> None:
    module, loss = two_layers(norm=True), nn.MSELoss()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    gradients = gradients_of(module, loss)
    step_once(module, loss, [samples()], l2=0.1)
    for name, parameter in module.named_parameters():
        penalty = 0.2 * before[name] if parameter.ndim >= 2 else 0
        torch.testing.assert_close(parameter.detach(), before[name] - 0.5 * (gradients[name] + penalty))


def test_l1_is_a_soft_threshold_after_the_step() -> None:
    module, loss = two_layers(norm=True), nn.MSELoss()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    gradients = gradients_of(module, loss)
    step_once(module, loss, [samples()], l1=0.4)
    zeros = 0
    for name, parameter in module.named_parameters():
        moved = before[name] - 0.5 * gradients[name]
        if parameter.ndim >= 2:
            moved = moved.sign() * (moved.abs() - 0.5 * 0.4).clamp_min(0)
            zeros += int((parameter == 0).sum())
        torch.testing.assert_close(parameter.detach(), moved)
    assert zeros > 0


@pytest.mark.parametrize("penalty", [{"l1": 0.1}, {"l2": 0.1}])
def test_penalties_do_not_change_unused_and_frozen_weights(penalty: dict[str, float]) -> None:
    module = two_layers()
    module.register_parameter("unused", nn.Parameter(torch.ones(2, 2, dtype=torch.float64)))
    kept = module.get_parameter("0.weight")
    kept.requires_grad_(False)
    frozen = kept.detach().clone()
    step_once(module, nn.MSELoss(), [samples()], **penalty)
    assert module.get_parameter("unused").detach().equal(torch.ones(2, 2, dtype=torch.float64))
    assert kept.equal(frozen)


def test_gradients_are_clipped_to_the_norm() -> None:
    module, loss = two_layers(), nn.MSELoss(reduction="sum")
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    gradients = gradients_of(module, loss)
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients.values()))
    assert norm > 1
    step_once(module, loss, [samples()], clip_grad_norm=0.25)
    for name, parameter in module.named_parameters():
        # torch adds 1e-6 to the norm.
        expected = before[name] - 0.5 * gradients[name] * 0.25 / norm
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("sizes", [(4, 4), (1, 7), (3, 3, 2)])
@pytest.mark.parametrize("kind", ["mse", "sum", "class_weights"])
def test_accumulated_batches_match_one_large_batch(kind: str, sizes: tuple[int, ...]) -> None:
    inputs, targets = samples()
    loss: nn.Module = nn.MSELoss(reduction="sum" if kind == "sum" else "mean")
    if kind == "class_weights":
        weights = torch.tensor([1.0, 9.0], dtype=torch.float64)
        loss, targets = CrossEntropyLoss(class_weights=weights), torch.tensor([0, 0, 0, 1, 0, 1, 1, 0])
    batches = list(zip(torch.split(inputs, list(sizes)), torch.split(targets, list(sizes)), strict=True))
    penalties = {"l2": 0.1, "clip_grad_norm": 0.3}
    large, small = two_layers(), two_layers()
    whole = step_once(large, loss, [(inputs, targets)], **penalties)
    parts = step_once(small, loss, batches, **penalties)
    for one, other in zip(large.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    assert parts.train_loss.result() == pytest.approx(whole.train_loss.result(), rel=1e-12)


def quadratic_states(line_search: str | None, **fields: Any) -> tuple[TrainState, tuple[Tensor, Tensor], Tensor]:
    """Least squares with a badly scaled input, its data, and the solution with L2 of 0.01."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(40, 5, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 3, 0.3, 1, 2])
    targets = torch.randn(40, 1, generator=generator, dtype=torch.float64)
    matrix = inputs.T @ inputs / 40 + 0.01 * torch.eye(5)
    module = nn.Linear(5, 1, bias=False).double()
    optimizer = {"name": "lbfgs", "line_search_fn": line_search, "tolerance_change": 1e-15, **fields}
    state = state_of(module, nn.MSELoss(), optimizer=optimizer)
    return state, (inputs, targets), torch.linalg.solve(matrix, inputs.T @ targets / 40)


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
@pytest.mark.parametrize("parts", [1, 4])
def test_lbfgs_solves_ridge_regression_in_a_few_steps(line_search: str | None, parts: int) -> None:
    state, (inputs, targets), solution = quadratic_states(line_search, lr=1.0 if line_search else 0.5)
    batches = list(zip(inputs.chunk(parts), targets.chunk(parts), strict=True))
    for _ in range(3):
        train_step(state, batches, penalised(state.model), settings_of(l2=0.01))
    torch.testing.assert_close(state.model.get_parameter("weight").detach(), solution.T, rtol=1e-5, atol=1e-6)


def test_the_first_iteration_of_lbfgs_is_a_gradient_step() -> None:
    state, batch, _ = quadratic_states(None, lr=0.3, max_iter=1)
    weight = state.model.get_parameter("weight")
    start = weight.detach().clone()
    inputs, targets = batch
    gradient = 2 * inputs.T @ (inputs @ start.T - targets) / 40 + 0.2 * start.T
    train_step(state, [batch], penalised(state.model), settings_of(l2=0.1))
    # Nocedal & Wright 2006, section 7.2: the curvature is not known yet. torch bounds the 1-norm of the first step.
    expected = start - min(1.0, 1 / float(gradient.abs().sum())) * 0.3 * gradient.T
    torch.testing.assert_close(weight.detach(), expected)


def test_lbfgs_records_each_step_once_with_one_dropout_mask() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2)).double()
    state = state_of(module, nn.MSELoss(), optimizer="lbfgs")
    calls: list[Tensor] = []
    module[2].register_forward_hook(lambda _, inputs, output: calls.append(output == 0))
    train_step(state, [samples()], [], settings_of())
    assert len(calls) > 3
    assert all(mask.equal(calls[0]) for mask in calls)
    assert state.train_loss.weight == 8
    train_step(state, [samples()], [], settings_of())
    assert not calls[-1].equal(calls[0])


def test_lbfgs_solves_logistic_regression(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    sections = {
        "data": {"name": "breast_cancer", "split": {"val": 0, "test": 0}},
        "optimizer": "lbfgs",
        "loss": "bce",
        "regularization": {"l2": 0.01},
        "train": {"epochs": 5, "batch_size": "full", "early_stopping": None},
    }
    run = train(tmp_path, sections)
    prepared = nnzoo.load(run.run_dir)
    import sklearn.datasets

    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    scaled = prepared.preprocess(torch.tensor(x, dtype=torch.float32)).numpy()
    # nnzoo: mean loss + 0.01 |w|^2; scikit-learn: C * sum of losses + |w|^2 / 2.
    known = LogisticRegression(C=1 / (0.02 * len(y)), tol=1e-8, max_iter=1000).fit(scaled, y)
    assert abs(np.abs(prepared.predict_proba(x) - known.predict_proba(scaled)).max()) < 2e-3


class Own(nn.Module):
    """A custom module with tied weights, an integer buffer, and an unused parameter."""

    counter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.head = nn.Linear(4, 3)
        self.unused = nn.Parameter(torch.ones(3, 3))
        self.register_buffer("counter", torch.tensor(0))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.counter += len(inputs)
        hidden = self.second(self.first(inputs).tanh()).tanh()
        outputs: Tensor = self.head(hidden)
        return outputs


IRIS: dict[str, Any] = {"data": "iris", "train": {"epochs": 3, "early_stopping": None}}


def train(tmp_path: Path, *overrides: dict[str, Any], model: nn.Module | None = None) -> Any:
    config = {**IRIS, **({} if model else {"model": "linear"})}
    for override in overrides:
        config |= override
    return nnzoo.train(config, runs_dir=tmp_path, quiet=True, model=model)


@pytest.mark.parametrize("name", members(OptimizerSection))
def test_a_custom_module_trains_with_every_optimizer(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    module = Own()
    run = train(
        tmp_path,
        {
            "optimizer": {"name": name, "lr": {"adadelta": 1.0, "lbfgs": 1.0, "rprop": 1e-3}.get(name, 0.02)},
            "regularization": {"l1": 0.0 if name == "lbfgs" else 1e-3, "l2": 1e-3},
        },
        model=module,
    )
    trained = run.model.module
    assert trained.second.weight is trained.first.weight
    assert trained.unused.equal(torch.ones(3, 3))
    # 150 samples without 15 % val and 15 % test; lbfgs evaluates them several times.
    assert name == "lbfgs" or int(trained.counter) == run.result["best_epoch"] * 106
    assert run.history["train/loss"][-1] < run.history["train/loss"][0]
    again = nnzoo.load(run.run_dir, model=Own())
    raw = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(again.predict_proba(raw), run.model.predict_proba(raw))


def test_frozen_parameters_do_not_change(tmp_path: Path) -> None:
    model = {"name": "mlp", "hidden": [5], "freeze": ["hidden.*"]}
    sections: dict[str, Any] = {
        "model": model,
        "optimizer": {"name": "adamw", "lr": 0.1, "weight_decay": 0.5},
        "regularization": {"l1": 0.01, "l2": 0.1},
    }
    run = train(tmp_path, sections)
    torch.manual_seed(0)
    start = nnzoo.build_model({**IRIS, **sections}).state_dict()
    end = run.model.module.state_dict()
    moved = {name for name in start if not start[name].equal(end[name])}
    assert moved == {"output.linear.weight", "output.linear.bias"}


def test_l1_drives_weights_to_zero_and_l2_shrinks_them(tmp_path: Path) -> None:
    def weights(**penalty: float) -> Tensor:
        run = train(
            tmp_path,
            {
                "data": "breast_cancer",
                "regularization": penalty,
                "optimizer": {"name": "sgd", "lr": 0.1},
                "train": {"epochs": 15, "early_stopping": None, "monitor": "train/loss"},
            },
        )
        weight: Tensor = run.model.module.output.linear.weight
        return weight.detach()

    plain, l1, l2 = weights(), weights(l1=0.02), weights(l2=0.1)
    assert (plain == 0).sum() == 0
    assert (l1 == 0).sum() > 10
    assert (l2 == 0).sum() == 0
    assert l2.norm() < 0.7 * plain.norm()
