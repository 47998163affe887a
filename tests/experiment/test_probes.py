"""Probes: what health.csv contains, that the weights do not depend on it, and that a resumed run has the same rows."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.errors import CheckpointError, InterruptedRunError, NnzooError
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint
from nnzoo.run.health import HealthRow, read_health
from nnzoo.training import checkpoints

CNN = {
    "name": "cnn",
    "blocks": [
        {"conv": {"out_channels": 4, "kernel_size": 3, "batch_norm": True, "dropout": 0.2}},
        {"pool": {"kind": "max", "kernel_size": 2}},
    ],
    "head": [8],
}
CONFIGS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"name": "mlp", "hidden": [16, 8], "activation": "sigmoid"}, "train.clip_grad_norm": 0.5},
    "cnn": {"model": CNN, "train.accumulate_grad_batches": 2, "regularization": {"l1": 1e-4, "l2": 1e-3}},
    "lstm": {"model": {"name": "lstm", "hidden_size": 12, "dropout": 0.1, "num_layers": 2}},
    "relu rnn": {"model": {"name": "rnn", "hidden_size": 8, "nonlinearity": "relu", "bidirectional": True}},
    "lbfgs": {"model": {"name": "mlp", "hidden": [4]}, "optimizer": "lbfgs", "train.batch_size": "full"},
    "bf16": {"model": {"name": "mlp", "hidden": [16]}, "train.precision": "bf16-mixed"},
    "batched restarts": {"model": {"name": "mlp", "hidden": [8], "batch_norm": True}, "train.restarts": 3},
    "sequential restarts": {"model": CNN, "train.restarts": 2, "train.epochs": 2},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The runs are too short for a checkpoint between the first and the last otherwise.
    monkeypatch.setattr(checkpoints, "MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)


def train(runs_dir: str, overrides: dict[str, Any], **options: Any) -> Run:
    base = {"name": "x", "data": "digits", "model": "mlp", "train": {"epochs": 3}}
    return nnzoo.train(base, overrides=overrides, runs_dir=runs_dir, quiet=True, **options)


def weights(run: Run) -> dict[str, Tensor]:
    return dict(run.model.module.state_dict())


@pytest.mark.parametrize("name", CONFIGS)
def test_the_weights_do_not_depend_on_probes(name: str) -> None:
    try:
        plain = train("off", {**CONFIGS[name], "train.probes": False})
    except NnzooError as error:
        if name == "bf16" and "bfloat16" in str(error):
            pytest.skip("this processor has no bfloat16")
        raise
    probed = train("on", CONFIGS[name])
    assert not (plain.run_dir / "health.csv").exists()
    before, after = weights(plain), weights(probed)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    rows = read_health(probed.run_dir / "health.csv")
    layers = {row.layer for row in rows}
    assert "output" in layers
    assert len(layers) > 1
    assert len({(row.epoch, row.layer) for row in rows}) == len(rows)
    for row in rows:
        assert row.gradient_norm > 0
        assert row.update_ratio > 0
        assert row.activation_variance > 0
        assert math.isfinite(row.activation_mean)
        assert math.isnan(row.dead) or 0 <= row.dead <= 1
        assert math.isnan(row.saturated) or 0 <= row.saturated <= 1
        assert not (math.isfinite(row.dead) and math.isfinite(row.saturated))
    hidden = [row for row in rows if row.layer != "output"]
    bounded = name in ("mlp", "lstm")
    assert all(math.isfinite(row.saturated if bounded else row.dead) for row in hidden)


@pytest.mark.parametrize("step", [17, 40])
@pytest.mark.parametrize("name", ["mlp", "cnn", "lstm", "batched restarts", "sequential restarts"])
def test_a_resumed_run_has_the_same_rows(name: str, step: int, at_step: Callable[..., None]) -> None:
    train("uninterrupted", CONFIGS[name])
    at_step(step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("parts", CONFIGS[name])
    train("parts", CONFIGS[name], resume=True)
    assert Path("parts/x/health.csv").read_bytes() == Path("uninterrupted/x/health.csv").read_bytes()
    assert Path("parts/x/best.safetensors").read_bytes() == Path("uninterrupted/x/best.safetensors").read_bytes()


def test_probes_may_be_switched_off_when_a_run_is_resumed(at_step: Callable[..., None]) -> None:
    at_step(20, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("runs", CONFIGS["mlp"])
    resumed = train("runs", {**CONFIGS["mlp"], "train.probes": False}, resume=True)
    assert {row.epoch for row in read_health(resumed.run_dir / "health.csv")} == {1}
    assert all(
        torch.equal(a, b)
        for a, b in zip(weights(resumed).values(), weights(train("y", CONFIGS["mlp"])).values(), strict=True)
    )


def write_blobs(num_samples: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=num_samples)
    x = rng.normal(size=(num_samples, 5)) + 2 * y[:, None]
    np.savez("data.npz", x=x.astype(np.float32), y=y)
    return x, y


def test_the_numbers_are_those_of_a_step_by_hand() -> None:
    """One step over all samples, with SGD: every number has a closed form."""
    write_blobs(40)
    overrides: dict[str, Any] = {
        "data": {"name": "arrays", "path": "data.npz", "split": {"val": 0, "test": 0}},
        "preprocess.normalize": "none",
        "model": {"name": "mlp", "hidden": [6]},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": "full"},
    }
    run = train("runs", overrides)
    network = nnzoo.build_model(nnzoo.load_config({key: overrides[key] for key in ("data", "model")}))
    with np.load("data.npz") as file:
        x, y = torch.from_numpy(file["x"]), torch.from_numpy(file["y"])
    outputs = network(x)
    nn.functional.cross_entropy(outputs, y).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        hidden, outputs = network.get_submodule("hidden")(x), network(x)
    rows = read_health(run.run_dir / "health.csv")
    assert [(row.epoch, row.step, row.layer) for row in rows] == [(1, 1, "hidden.0"), (1, 1, "output")]
    for row, values in zip(rows, (hidden, outputs), strict=True):
        weight = network.get_parameter(f"{row.layer}.linear.weight")
        assert weight.grad is not None
        assert row.gradient_norm == pytest.approx(float(weight.grad.norm()), rel=1e-5)
        assert row.update_ratio == pytest.approx(0.1 * float(weight.grad.norm() / weight.detach().norm()), rel=1e-4)
        assert row.activation_mean == pytest.approx(float(values.mean()), rel=1e-5)
        assert row.activation_variance == pytest.approx(float(values.var(correction=0)), rel=1e-5)
    assert rows[0].dead == pytest.approx(float((hidden <= 0).all(0).double().mean()))
    assert math.isnan(rows[1].dead)


class HalfDead(nn.Module):
    """Its first layer has ten units, of which six are always negative."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 10)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Linear(10, 3)
        with torch.no_grad():
            self.first.bias[:6] = -1000.0
            self.first.bias[6:] = 10.0

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.relu(self.first(inputs)))
        return outputs


@pytest.mark.parametrize("step", [60, 100])
def test_dead_units_are_reported_once_and_with_small_batches(step: int, at_step: Callable[..., None]) -> None:
    """A batch of 8 samples is too small to call a unit dead; after the 4th sampled step, in epoch 2, there are 32."""
    x, y = write_blobs(400)
    section = {
        "name": "x",
        "optimizer": {"name": "sgd", "lr": 1e-3},
        "train": {"epochs": 6, "batch_size": 8, "early_stopping": None},
    }
    data: Any = (x.astype(np.float32), y)
    at_step(step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        nnzoo.train(section, model=HalfDead(), data=data, quiet=True)
    run = nnzoo.train(section, model=HalfDead(), data=data, quiet=True, resume=True)
    lines = [line.split(" ", 3)[-1] for line in (run.run_dir / "train.log").read_text().splitlines() if "dead" in line]
    first = [row for row in read_health(run.run_dir / "health.csv") if row.layer == "first"]
    shares = {row.epoch: row.dead for row in first}
    assert math.isnan(shares.pop(1))
    assert shares == {2: 0.6, 4: 0.6, 6: 0.6}
    assert len(lines) == 1
    assert lines[0].endswith("epoch 2: 60 % of the units of first are dead")


@pytest.mark.parametrize("damage", ["layers", "rows", "running", "silent", "missing"])
def test_a_damaged_record_is_an_error_and_a_missing_one_is_not(damage: str, at_step: Callable[..., None]) -> None:
    at_step(50, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("runs", {"model.hidden": [8]})
    file = Path("runs/x/last.safetensors")
    saved = load_checkpoint(file)
    bad: dict[str, Any] = {
        "layers": [1, 2],
        "rows": torch.zeros(1, 2, 3, 1),
        "running": torch.zeros(9, 2, 5, 1),
        "silent": {"hidden.0": torch.zeros(3, 4, 5)},
    }
    if damage == "missing":
        del saved["health"]
    else:
        saved["health"][damage] = bad[damage]
    save_checkpoint(file, saved)
    file.with_name("previous.safetensors").unlink(missing_ok=True)
    if damage == "missing":
        run = train("runs", {"model.hidden": [8]}, resume=True)
        assert {row.epoch for row in read_health(run.run_dir / "health.csv")} <= {2, 3}
    else:
        with pytest.raises(CheckpointError, match="does not fit this run: health"):
            train("runs", {"model.hidden": [8]}, resume=True)


def test_padding_does_not_count() -> None:
    """Sequences of different lengths have the same moments as their valid steps alone."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 7, 3)).astype(np.float32)
    lengths = rng.integers(1, 8, size=40)
    np.savez("data.npz", x=x, y=rng.integers(2, size=40), lengths=lengths)
    data = {"name": "arrays", "path": "data.npz", "split": {"val": 0, "test": 0}}
    model = {"name": "gru", "hidden_size": 4}
    options = {
        "data": data,
        "model": model,
        "preprocess.normalize": "none",
        "train": {"epochs": 1, "batch_size": "full"},
    }
    run = train("runs", options)
    network = nnzoo.build_model(nnzoo.load_config({"data": data, "model": model}))
    with torch.no_grad():
        states = network.get_submodule("recurrent.0")(torch.from_numpy(x))[0]
    valid = torch.cat([each[:length] for each, length in zip(states, lengths, strict=True)])
    row = read_health(run.run_dir / "health.csv")[0]
    assert row.layer == "recurrent.0"
    assert row.activation_mean == pytest.approx(float(valid.mean()), rel=1e-4)
    assert row.activation_variance == pytest.approx(float(valid.var(correction=0)), rel=1e-4)


def test_a_file_that_was_read_is_written_again_unchanged() -> None:
    from nnzoo.run.health import write_health

    rows = [HealthRow(1, 5, 'a "layer", ü', 0.1, math.nan, math.inf, 1e-30, -0.3, 0.0)]
    write_health(Path("health.csv"), rows)
    text = Path("health.csv").read_text()
    write_health(Path("health.csv"), read_health(Path("health.csv")))
    assert Path("health.csv").read_text() == text
    assert text.splitlines()[0] == (
        "epoch,step,layer,dead,saturated,gradient_norm,update_ratio,activation_mean,activation_variance"
    )
    Path("health.csv").write_text("epoch,step\nx,1\n")
    with pytest.raises(CheckpointError, match=r"health\.csv"):
        read_health(Path("health.csv"))
