"""`train.ema`: the averaged weights are those computed by hand, and they are what is evaluated and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nnzoo
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint

DECAY = 0.8
EPOCHS = 4


class Recording(nn.Module):
    """A network with batch norm and a frozen weight, which keeps a copy of its state at each training step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 5, bias=False), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
        self.layers[3].bias.requires_grad_(False)
        self.seen: list[dict[str, Tensor]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.seen.append({name: tensor.clone() for name, tensor in self.state_dict().items()})
        outputs: Tensor = self.layers(inputs)
        return outputs


def data() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((90, 2)).astype(np.float32)
    y = (x.sum(1) > 0).astype(int) + (x[:, 0] > 1)
    return {"x": x[:60], "y": y[:60], "x_val": x[60:75], "y_val": y[60:75], "x_test": x[75:], "y_test": y[75:]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[dict[str, Tensor]], dict[str, Any]]:
    """A run with 12 steps, the state after each step, and the content of its last checkpoint."""
    torch.manual_seed(0)
    module = Recording()
    config: dict[str, Any] = {
        "preprocess": {"normalize": "none"},
        "optimizer": {"name": "sgd", "lr": 0.3},
        "train": {"epochs": EPOCHS, "batch_size": 20, "ema": DECAY, "early_stopping": None},
    }
    run = nnzoo.train(config, model=module, data=data(), runs_dir=tmp_path_factory.mktemp("runs"), quiet=True)
    last = load_checkpoint(run.run_dir / "last.safetensors")
    return run, [*module.seen[1:13], last["model"]][-12:], last


def average_of(states: list[dict[str, Tensor]], name: str) -> Tensor:
    """Computes the average after these steps, in float64."""
    average = states[0][name].double()
    for step, state in enumerate(states[1:], start=2):
        decay = min(DECAY, (step - 1) / (step + 9))
        average = decay * average + (1 - decay) * state[name].double()
    return average


def test_the_average_equals_one_computed_by_hand(trained: Any) -> None:
    _, states, last = trained
    assert len(states) == last["step"] == 12
    assert last["average"].keys() == {*states[0]} - {"layers.1.num_batches_tracked", "layers.3.bias"}
    for name, average in last["average"].items():
        torch.testing.assert_close(average.double(), average_of(states, name), rtol=1e-5, atol=1e-6)
        assert not average.equal(last["model"][name]), name


def test_the_averaged_weights_are_evaluated_and_kept(trained: Any) -> None:
    run, states, last = trained
    module = Recording().eval()
    x, y = torch.from_numpy(data()["x_val"]), torch.from_numpy(data()["y_val"])
    for epoch, row in enumerate(run.history.rows, start=1):
        end = states[3 * epoch - 1]
        module.load_state_dict(
            {
                name: average_of(states[: 3 * epoch], name).float() if name in last["average"] else end[name]
                for name in end
            }
        )
        assert row["val/loss"] == pytest.approx(F.cross_entropy(module(x), y).item(), rel=1e-5)
        if epoch == run.result["best_epoch"]:
            for name, tensor in run.model.module.state_dict().items():
                torch.testing.assert_close(tensor, module.state_dict()[name], rtol=1e-5, atol=1e-6)
    assert run.result["metrics"]["val/loss"] == pytest.approx(min(run.history["val/loss"]))


def test_eval_of_the_last_checkpoint_uses_the_average(trained: Any) -> None:
    run, *_ = trained
    loaded = nnzoo.load(run.run_dir / "last.safetensors", model=Recording())
    outputs = loaded.outputs(data()["x_val"])
    loss = F.cross_entropy(outputs, torch.from_numpy(data()["y_val"])).item()
    assert loss == pytest.approx(run.history.rows[-1]["val/loss"], rel=1e-5)


@pytest.mark.parametrize("decay", [0, 1, -0.5])
def test_a_decay_is_between_0_and_1(decay: float, tmp_path: Path) -> None:
    with pytest.raises(nnzoo.ConfigError, match=r"train\.ema: expected (more than 0|less than 1) or null"):
        nnzoo.train({"data": "xor", "model": "linear", "train": {"ema": decay}}, runs_dir=tmp_path)
