"""Training from a checkpoint: copied weights, frozen weights, errors."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from torch import Tensor

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import ConfigError, UsageError
from nnzoo.experiment.train.finished import Run
from nnzoo.models import head_of
from nnzoo.run.artifact import load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint

CNN = {
    "name": "cnn",
    "blocks": [
        {"conv": {"out_channels": 4, "kernel_size": 3, "padding": "same", "batch_norm": True}},
        {"global_pool": "avg"},
    ],
    "head": [8],
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("features", {"name": "mlp", "hidden": [6, 5], "batch_norm": True, "activation": "prelu"}),
    "cnn": ("image", CNN),
    "cnn on tokens": ("tokens", {**CNN, "head": []}),
    "lstm": ("sequence", {"name": "lstm", "hidden_size": 5, "bidirectional": True}),
    "gru on tokens": ("tokens", {"name": "gru", "hidden_size": 5, "num_layers": 2}),
    "lenet5": ("image", {"name": "lenet5"}),
    "resnet20": ("image", {"name": "resnet20"}),
    "torchvision": ("image", {"name": "torchvision", "arch": "resnet18"}),
}
TRAIN = {"epochs": 1, "batch_size": 8, "early_stopping": None}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def data(layout: str, classes: int, name: str) -> dict[str, Any]:
    """Writes samples around a mean for each class to a file."""
    rng = np.random.default_rng(classes)
    y = np.arange(8 * classes) % classes
    shape = {"features": (5,), "sequence": (6, 3), "image": (3, 12, 12), "tokens": (6,)}[layout]
    if layout == "tokens":
        x: Any = rng.integers(0, 5, (len(y), *shape)) + y[:, None]
        x[0, 0] = 9
    else:
        x = rng.normal(size=(len(y), *shape)).astype(np.float32) + y.reshape(-1, *[1] * len(shape))
    np.savez(name, x=x, y=y)
    return {"name": "arrays", "path": name, "layout": layout, "split": {"val": 0.25, "test": 0.0}}


def train(name: str, config: dict[str, Any], **overrides: Any) -> Run:
    config = {"name": name, "train": TRAIN, "optimizer": {"name": "adam", "lr": 0.01}, **config}
    return nnzoo.train(config, overrides=overrides, quiet=True)


def weights(run: Run | Path) -> dict[str, Tensor]:
    return load_artifact((run.run_dir if isinstance(run, Run) else run) / "best.safetensors").weights


CASES = [pytest.param(case, marks=[pytest.mark.slow] if case == "torchvision" else []) for case in MODELS]


@pytest.mark.parametrize("case", CASES)
def test_the_backbone_is_copied_and_stays_frozen(case: str) -> None:
    layout, model = MODELS[case]
    base = weights(train("base", {"data": data(layout, 3, "base.npz"), "model": model}))
    new = {**model, "pretrained": "base", "freeze": "backbone"}
    tuned = train("tuned", {"data": data(layout, 4, "new.npz"), "model": new}, **{"train.epochs": 3})
    head = head_of(tuned.model.module)
    assert {name for name, tensor in base.items() if not weights(tuned)[name].equal(tensor)} == {
        name for name in base if name.startswith(f"{head}.")
    }
    # They include the statistics of batch norm.
    assert any("running_mean" in name for name in base) == ("norm" in str(model) or "resnet" in str(model))
    # Without freezing, every trainable parameter changes.
    free = weights(train("free", {"data": data(layout, 4, "new.npz"), "model": {**model, "pretrained": "base"}}))
    moved = [name for name in base if "embedding" not in name and free[name].equal(base[name])]
    assert moved == []


@pytest.mark.parametrize("kernel", ["none", "rbf"])
def test_the_same_classes_keep_the_last_layer(kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = {"name": "linear", "kernel": kernel, "n_components": 20}
    config = {"data": {"name": "blobs", "samples": 90}, "model": model}
    base = train("base", config)
    config["model"] = {**model, "pretrained": "base"}
    again = nnzoo.build_model(config)
    assert all(again.state_dict()[name].equal(tensor) for name, tensor in weights(base).items())
    # With bce, two classes have one output unit: the classes are the same, but the layer differs.
    moons = {"data": {"name": "moons", "samples": 80}, "model": {"name": "mlp", "hidden": [4]}}
    train("moons", moons)
    moons["model"] = {"name": "mlp", "hidden": [4], "pretrained": "moons"}
    run = nnzoo.train(moons, overrides={"loss": "bce", "train": TRAIN, "name": "bce"})
    assert run.model.module.get_parameter("output.linear.weight").shape == (1, 4)
    assert "the last layer (output) is initialized: it has a different shape" in capsys.readouterr().err


def test_regression_outputs_are_matched_by_target() -> None:
    settings: dict[str, Any] = {"data": {"name": "sine", "samples": 60}, "model": {"name": "mlp", "hidden": [4]}}
    base = train("base", settings)
    settings["model"] = {**settings["model"], "pretrained": str(base.run_dir / "last.safetensors")}
    last = load_checkpoint(base.run_dir / "last.safetensors")["model"]
    assert all(nnzoo.build_model(settings).state_dict()[name].equal(tensor) for name, tensor in last.items())
    settings["data"] = {"name": "random", "shape": [1], "targets": 1}
    head = nnzoo.build_model(settings).get_parameter("output.linear.weight")
    assert not head.equal(last["output.linear.weight"])
    assert nnzoo.build_model(settings).get_parameter("hidden.0.linear.weight").equal(last["hidden.0.linear.weight"])


BASE: dict[str, Any] = {"data": "iris", "model": {"name": "mlp", "hidden": [6, 5]}}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "hidden: [7, 5]",
            r"hidden\.0\.linear\.weight has the shape \(6, 4\) in .* and has the shape \(7, 4\) in this",
        ),
        ("hidden: [6]", r"hidden\.1\.linear\.bias has the shape \(5,\) in .* and does not exist in this"),
        ("hidden: [6, 5, 4]", r"hidden\.2\.linear\.weight does not exist in .* and has the shape \(4, 5\) in this"),
        ("batch_norm: true", r"hidden\.0\.norm\.weight does not exist in .* and has the shape \(6,\) in this"),
        ("bias: false", r"hidden\.0\.linear\.bias has the shape \(6,\) in .* and does not exist in this"),
    ],
)
def test_another_network_is_an_error_with_its_place(
    model: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train("base", BASE)
    settings = model if "hidden" in model else f"hidden: [6, 5], {model}"
    Path("new.yaml").write_text(f"data: iris\nmodel: {{name: mlp, {settings}, pretrained: base}}\n")
    for arguments in (["train", "new.yaml"], ["summary", "new.yaml"], ["train", "new.yaml", "--dry-run"]):
        capsys.readouterr()
        assert command(arguments) == 2
        error = capsys.readouterr().err
        assert re.search(
            rf"^new\.yaml:2:\d+: model\.pretrained: .*base.best\.safetensors: {message}", error, flags=re.MULTILINE
        ), error
        assert "best.safetensors` shows the checkpoint." in error
    assert not Path("runs/new").exists()
    assert command(["validate", "new.yaml"]) == 0


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            {"data": "wine"},
            r"none of its 4 inputs \('sepal length \(cm\)', .*\) is an input of this data \('alcohol', ",
        ),
        ({"data": "digits", "model": {"name": "lstm", "pretrained": "base"}}, r"weight_ih_l0 does not exist in"),
        ({"model": {"name": "linear", "pretrained": "base"}}, r"hidden\.0\.linear\.bias has the shape \(6,\) in"),
    ],
)
def test_other_inputs_or_another_kind_of_network(new: dict[str, Any], message: str) -> None:
    train("base", BASE)
    config = {**BASE, "model": {**BASE["model"], "pretrained": "base"}, **new}
    with pytest.raises(ConfigError, match=rf"^config: model\.pretrained: .*{message}"):
        train("new", config)


def test_a_linear_model_of_other_classes_has_nothing_to_copy() -> None:
    train("base", {"data": {"name": "blobs", "samples": 60}, "model": "linear"})
    np.savez("ab.npz", x=np.random.default_rng(0).normal(size=(40, 2)), y=np.array(["a", "b"] * 20))
    config = {"data": {"name": "arrays", "path": "ab.npz"}, "model": {"name": "linear", "pretrained": "base"}}
    with pytest.raises(ConfigError, match=r"model\.pretrained: .*linear has only a last layer.*classes differ"):
        train("new", config)


def test_a_path_is_relative_to_its_file_and_a_name_is_a_run() -> None:
    Path("configs").mkdir()
    Path("elsewhere").mkdir()
    base = {**BASE, "name": "base", "train": TRAIN}
    nnzoo.train(base, runs_dir="configs/mine", quiet=True)
    nnzoo.train(base, overrides={"seed": 1}, runs_dir="runs", quiet=True)
    file = Path("configs/new.yaml")
    text = "data: iris\nmodel: {name: mlp, hidden: [6, 5], pretrained: %s}\ntrain: {epochs: 1}\n"
    here = Path.cwd()
    for written, found in [
        ("mine/base", "configs/mine/base/best.safetensors"),
        ("mine/base/last.safetensors", "configs/mine/base/last.safetensors"),
        ("../runs/base/best.safetensors", "runs/base/best.safetensors"),
        ("base", "runs/base/best.safetensors"),
    ]:
        file.write_text(text % written)
        run = nnzoo.train(file, quiet=True, overwrite=True)
        assert run.config.model.pretrained == str(here / found)
        assert f"pretrained: {here / found}\n" in (run.run_dir / "config.yaml").read_text()
    arguments = ["train", str(file), "-q", "--runs-dir", "elsewhere", "--name"]
    for name, value, found in [
        ("a", "configs/mine/base", "configs/mine/base/best.safetensors"),
        ("b", "latest", "elsewhere/a/best.safetensors"),
        ("c", "b", "elsewhere/b/best.safetensors"),
    ]:
        assert command([*arguments, name, f"model.pretrained={value}"]) == 0
        assert nnzoo.load_config(f"elsewhere/{name}").model.pretrained == str(here / found)
    # A file next to the config has priority over a run of that name.
    shutil.copytree("configs/mine/base", "configs/base")
    assert nnzoo.load_config(file).model.pretrained == str(here / "configs/base")


def test_the_artifact_does_not_need_the_checkpoint_and_the_config_repeats_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = train("base", BASE)
    run = train("new", {**BASE, "model": {**BASE["model"], "pretrained": "base"}})
    content = (run.run_dir / "best.safetensors").read_bytes()
    assert load_artifact(run.run_dir / "best.safetensors").metadata["config"]["model"]["pretrained"] is None
    assert str(Path.cwd()).encode() not in content
    again = nnzoo.train(run.run_dir / "config.yaml", quiet=True)
    assert again.run_dir != run.run_dir
    assert (again.run_dir / "best.safetensors").read_bytes() == content
    shutil.rmtree(base.run_dir)
    assert command(["eval", "new"]) == 0
    assert nnzoo.load("new").predict(np.zeros((2, 4))).shape == (2,)
    capsys.readouterr()
    assert command(["train", str(run.run_dir / "config.yaml")]) == 2
    assert re.search(
        r"config\.yaml:\d+:\d+: model\.pretrained: .*base/best\.safetensors: no such", capsys.readouterr().err
    )


@pytest.mark.parametrize("value", ["base", "latest", "runs/base", "runs/base/best.safetensors"])
def test_resuming_needs_no_checkpoint(value: str) -> None:
    train("base", BASE)
    config = {**BASE, "name": "new", "model": {**BASE["model"], "pretrained": value, "freeze": "hidden.0.*"}}
    config["train"] = {**TRAIN, "epochs": 4}
    uninterrupted = nnzoo.train(config, overrides={"name": "uninterrupted"}, quiet=True)
    if value == "latest":
        # Now the newest run is that one.
        config["model"] = {**config["model"], "pretrained": "base"}
    nnzoo.train(config, overrides={"train.epochs": 2}, quiet=True)
    config["model"] = {**config["model"], "pretrained": value}
    shutil.rmtree("runs/base")
    run = nnzoo.train(config, resume=True, quiet=True)
    assert run.run_dir == Path("runs/new")
    assert (run.run_dir / "best.safetensors").read_bytes() == (uninterrupted.run_dir / "best.safetensors").read_bytes()
    # The run directory can be resumed too, and its checkpoint is still known.
    assert nnzoo.train(run.run_dir, overrides={"train.epochs": 5}, resume=True, quiet=True).result["epochs"] == 5
    assert nnzoo.load_config(run.run_dir).model.pretrained == str(Path("runs/base/best.safetensors").absolute())


def test_a_run_is_not_resumed_with_another_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    train("base", BASE)
    train("other", BASE)
    config = {**BASE, "name": "new", "model": {**BASE["model"], "pretrained": "base"}}
    nnzoo.train(config, overrides={"train": TRAIN}, quiet=True)
    for value in ("other", None):
        with pytest.raises(UsageError, match=r"changed: model\.pretrained"):
            nnzoo.train(config, overrides={"train": TRAIN, "model.pretrained": value}, resume=True, quiet=True)
    # A run must not overwrite its own checkpoint.
    with pytest.raises(ConfigError, match=r"model\.pretrained: .* is in the run that --overwrite would replace"):
        nnzoo.train(config, overrides={"model.pretrained": "new"}, overwrite=True, quiet=True)
    assert Path("runs/new/best.safetensors").is_file()


def test_files_that_are_not_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    base = train("base", BASE)
    Path("new.yaml").write_text("data: iris\nmodel: {name: mlp, hidden: [6, 5], pretrained: base}\n")

    def error_of(value: str) -> tuple[int, dict[str, str]]:
        capsys.readouterr()
        code = command(["train", "new.yaml", f"model.pretrained={value}", "--json"])
        error: dict[str, str] = json.loads(capsys.readouterr().out)["error"]
        return code, error

    for value, message in [
        ("bse", "no such file or run. Runs in runs: base."),
        ("runs/bse", "no such file or run"),
        ("~nobody-of-this-name/x", "no such file or run"),
        ("new.yaml", "is not a checkpoint"),
        (".", "not a run directory: it has no best.safetensors"),
    ]:
        code, error = error_of(value)
        assert (code, error["kind"], error["where"]) == (2, "config", f"override model.pretrained={value}")
        assert error["message"].startswith(f"override model.pretrained={value}: model.pretrained: ")
        assert message in error["message"]
    for value in ("3", "''", "[a]"):
        assert error_of(value)[1]["message"].startswith(
            f"override model.pretrained={value}: model.pretrained: expected"
        )
    damaged = bytearray((base.run_dir / "best.safetensors").read_bytes())
    damaged[-5] ^= 1
    Path("damaged.safetensors").write_bytes(damaged)
    Path("short.safetensors").write_bytes(damaged[:100])
    for value in ("damaged.safetensors", "short.safetensors"):
        code, error = error_of(value)
        assert (code, error["kind"]) == (1, "checkpoint")
        assert error["where"] == str(Path(value).absolute())
    assert [path.name for path in Path("runs").iterdir()] == ["base"]
    (base.run_dir / "best.safetensors").unlink()
    code, error = error_of("base")
    assert (code, error["kind"]) == (1, "run")
    assert "no epoch was finished" in error["message"]


def test_weights_of_torchvision_and_of_a_run_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    model = "{name: torchvision, arch: resnet18, weights: DEFAULT, pretrained: base}"
    Path("new.yaml").write_text(f"data: {{name: random, shape: [3, 64, 64]}}\nmodel: {model}\n")
    assert command(["validate", "new.yaml"]) == 2
    assert re.search(r"new\.yaml:2:\d+: model\.weights: .*overwrite.* Remove one of the two", capsys.readouterr().err)


@pytest.mark.slow
def test_networks_of_torchvision_that_scale_their_inputs() -> None:
    model = {"name": "torchvision", "arch": "googlenet"}
    config = {"data": {"name": "random", "shape": [3, 32, 32], "samples": 8, "split": {"val": 0, "test": 0}}}
    path = train("base", {**config, "model": model}).run_dir / "best.safetensors"
    config["model"] = {**model, "pretrained": "base"}
    assert (
        nnzoo.build_model(config)
        .get_buffer("conv1.bn.running_mean")
        .equal(weights(path.parent)["conv1.bn.running_mean"])
    )
    artifact = load_artifact(path)
    artifact.metadata["config"]["model"]["weights"] = "DEFAULT"
    save_artifact(path, artifact)
    with pytest.raises(ConfigError, match=r"model\.pretrained: googlenet in .* scales its inputs"):
        nnzoo.build_model(config)


def test_the_summary_names_what_comes_from_the_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    base = train("base", {"data": {"name": "blobs", "samples": 60}, "model": {"name": "mlp", "hidden": [3]}})
    Path("new.yaml").write_text(
        "data: {name: xor}\nloss: bce\nmodel: {name: mlp, hidden: [3], pretrained: base, freeze: backbone}\n"
    )
    capsys.readouterr()
    assert command(["summary", "new.yaml", "-v"]) == 0
    shown = capsys.readouterr().out
    assert "hidden.0.linear.weight  (3, 2)  from base, frozen\n" in shown
    assert "output.linear.weight  (1, 3)  xavier_normal\n" in shown
    assert command(["summary", "new.yaml", "-v", "--json"]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["parameters"]}
    assert found["hidden.0.linear.weight"]["values"] == weights(base)["hidden.0.linear.weight"].tolist()
    assert not found["hidden.0.linear.weight"]["trainable"]


def test_settings_that_differ_from_the_checkpoint_cause_a_warning() -> None:
    train("base", BASE)
    model = {**BASE["model"], "pretrained": "base", "dropout": 0.5, "freeze": "hidden.0.*"}
    same = nnzoo.train({**BASE, "model": model}, overrides={"train": TRAIN, "name": "same"})
    assert same.result["warnings"] == []
    changes = {"train": TRAIN, "model.activation": "tanh", "preprocess.normalize": "none"}
    with pytest.warns(nnzoo.NnzooWarning) as output:
        nnzoo.train({**BASE, "model": model}, overrides=changes)
    activation, normalize = (str(each.message) for each in output)
    assert activation.startswith("model.activation is tanh, but was relu in ")
    assert normalize.startswith("preprocess.normalize is none, but was standardize in ")


@pytest.mark.parametrize("model", [{"name": "lstm", "hidden_size": 64}, {"name": "mlp", "hidden": [128, 64]}])
def test_fine_tuning_beats_training_from_scratch_on_a_small_set(model: dict[str, Any]) -> None:
    """The backbone is trained on 1,200 digits, the new last layer on two more of each digit, with other names."""
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    x, names = (x.reshape(-1, 8, 8) / 16).astype(np.float32), np.array([f"class {label}" for label in y])
    few = np.concatenate([1200 + np.flatnonzero(y[1200:] == label)[:2] for label in range(10)])
    rest = np.setdiff1d(np.arange(1200, len(y)), few)
    np.savez("many.npz", x=x[:1200], y=y[:1200])
    np.savez("few.npz", x=x[few], y=names[few], x_test=x[rest], y_test=names[rest])
    settings = {"preprocess": {"normalize": "none"}, "model": model, "train": {**TRAIN, "epochs": 12, "batch_size": 32}}
    train("base", {**settings, "data": {"name": "arrays", "path": "many.npz"}})
    settings["data"] = {"name": "arrays", "path": "few.npz", "split": {"val": 0}}
    settings["train"] = {**TRAIN, "epochs": 120, "batch_size": "full"}
    from_scratch = train("from_scratch", settings).metrics["test/accuracy"]
    tuned = train("tuned", {**settings, "model": {**model, "pretrained": "base", "freeze": "backbone"}})
    assert tuned.metrics["test/accuracy"] > from_scratch + 0.03
    assert tuned.metrics["test/accuracy"] > 0.75
