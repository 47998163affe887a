"""Batches: their number, order and samples."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.training.batches.order import boundaries, epoch_order, eval_batch_size

CPU = torch.device("cpu")
VALUES = {"name": "values", "values": [[0.1, -0.2, 0.3, 0.4], [0.0, 0.2, -0.1, 0.3], [0.2, 0.2, 0.1, -0.3]]}
FIXED: dict[str, Any] = {"name": "linear", "output": {"init": VALUES}}


def train(tmp_path: Path, *, model: object = FIXED, seed: int = 0, **settings: Any) -> Any:
    config = {
        "seed": seed,
        "data": "iris",
        "model": model,
        "train": {"epochs": 3, "early_stopping": None, "monitor": "train/loss", **settings},
    }
    return nnzoo.train(config, runs_dir=tmp_path, quiet=True)


def weights(run: Any) -> Tensor:
    weight: Tensor = run.model.module.output.linear.weight
    return weight.detach()


@pytest.mark.parametrize("batch_size", [1, 5, 52, 105, 106, 1000])
def test_an_epoch_has_as_many_steps_as_batches(tmp_path: Path, batch_size: int) -> None:
    run = train(tmp_path, batch_size=batch_size)  # 106 of the 150 samples are left to train
    assert run.history["step"] == [epoch * math.ceil(106 / batch_size) for epoch in (1, 2, 3)]


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 22), (2, 11), (4, 6), (100, 1)])
def test_a_step_accumulates_several_batches(tmp_path: Path, accumulate: int, steps: int) -> None:
    run = train(tmp_path, batch_size=5, accumulate_grad_batches=accumulate)
    assert run.history["step"] == [steps, 2 * steps, 3 * steps]


def test_full_is_one_step_that_does_not_depend_on_the_seed(tmp_path: Path) -> None:
    first, second = (train(tmp_path, batch_size="full", seed=seed) for seed in (0, 1))
    assert first.history["step"] == [1, 2, 3]
    assert weights(first).equal(weights(second))
    assert not weights(train(tmp_path, batch_size=32, seed=0)).equal(weights(train(tmp_path, batch_size=32, seed=1)))


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    model = {"name": "mlp", "hidden": [8], "dropout": 0.5, "batch_norm": True}
    first, second, other = (train(tmp_path, model=model, seed=seed) for seed in (3, 3, 4))
    assert weights(first).equal(weights(second))
    assert not weights(first).equal(weights(other))


def test_the_order_is_a_permutation_that_depends_only_on_seed_and_epoch() -> None:
    orders = {}
    for seed in (0, 1, 2**63 - 1):
        for epoch in (0, 1):
            orders[seed, epoch] = epoch_order(50, seed=seed, epoch=epoch, device=CPU)
            torch.rand(3)  # another user of the global generator
            assert orders[seed, epoch].equal(epoch_order(50, seed=seed, epoch=epoch, device=CPU))
            assert orders[seed, epoch].sort().values.equal(torch.arange(50))
    assert len({tuple(order.tolist()) for order in orders.values()}) == 6


@pytest.mark.parametrize("num_samples", [1, 2, 9, 10, 11, 21])
@pytest.mark.parametrize("batch_size", [2, 3, 10])
@pytest.mark.parametrize("min_size", [1, 2, 4])
def test_batches_cover_every_sample_once(num_samples: int, batch_size: int, min_size: int) -> None:
    found = boundaries(num_samples, batch_size, min_size=min_size)
    assert [index for start, end in found for index in range(start, end)] == list(range(num_samples))
    sizes = [end - start for start, end in found]
    joined = num_samples > batch_size and (num_samples % batch_size or batch_size) < min_size
    assert len(sizes) == math.ceil(num_samples / batch_size) - joined
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] >= min_size or len(sizes) == 1 or batch_size < min_size


def test_with_batch_norm_the_last_batch_never_has_one_sample(tmp_path: Path) -> None:
    run = train(tmp_path, model={"name": "mlp", "hidden": [4], "batch_norm": True}, batch_size=35)
    assert run.history["step"] == [3, 6, 9]  # 35, 35 and 36


def test_the_size_of_evaluation_batches_depends_on_the_size_of_the_inputs() -> None:
    assert eval_batch_size(torch.zeros(10, 4), 32) == 4096
    assert eval_batch_size(torch.zeros(10, 1, 28, 28), 32) == 2**17 // (28 * 28)
    assert eval_batch_size(torch.zeros(2, 3, 224, 224), 4) == 4
    assert eval_batch_size(torch.zeros(2, 3, 224, 224), 1000) == 64
    on_device = torch.zeros(2, 3, 224, 224, device="meta")
    assert eval_batch_size(on_device, 4) == 2**20 // (3 * 224 * 224)
    assert eval_batch_size(on_device, 1000) == 1000


class Batches(nn.Module):
    """Records the first feature of every training sample."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.batches: list[list[float]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.batches.append(inputs[:, 0].tolist())
        outputs: Tensor = self.linear(inputs)
        return outputs


@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_epoch_has_every_sample_once_in_another_order(tmp_path: Path, accumulate: int) -> None:
    x = np.arange(10, dtype=np.float32)
    np.savez(tmp_path / "data.npz", x=x[:, None], y=x)
    config = {
        "data": {"name": "arrays", "path": str(tmp_path / "data.npz"), "split": {"val": 0, "test": 0}},
        "preprocess": {"normalize": "none"},
        "train": {"epochs": 2, "batch_size": 4, "accumulate_grad_batches": accumulate},
    }
    module = Batches()
    nnzoo.train(config, model=module, runs_dir=tmp_path, quiet=True)
    batches = [batch for batch in module.batches if len(batch) in (4, 2)][-6:]  # the summary calls it first
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2]
    epochs = [[value for batch in half for value in batch] for half in (batches[:3], batches[3:])]
    assert [sorted(epoch) for epoch in epochs] == [x.tolist(), x.tolist()]
    assert epochs[0] != epochs[1]


def test_training_seeds_the_global_generators(tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        train(tmp_path, seed=5, model={"name": "mlp", "hidden": [4], "dropout": 0.2})
        drawn.append((float(torch.rand(())), float(np.random.rand()), random.random()))
    assert drawn[0] == drawn[1]
