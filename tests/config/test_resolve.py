"""Resolved configs: every `auto` is replaced, and the YAML can be read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnzoo.config import Facts, dump, load_config, model, resolve, to_yaml
from nnzoo.config.base import listed
from nnzoo.config.describe import UNIONS
from nnzoo.config.shipped import shipped_configs

REQUIRED: dict[str, dict[str, Any]] = {
    "random": {"shape": [3]},
    "cnn": {"blocks": [{"conv": {"out_channels": 2, "kernel_size": [3, 2]}}, {"global_pool": "avg"}]},
    "torchvision": {"arch": "resnet18"},
    "arrays": {"path": "x.npz", "val_path": "folder with blanks/v: 1.npz"},
    "csv": {"path": "x.csv", "target": [4, "no"], "missing": ["", -1], "replace": {"<=50K.": "<=50K", "1": 2}},
    "text": {"path": "t.csv", "target": 0, "delimiter": "\t", "header": False, "test_path": "*/t[0-9].csv"},
    "series": {
        "path": "s.csv",
        "target": ["a", 3],
        "time": "t",
        "categorical": "c",
        "missing": ["", -1],
        "replace": {"t": 0},
    },
    "image_folder": {"path": "photos", "size": [24, 32]},
    "random_crop": {"padding": [2, 3]},
    "rotation": {"degrees": 15},
    "color_jitter": {"brightness": 0.2},
    "language": {"path": "x.txt"},
    "trees": {"path": "x.txt"},
    "constant-init": {"val": 0.5},
    "values": {"values": [[1, 2.5e-7], [3, -4e20]]},
    "step": {"step_size": 3},
    "multistep": {"milestones": [3, 10]},
    "exponential": {"gamma": 0.5},
    "cosine_restarts": {"T_0": 5},
    "cyclic": {"base_lr": 1e-5},
}
SECTIONS = {
    "models": "model",
    "data": "data",
    "losses": "loss",
    "optimizers": "optimizer",
    "schedulers": "scheduler",
}


def named(kind: str, name: str) -> dict[str, Any]:
    """Returns a valid config with a section of this name."""
    config_dict: dict[str, Any] = {"data": "iris", "model": {"name": "mlp", "layers": [{"units": 2}]}}
    aliases = {("initializers", "constant"): "constant-init", ("activations", "step"): "step-activation"}
    key = aliases.get((kind, name), name)
    section = {"name": name, **REQUIRED.get(key, {})}
    if kind == "activations":
        config_dict["model"]["layers"] = [{"units": 2, "activation": section}]
        config_dict["model"]["freeze"] = "hidden.*" if name == "step" else []
    elif kind == "augmentations":
        config_dict["data"] = "mnist"
        config_dict["augment"] = [section]
    elif kind == "initializers" and name == "values":
        config_dict["model"]["layers"] = [{"units": 2, "init": section}]
    elif kind == "initializers":
        config_dict["init"] = section
    else:
        config_dict[SECTIONS[kind]] = section
    if kind == "models" and "features" not in listed(model.ModelSection)[name].layouts:  # type: ignore[attr-defined]
        config_dict["data"] = {"name": "random", "shape": [3, 64, 64]}
    if name in ("recursive", "tree_lstm"):
        config_dict["data"] = {"name": "trees", "path": "x.txt"}
    if kind == "data" and name in ("trees", "language"):
        config_dict["model"] = "recursive" if name == "trees" else "rnn"
    if name in ("mse", "l1", "mae", "huber", "smooth_l1"):
        config_dict["data"] = "sine"
    if name == "text":
        config_dict["model"] = "rnn"
    return config_dict


NAMES = [(kind, name) for kind, union in UNIONS.items() for name in listed(union) if name not in ("dirac", "whitening")]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_resolved_config_is_read_again(kind: str, name: str, tmp_path: Path) -> None:
    config = load_config(named(kind, name))
    resolved = resolve(config, config.data.facts())
    for each in (config, resolved):
        path = tmp_path / "elsewhere.yaml"
        path.write_text(to_yaml(each), encoding="utf-8")
        again = load_config(path)
        assert dump(again) == dump(each)
        assert to_yaml(again) == to_yaml(each)
    assert dump(resolve(resolved, resolved.data.facts())) == dump(resolved)


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_is_resolved(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    resolved = resolve(config, config.data.facts())
    # These follow from the data: how cells are read, the size of the vocabulary, the number of train samples.
    of_data = {"model.embedding", "train.baselines"}
    if config.data.facts().task is None:
        of_data |= {"loss.name", "preprocess.normalize", "preprocess.scale_target", "train.batch_size", "train.metrics"}
    left = {key for key in autos(dump(resolved)) if not key.startswith("data.")} - of_data
    assert left == (autos(dump(config)) & {"init", "init.name", "train.device"})
    path = tmp_path / f"{name}.yaml"
    path.write_text(to_yaml(resolved), encoding="utf-8")
    assert dump(load_config(path)) == dump(resolved)


def autos(values: Any, path: str = "") -> set[str]:
    """Returns the keys whose value is `auto`."""
    if values == "auto":
        return {path}
    if isinstance(values, dict):
        return {key for name, item in values.items() for key in autos(item, f"{path}.{name}".lstrip("."))}
    return set()


@pytest.mark.parametrize(
    "value", [1e-3, 1e20, -1e30, 0.1 + 0.2, 5e-324, 2.2250738585072014e-308, -0.0, 3, 123456789.123456789]
)
def test_numbers_survive_writing(value: float, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    config = load_config({"data": "iris", "model": "mlp", "init": {"bias": value}})
    path.write_text(to_yaml(config))
    assert repr(load_config(path).init.bias) == repr(float(value))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["null", "true", "1e3", "0o17", "no", "~", "a: b", "# x", "é日", "'", '"', " x ", "[a]"]
)
def test_texts_survive_writing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    config = load_config({"data": "iris", "model": {"name": "mlp", "freeze": [text]}})
    path.write_text(to_yaml(config), encoding="utf-8")
    assert load_config(path).model.freeze == (text,)


def resolved(config_dict: dict[str, Any], facts: Facts | None = None) -> dict[str, Any]:
    config = load_config(config_dict)
    values: dict[str, Any] = dump(resolve(config, facts or config.data.facts()))
    return values


def test_choices_for_classes() -> None:
    values = resolved({"data": "iris", "model": "mlp", "loss": {"reduction": "sum"}})
    assert values["model"]["hidden"] == [64, 32]
    assert (values["loss"]["name"], values["loss"]["reduction"]) == ("cross_entropy", "sum")
    assert (values["train"]["monitor"], values["train"]["mode"]) == ("val/loss", "min")
    assert values["train"]["metrics"] == ["accuracy"]
    assert values["train"]["device"] == "auto"
    assert (values["preprocess"]["normalize"], values["preprocess"]["scale_target"]) == ("standardize", False)


def test_choices_for_regression() -> None:
    values = resolved({"data": "diabetes", "model": "mlp", "train": {"monitor": "val/r2"}})
    assert values["loss"]["name"] == "mse"
    assert values["train"]["metrics"] == ["mae", "rmse", "r2"]
    assert values["train"]["mode"] == "max"
    assert values["preprocess"]["scale_target"] is True
    assert resolved({"data": "sine", "model": "mlp"})["preprocess"]["scale_target"] is False


def test_choices_without_a_val_split() -> None:
    values = resolved({"data": "xor", "model": "mlp"})
    assert values["train"]["monitor"] == "train/loss"
    assert values["preprocess"]["normalize"] == "none"
    assert (values["data"]["split"]["val"], values["data"]["split"]["test"]) == (0.0, 0.0)
    split = {"val": 0.0, "test": 0.25}
    values = resolved({"data": {"name": "iris", "split": split}, "model": "mlp"})
    assert values["train"]["monitor"] == "train/loss"
    assert values["data"]["split"]["test"] == 0.25


def test_given_values_are_kept() -> None:
    train = {"monitor": "train/f1", "mode": "max", "metrics": ["f1"], "device": "cpu"}
    config_dict = {
        "data": "iris",
        "model": {"name": "mlp", "hidden": []},
        "loss": "hinge",
        "train": train,
        "preprocess": {"normalize": "minmax"},
    }
    values = resolved(config_dict)
    assert {key: values["train"][key] for key in train} == train
    assert values["model"]["hidden"] == []
    assert values["loss"]["name"] == "hinge"
    assert values["preprocess"]["normalize"] == "minmax"


def test_values_stay_auto_until_the_facts_are_known() -> None:
    config_dict = {"data": {"name": "arrays", "path": "x.npz"}, "model": "mlp"}
    values = resolved(config_dict)
    assert autos(values) == {
        "data.task",
        "data.cache",
        "data.layout",
        "preprocess.normalize",
        "preprocess.scale_target",
        "init.name",
        "loss.name",
        "train.monitor",
        "train.mode",
        "train.metrics",
        "train.device",
        "train.baselines",
    }
    found = {"task": "multilabel", "layout": "image", "cache": "memory"}
    facts = Facts("multilabel", "image", 5, 0, (1, 2, 3), has_val=True, has_test=False, num_train=9, choices=found)
    values = resolved(config_dict, facts)
    assert autos(values) == {"init.name", "train.device"}
    assert (values["data"]["task"], values["data"]["layout"]) == ("multilabel", "image")
    assert (values["data"]["split"]["val"], values["data"]["split"]["test"]) == (0.15, 0.0)
    assert values["loss"]["name"] == "bce"
    assert values["train"]["metrics"] == ["accuracy", "f1"]
    assert (
        resolved(config_dict, Facts("regression", "features", 0, 1, (3,), True, True, 1))["preprocess"]["normalize"]
        == "none"
    )
