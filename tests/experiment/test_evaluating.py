from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from nnzoo.cli.app import run as nnzoo
from nnzoo.data import load_wine
from nnzoo.errors import CheckpointError, DataError, UsageError
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.experiment.load import load
from nnzoo.experiment.train.run import train
from nnzoo.run.artifact import Artifact, load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint

SMALL = {"name": "mlp", "hidden": [6]}
SHORT = {"epochs": 2, "batch_size": 16}
CONFIGS: dict[str, dict[str, Any]] = {
    "classes": {"data": "iris", "model": SMALL},
    "images": {"data": "digits", "model": SMALL, "train": {"epochs": 1, "metrics": ["accuracy", "f1", "precision"]}},
    "weighted": {"data": "wine", "model": SMALL, "loss": {"name": "cross_entropy", "class_weights": "balanced"}},
    "two classes, bce": {"data": "breast_cancer", "model": SMALL, "loss": "bce"},
    "hinge": {"data": {"name": "moons", "samples": 90}, "model": "linear", "loss": "hinge"},
    "regression, scaled": {"data": "diabetes", "model": SMALL, "preprocess": {"scale_target": True}},
    "pca": {"seed": 1, "data": "digits", "model": SMALL, "preprocess": {"pca": {"n_components": 5, "whiten": True}}},
    "zca": {"data": "wine", "model": SMALL, "preprocess": {"normalize": "minmax", "zca": True}},
    "full batch, summed": {
        "data": {"name": "sine", "samples": 90},
        "model": SMALL,
        "loss": {"name": "mse", "reduction": "sum"},
        "train": {"epochs": 2, "batch_size": "full"},
        "optimizer": {"name": "sgd", "lr": 1e-4},
    },
    "no val, no test": {"data": "xor", "model": SMALL},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def eval_json(capsys: pytest.CaptureFixture[str], *arguments: str, expected: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert nnzoo(["eval", *arguments, "--json"]) == expected
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    measured = json.loads(out)
    assert isinstance(measured, dict)
    return measured


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str, expected: int) -> str:
    capsys.readouterr()
    assert nnzoo(["eval", *arguments]) == expected
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    return shown.err


@pytest.mark.parametrize("name", CONFIGS)
def test_eval_repeats_the_metrics_of_the_result(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = train({"train": SHORT, "name": "x", **CONFIGS[name]}, quiet=True)
    splits = list(dict.fromkeys(key.split("/")[0] for key in run.metrics))
    for split in splits:
        measured = eval_json(capsys, "runs/x", "--split", split)
        assert {f"{split}/{key}": value for key, value in measured["metrics"].items()} == {
            key: value for key, value in run.metrics.items() if key.startswith(f"{split}/")
        }
        if split != "train":
            assert {f"{split}/{key}": value for key, value in measured["baseline"].items()}.items() <= run.result[
                "baseline"
            ].items()
    default = eval_json(capsys, "x")
    assert default["split"] == next(split for split in ("test", "val", "train") if split in splits)
    assert (default["confusion_matrix"] == []) == ("diabetes" in str(CONFIGS[name]) or "sine" in str(CONFIGS[name]))
    for other in ({"train", "val", "test"}) - set(splits):
        error = error_line(capsys, "x", "--split", other, expected=2)
        assert error == f"nnzoo: --split: there is no {other} split (expected one of: {', '.join(splits)}).\n"


def test_baseline_per_class_and_confusion_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "x", "data": "iris", "model": SMALL, "train": SHORT}, quiet=True)
    measured = eval_json(capsys, "x")
    assert list(measured)[:8] == [
        "checkpoint",
        "split",
        "num_samples",
        "metrics",
        "confidence",
        "baseline",
        "per_class",
        "confusion_matrix",
    ]
    matrix = np.array(measured["confusion_matrix"])
    assert matrix.sum() == measured["num_samples"]
    assert np.trace(matrix) / matrix.sum() == pytest.approx(measured["metrics"]["accuracy"])
    assert [entry["support"] for entry in measured["per_class"]] == matrix.sum(1).tolist()
    for index, entry in enumerate(measured["per_class"]):
        assert entry["recall"] == pytest.approx(matrix[index, index] / matrix[index].sum())
    assert nnzoo(["eval", "x"]) == 0
    assert "confusion matrix" in capsys.readouterr().out


def test_every_way_to_name_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"name": "x", "data": "iris", "model": SMALL, "train": {"epochs": 1}}
    train(config, quiet=True)
    best = eval_json(capsys, "runs/x/best.safetensors")
    for checkpoint in ("runs/x", "x", "latest", str(Path("runs/x").absolute())):
        assert {**eval_json(capsys, checkpoint), "checkpoint": ""} == {**best, "checkpoint": ""}
    # After one epoch the last weights are the best.
    assert eval_json(capsys, "runs/x/last.safetensors")["metrics"] == best["metrics"]
    assert eval_json(capsys, "x", "--batch-size", "1")["metrics"] == pytest.approx(best["metrics"], rel=1e-5)
    assert "Runs in runs: x." in error_line(capsys, "y", expected=2)
    assert "Runs in elsewhere: none." in error_line(capsys, "x", "--runs-dir", "elsewhere", expected=2)
    Path("empty").mkdir()
    assert "not a run directory" in error_line(capsys, "empty", expected=2)


def test_gates(capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "x", "data": "iris", "model": SMALL, "train": SHORT}, quiet=True)
    accuracy, loss = (eval_json(capsys, "x")["metrics"][name] for name in ("accuracy", "loss"))
    passed = ["--fail-under", f"accuracy={accuracy}", "--fail-under", f"loss={loss}"]
    eval_json(capsys, "x", *passed)
    failed = eval_json(capsys, "x", "--fail-under", f"accuracy={accuracy + 1e-9}", expected=5)
    assert failed["error"]["kind"] == "gate"
    assert nnzoo(["eval", "x", "--fail-under", f"loss={loss - 1e-9}"]) == 5
    assert "is above" in capsys.readouterr().err
    assert "Did you mean 'accuracy'" in error_line(capsys, "x", "--fail-under", "acuracy=1", expected=2)
    assert "mae does not support classification" in error_line(capsys, "x", "--fail-under", "mae=1", expected=2)


def arrays(path: str, *, samples: int = 60, seed: int = 0, shift: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.minimum(np.arange(samples) % 5, 2)) + 7  # 9 is most frequent
    x = (rng.normal(size=(samples, 4)) + y[:, None] + shift).astype("f4")
    np.savez(path, x=x, y=y)
    return x, y


ARRAYS = {
    "name": "x",
    "data": {"name": "arrays", "path": "data.npz"},
    "model": SMALL,
    "train": SHORT,
    "loss": {"name": "cross_entropy", "class_weights": "balanced"},
}


def test_new_data(capsys: pytest.CaptureFixture[str]) -> None:
    arrays("data.npz")
    x, y = arrays("new.npz", samples=33, seed=1)
    train(ARRAYS, quiet=True)
    measured = eval_json(capsys, "x", "--data", "new.npz")
    assert (measured["split"], measured["num_samples"]) == ("new.npz", 33)
    assert measured["metrics"]["accuracy"] == pytest.approx(np.mean(load("x").predict(x) == y.astype(str)))
    both = ("x", "--data", "new.npz", "--split", "val")
    assert "Use one of them" in error_line(capsys, *both, expected=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": np.ones((5, 4), "f4"), "y": np.array([7, 8, 9, 10, 7])}, "not a class"),
        ({"x": np.ones((5, 3), "f4"), "y": np.full(5, 7)}, "a different shape"),
        ({"x": np.full((5, 4), np.nan, "f4"), "y": np.full(5, 7)}, "NaN"),
        ({"x": np.ones((5, 4), "f4")}, "no array y"),
        (None, "no such file"),
    ],
)
def test_new_data_that_does_not_fit(content: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    arrays("data.npz")
    train(ARRAYS, quiet=True)
    if content is not None:
        np.savez("new.npz", **content)
    assert message in error_line(capsys, "x", "--data", "new.npz", expected=3)


def test_new_data_needs_only_the_artifact(capsys: pytest.CaptureFixture[str]) -> None:
    arrays("data.npz")
    arrays("new.npz", samples=33, seed=1, shift=0.5)
    train(ARRAYS, overrides={"data.split": {"val": 0.0, "test": 0.0}}, quiet=True)
    with_everything = eval_json(capsys, "x", "--data", "new.npz")
    x, y = (np.load("new.npz")[name] for name in "xy")
    assert with_everything["baseline"]["accuracy"] == np.mean(y == 9)
    shares = torch.from_numpy(load("x").predict_proba(x)).log()
    by_class = 60 / (3 * torch.tensor([12.0, 12.0, 36.0]))  # balanced, by the training data
    loss = nn.functional.nll_loss(shares, torch.from_numpy(y - 7), by_class)
    assert with_everything["metrics"]["loss"] == pytest.approx(float(loss), rel=1e-5)
    shutil.move("runs/x/best.safetensors", "alone.safetensors")
    shutil.rmtree("runs")
    Path("data.npz").unlink()
    alone = eval_json(capsys, "alone.safetensors", "--data", "new.npz")
    assert {**alone, "checkpoint": ""} == {**with_everything, "checkpoint": ""}
    error = error_line(capsys, "alone.safetensors", expected=3)
    assert "the path of the training data is unknown (data.npz). Use --data PATH" in error
    # The config.yaml of another experiment in the same folder is ignored.
    Path("config.yaml").write_text("data: {name: arrays, path: other.npz}\nmodel: linear\n")
    assert "data.npz" in error_line(capsys, "alone.safetensors", expected=3)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_new_data_of_other_tasks_has_the_baseline_of_the_training_data(task: str) -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(5, 2, size=(50, 2)).astype("f4") if task == "regression" else rng.integers(0, 2, size=(50, 3))
    np.savez("data.npz", x=rng.normal(size=(50, 4)).astype("f4"), y=targets)
    np.savez("new.npz", x=rng.normal(size=(20, 4)).astype("f4"), y=targets[:20])
    config = {"name": "x", "data": {"name": "arrays", "path": "data.npz", "task": task, "split": {"val": 0, "test": 0}}}
    train({**config, "model": "linear", "train": SHORT}, quiet=True)
    found = evaluate_checkpoint("x", data="new.npz")
    if task == "regression":
        errors = targets[:20].astype("f8") - targets.astype("f8").mean(0)
        assert found.baseline["mse"] == pytest.approx(np.mean(errors**2), rel=1e-6)
    else:
        assert found.baseline["accuracy"] == pytest.approx(np.mean(targets[:20] == (targets.mean(0) > 0.5)))


def test_bundled_data_needs_only_the_artifact(capsys: pytest.CaptureFixture[str]) -> None:
    run = train({"name": "x", "data": "wine", "model": SMALL, "train": SHORT}, quiet=True)
    Path("elsewhere").mkdir()
    shutil.move("runs/x/best.safetensors", "elsewhere/shared.safetensors")
    shutil.rmtree("runs")
    measured = eval_json(capsys, "elsewhere/shared.safetensors")["metrics"]
    assert {f"test/{name}": value for name, value in measured.items()}.items() <= run.metrics.items()
    # Bundled data has no files, but arrays like its samples can be measured.
    wine = load_wine().train
    np.savez("x.npz", x=wine.inputs.numpy(), y=wine.class_indices().numpy())
    np.savez("y.npz", x=wine.inputs.numpy(), y=np.array(load_wine().classes)[wine.targets.numpy()])
    assert eval_json(capsys, "elsewhere/shared.safetensors", "--data", "y.npz")["num_samples"] == 178
    assert "is not a class" in error_line(capsys, "elsewhere/shared.safetensors", "--data", "x.npz", expected=3)


def edited(path: Path, change: Callable[[Artifact], None]) -> None:
    artifact = load_artifact(path)
    change(artifact)
    save_artifact(path, artifact)


WRONG_METADATA: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no config": lambda m: m.pop("config"),
    "config of text": lambda m: m.update(config="mlp"),
    "another model": lambda m: m["config"].update(model={"name": "resnet1000"}),
    "model as a number": lambda m: m["config"].update(model=3),
    "classes as a number": lambda m: m.update(classes=3),
    "classes of numbers": lambda m: m.update(classes=[1, 2, 3]),
    "too few classes": lambda m: m.update(classes=["a", "b"]),
    "another task": lambda m: m.update(task="clustering"),
    "regression": lambda m: m.update(task="regression"),
    "no shape": lambda m: m.update(input_shape=None),
    "a negative size": lambda m: m.update(network_input_shape=[-4]),
    "outputs as text": lambda m: m.update(num_outputs="3"),
    "a network of terabytes": lambda m: m["config"]["model"].update(hidden=[10**6, 10**6]),
    "an endless number of inputs": lambda m: m.update(network_input_shape=[10**12]),
    "more inputs than there are": lambda m: m.update(network_input_shape=[5]),
    "more than known": lambda m: m.update(run="os.system"),
}


@pytest.mark.parametrize("wrong", WRONG_METADATA)
def test_an_artifact_with_wrong_metadata(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "x", "data": "iris", "model": SMALL, "train": {"epochs": 1}}, quiet=True)
    edited(Path("runs/x/best.safetensors"), lambda artifact: WRONG_METADATA[wrong](artifact.metadata))
    error = error_line(capsys, "x", expected=1)
    assert error.startswith("nnzoo: runs/x/best.safetensors: ")
    assert "bug" not in error
    assert "memory" not in error


WRONG_WEIGHTS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "one missing": lambda w: w.popitem(),
    "one too many": lambda w: w.update(extra=torch.ones(1)),
    "another shape": lambda w: w.update({"output.linear.bias": torch.ones(4)}),
    "NaN": lambda w: w.update({"output.linear.bias": torch.full((3,), torch.nan)}),
}


@pytest.mark.parametrize("wrong", WRONG_WEIGHTS)
def test_checkpoints_with_wrong_weights(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "x", "data": "iris", "model": SMALL, "train": {"epochs": 1}}, quiet=True)
    edited(Path("runs/x/best.safetensors"), lambda artifact: WRONG_WEIGHTS[wrong](artifact.weights))
    error_line(capsys, "x", expected=1)
    state = load_checkpoint(Path("runs/x/last.safetensors"))
    WRONG_WEIGHTS[wrong](state["model"])
    save_checkpoint(Path("runs/x/last.safetensors"), state)
    error_line(capsys, "runs/x/last.safetensors", expected=1)


def test_a_foreign_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("nothing to see here")
    assert "is not a checkpoint" in error_line(capsys, "notes.txt", expected=2)
    Path("notes.txt").rename("notes.safetensors")
    assert "not a safetensors file" in error_line(capsys, "notes.safetensors", expected=1)
    torch.save(nn.Linear(2, 2).state_dict(), "theirs.pt")
    assert "is not a checkpoint" in error_line(capsys, "theirs.pt", expected=2)
    torch.save({"format": "nnzoo checkpoint", "version": 2}, "last.pt")
    assert "last.pt: is a checkpoint of an older nnzoo" in error_line(capsys, "last.pt", expected=1)
    save_checkpoint(Path("bare.safetensors"), {"model": {}})
    assert "parts are missing" in error_line(capsys, "bare.safetensors", expected=1)


def test_loading_does_not_change_the_random_state() -> None:
    train({"name": "x", "data": "iris", "model": SMALL, "train": {"epochs": 1}}, quiet=True)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load("x")
    assert torch.equal(torch.rand(3), expected)


def test_a_custom_module_must_be_passed(capsys: pytest.CaptureFixture[str]) -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    run = train({"name": "x", "data": "iris", "train": {"epochs": 1}}, model=module, quiet=True)
    assert "custom module. Pass it" in error_line(capsys, "x", expected=2)
    fresh = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    found = evaluate_checkpoint("x", model=fresh)
    assert found.metrics["loss"] == run.metrics["test/loss"]
    with pytest.raises(CheckpointError, match="the weights don't fit the network"):
        evaluate_checkpoint("x", model=nn.Linear(4, 3))
    with pytest.raises(UsageError, match="there is no"):
        evaluate_checkpoint("x", model=fresh, split="dev")
    with pytest.raises(DataError):
        load("x", model=fresh).predict([[1.0, 2.0]])
    with safe_open("runs/x/best.safetensors", framework="pt") as file:
        assert "model.0.weight" in list(file.keys())
