"""Fine-tuning: parameters frozen for some epochs, a learning rate for the backbone, inherited preprocessing."""

from __future__ import annotations

import csv
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any, Never
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

import nnzoo
from nnzoo.builders import build_model, build_optimizer, build_schedule
from nnzoo.cli.app import run as command
from nnzoo.config import load_config
from nnzoo.config.base import members
from nnzoo.config.scheduler import SchedulerSection
from nnzoo.errors import ConfigError
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint

MLP: dict[str, Any] = {"name": "mlp", "hidden": [6, 5], "batch_norm": True}
TRAIN: dict[str, Any] = {"epochs": 3, "batch_size": 16, "early_stopping": None}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(name: str, config: dict[str, Any], **options: Any) -> Run:
    return nnzoo.train({"name": name, "train": TRAIN, **config}, quiet=True, **options)


def last(run: Run) -> dict[str, Tensor]:
    """Returns the weights after the last epoch."""
    weights: dict[str, Tensor] = load_checkpoint(run.run_dir / "last.safetensors")["model"]
    return weights


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Returns the layers with a tensor that differs."""
    return {name.rsplit(".", 1)[0] for name in before if not before[name].equal(after[name])}


@pytest.fixture
def base() -> Run:
    return train("base", {"data": "iris", "model": MLP})


HIDDEN = {f"hidden.{index}.{part}" for index in (0, 1) for part in ("linear", "norm")}
LINEAR = {name for name in HIDDEN if name.endswith("linear")}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "adagrad", "lbfgs"])
def test_a_frozen_backbone_keeps_its_statistics_and_is_trained_after_its_epochs(optimizer: str, base: Run) -> None:
    section = {"name": optimizer, "lr": 0.01} | ({"momentum": 0.9} if optimizer == "sgd" else {})
    config = {"data": "iris", "optimizer": section}
    model = {**MLP, "pretrained": "base"}
    start = nnzoo.load(base.run_dir).module.state_dict()
    frozen = train("frozen", {**config, "model": {**model, "freeze": "backbone"}, "train": {**TRAIN, "epochs": 2}})
    assert changed(start, last(frozen)) == {"output.linear"}
    full = train("full", {**config, "model": {**model, "freeze_epochs": 2}})
    if optimizer != "lbfgs":  # which adds up the products of all parameters, so that rounding errors differ
        assert full.history["val/loss"][:2] == frozen.history["val/loss"]
    assert changed(start, last(full)) == HIDDEN | {"output.linear"}


def test_patterns_are_frozen_for_different_numbers_of_epochs(base: Run) -> None:
    start = nnzoo.load(base.run_dir).module.state_dict()
    model = {**MLP, "pretrained": "base", "freeze": ["hidden.0.*", "hidden.1.*", "batch_norm"]}
    expected: dict[int, set[str]] = {1: set(), 2: {"hidden.1.linear"}, 3: LINEAR}
    for epochs, layers in expected.items():
        run = train(
            "staged",
            {
                "data": "iris",
                "model": {**model, "freeze_epochs": [2, 1, None]},
                # The last two epochs change nothing, since a run must be longer than its frozen epochs.
                "optimizer": {"name": "sgd", "lr": 0.1},
                "scheduler": {"name": "multistep", "milestones": [epochs], "gamma": 1e-30},
            },
        )
        assert changed(start, last(run)) == layers | {"output.linear"}


def test_early_stopping_waits_until_everything_is_trained(base: Run) -> None:
    config = {
        "data": "iris",
        "model": {**MLP, "pretrained": "base", "freeze_epochs": 6},
        "train": {**TRAIN, "epochs": 40, "early_stopping": {"patience": 2, "min_delta": 1e6}},
    }
    # The first epoch always improves; without the frozen epochs, training would stop after the third.
    run = train("patient", config)
    assert (run.result["epochs"], run.result["status"]) == (8, "early_stopped")


def test_the_backbone_has_its_own_learning_rate() -> None:
    section = {**TRAIN, "batch_size": "full", "epochs": 1}
    config: dict[str, Any] = {"data": "iris", "model": {"name": "mlp", "hidden": [6]}, "train": section}
    start = nnzoo.build_model(config).state_dict()

    def step(**rates: float) -> dict[str, Tensor]:
        after = last(train("step", {**config, "optimizer": {"name": "sgd", **rates}}, overwrite=True))
        return {name: after[name] - start[name] for name in start}

    both, slow = step(lr=0.5), step(lr=0.5, backbone_lr=0.05)
    torch.testing.assert_close(slow["output.linear.weight"], both["output.linear.weight"])
    torch.testing.assert_close(
        slow["hidden.0.linear.weight"], both["hidden.0.linear.weight"] / 10, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("scheduler", [*members(SchedulerSection)])
@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_every_scheduler_scales_both_learning_rates(scheduler: str, interval: str) -> None:
    required: dict[str, dict[str, Any]] = {
        "step": {"step_size": 2},
        "multistep": {"milestones": [2]},
        "exponential": {"gamma": 0.5},
    }
    required |= {"cosine": {"eta_min": 1e-3}, "plateau": {"interval": "epoch", "patience": 0}}
    section: dict[str, Any] = {
        "name": scheduler,
        "interval": interval,
        "warmup_epochs": 1,
        **required.get(scheduler, {}),
    }
    config = {"data": "or", "model": MLP, "optimizer": {"lr": 0.2, "backbone_lr": 0.001}, "scheduler": section}
    loaded = load_config(config, {"train.epochs": 6, "train.mode": "min"})
    optimizer = build_optimizer(loaded, build_model(loaded))
    schedule = build_schedule(loaded, optimizer, 3)
    optimizer._opt_called = True  # type: ignore[attr-defined]
    seen = set()
    for _ in range(6):
        for _ in range(3):
            head, backbone = (group["lr"] for group in optimizer.param_groups)
            assert backbone == pytest.approx(head / 200, rel=1e-12)
            seen.add(head)
            schedule.after_step()
        schedule.after_epoch(1.0)
    assert len(seen) > (2 if scheduler != "constant" else 0)


def test_a_network_without_two_parts_has_one_learning_rate() -> None:
    linear = {"data": "iris", "model": "linear", "optimizer": {"backbone_lr": 0.1}}
    frozen = {**linear, "model": {"name": "mlp", "freeze": "output.*"}}
    for config, side in ((linear, "any other layer"), (frozen, "the output layer")):
        with pytest.raises(ConfigError, match=rf"optimizer\.backbone_lr: no parameter of {side} is trained"):
            train("x", config)


def test_the_summary_says_which_parts_are_frozen_for_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(
        "data: iris\nmodel: {name: mlp, hidden: [6, 5], freeze: ['hidden.0.*', '*.bias'], freeze_epochs: [1, null]}\n"
    )
    assert command(["summary", "c.yaml", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["notes"][-2:] == [
        "14 of 83 parameters are frozen: hidden.0.linear.bias, hidden.1.linear.bias, output.linear.bias",
        "24 of 83 parameters are frozen for the first epoch: hidden.0.linear.weight",
    ]
    assert summary["num_trainable_parameters"] == 45
    assert command(["trace", "c.yaml"]) == 2
    assert "model.freeze_epochs: a trace shows the same trained parameters" in capsys.readouterr().err
    assert command(["trace", "c.yaml", "model.freeze_epochs=null", "optimizer.backbone_lr=0.1"]) == 2
    assert "optimizer.backbone_lr: a trace shows one learning rate" in capsys.readouterr().err


def test_the_doctor_accepts_a_frozen_pretrained_backbone(base: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(f"data: iris\nmodel: {json.dumps(MLP)}\n")

    def topics(*overrides: str) -> dict[str, str]:
        capsys.readouterr()
        command(["doctor", "c.yaml", *overrides, "--json"])
        return {each["topic"]: each["message"] for each in json.loads(capsys.readouterr().out)["findings"]}

    for frozen in ("model.freeze_epochs=3", "model.freeze=backbone"):
        tuned = topics("model.pretrained=base", frozen)
        assert "frozen layers" not in tuned
        # A slow machine may not have the time to learn a batch, but frozen weights are not the reason.
        assert "weights are trained" not in tuned.get("not learned by heart", "")
    random = topics("model.freeze_epochs=3")
    assert "keep their random initial values until then" in random["frozen layers"]


def write_table(name: str, columns: dict[str, Any]) -> None:
    with Path(name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def test_columns_inherit_their_scale_by_name_and_a_resumed_run_needs_no_checkpoint() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal([10, -5, 100], [2, 0.5, 30], (80, 3)).T
    write_table("old.csv", {"a": a, "b": b, "y": a + b})
    write_table("new.csv", {"c": c, "b": b + 7, "a": 3 * a, "y": a - b})
    model = {"name": "mlp", "hidden": [4]}
    old = train("old", {"data": {"name": "csv", "path": "old.csv", "target": "y"}, "model": model})
    config = {
        "data": {"name": "csv", "path": "new.csv", "target": "y"},
        "model": {**model, "pretrained": "old"},
        "preprocess": {"normalize": "pretrained"},
    }
    full = train("full", config)
    shift, scale = (full.model.preprocess.state_dict()[name] for name in ("shift", "scale"))
    before = old.model.preprocess.state_dict()
    assert shift[[2, 1]].equal(before["shift"])
    assert scale[[2, 1]].equal(before["scale"])
    # The scale of the new column and of the target come from the new data.
    fresh = train("fresh", {**config, "preprocess": {}}).model.preprocess.state_dict()
    assert (shift[0], scale[0]) == (fresh["shift"][0], fresh["scale"][0])
    assert full.model.preprocess.state_dict()["target_scale"].equal(fresh["target_scale"])
    assert full.result["warnings"] == [
        line for line in full.result["warnings"] if "normalize" not in line and "preprocess" not in line
    ]
    train("parts", {**config, "train": {**TRAIN, "epochs": 2}})
    shutil.rmtree(old.run_dir)
    again = train("parts", config, resume=True)
    assert (again.run_dir / "best.safetensors").read_bytes() == (full.run_dir / "best.safetensors").read_bytes()
    assert command(["eval", "parts"]) == 0
    assert command(["report", "runs/parts"]) == 0


def images(number: int, classes: int, low: int, high: int, channels: int = 1) -> None:
    rng = np.random.default_rng(number)
    y = np.array([f"{number}{label}" for label in range(classes)] * 12)
    x = rng.integers(low, high, (len(y), channels, 12, 12)).astype(np.uint8)
    np.savez(f"{number}.npz", x=x, y=y)


def test_images_of_other_classes_inherit_normalization_and_whitening() -> None:
    images(0, 2, 0, 40)
    images(1, 3, 100, 255)
    model = {"name": "mlp", "hidden": [4]}
    steps = {"pca": {"n_components": 3, "whiten": True}}
    old = train("old", {"data": {"name": "arrays", "path": "0.npz"}, "model": model, "preprocess": steps})
    new = {
        "data": {"name": "arrays", "path": "1.npz"},
        "model": {**model, "pretrained": "old"},
        "preprocess": {**steps, "normalize": "pretrained"},
    }
    run = train("new", new)
    assert run.model.classes == ("10", "11", "12")
    for name, tensor in old.model.preprocess.state_dict().items():
        assert run.model.preprocess.state_dict()[name].equal(tensor), name
    with pytest.raises(ConfigError, match=r"preprocess\.normalize: pca is None, but was \{'n_components': 3"):
        train("other", {**new, "preprocess": {"normalize": "pretrained"}})
    torch.save(nnzoo.load("old").module.state_dict(), "old.pth")
    with pytest.raises(ConfigError, match=r"preprocess\.normalize: .*old\.pth is a state dict, which has no preproc"):
        train("other", {**new, "model": {**model, "pretrained": "old.pth"}})
    images(2, 2, 0, 255, channels=3)
    with pytest.raises(ConfigError, match=r"for inputs of the shape \(1, 12, 12\), but those of this data are \(3, 12"):
        train("other", {**new, "data": {"name": "arrays", "path": "2.npz"}})


ARCH = "shufflenet_v2_x0_5"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the place of the weights in an empty cache of torch.hub, on a machine without a network."""

    def no_network(*_: Any, **__: Any) -> Never:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(Path.cwd() / "torch"))
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    folder = Path("torch/hub/checkpoints")
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for label, high in (("dark", 80), ("light", 255)):
        Path("photos", label).mkdir(parents=True)
        for index in range(4):
            pixels = rng.integers(0, high, (30, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(Path("photos", label, f"{index}.png"))
    Path("c.yaml").write_text(
        f"data: {{name: image_folder, path: photos, split: {{val: 0.25, test: 0.25}}}}\n"
        f"model: {{name: torchvision, arch: {ARCH}, weights: DEFAULT, freeze: backbone}}\n"
        "preprocess: {normalize: pretrained}\ntrain: {epochs: 1, batch_size: 4, probes: false}\n"
    )
    return folder / Path(models.get_model_weights(ARCH).DEFAULT.url).name


def test_weights_of_torchvision_bring_their_preprocessing(hub: Path) -> None:
    torch.manual_seed(1)
    net = models.get_model(ARCH)
    torch.save(net.state_dict(), hub)
    run = nnzoo.train("c.yaml", quiet=True)
    fitted = run.model.preprocess.state_dict()
    assert fitted["shift"].flatten().tolist() == [0.485, 0.456, 0.406]
    assert fitted["scale"].flatten().tolist() == [0.229, 0.224, 0.225]
    assert run.model.input_shape == (3, 224, 224)
    assert run.model.module.get_parameter("conv1.0.weight").equal(net.conv1[0].weight)
    assert run.model.module.get_buffer("conv1.1.running_mean").equal(net.conv1[1].running_mean)
    # The artifact is complete: the weights in the cache are no longer needed.
    hub.unlink()
    assert command(["predict", str(run.run_dir), "photos/dark/0.png"]) == 0
    assert nnzoo.evaluate(run.run_dir).metrics["accuracy"] == run.metrics["test/accuracy"]


class Code:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("ran").touch, ())


def test_weights_of_torchvision_that_cannot_be_used(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error() -> str:
        capsys.readouterr()
        assert command(["train", "c.yaml", "-q"]) == 2
        found = capsys.readouterr().err.splitlines()
        assert found[0].startswith("c.yaml:2:63: model.weights: ")
        assert not Path("runs/c").exists()
        return found[0]

    assert f"are not in {Path.cwd()}/torch/hub/checkpoints and can't be downloaded (no network)" in error()
    assert "Download https://download.pytorch.org/models/shufflenetv2_x0.5-" in error()
    hub.write_bytes(b"damaged")
    assert "is damaged, or contains more than weights. Delete it" in error()
    torch.save({"a": Code()}, hub)
    assert "is damaged, or contains more than weights" in error()
    assert not Path("ran").exists()
    torch.save(nn.Linear(2, 2).state_dict(), hub)
    assert f"does not fit {ARCH}: Missing key(s)" in error()
