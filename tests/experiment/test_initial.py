"""`nnzoo.build_model`: the initial network of a training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nnzoo
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.train import start
from nnzoo.training.state import TrainState

MLP = {"name": "mlp", "hidden": [5], "dropout": 0.3}
SERIES = {"name": "series", "path": "s.csv", "target": "v", "window": 4, "horizon": 2}
TEXT = {"name": "text", "path": "t.csv", "text": "words", "target": "y"}
CONFIGS: dict[str, dict[str, Any]] = {
    "mlp": {"data": "digits", "model": MLP, "seed": 3},
    "init": {"data": "iris", "model": MLP, "init": {"name": "orthogonal", "bias": 0.1}},
    "cnn": {"data": "digits", "model": "lenet5"},
    "regression": {"data": "diabetes", "model": MLP, "seed": 11},
    "series": {"data": SERIES, "model": {"name": "lstm", "hidden_size": 3}},
    "text": {"data": TEXT, "model": {"name": "gru", "hidden_size": 3}},
    "pca": {"data": "digits", "model": MLP, "preprocess": {"pca": {"n_components": 6}}},
    "restarts": {"data": "iris", "model": MLP, "train": {"restarts": 2}},
}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.csv").write_text("v\n" + "\n".join(str(100 + 3 * step + step % 7) for step in range(60)) + "\n")
    rows = [f"{'good fine' if step % 2 else 'bad poor'} word{step % 5},{step % 2}" for step in range(40)]
    Path("t.csv").write_text("\n".join(["words,y", *rows]) + "\n")


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Records the initial weights of trainings."""
    found: list[dict[str, Tensor]] = []
    original = start.state_of

    def state_of(experiment: Experiment, module: torch.nn.Module) -> TrainState:
        found.append({name: tensor.clone() for name, tensor in module.state_dict().items()})
        return original(experiment, module)

    monkeypatch.setattr(start, "state_of", state_of)
    return found


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("name", CONFIGS)
def test_it_equals_the_start_of_training(name: str, starts: list[dict[str, Tensor]]) -> None:
    config = {"name": "x", **CONFIGS[name]}
    built = nnzoo.build_model(config).state_dict()
    nnzoo.train(config, overrides={"train.epochs": 1}, quiet=True)
    assert same(built, starts[0])
    assert same(built, nnzoo.build_model(config).state_dict())
    other = nnzoo.build_model({**config, "seed": 77}).state_dict()
    assert not same(built, other)


def test_it_loads_pretrained_weights(starts: list[dict[str, Tensor]]) -> None:
    nnzoo.train({"name": "base", "data": "iris", "model": MLP, "train": {"epochs": 1}}, quiet=True)
    config = {"name": "x", "data": "wine", "model": {"name": "mlp", "hidden": [5]}, "train": {"epochs": 1}}
    config |= {"data": "iris", "model": {**MLP, "pretrained": "base"}}
    built = nnzoo.build_model(config).state_dict()
    nnzoo.train(config, quiet=True)
    assert same(built, starts[-1])


@pytest.mark.parametrize("sizes", [{}, {"num_outputs": 4}, {"input_shape": (1, 12, 12), "num_outputs": 4}])
def test_random_states_do_not_change(sizes: dict[str, Any]) -> None:
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(1)), float(np.random.rand()), random.random()

    def seed() -> None:
        torch.manual_seed(5), np.random.seed(5), random.seed(5)

    seed()
    expected = draw()
    seed()
    one = nnzoo.build_model(CONFIGS["cnn"], **sizes).state_dict()
    assert draw() == expected
    assert same(one, nnzoo.build_model(CONFIGS["cnn"], **sizes).state_dict())


@pytest.mark.parametrize("size", [-1, 0, True, 2.0, "3", None])
def test_invalid_sizes(size: Any) -> None:
    if size is not None:
        with pytest.raises(nnzoo.UsageError, match=r"num_outputs: must be positive integers \(got "):
            nnzoo.build_model("digits_mlp", num_outputs=size)
    with pytest.raises(nnzoo.UsageError, match=r"input_shape: must be positive integers \(got \(8, "):
        nnzoo.build_model("digits_mlp", input_shape=(8, size), num_outputs=2)


def test_numpy_sizes() -> None:
    net = nnzoo.build_model("digits_mlp", input_shape=tuple(np.array([1, 4])), num_outputs=np.int64(3))  # type: ignore[arg-type]
    assert net(torch.zeros(2, 1, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    "overrides", [{1: 2}, {("model", "name"): "mlp"}, [1], 3, None, [("a", 1)], {"optimizer.lr": 1e-3, 2: 3}]
)
def test_invalid_overrides(overrides: Any) -> None:
    for use in (nnzoo.load_config, nnzoo.train):
        with pytest.raises(nnzoo.UsageError, match="overrides: expected a dict such as"):
            use("digits_mlp", overrides=overrides)


@pytest.mark.parametrize("config", [3, None, ["digits_mlp"]])
def test_invalid_configs(config: Any) -> None:
    for use in (nnzoo.load_config, nnzoo.train, nnzoo.build_model):
        with pytest.raises(nnzoo.UsageError, match="config: expected a path, the name of a shipped config, a dict"):
            use(config)


@pytest.mark.parametrize("other", ["overwrite", "dry_run"])
def test_resume_is_not_combined(other: str) -> None:
    config = {"name": "x", "data": "iris", "model": MLP, "train": {"epochs": 1}}
    nnzoo.train(config, quiet=True)
    with pytest.raises(nnzoo.UsageError, match=f"resume continues a run and can't be combined with {other}"):
        nnzoo.train(config, resume=True, **{other: True})  # type: ignore[arg-type]
