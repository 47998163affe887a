"""Summaries have no side effects."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nnzoo.summaries import summarize


class Everything(nn.Module):
    """Has BatchNorm statistics, uses every RNG and a Python counter, and optionally depends on values."""

    def __init__(self, *, needs_values: bool) -> None:
        super().__init__()
        self.needs_values = needs_values
        self.layers = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Dropout())
        self.generator = torch.Generator().manual_seed(5)
        self.cache = torch.ones(3)
        self.num_calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.num_calls += 1
        x = (
            self.layers(x)
            + torch.rand(1)
            + torch.rand(1, generator=self.generator)
            + random.random()
            + np.random.rand()
        )
        if self.needs_values:
            assert x.sum().item() == x.sum().item()
            self.cache.zero_()
        return x


def rng_states() -> tuple[object, ...]:
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("needs_values", [True, False])
def test_a_summary_does_not_change_the_net(needs_values: bool, training: bool) -> None:
    torch.manual_seed(0)
    model = Everything(needs_values=needs_values).train(training)
    model.layers[1].eval()
    modes = [module.training for module in model.modules()]
    parameters = list(model.parameters())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator_state, states = model.generator.get_state(), rng_states()
    onednn = torch.backends.mkldnn.enabled
    str(summarize(model, (2, 8)))
    assert rng_states() == states
    assert torch.equal(model.generator.get_state(), generator_state)
    assert [module.training for module in model.modules()] == modes
    assert all(after is before for after, before in zip(model.parameters(), parameters, strict=True))
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(p.device.type == "cpu" and p.grad is None for p in parameters)
    assert model.num_calls == 0
    assert torch.equal(model.cache, torch.ones(3))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mkldnn.enabled == onednn


def test_hooks_are_kept_and_not_called() -> None:
    model = nn.Sequential(nn.Linear(3, 4))
    calls: list[object] = []
    handles: list[RemovableHandle] = [
        model[0].register_forward_hook(lambda module, args, output: calls.append(output)),
        model[0].register_forward_pre_hook(lambda module, args: calls.append(args)),
    ]
    summarize(model, (3,))
    assert calls == []
    assert [*model[0]._forward_hooks, *model[0]._forward_pre_hooks] == [handle.id for handle in handles]
    model(torch.ones(1, 3))
    assert len(calls) == 2


def test_a_failed_summary_does_not_change_the_net() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(), nn.Linear(3, 4))
    states = rng_states()
    with pytest.raises(Exception, match="forward pass fails"):
        summarize(model, (5,))
    assert rng_states() == states
    assert torch.backends.mha.get_fastpath_enabled()


def test_summarize_does_not_print(capsys: pytest.CaptureFixture[str]) -> None:
    str(summarize(nn.Linear(3, 4), (3,)))
    assert capsys.readouterr() == ("", "")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_summary_does_not_change_a_net_on_cuda() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.LSTM(4, 5)).cuda()
    torch.cuda.manual_seed(0)
    state, rng = {k: v.clone() for k, v in model.state_dict().items()}, torch.cuda.get_rng_state()
    assert summarize(model, (3,)).num_parameters == sum(p.numel() for p in model.parameters())
    assert torch.equal(torch.cuda.get_rng_state(), rng)
    assert all(v.is_cuda and torch.equal(v, state[k]) for k, v in model.state_dict().items())
