"""The event files of TensorBoard, read back with its own reader, and compared with the other files of the run."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import InterruptedRunError

pytest.importorskip("tensorboard")

CONFIG = {
    "name": "x",
    "data": "digits",
    "model": {"name": "mlp", "hidden": [8], "dropout": 0.2},
    "train": {"epochs": 4, "batch_size": 256, "early_stopping": None, "log": ["tensorboard"]},
}


def train(folder: Path, **overrides: Any) -> Path:
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return nnzoo.train(CONFIG, overrides=changes, runs_dir=folder, quiet=True).run_dir


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("runs"))


def events_of(folder: Path) -> Any:
    """Returns the events of a folder, without those that a resumed run has marked as outdated."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    every = dict.fromkeys(("scalars", "histograms", "images", "tensors"), 0)
    accumulator = EventAccumulator(str(folder), size_guidance=every)
    accumulator.Reload()
    return accumulator


def columns_of(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns the epochs and values of each column of metrics.csv."""
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    names = [name for name in rows[0] if name not in ("epoch", "step")]
    return {name: [(int(row["epoch"]), float(row[name])) for row in rows] for name in names}


def check_scalars(folder: Path) -> Any:
    """Checks that the scalars are those of metrics.csv, each once, and returns the events."""
    events = events_of(folder / "tensorboard")
    for name, expected in columns_of(folder / "metrics.csv").items():
        found = events.Scalars(name)
        assert [each.step for each in found] == [epoch for epoch, _ in expected]
        np.testing.assert_allclose([each.value for each in found], [value for _, value in expected], rtol=1e-6)
    return events


def test_scalars_are_the_numbers_of_the_csv_files(run: Path) -> None:
    events = check_scalars(run)
    with (run / "health.csv").open(newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["layer"] == "hidden.0"]
    norms = [each.value for each in events.Scalars("health/hidden.0/gradient_norm")]
    np.testing.assert_allclose(norms, [float(row["gradient_norm"]) for row in rows], rtol=1e-6)
    assert "health/output/dead" not in events.Tags()["scalars"]  # the layer has no ReLU units


def test_histograms_are_those_of_the_weights(run: Path) -> None:
    found = events_of(run / "tensorboard").Histograms("hidden/0/linear/weight")
    assert [each.step for each in found] == [1, 2, 3, 4]
    weights = load_file(run / "last.safetensors")["model.hidden.0.linear.weight"].double()
    last = found[-1].histogram_value
    assert (last.num, last.min, last.max) == (weights.numel(), float(weights.min()), float(weights.max()))
    assert last.sum == pytest.approx(float(weights.sum()))


def test_graph_and_images(run: Path) -> None:
    events = events_of(run / "tensorboard")
    assert any("Sequential[hidden]/Dense[0]/Linear[linear]/weight" in node.name for node in events.Graph().node)
    images = events.Images("train/images")
    assert [each.step for each in images] == [0]
    pixels = np.asarray(Image.open(io.BytesIO(images[0].encoded_image_string)).convert("L"))
    known = {(each / 16 * 255).astype(np.uint8).tobytes() for each in load_digits().images}
    assert pixels[:8, :8].tobytes() in known


def test_hyperparameters_have_the_result(run: Path) -> None:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = events_of(run / "tensorboard" / "result")
    contents = events.PluginTagToContent("hparams")
    data = HParamsPluginData.FromString(contents["_hparams_/session_start_info"])
    values = data.session_start_info.hparams
    assert (values["train.batch_size"].number_value, values["optimizer.name"].string_value) == (256, "adamw")
    assert "train.log" not in values
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert {f"result/{name}" for name in metrics} == set(events.Tags()["scalars"])
    assert events.Scalars("result/test/accuracy")[0].value == pytest.approx(metrics["test/accuracy"])


def test_the_weights_are_the_same_without_it(run: Path, tmp_path: Path) -> None:
    plain = train(tmp_path, train__log=[])
    assert not (plain / "tensorboard").exists()
    expected = load_file(plain / "best.safetensors")
    for name, tensor in load_file(run / "best.safetensors").items():
        assert torch.equal(tensor, expected[name]), name


def test_a_resumed_run_repeats_no_step(
    run: Path, tmp_path: Path, at_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnzoo.training.checkpoints.MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    at_step(16, lambda: signal.raise_signal(signal.SIGINT))  # in epoch 4
    with pytest.raises(InterruptedRunError):
        train(tmp_path, train__checkpoint__every_epochs=2)
    assert [each.step for each in events_of(tmp_path / "x" / "tensorboard").Scalars("val/loss")] == [1, 2, 3]
    # As if the process had been killed in epoch 4: the last checkpoint is that of epoch 2.
    (tmp_path / "x" / "previous.safetensors").replace(tmp_path / "x" / "last.safetensors")
    nnzoo.train(tmp_path / "x", resume=True, quiet=True)
    events = check_scalars(tmp_path / "x")
    assert [each.step for each in events.Histograms("output/linear/bias")] == [1, 2, 3, 4]
    assert len(events.Images("train/images")) == 1
    assert columns_of(tmp_path / "x" / "metrics.csv")["val/loss"] == columns_of(run / "metrics.csv")["val/loss"]
    nnzoo.train(tmp_path / "x", resume=True, quiet=True)  # nothing is left to train
    check_scalars(tmp_path / "x")
    assert len(events_of(tmp_path / "x" / "tensorboard" / "result").Scalars("result/test/loss")) == 1


@pytest.mark.parametrize("sequential", [False, True])
def test_restarts_show_the_best_one(tmp_path: Path, sequential: bool) -> None:
    changes = {"augment": [{"name": "noise"}]} if sequential else {}
    folder = train(tmp_path, train__restarts=3, train__epochs=2, **changes)
    events = check_scalars(folder)
    epoch = json.loads((folder / "result.json").read_text())["best_epoch"]
    found = events.Histograms("output/linear/bias")
    assert [each.step for each in found] == [epoch]
    weights = load_file(folder / "best.safetensors")["model.output.linear.bias"]
    assert found[0].histogram_value.max == float(weights.max())


def test_a_missing_package_is_an_error_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    (tmp_path / "x.yaml").write_text("data: digits\nmodel: linear\ntrain:\n  log: [tensorboard]\n")
    assert command(["train", str(tmp_path / "x.yaml"), "--runs-dir", str(tmp_path / "runs")]) == 2
    message = capsys.readouterr().err
    assert "x.yaml:4:8: train.log: the package tensorboard can't be imported" in message
    assert "pip install 'nnzoo[tensorboard]'" in message
    assert not (tmp_path / "runs").exists()


def test_training_goes_on_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_histogram", fail)
    with pytest.warns(nnzoo.NnzooWarning, match=r"nothing more is written for TensorBoard \(OSError: no space left\)"):
        folder = train(tmp_path)
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"


def test_a_module_that_cannot_be_traced_has_no_graph(tmp_path: Path) -> None:
    class Untraceable(torch.nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if torch._C._get_tracing_state() is not None:
                raise ValueError("can't be traced")
            return super().forward(inputs.flatten(1))

    with pytest.warns(nnzoo.NnzooWarning, match="the graph is not written for TensorBoard"):
        run = nnzoo.train({**CONFIG, "model": {}}, model=Untraceable(64, 10), runs_dir=tmp_path, quiet=True)
    assert "graph" in events_of(run.run_dir / "tensorboard").Tags()
    check_scalars(run.run_dir)


def test_overwriting_removes_the_events(tmp_path: Path) -> None:
    folder = train(tmp_path, train__epochs=2)
    other = folder / "tensorboard" / "notes.txt"
    other.write_text("not ours")
    nnzoo.train(CONFIG, overrides={"train.log": []}, runs_dir=tmp_path, overwrite=True, quiet=True)
    assert [path.name for path in folder.glob("tensorboard/**/*") if path.is_file()] == ["notes.txt"]


def test_a_tree_network_has_a_graph(tmp_path: Path) -> None:
    (tmp_path / "trees.txt").write_text("(3 (2 a) (4 (3 good) (2 film)))\n(1 (2 a) (0 bad))\n" * 20)
    data = {"name": "trees", "path": str(tmp_path / "trees.txt")}
    config = {**CONFIG, "data": data, "model": {"name": "tree_lstm", "hidden_size": 4}}
    folder = nnzoo.train(config, overrides={"train.epochs": 1}, runs_dir=tmp_path, quiet=True).run_dir
    events = events_of(folder / "tensorboard")
    assert any("Linear[compose]" in node.name for node in events.Graph().node)
    assert events.Tags()["images"] == []
