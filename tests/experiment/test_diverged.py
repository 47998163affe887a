from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nnzoo.cli.app import run as nnzoo
from nnzoo.errors import DivergedError
from nnzoo.experiment.train.run import train
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.training import single
from nnzoo.training import step as training_step
from nnzoo.training.progress import Progress

CONFIG = """
name: x
data: {name: digits}
model: {name: mlp, hidden: [8]}
optimizer: {name: sgd, lr: 0.05}
train: {epochs: 6, batch_size: 32}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)


def nan_in_epoch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Callable[..., Any] = training_step.train_step

    def step(state: Any, *arguments: Any) -> None:
        if state.epoch + 1 == number and state.batch == 7:
            with torch.no_grad():
                next(state.model.parameters()).fill_(torch.nan)
        plain(state, *arguments)

    monkeypatch.setattr(single, "train_step", step)


def test_a_learning_rate_far_too_large(capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml", "-q", "optimizer.lr=1e30"]) == 4
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("nnzoo: the training loss is nan in epoch 1, step ")
    found = r"at lr 1e\+30, last gradient norm [\d.e+]+: the output of output\.linear \(Linear\) is not finite\. Try"
    assert re.search(found, shown.err)
    assert "Try a smaller optimizer.lr, or train.clip_grad_norm: 1.0." in shown.err
    result = json.loads(Path("runs/x/result.json").read_text())
    assert (result["status"], result["epochs"], result["best_epoch"], result["metrics"]) == ("diverged", 0, None, {})
    weights = load_checkpoint(Path("runs/x/last.safetensors"))["model"]
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert not Path("runs/x/best.safetensors").exists()
    assert nnzoo(["eval", "x"]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("nnzoo: runs/x: has no best weights, since no epoch was finished.")
    assert nnzoo(["eval", "runs/x/last.safetensors", "-q"]) == 0


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("weight", r"step 88, at lr 0\.05, last gradient norm [01]\.\d+: \S+\.weight is no longer finite\. "),
        ("gradient", r"step 88, at lr 0\.05, last gradient norm inf: the gradient of \S+\.weight is not finite\. "),
        (
            "output",
            r"step 88, at lr 0\.05, last gradient norm [01]\.\d+: the output of \S+ \(Linear\) is not finite\. ",
        ),
    ],
)
def test_the_step_the_norm_and_the_layer_are_named(
    spoiled: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain: Callable[..., Any] = training_step.train_step

    def step(state: Any, batches: Any, *arguments: Any) -> None:
        if state.epoch == 2 and state.batch == 7:
            parameters = [each for each in state.model.parameters() if each.ndim == 2]
            with torch.no_grad():
                if spoiled == "weight":
                    parameters[-1][0, 0] = torch.nan
                elif spoiled == "gradient":
                    parameters[-1].grad[0, 0] = torch.inf
                    batches[0][0].fill_(torch.inf)
                else:
                    parameters[0].fill_(3e38)
        plain(state, batches, *arguments)

    monkeypatch.setattr(single, "train_step", step)
    assert nnzoo(["train", "c.yaml", "-q"]) == 4
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(said, error), error
    assert "The weights of epoch 2 were kept." in error


MEMORY = """
import resource, sys
from nnzoo.cli.app import run
import torch
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(run(["train", "c.yaml", "-q", *sys.argv[2:]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "wish", ["model.hidden=[60000, 60000]", "data={name: random, shape: [3000000], samples: 3000}"]
)
def test_out_of_memory_is_one_line_with_advice(wish: str) -> None:
    limit = 6_000_000_000
    done = subprocess.run([sys.executable, "-c", MEMORY, str(limit), wish], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1:] == [
        "nnzoo: out of memory. Try a smaller train.batch_size or model, or train.device: cpu."
    ]
    assert "Traceback" not in done.stderr


def test_lbfgs_is_not_advised_to_clip_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    optimizer = "optimizer={name: lbfgs, line_search_fn: null, lr: 1e30}"
    assert nnzoo(["train", "c.yaml", "-q", optimizer]) == 4
    shown = capsys.readouterr().err
    assert "try train.batch_size: full, or a smaller optimizer.lr." in shown
    assert "clip" not in shown


def test_the_line_is_shown_once_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml", "optimizer.lr=1e30"]) == 4
    assert capsys.readouterr().err.count("the training loss is nan") == 1
    assert "ERROR the training loss is nan" in Path("runs/x/train.log").read_text()


def test_nan_in_a_later_epoch_keeps_the_best_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(CONFIG_OF_TWO, runs_dir="two", quiet=True)
    nan_in_epoch(3, monkeypatch)
    assert nnzoo(["train", "c.yaml", "--json"]) == 4
    printed = json.loads(capsys.readouterr().out)
    assert printed["error"]["kind"] == "diverged"
    assert "in epoch 3, step 88, at lr 0.05" in printed["error"]["message"]
    result = json.loads(Path("runs/x/result.json").read_text())
    assert {key: value for key, value in printed.items() if key != "error"} == result
    assert (result["status"], result["epochs"], result["best_epoch"]) == ("diverged", 2, 2)
    assert result["metrics"] == whole.metrics
    assert len(Path("runs/x/metrics.csv").read_text().splitlines()) == 3
    assert nnzoo(["eval", "runs/x", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["metrics"]
    assert {f"test/{name}": value for name, value in measured.items()}.items() <= result["metrics"].items()


CONFIG_OF_TWO = {
    "data": "digits",
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "train": {"epochs": 2},
}


def test_the_run_can_be_resumed_after_the_cause_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        nan_in_epoch(3, patch)
        assert nnzoo(["train", "c.yaml", "-q"]) == 4
    assert nnzoo(["train", "c.yaml", "-q", "--resume"]) == 0
    assert nnzoo(["train", "c.yaml", "-q", "--name", "whole"]) == 0
    assert Path("runs/x/best.safetensors").read_bytes() == Path("runs/whole/best.safetensors").read_bytes()


def test_a_monitor_that_is_always_nan_is_divergence(capsys: pytest.CaptureFixture[str]) -> None:
    # The only step of the only epoch makes the weights infinite, after its loss was computed.
    once = ["train.epochs=1", "train.batch_size=full", "optimizer.lr=1e38"]
    assert nnzoo(["train", "c.yaml", "-q", *once]) == 4
    error = capsys.readouterr().err
    assert error.startswith("nnzoo: val/loss was NaN in every epoch")
    assert len(error.splitlines()) == 1
    assert json.loads(Path("runs/x/result.json").read_text())["status"] == "diverged"


def test_the_progress_bar_is_closed_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    plain = Progress.end_epoch

    def end_epoch(self: Progress) -> None:
        plain(self)
        closed.append(True)

    monkeypatch.setattr(Progress, "end_epoch", end_epoch)
    assert nnzoo(["train", "c.yaml", "-q", "optimizer.lr=1e30"]) == 4
    assert closed


def test_nan_weights_after_the_last_step_are_divergence(tmp_path: Path) -> None:
    """The loss of the only epoch is finite, but not the weights after its last step, and there is no val split."""
    config = {
        "data": "xor",
        "model": {"name": "mlp", "hidden": [4]},
        "optimizer": {"name": "rmsprop", "eps": 0.0},
        "train": {"epochs": 1},
    }
    with pytest.raises(DivergedError, match="no longer finite after epoch 1"):
        train(config, runs_dir=tmp_path, quiet=True)


def test_probabilities_that_become_nan_are_divergence(tmp_path: Path) -> None:
    config = {
        "data": "iris",
        "model": {"name": "mlp", "hidden": [4], "output": {"activation": "softmax"}},
        "loss": "bce",
        "optimizer": {"name": "adam", "lr": 1e38},
    }
    with pytest.raises(DivergedError):
        train(config, runs_dir=tmp_path, quiet=True)
