"""Frozen parameters, and the statistics of frozen batch norms."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.errors import ConfigError
from nnzoo.models import freeze, head_of, penalised

ALL = {
    *(
        f"hidden.{index}.{part}"
        for index in (0, 1)
        for part in ("linear.weight", "linear.bias", "norm.weight", "norm.bias")
    ),
    "output.linear.weight",
    "output.linear.bias",
}


def build(patterns: object, **model: Any) -> nn.Module:
    section = {"name": "mlp", "hidden": [4, 3], "batch_norm": True, "freeze": patterns, **model}
    return nnzoo.build_model({"data": "iris", "model": section})


def frozen(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if not parameter.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], set()),
        ("backbone", {name for name in ALL if name.startswith("hidden")}),
        ("*.bias", {name for name in ALL if name.endswith("bias")}),
        ("hidden.0.*", {name for name in ALL if name.startswith("hidden.0")}),
        (["hidden.[01].norm.*", "output.linear.bias"], {n for n in ALL if "norm" in n} | {"output.linear.bias"}),
        ("hidden.?.linear.weight", {"hidden.0.linear.weight", "hidden.1.linear.weight"}),
    ],
)
def test_patterns(patterns: object, expected: set[str]) -> None:
    module = build(patterns)
    assert frozen(module) == expected
    assert all(parameter.ndim >= 2 and parameter.requires_grad for parameter in penalised(module))


@pytest.mark.parametrize("patterns", ["hiden.*", ["*.bias", "output"], "HIDDEN.0.*"])
def test_a_pattern_without_a_match_is_an_error_with_its_location(patterns: object) -> None:
    with pytest.raises(ConfigError, match=r"model\.freeze.*matches no parameter \(hidden\.0\.linear\.weight"):
        build(patterns)


@pytest.mark.parametrize("patterns", ["*", ["hidden.*", "output.*"]])
def test_freezing_all_parameters_is_an_error_with_its_location(patterns: object) -> None:
    with pytest.raises(ConfigError, match=r"model\.freeze.*every parameter is frozen"):
        build(patterns)


def test_a_linear_model_has_no_backbone() -> None:
    with pytest.raises(ConfigError, match="'backbone' matches no parameter"):
        nnzoo.build_model({"data": "iris", "model": {"name": "linear", "freeze": "backbone"}})


def test_frozen_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    def statistics(patterns: object) -> dict[str, Tensor]:
        model = {"name": "mlp", "hidden": [4, 3], "batch_norm": True, "freeze": patterns}
        config = {"data": "iris", "model": model, "train": {"epochs": 2, "early_stopping": None}}
        run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
        return {name: tensor for name, tensor in run.model.module.state_dict().items() if "running" in name}

    for name, tensor in statistics("hidden.0.*").items():
        fresh = torch.zeros_like(tensor) if "mean" in name else torch.ones_like(tensor)
        assert tensor.equal(fresh) == name.startswith("hidden.0")
    # With one trained parameter it is in training mode, and its statistics change.
    assert not any(tensor.equal(torch.ones_like(tensor)) for tensor in statistics("*.norm.bias").values())


class Own(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def test_the_backbone_of_a_custom_module_is_all_except_its_last_layer(tmp_path: Path) -> None:
    module = Own()
    assert head_of(module) == "2"
    freeze(module, "backbone")
    assert frozen(module) == {"0.weight", "0.bias"}
    before = module.get_parameter("0.weight").detach().clone()
    run = nnzoo.train({"data": "iris", "train": {"epochs": 1}}, model=module, runs_dir=tmp_path, quiet=True)
    assert run.model.module.get_parameter("0.weight").equal(before)


def test_a_module_without_parameters_is_an_error(tmp_path: Path) -> None:
    for config in ({"data": "iris"}, {"data": "iris", "optimizer": "sgd"}):
        with pytest.raises(ConfigError, match="no parameters"):
            nnzoo.train(config, model=nn.Flatten(), runs_dir=tmp_path, quiet=True)
