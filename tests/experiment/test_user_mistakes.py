"""Mistakes of first-time users."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import UsageError

TINY = {"data": "iris", "model": {"name": "mlp", "hidden": [3]}, "train": {"epochs": 1}}


def test_far_bounds_of_a_truncated_normal_are_fast() -> None:
    init = {"name": "trunc_normal", "mean": 0.1, "a": 1.0, "b": 1e9}
    net = nnzoo.build_model({**TINY, "init": init})
    weights = torch.cat([weight.flatten() for weight in net.parameters() if weight.ndim == 2])
    assert 1 <= weights.min() < 2
    assert weights.max() <= 10.1


def test_a_closed_pipe_does_not_stop_training(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "nnzoo", "train", "iris_mlp", "train.epochs=1", "--runs-dir", str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == 0
    assert (tmp_path / "iris_mlp" / "result.json").is_file()


@pytest.mark.parametrize("train", [{"batch_size": 1}, {"batch_size": 1, "epochs": 3}])
def test_batch_norm_of_a_custom_module_needs_two_samples(train: dict[str, int], tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    with pytest.raises(UsageError, match="at least two samples per batch"):
        nnzoo.train({"data": "iris", "train": train}, model=module, runs_dir=tmp_path, quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_a_class_is_not_a_module(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Pass an instance"):
        nnzoo.train(TINY, model=nn.Identity, runs_dir=tmp_path)  # type: ignore[arg-type]


def test_numpy_numbers_and_paths_are_plain_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).normal(size=(40, 2)), y=np.arange(40) % 2)
    config = {**TINY, "data": {"name": "arrays", "path": tmp_path / "d.npz"}}
    overrides = {"train.epochs": np.int64(1), "optimizer.lr": np.float32(0.5), "model.hidden": np.array([2, 2])}
    run = nnzoo.train(config, overrides=overrides, runs_dir=tmp_path / "runs", quiet=True)
    assert run.config.optimizer.lr == 0.5
    assert len(run.history["epoch"]) == 1


def test_a_field_of_another_member_is_named_with_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["validate", "iris_mlp", "optimizer.momentum=0.9"]) == 2
    assert "unknown key. It belongs to sgd, rmsprop or muon." in capsys.readouterr().err


def test_a_config_is_not_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: iris")
    assert command(["eval", str(path)]) == 2
    assert "is not a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"metrics": 3}', "[]", '{"metrics": {"test/loss": "x"}}', "{"])
def test_an_invalid_result_is_listed(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nnzoo.train(TINY, name="odd", runs_dir=tmp_path, quiet=True)
    (tmp_path / "odd" / "result.json").write_text(text)
    assert command(["list", "runs", "--runs-dir", str(tmp_path)]) == 0
    assert "odd" in capsys.readouterr().out


def test_a_failed_gate_still_shows_the_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nnzoo.train(TINY, name="gate", runs_dir=tmp_path, quiet=True)
    gate = ["--fail-under", "accuracy=2", "--json"]
    assert command(["eval", str(tmp_path / "gate"), *gate]) == 5
    shown = capsys.readouterr().out
    assert '"kind": "gate"' in shown
    assert '"confusion_matrix"' in shown


@pytest.mark.parametrize(
    ("model", "samples", "message"),
    [
        ({"name": "torchvision", "arch": "squeezenet1_1"}, 8, "model: squeezenet1_1 can't take inputs of the shape"),
        ({"name": "torchvision", "arch": "resnet18"}, 1, "model: batch norm needs at least two samples per batch"),
    ],
)
def test_a_network_that_does_not_fit_the_data(
    model: dict[str, str], samples: int, message: str, tmp_path: Path
) -> None:
    split = {"val": 0.0, "test": 0.0}
    data = {"name": "random", "shape": [3, 8, 8], "classes": 2, "samples": samples, "split": split}
    with pytest.raises(UsageError, match=message):
        nnzoo.train({"data": data, "model": model}, runs_dir=tmp_path, quiet=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "block",
    [
        "conv: {out_channels: 2, kernel_size: 3, padding: same, stride: 2}",
        "pool: {kind: max, kernel_size: 2, padding: 2}",
    ],
)
def test_padding_that_fits_no_shape(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["validate", "digits_cnn", f"model.blocks=[{{{block}}}]"]) == 2
    assert "padding" in capsys.readouterr().err


def test_a_huge_perplexity_is_a_number(tmp_path: Path) -> None:
    config = {
        "data": {"name": "random", "shape": [5], "classes": 3, "samples": 30},
        "model": "linear",
        "optimizer": {"name": "sgd", "lr": 3000.0},
        "train": {"epochs": 3, "batch_size": 8, "metrics": ["perplexity"]},
    }
    assert nnzoo.train(config, runs_dir=tmp_path, quiet=True).metrics["train/perplexity"] > 1e300
