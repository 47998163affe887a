"""A step has no more operations than a bare loop, and no profiler range."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

import nnzoo
from nnzoo.builders import build_optimizer, move_to_device
from nnzoo.config import load_config
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.train.start import build_state
from nnzoo.training.batches.reading import take
from nnzoo.training.optimization.optimizers import OPTIMIZERS
from nnzoo.training.optimization.optimizers import build_optimizer as optimizer_of
from nnzoo.training.state import match_memory_layout
from nnzoo.training.step import train_step


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that counts operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def bare_step(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, index: Tensor) -> None:
    inputs, targets = x.index_select(0, index), y.index_select(0, index)
    loss = F.cross_entropy(network(inputs), targets)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    loss.item()


def loss_of(weight: nn.Parameter) -> float:
    weight.grad = None
    loss = weight.square().sum()
    torch.autograd.backward(loss)
    return loss.item()


def plain_network(name: str) -> nn.Module:
    if name == "mlp":
        return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10))


BLOCKS = [{"conv": {"out_channels": 4, "kernel_size": 3}}, {"pool": {"kind": "max", "kernel_size": 2}}]


@pytest.mark.parametrize("model", [{"name": "mlp", "hidden": [16]}, {"name": "cnn", "blocks": BLOCKS}])
def test_a_step_has_the_operations_of_a_bare_loop(model: dict[str, Any]) -> None:
    experiment = prepare(load_config({"data": "digits", "model": model, "optimizer": "adam"}))
    state, _, _ = build_state(experiment, None, show=lambda _: None)
    split = experiment.splits["train"]
    network = plain_network(model["name"]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x = split.inputs if model["name"] == "cnn" else split.inputs.flatten(1)
    index = torch.randperm(len(split))
    counts = []
    state.model.train()
    for _ in range(2):  # the first one allocates the state of the optimizer
        with Operations() as bare:
            bare_step(network, optimizer, x, split.targets, index[:32])
        with Operations() as own:
            train_step(state, [take(split, index, 0, 32)], [], experiment.settings)
        counts.append(own.counts - bare.counts)
    # Views, which are almost free: slices of the order, and flattened images.
    free = {"aten.slice.Tensor", "aten.view.default", "aten.detach.default", "aten._unsafe_view.default"}
    # The copies of outputs and targets for the metrics.
    assert {name: count for name, count in counts[1].items() if name not in free} == {"aten.copy_.default": 2}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_step_matches_torch_without_its_profiler_range(name: str) -> None:
    starts = torch.randn(2, 5)
    weights = [nn.Parameter(starts.clone()) for _ in range(2)]
    fields: dict[str, Any] = {"lr": 0.1}
    own = optimizer_of(name, [weights[0]], **fields)
    kind = OPTIMIZERS[name].build
    theirs = kind([weights[1]], **fields | ({"fused": True} if OPTIMIZERS[name].fused else {}))
    assert isinstance(own, kind)
    ranges = []
    for optimizer, weight in ((own, weights[0]), (theirs, weights[1])):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(3):
                optimizer.step(partial(loss_of, weight))
        ranges.append(sum(event.name.startswith("Optimizer.step") for event in profile.events()))
    assert torch.equal(*weights)
    assert ranges == [0, 3]


def test_convolutions_are_channels_last_on_a_cpu_except_in_custom_modules() -> None:
    config_dict = {"data": "cifar10", "model": "resnet20"}
    last = nn.Conv2d(8, 8, 3)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), last)
    images = torch.randn(2, 3, 8, 8)
    before = network(images)
    after = move_to_device(load_config(config_dict), network, torch.device("cpu"))(images)
    assert last.weight.is_contiguous(memory_format=torch.channels_last)
    assert not last.weight.is_contiguous()
    assert after.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before)
    own = nn.Conv2d(8, 8, 3)
    move_to_device(load_config({"data": "cifar10"}, custom_model=True), own, torch.device("cpu"))
    assert own.weight.is_contiguous()


@pytest.mark.parametrize("name", ["adamw", "sgd", "adagrad", "rmsprop"])
def test_the_state_of_an_optimizer_has_the_layout_of_its_weights(name: str) -> None:
    """A run from a device with another memory layout continues with the same values."""
    section = {"name": "sgd", "lr": 0.1, "momentum": 0.9} if name == "sgd" else {"name": name, "lr": 0.1}
    config = load_config({"data": "cifar10", "model": "resnet20", "optimizer": section})
    start, gradient = torch.randn(4, 3, 5, 5), torch.randn(4, 3, 5, 5)
    results = []
    for order in (torch.contiguous_format, torch.channels_last):
        network = nn.Conv2d(3, 4, 5, bias=False)
        network.weight.data = start.clone()
        optimizer = build_optimizer(config, network)
        for number in range(4):
            if number == 2:
                saved = optimizer.state_dict()
                network = network.to(memory_format=order)
                optimizer = build_optimizer(config, network)
                optimizer.load_state_dict(saved)
                match_memory_layout(optimizer)
            network.weight.grad = None
            torch.autograd.backward((network.weight * gradient * (number + 1)).sum())
            optimizer.step()
        results.append(network.weight.detach())
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_global_optimizer_hooks_are_called(name: str) -> None:
    """The hooks of `register_optimizer_step_pre_hook` and `register_optimizer_step_post_hook`."""
    weight = nn.Parameter(torch.ones(3))
    optimizer = optimizer_of(name, [weight], lr=0.1)
    calls: list[tuple[str, float]] = []
    before = register_optimizer_step_pre_hook(lambda *_: calls.append(("before", weight.detach().sum().item())))
    after = register_optimizer_step_post_hook(lambda *_: calls.append(("after", weight.detach().sum().item())))
    try:
        weight.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step(partial(loss_of, weight)) if name == "lbfgs" else optimizer.step()
    finally:
        before.remove()
        after.remove()
    assert [each for each, _ in calls] == ["before", "after"]
    assert calls[0][1] == 3.0
    assert calls[1][1] == weight.detach().sum().item() != 3.0
    optimizer.step(partial(loss_of, weight)) if name == "lbfgs" else optimizer.step()
    assert len(calls) == 2


def test_hooks_are_called_in_a_training(tmp_path: Path) -> None:
    steps: list[str] = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: steps.append(type(optimizer).__name__))
    try:
        nnzoo.train({"data": "iris", "model": "linear", "train": {"epochs": 2}}, runs_dir=tmp_path, quiet=True)
    finally:
        hook.remove()
    assert len(steps) == 2 * 4
    assert set(steps) == {"AdamW"}
