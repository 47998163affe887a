"""`model.pretrained` from a state dict that another program saved with torch.save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import ConfigError, NnzooWarning

CONFIG: dict[str, Any] = {
    "name": "x",
    "data": "iris",
    "model": {"name": "mlp", "hidden": [6]},
    "train": {"epochs": 2, "batch_size": 16},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def foreign(path: str, seed: int = 1, **model: Any) -> dict[str, Tensor]:
    """Saves the weights of a network with another seed, like another program."""
    torch.manual_seed(seed)
    module = nnzoo.build_model({**CONFIG, "model": {**CONFIG["model"], **model}, "seed": seed})
    torch.save(module.state_dict(), path)
    return dict(module.state_dict())


def start(path: str, **model: Any) -> dict[str, Tensor]:
    """Returns the initial weights of a training."""
    config = {
        **CONFIG,
        "model": {**CONFIG["model"], **model, "pretrained": path},
        "optimizer": {"name": "sgd", "lr": 0},
    }
    return dict(nnzoo.train(config, quiet=True).model.module.state_dict())


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth"])
def test_all_weights_are_copied_and_missing_names_are_logged(name: str) -> None:
    weights = foreign(name)
    with pytest.warns(NnzooWarning, match="does not name its inputs and outputs"):
        begun = start(name)
    assert begun.keys() == weights.keys()
    assert all(begun[key].equal(weights[key]) for key in weights)
    assert "inputs by position, since the file does not name them" in Path("runs/x/train.log").read_text()
    assert json.loads(Path("runs/x/result.json").read_text())["warnings"]


def test_a_last_layer_of_another_shape_is_initialized() -> None:
    torch.manual_seed(3)
    other = nnzoo.build_model(CONFIG | {"data": "wine"}, input_shape=(4,), num_outputs=7)
    torch.save({"state_dict": other.state_dict(), "epoch": 3}, "weights.pt")
    begun = start("weights.pt")
    assert begun["hidden.0.linear.weight"].equal(other.state_dict()["hidden.0.linear.weight"])
    assert begun["output.linear.weight"].shape == (3, 6)
    assert "(output) is initialized: it has a different shape" in Path("runs/x/train.log").read_text()


def test_a_torchvision_network_starts_from_a_file_of_its_own_weights() -> None:
    from torchvision.models import resnet18

    weights = resnet18(num_classes=1000).state_dict()
    torch.save(weights, "resnet18.pth")
    module = nnzoo.build_model(
        {
            "data": {"name": "random", "shape": [3, 64, 64], "classes": 5, "samples": 8},
            "model": {"name": "torchvision", "arch": "resnet18", "pretrained": "resnet18.pth"},
        }
    )
    found = module.state_dict()
    same = [name for name in weights if found[name].shape == weights[name].shape and found[name].equal(weights[name])]
    assert sorted(weights.keys() - set(same)) == ["fc.bias", "fc.weight"]


def test_different_names_and_shapes_are_reported() -> None:
    foreign("weights.pt", hidden=[7])
    with pytest.raises(ConfigError, match=r"hidden\.0\.linear\.weight has the shape \(7, 4\) in the checkpoint"):
        start("weights.pt")
    torch.save({"fc.weight": torch.ones(6, 4), "fc.bias": torch.ones(6)}, "weights.pt")
    with pytest.raises(
        ConfigError, match=r"does not exist in the checkpoint .* The file contains 'fc\.weight', 'fc\.bias'"
    ):
        start("weights.pt")
    assert not Path("runs/x").exists()


def test_a_run_is_resumed_and_repeated_from_its_config() -> None:
    foreign("weights.pt")
    config = {**CONFIG, "model": {**CONFIG["model"], "pretrained": "weights.pt"}}
    with pytest.warns(NnzooWarning, match="does not name"):
        first = nnzoo.train(config, quiet=True)
    with pytest.warns(NnzooWarning, match="does not name"):
        again = nnzoo.train(first.run_dir / "config.yaml", runs_dir="again", quiet=True)
    assert (first.run_dir / "best.safetensors").read_bytes() == (again.run_dir / "best.safetensors").read_bytes()
    Path("weights.pt").unlink()
    longer = nnzoo.train(first.run_dir, overrides={"train.epochs": 3}, resume=True, quiet=True)
    assert longer.result["epochs"] == 3


@pytest.mark.parametrize(
    ("content", "kind", "code", "message"),
    [
        (b"PK\x03\x04 and no more", "checkpoint", 1, "damaged, or in the format of torch before version 1.6"),
        (b"", "checkpoint", 1, "damaged"),
        (None, "config", 2, "no such file or run"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(
    content: bytes | None, kind: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("weights.pt").write_bytes(content)
    Path("c.json").write_text(json.dumps(CONFIG))
    assert command(["train", "c.json", "-q", "model.pretrained=weights.pt", "--json"]) == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == kind
    assert message in error["message"]
    assert not Path("runs/x").exists()


def test_a_checkpoint_of_an_older_nnzoo_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"format": "nnzoo checkpoint", "version": 2, "model": {"w": torch.ones(1)}}, "last.pt")
    Path("c.json").write_text(json.dumps(CONFIG))
    assert command(["train", "c.json", "-q", "model.pretrained=last.pt"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "last.pt: is a checkpoint of an older nnzoo" in error
