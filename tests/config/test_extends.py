"""Configs that extend other configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnzoo.config import dump, load_config
from nnzoo.config.data import Arrays
from nnzoo.errors import ConfigError

BASE = """\
name: base
data: digits
model: {name: mlp, hidden: [64, 32], dropout: 0.1}
optimizer: {lr: 0.1, betas: [0.5, 0.6]}
train: {epochs: 7, early_stopping: {patience: 3, min_delta: 0.5}}
"""


@pytest.fixture(autouse=True)
def _inside_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE)


def extended(text: str) -> Any:
    Path("top.yaml").write_text(f"extends: base.yaml\n{text}")
    return load_config("top.yaml")


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        extended(text)
    return str(caught.value)


def test_mappings_merge_and_lists_are_replaced() -> None:
    config = extended("model: {hidden: [5]}\ntrain: {early_stopping: {patience: 9}}\noptimizer: {betas: [0.7, 0.8]}\n")
    assert config.model.hidden == (5,)
    assert config.model.dropout == 0.1
    assert config.train.epochs == 7
    assert (config.train.early_stopping.patience, config.train.early_stopping.min_delta) == (9, 0.5)
    assert (config.optimizer.lr, config.optimizer.betas) == (0.1, (0.7, 0.8))


def test_null_replaces_a_mapping() -> None:
    assert extended("train: {early_stopping: null}\n").train.early_stopping is None


@pytest.mark.parametrize(
    ("section", "lr", "name"),
    [
        ("optimizer: {name: sgd, momentum: 0.9}", 1e-3, "sgd"),
        ("optimizer: sgd", 1e-3, "sgd"),
        ("optimizer: {name: adamw, eps: 0.1}", 0.1, "adamw"),
        ("optimizer: adamw", 0.1, "adamw"),
        ("optimizer: {eps: 0.1}", 0.1, "adamw"),
    ],
)
def test_a_section_with_another_name_is_replaced(section: str, lr: float, name: str) -> None:
    config = extended(f"{section}\n")
    assert (config.optimizer.name, config.optimizer.lr) == (name, lr)


def test_a_section_may_be_only_a_name() -> None:
    Path("base.yaml").write_text("data: digits\nmodel: mlp\noptimizer: sgd\n")
    config = extended("data: {split: {val: 0.3}}\nmodel: {hidden: [3]}\noptimizer: {momentum: 0.9}\n")
    assert config.data.split.val == 0.3
    assert config.model.hidden == (3,)
    assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.9)
    assert extended("model: linear\n").model.name == "linear"


def test_the_same_name_keeps_the_fields_of_the_base() -> None:
    assert extended("model: mlp\n").model.hidden == (64, 32)
    assert extended("model: linear\n").model.name == "linear"


def test_nested_sections_merge_by_name() -> None:
    Path("base.yaml").write_text("data: iris\nmodel: {name: mlp, activation: {name: elu, alpha: 0.5}}\n")
    assert extended("model: {activation: {alpha: 0.7}}\n").model.activation.alpha == 0.7
    assert extended("model: {activation: elu}\n").model.activation.alpha == 0.5
    assert extended("model: {activation: {name: leaky_relu}}\n").model.activation.name == "leaky_relu"


def test_chains_and_shipped_names() -> None:
    Path("inner").mkdir()
    Path("inner/middle.yaml").write_text("extends: ../base.yaml\nseed: 5\ntrain: {epochs: 8}\n")
    Path("top.yaml").write_text("extends: inner/middle.yaml\ntrain: {batch_size: 4}\n")
    config = load_config("top.yaml")
    assert (config.name, config.seed, config.train.epochs, config.train.batch_size) == ("top", 5, 8, 4)
    for name in ("digits_mlp", "digits_mlp.yaml"):
        Path("top.yaml").write_text(f"extends: {name}\nseed: 9\n")
        assert dump(load_config("top.yaml")) == dump(load_config("digits_mlp")) | {"name": "top", "seed": 9}
    Path("digits_mlp.yaml").write_text(BASE)
    assert load_config("top.yaml").train.epochs == 7


@pytest.mark.parametrize(
    ("file", "name"),
    [("my.run-1.yaml", "my.run-1"), ("my run (2).yaml", "my_run_2_"), (".hidden.yaml", "hidden"), ("--.yaml", "run")],
)
def test_the_name_defaults_to_the_stem(file: str, name: str) -> None:
    Path(file).write_text("data: digits\nmodel: mlp\n")
    assert load_config(file).name == name


def test_a_very_long_stem_is_truncated() -> None:
    Path(f"{'x' * 200}.yaml").write_text("data: digits\nmodel: mlp\n")
    assert load_config(f"{'x' * 200}.yaml").name == "x" * 100


def test_the_name_of_a_base_is_not_inherited() -> None:
    assert extended("").name == "top"
    assert extended("name: own\n").name == "own"
    assert load_config("base.yaml").name == "base"


@pytest.mark.parametrize("target", ["top.yaml", "loop.yaml"])
def test_cycles_are_refused(target: str) -> None:
    Path("loop.yaml").write_text("extends: top.yaml\n")
    Path("top.yaml").write_text(f"data: digits\nextends: {target}\n")
    with pytest.raises(ConfigError, match=r":\d+:10: extends: the files extend each other in a cycle\."):
        load_config("top.yaml")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("bse.yaml", "no such file: bse.yaml. Did you mean 'base.yaml'?"),
        ("base", "no such file: base. Did you mean 'base.yaml'?"),
        ("digits_mpl", "no such file: digits_mpl. Did you mean 'digits_mlp'?"),
        ("folder", "no such file: folder."),
        ("3", "expected the path of a config file, or the name of a shipped config."),
        ("[base.yaml]", "expected the path of a config file, or the name of a shipped config."),
        ("null", "expected the path of a config file, or the name of a shipped config."),
    ],
)
def test_invalid_values_of_extends_are_refused(value: str, message: str) -> None:
    Path("folder").mkdir()
    Path("top.yaml").write_text(f"data: digits\nextends: {value}\n")
    with pytest.raises(ConfigError) as caught:
        load_config("top.yaml")
    assert str(caught.value).startswith(f"top.yaml:2:10: extends: {message}")


def test_problems_have_the_file_of_the_key() -> None:
    Path("base.yaml").write_text("data: digits\nmodel:\n  name: mlp\n  hiden: [3]\n")
    message = refused("seed: x\ntrain: {epohcs: 3}\n")
    assert [line.split(": ")[0] for line in message.split("\n")[::3]] == [
        "base.yaml:4:3",
        "top.yaml:2:7",
        "top.yaml:3:9",
    ]
    assert "      hiden: [3]\n      ^" in message
    Path("base.yaml").write_text("data: digits\nmodel: {name: mlp, hidden: [3}\n")
    assert refused("").startswith("base.yaml:2:30: not YAML: ")
    Path("base.yaml").write_text("- data\n")
    assert refused("").startswith("base.yaml:1:1: expected a mapping")
    Path("base.yaml").write_bytes(b"\xff")
    assert refused("").startswith("base.yaml:1:1: not UTF-8")


def test_broken_rules_have_the_file_of_the_key() -> None:
    Path("base.yaml").write_text("data: iris\nmodel:\n  name: linear\n  output: {activation: softmax}\n")
    assert refused("loss: hinge\n").startswith("base.yaml:4:24: model.output.activation: hinge expects signed margins")


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    Path("inner").mkdir()
    Path("inner/base.yaml").write_text("data: {name: arrays, path: x.npz, val_path: ../v.npz}\nmodel: mlp\n")
    Path("top.yaml").write_text("extends: inner/base.yaml\ndata: {test_path: t.npz}\n")
    source = load_config("top.yaml").data
    assert isinstance(source, Arrays)
    assert source.path == str(tmp_path / "inner/x.npz")
    assert source.val_path == str(tmp_path / "v.npz")
    assert source.test_path == str(tmp_path / "t.npz")


def test_paths_of_overrides_are_relative_to_the_current_folder(tmp_path: Path) -> None:
    Path("inner").mkdir()
    Path("inner/c.yaml").write_text("data: {name: arrays, path: x.npz}\nmodel: mlp\n")
    for overrides in (["data.path=y.npz"], ["data={name: arrays, path: y.npz}"], {"data.path": "y.npz"}):
        source = load_config("inner/c.yaml", overrides).data
        assert isinstance(source, Arrays)
        assert source.path == str(tmp_path / "y.npz")
    source = load_config("inner/c.yaml", ["data.path=/far/y.npz"]).data
    assert isinstance(source, Arrays)
    assert source.path == "/far/y.npz"


def test_a_file_takes_precedence_over_a_shipped_name_and_a_run_is_its_config() -> None:
    Path("digits_mlp").write_text("data: iris\nmodel: mlp\n")
    assert load_config("digits_mlp").data.name == "iris"
    Path("run").mkdir()
    Path("run/config.yaml").write_text("name: kept\ndata: wine\nmodel: mlp\n")
    assert (load_config("run").data.name, load_config("run").name) == ("wine", "kept")
