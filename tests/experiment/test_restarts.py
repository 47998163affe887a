"""Random restarts: K initialisations of one network, batched or sequential."""

from __future__ import annotations

import csv
import json
import signal
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.config import load_config
from nnzoo.errors import InterruptedRunError, UsageError
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.restarts import BatchedRestarts, choose_training
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.training import checkpoints, loop
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.restarts.replicas import ReplicaState
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState

SEED = 3
COUNT = 4
BASE: dict[str, Any] = {
    "name": "x",
    "seed": SEED,
    # 49 training samples at batch size 16: the last batch has one sample.
    "data": {"name": "blobs", "samples": 70, "noise": 3.0},
    "preprocess": {"normalize": "standardize"},
    "model": {"name": "mlp", "hidden": [8, 6], "activation": "tanh"},
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    "train": {"epochs": 5, "batch_size": 16, "early_stopping": None, "restarts": COUNT},
}
RECURRENT: dict[str, Any] = {
    "data": {"name": "random", "shape": [5, 3], "classes": 2, "samples": 60},
    "model": {"name": "rnn", "hidden_size": 4},
    "train.epochs": 3,
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(overrides: dict[str, Any] | None = None, *, runs_dir: str = "runs", **options: Any) -> Run:
    return nnzoo.train(BASE, overrides=overrides or {}, runs_dir=runs_dir, quiet=True, **options)


def experiment_of(overrides: dict[str, Any]) -> Experiment:
    return prepare(load_config(BASE, overrides))


def batched(overrides: dict[str, Any]) -> ReplicaState:
    """Trains batched restarts without files."""
    experiment = experiment_of(overrides)
    state, _, _ = build_state(experiment, None, show=lambda _: None)
    training = choose_training(experiment, state, partial(start_again, experiment, None, None))
    assert isinstance(training, BatchedRestarts)
    loop.fit(
        ReplicaLearner(training.replicas),
        experiment.splits,
        experiment.settings,
        save=lambda _: None,
        progress=Progress(1, quiet=True),
        stop=StopRequest(),
    )
    return training.replicas


def train_single(overrides: dict[str, Any], seed: int) -> tuple[TrainState, str]:
    """Trains with one seed, without restarts and files."""
    experiment = experiment_of(overrides | {"seed": seed, "train.restarts": 1})
    state = start_again(experiment, None, None, seed)
    status = loop.fit(
        SingleLearner(state),
        experiment.splits,
        experiment.settings,
        save=lambda _: None,
        progress=Progress(1, quiet=True),
        stop=StopRequest(),
    )
    return state, status


SOLO: dict[str, dict[str, Any]] = {
    "momentum": {},
    "batch norm, dropout of nothing": {"model.batch_norm": True},
    "penalties, clipping": {"regularization": {"l1": 1e-3, "l2": 1e-2}, "train.clip_grad_norm": 0.3},
    "accumulated, weighted classes": {
        "train.accumulate_grad_batches": 3,
        "loss": {"name": "cross_entropy", "class_weights": [1, 2, 3], "label_smoothing": 0.1},
    },
    "full batch": {"train.batch_size": "full"},
    "schedule by steps": {"scheduler": {"name": "cosine", "interval": "step", "warmup_epochs": 1}},
    "stopping": {"train.early_stopping": {"patience": 1}, "train.epochs": 12},
    "frozen layer": {"model.freeze": "hidden.0.*"},
    "unfreezing": {
        "model.freeze": ["hidden.0.*", "hidden.1.*"],
        "model.freeze_epochs": [2, 1],
        "optimizer.backbone_lr": 0.02,
        "regularization": {"l1": 1e-3},
        "train.early_stopping": {"patience": 1},
    },
    "kernel": {"model": {"name": "linear", "kernel": "rbf", "n_components": 20}},
    "perceptron": {"model": "perceptron"},
    "averaged weights": {"train.ema": 0.9, "model.batch_norm": True},
    "mirrored images": {
        "data": {"name": "random", "shape": [1, 4, 3], "classes": 3, "samples": 70},
        "train.tta": "horizontal_flip",
    },
    "summed loss": {"loss": {"name": "cross_entropy", "reduction": "sum"}, "optimizer.lr": 0.01},
    "every metric": {
        "train.metrics": ["auroc", "f1", "precision", "recall", "perplexity", "accuracy"],
        "train.monitor": "val/auroc",
    },
    "regression": {
        "data": {"name": "sine", "samples": 70},
        "train.metrics": ["mae", "mse", "rmse", "r2", "mape"],
        "preprocess": {"scale_target": True},
    },
}


@pytest.mark.parametrize("case", SOLO)
def test_a_replica_equals_a_single_training_with_its_seed(case: str) -> None:
    # SGD, since Adam makes large steps if gradients are only rounding errors.
    together = batched(SOLO[case])
    for index in range(COUNT):
        state, status = train_single(SOLO[case], SEED + index)
        outcome = together.outcome(index)
        assert (outcome.seed, outcome.status) == (SEED + index, status)
        assert (outcome.epochs, outcome.best_epoch) == (state.epoch, state.early_stopping.best_epoch)
        assert state.best is not None
        weights = together.best_of(index)
        assert weights.keys() == state.best.keys()
        for name, tensor in state.best.items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-5, atol=1e-6)
        history = together.history(index)
        assert list(history) == list(state.history)
        for column in history:
            if column != "seconds":
                assert history[column] == pytest.approx(state.history[column], rel=1e-5, abs=1e-6)


LOSSES: dict[str, dict[str, Any]] = {
    "focal": {},
    "hinge": {},
    "bce": {},
    "perceptron": {},
    "kl_div": {},
    "nll": {"model.output": {"activation": "log_softmax"}},
    "cross_entropy": {"model.output": {"activation": "softmax"}},
    "mse": {"data": {"name": "sine", "samples": 70}},
    "huber": {"data": {"name": "sine", "samples": 70}},
    "smooth_l1": {"data": {"name": "sine", "samples": 70}},
    "l1": {"data": {"name": "sine", "samples": 70}},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_can_be_batched(loss: str) -> None:
    config_keys = LOSSES[loss] | {"loss": loss, "train.epochs": 2, "optimizer.lr": 0.01}
    together = batched(config_keys)
    state, _ = train_single(config_keys, SEED + 2)
    assert together.history(2)["train/loss"] == pytest.approx(state.history["train/loss"], rel=1e-5)


ACTIVATIONS = [
    *("relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "sigmoid", "softplus", "hardtanh", "softmax"),
    *("log_softmax", {"name": "maxout", "num_pieces": 2}, "identity"),
]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_can_be_batched(activation: object) -> None:
    config_keys = {"model.activation": activation, "train.epochs": 2, "train.restarts": 2, "optimizer.lr": 0.01}
    together = batched(config_keys)
    state, _ = train_single(config_keys, SEED + 1)
    assert together.history(1)["train/loss"] == pytest.approx(state.history["train/loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("config_keys", "reason"),
    [
        (RECURRENT, "torch.func can't batch recurrent cells"),
        (
            {
                "data": {"name": "random", "shape": [1, 8, 8], "classes": 2, "samples": 60},
                "model": {"name": "cnn", "blocks": [{"conv": {"out_channels": 2, "kernel_size": 3}}]},
            },
            "convolutions are slower in a batch than one after another",
        ),
        ({"scheduler": {"name": "plateau"}}, "plateau depends on the monitor of each network"),
        ({"optimizer": {"name": "lbfgs"}}, "lbfgs does a line search for each network"),
        ({"optimizer": {"name": "muon"}}, "muon orthogonalizes the weights of each network"),
        ({"loss": "multi_margin"}, "torch.func can't batch its loss"),
    ],
)
def test_sequential_restarts_log_the_reason(
    config_keys: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = config_keys | {"train.epochs": 2, "train.restarts": 3}
    run = nnzoo.train(BASE, overrides=changes, runs_dir="runs", show=lambda _: None)
    assert f"3 restarts run one after another: {reason}\n" in capsys.readouterr().err
    restarts = run.result["restarts"]
    assert (restarts["how"], restarts["reason"]) == ("one after another", reason)
    # Each equals the training with only its seed, to the last bit.
    for index, value in enumerate(restarts["values"]):
        state, status = train_single(changes, SEED + index)
        best = state.early_stopping.best_epoch
        assert value == state.history[restarts["monitor"]][best - 1]
        if restarts["best"] == SEED + index:
            assert [run.result[key] for key in ("epochs", "best_epoch", "status")] == [state.epoch, best, status]
            assert state.best is not None
            assert all(tensor.equal(state.best[name]) for name, tensor in run.model.module.state_dict().items())


@pytest.mark.parametrize("config_keys", [{}, {"scheduler": "plateau"}], ids=["batched", "one after another"])
def test_files_of_a_run_with_restarts(config_keys: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(json.dumps(BASE))
    changes = [f"{key}={json.dumps(value)}" for key, value in config_keys.items()]
    assert command(["train", "c.yaml", *changes, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(Path("runs/x/result.json").read_text())
    assert list(result) == [
        *("run_dir", "status", "epochs", "best_epoch", "monitor", "metrics", "baseline", "baselines"),
        *("num_parameters", "seconds", "device", "warnings", "linear", "notes", "restarts", "findings"),
    ]
    restarts = result["restarts"]
    assert list(restarts) == [
        *("count", "how", "reason", "best", "monitor", "seeds", "values", "mean", "std", "min", "max"),
    ]
    values = restarts["values"]
    assert (restarts["count"], restarts["seeds"]) == (COUNT, [SEED + index for index in range(COUNT)])
    assert restarts["best"] == SEED + values.index(min(values))
    assert len(set(values)) == COUNT
    expected = (statistics.fmean(values), statistics.stdev(values), min(values), max(values))
    assert [restarts[key] for key in ("mean", "std", "min", "max")] == pytest.approx(list(expected))
    with Path("runs/x/restarts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("seed", "status", "epochs", "best_epoch", "train/loss", "train/accuracy", "val/loss", "val/accuracy"),
    ]
    assert [float(row["val/loss"]) for row in rows] == values
    assert {(row["status"], row["epochs"]) for row in rows} == {("completed", "5")}
    best = rows[values.index(min(values))]
    assert int(best["best_epoch"]) == result["best_epoch"]
    with Path("runs/x/metrics.csv").open() as file:
        history = list(csv.DictReader(file))
    assert list(history[0])[:3] == ["epoch", "step", "lr"]
    assert list(history[0])[-1] == "seconds"
    assert history[result["best_epoch"] - 1]["val/loss"] == best["val/loss"]
    assert result["metrics"]["val/loss"] == pytest.approx(min(values), rel=1e-5)
    for checkpoint in ("runs/x", "runs/x/last.safetensors"):
        assert command(["eval", checkpoint, "--split", "val", "--json"]) == 0
        measured = json.loads(capsys.readouterr().out)["metrics"]
        assert measured == {key[4:]: value for key, value in result["metrics"].items() if key.startswith("val/")}


def test_the_terminal_shows_best_mean_and_spread(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(json.dumps(BASE))
    assert command(["train", "c.yaml"]) == 0
    shown = capsys.readouterr()
    assert "4 restarts (batched): best seed " in shown.out
    assert "4 batched restarts, seeds 3 to 6\n" in shown.err
    assert sum("4 of 4 running" in line for line in shown.err.splitlines()) == 5
    assert command(["train", "c.yaml", "--dry-run"]) == 0


def test_a_run_without_restarts_has_no_restart_files() -> None:
    run = train({"train.restarts": 1})
    assert "restarts" not in run.result
    assert not Path("runs/x/restarts.csv").exists()


def same(first: Path, second: Path) -> None:
    """Asserts that both runs have the same weights, histories and results, except for times and paths."""
    for name in ("best.safetensors", "restarts.csv", "predictions.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    tables = [(folder / "metrics.csv").read_text().splitlines() for folder in (first, second)]
    cut = [[line.rsplit(",", 1)[0] for line in table] for table in tables]
    assert cut[0] == cut[1]
    results = [json.loads((folder / "result.json").read_text()) for folder in (first, second)]
    for result in results:
        del result["run_dir"], result["seconds"]
    assert results[0] == results[1]


class Crash(BaseException):
    """An exception that is not handled, like a kill in this process."""


def crash() -> None:
    raise Crash


KEPT: dict[str, dict[str, Any]] = {
    "batched": {
        "model": {"name": "mlp", "hidden": [6], "batch_norm": True, "dropout": 0.3},
        "optimizer": {"name": "adamw", "lr": 0.05},
        "scheduler": {"name": "cosine", "interval": "step"},
        "train.accumulate_grad_batches": 2,
        "train.early_stopping": {"patience": 3},
        "train.metrics": ["auroc", "f1"],
        "train.epochs": 10,
        "train.batch_size": 8,
        "train.ema": 0.9,
    },
    "one after another": RECURRENT | {"train.early_stopping": {"patience": 1}, "model.dropout": 0.2, "train.ema": 0.8},
    "plateau": {"scheduler": {"name": "plateau", "patience": 0}, "model.dropout": 0.3},
}


@pytest.mark.parametrize("every", [{"every_epochs": 2}, {"every_steps": 2, "every_epochs": None}])
@pytest.mark.parametrize("case", KEPT)
def test_a_killed_or_interrupted_run_resumes_to_the_same_result(
    case: str, every: dict[str, Any], at_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The runs are too short for a checkpoint between the first and the last otherwise.
    monkeypatch.setattr(checkpoints, "MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    config_keys = KEPT[case] | {"train.checkpoint": every}
    train(config_keys, runs_dir="uninterrupted")
    for step in (1, 6, 3):
        at_step(step, crash)
        with pytest.raises(Crash):
            train(config_keys, runs_dir="parts", resume=True)
        at_step(step, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(InterruptedRunError, match="the same command with --resume continues"):
            train(config_keys, runs_dir="parts", resume=True)
        nnzoo.load("parts/x/last.safetensors")
    at_step(0, crash)
    train(config_keys, runs_dir="parts", resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))
    # And again after its end.
    train(config_keys, runs_dir="parts", resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))


def test_batched_restarts_can_be_resumed_with_more_epochs() -> None:
    train({"train.epochs": 7}, runs_dir="uninterrupted")
    train({"train.epochs": 3}, runs_dir="parts")
    train({"train.epochs": 7}, runs_dir="parts", resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))


def test_finished_restarts_are_not_continued() -> None:
    train(RECURRENT)
    with pytest.raises(UsageError, match=r"3 restarts have ended with train\.epochs 3 and can't be continued"):
        train(RECURRENT | {"train.epochs": 5}, resume=True)
    with pytest.raises(UsageError, match=r"changed: train\.early_stopping"):
        train(RECURRENT | {"train.early_stopping": {"patience": 2}}, resume=True)


@pytest.mark.parametrize("config_keys", [{}, {"scheduler": "plateau"}], ids=["batched", "one after another"])
def test_a_diverged_restart_does_not_stop_the_others(
    config_keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second restart starts with infinite weights."""
    uninterrupted = train(config_keys, runs_dir="uninterrupted")
    verbs = sys.modules["nnzoo.experiment.train.start"]
    plain: Callable[..., nn.Module] = verbs.build_network

    def build_network(experiment: Experiment, model: nn.Module | None, seed: int, **options: Any) -> nn.Module:
        network = plain(experiment, model, seed, **options)
        if seed == SEED + 1:
            with torch.no_grad():
                next(network.parameters()).fill_(torch.inf)
        return network

    monkeypatch.setattr(verbs, "build_network", build_network)
    run = train(config_keys)
    restarts, before = run.result["restarts"], uninterrupted.result["restarts"]
    assert restarts["values"] == [*before["values"][:1], None, *before["values"][2:]]
    assert restarts["mean"] == pytest.approx(statistics.fmean(value for value in restarts["values"] if value))
    with Path("runs/x/restarts.csv").open() as file:
        row = list(csv.DictReader(file))[1]
    assert [row[key] for key in ("status", "epochs", "best_epoch", "val/loss")] == ["diverged", "0", "", ""]


@pytest.mark.parametrize("config_keys", [{}, {"scheduler": "plateau"}], ids=["batched", "one after another"])
def test_a_run_whose_restarts_all_diverge_has_diverged(
    config_keys: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.yaml").write_text(
        json.dumps(BASE | {"optimizer": {"name": "sgd", "lr": 1e30}, "model": "mlp", **config_keys})
    )
    assert command(["train", "c.yaml", "-q"]) == 4
    *warned, error = capsys.readouterr().err.splitlines()
    assert error.startswith("nnzoo: the loss of every restart is no longer finite")
    assert all(line.startswith("warning: restart ") for line in warned)
    assert len(warned) == (COUNT if config_keys else 0)
    result = json.loads(Path("runs/x/result.json").read_text())
    assert (result["status"], result["metrics"], result["best_epoch"]) == ("diverged", {}, None)
    assert (result["restarts"]["values"], result["restarts"]["best"]) == ([None] * COUNT, None)


def test_the_time_limit_is_for_all_restarts() -> None:
    run = train(RECURRENT | {"train.max_minutes": 1e-9})
    assert (run.result["restarts"]["count"], len(run.result["restarts"]["values"])) == (COUNT, 1)
    run = train({"train.max_minutes": 1e-9}, runs_dir="others")
    assert (len(run.result["restarts"]["values"]), run.result["epochs"]) == (COUNT, 1)


class Own(nn.Module):
    """A custom module of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.last(self.first(inputs).tanh())
        return outputs


def test_a_custom_module_is_initialised_again() -> None:
    module = Own()
    run = train({"init": "xavier_uniform", "train.epochs": 2}, model=module)
    restarts = run.result["restarts"]
    assert restarts["reason"] == "Own is not a module that nnzoo can batch"
    assert len(set(restarts["values"])) == COUNT
    assert run.model.module is module
    plain = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3))
    run = train({"init": "xavier_uniform", "train.epochs": 2}, model=plain)
    assert run.result["restarts"]["how"] == "batched"
    with pytest.warns(nnzoo.NnzooWarning, match="every restart starts with the weights of your module"):
        train({"train.epochs": 1}, model=plain)
    tied = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 3))
    tied[3].weight = tied[2].weight
    run = train({"init": "xavier_uniform", "train.epochs": 2}, model=tied)
    assert run.result["restarts"]["reason"] == "layers that share a weight can't be stacked"


XOR: dict[str, Any] = {
    "data": "xor",
    "model": {"name": "mlp", "hidden": [2], "activation": "tanh"},
    "optimizer": {"name": "adam", "lr": 0.1},
    "train.batch_size": "full",
}


def test_the_spread_of_the_final_loss_falls_with_width() -> None:
    """Larger networks depend less on their initialisation."""
    config_keys = XOR | {"train.epochs": 200, "train.restarts": 32, "optimizer": {"name": "adam", "lr": 0.05}}
    spreads = []
    for width in (2, 8, 32):
        together = batched(config_keys | {"model": {"name": "mlp", "hidden": [width]}})
        final = [together.history(index)["train/loss"][-1] for index in range(32)]
        spreads.append(statistics.stdev(final))
    assert spreads[0] > 1.5 * spreads[1] > 15 * spreads[2]


def test_sixteen_restarts_solve_xor() -> None:
    """A hidden layer of two often ends in a local minimum; the best of sixteen restarts hardly ever does."""
    # Forty runs of sixteen batched restarts, with consecutive seeds.
    together = batched(XOR | {"train.epochs": 100, "train.restarts": 640})
    solved = [together.outcome(index).metrics["train/accuracy"] == 1 for index in range(640)]
    runs = [solved[start : start + 16] for start in range(0, 640, 16)]
    assert sum(first for first, *_ in runs) < 34 < 38 <= sum(map(any, runs))
