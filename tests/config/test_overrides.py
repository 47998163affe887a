"""Overrides on the command line and from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnzoo.config import dump, load_config
from nnzoo.errors import ConfigError, UsageError

BASE: dict[str, Any] = {
    "data": "digits",
    "model": {"name": "mlp", "layers": [{"units": 3}, {"units": 4, "dropout": 0.5}]},
    "optimizer": {"name": "adamw", "betas": [0.5, 0.6]},
}


def changed(*overrides: str) -> dict[str, Any]:
    values: dict[str, Any] = dump(load_config(BASE, overrides))
    return values


def at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[int(part)] if isinstance(values, list) else values[part]
    return values


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("optimizer.lr=3e-4", 3e-4),
        ("optimizer.lr=.1", 0.1),
        ("optimizer.lr = .1", 0.1),
        ("optimizer.amsgrad=true", True),
        ("optimizer.betas=[0.1, 0.2]", [0.1, 0.2]),
        ("optimizer.betas.1=0.25", 0.25),
        ("train.epochs=1e2", 100),
        ("train.early_stopping=null", None),
        ("train.early_stopping=", None),
        ("train.early_stopping=~", None),
        ("train.early_stopping.patience=3", 3),
        ("train.metrics=[accuracy,f1]", ["accuracy", "f1"]),
        ("train.metrics=[]", []),
        ("model.layers.0.units=5", 5),
        ("model.layers.1.activation=tanh", "tanh"),
        ("model.layers=[{units: 7}]", None),
        ("name=on", "on"),
        ("name='5'", "5"),
        ("name=x # a comment", "x"),
        ("loss=mse", None),
        ("scheduler.T_max=null", None),
    ],
)
def test_values_are_yaml(override: str, value: object) -> None:
    extra = ["scheduler=cosine"] if override.startswith("scheduler") else []
    values = changed(*extra, override)
    key = override.split("=")[0].strip()
    if key == "model.layers":
        assert [layer["units"] for layer in values["model"]["layers"]] == [7]
    elif key == "loss":
        assert values["loss"] == {"name": "mse", "reduction": "mean"}
    else:
        assert at(values, key) == value


def test_nested_mappings_merge() -> None:
    values = changed("model.output={activation: softmax}", "model.output.bias=false")
    assert values["model"]["output"]["activation"] == "softmax"
    assert values["model"]["output"]["bias"] is False
    assert changed("model={dropout: 0.5}")["model"]["layers"][0]["units"] == 3


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.name=sgd", "optimizer.lr=.1"],
        ["optimizer.lr=.1", "optimizer.name=sgd"],
        ["optimizer=sgd", "optimizer.lr=.1"],
        ["optimizer.lr=.1", "optimizer=sgd"],
        ["optimizer={name: sgd, lr: .1}"],
    ],
)
def test_a_new_name_drops_old_fields_and_keeps_overrides(overrides: list[str]) -> None:
    assert (
        changed(*overrides)["optimizer"]
        == dump(load_config({**BASE, "optimizer": {"name": "sgd", "lr": 0.1}}))["optimizer"]
    )


def test_an_override_adds_a_missing_section() -> None:
    assert changed("regularization.l1=0.5")["regularization"]["l1"] == 0.5
    assert changed("scheduler.warmup_epochs=2")["scheduler"]["name"] == "constant"


def test_an_index_changes_only_one_item() -> None:
    values = changed("model.layers.1.units=9")
    assert [(layer["units"], layer["dropout"]) for layer in values["model"]["layers"]] == [(3, None), (9, 0.5)]


def test_the_last_override_takes_precedence() -> None:
    assert changed("seed=1", "seed=2")["seed"] == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer.lr=fast"], "override optimizer.lr=fast: optimizer.lr: expected a number, got 'fast'."),
        (["optimizer.lr=nan"], "override optimizer.lr=nan: optimizer.lr: expected a number, got 'nan'."),
        (["optimizer.lr="], "override optimizer.lr=: optimizer.lr: expected a number, got null."),
        (["optimizer="], "override optimizer=: optimizer: expected a name or a mapping with a name, got null."),
        (["optimizer.lr_rate=1"], "override optimizer.lr_rate=1: optimizer.lr_rate: unknown key. Did you mean 'lr'?"),
        (["train.epochs==3"], "override train.epochs==3: train.epochs: expected an integer, got '=3'."),
        (["lr=3"], "override lr=3: lr: unknown key. Did you mean 'optimizer.lr'?"),
        (["0=3"], "override 0=3: 0: unknown key."),
        (["seed.x=3"], "override seed.x=3: seed: expected an integer, got a mapping."),
        (["model=linaer"], "override model=linaer: model: 'linaer' is not a model. Did you mean 'linear'?"),
        (["model.layers.2.units=5"], "override model.layers.2.units=5: model.layers: there is no item 2 in it."),
        (["model.layers.-1.units=5"], "override model.layers.-1.units=5: model.layers: expected a list or null"),
        (
            ["model.layers.0.units.1=5"],
            "override model.layers.0.units.1=5: model.layers.0.units: there is no item 1 in it.",
        ),
        (["model.layers.²=5"], "override model.layers.²=5: model.layers: expected a list or null"),
        (["model.layers.0=5"], "override model.layers.0=5: model.layers.0: expected a mapping, got 5."),
        (["train.epochs=[1"], "override train.epochs=[1: not YAML: the bracket that starts here is never closed."),
        (["train={a: 1, a: 2}"], "override train={a: 1, a: 2}: duplicate key 'a' (first on line 1)"),
        (["name=!!python/name:os.system x"], "override name=!!python/name:os.system x: the tag tag:yaml.org,2002:py"),
        (["name=a\x00b"], "override name=a\\x00b: the character U+0000 is not allowed in YAML."),
        (["train=3", "train.epochs=3"], "override train.epochs=3: train: another override sets this key to a value"),
        (["train.epochs=3", "train=3"], "override train=3: train: expected a mapping, got 3."),
        (["name=../evil"], "override name=../evil: name: expected at most 100 letters"),
        (["train.monitor=val/acc"], "override train.monitor=val/acc: train.monitor: 'val/acc' is not computed"),
    ],
)
def test_problems_name_the_override(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(BASE, overrides)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("override", ["foo", "=3", "", "a..b=3", ".a=3", "a.=3", " =3"])
def test_invalid_overrides_are_refused(override: str) -> None:
    with pytest.raises(UsageError, match="Write KEY=VALUE, such as"):
        load_config(BASE, [override])


def test_values_from_python() -> None:
    overrides = {
        "optimizer.lr": 3e-4,
        "model.layers.0": {"units": 8},
        "train": {"epochs": 3},
        "optimizer.betas": (0.1, 0.2),
    }
    config = load_config(BASE, overrides)
    values = dump(config)
    assert (values["optimizer"]["lr"], values["optimizer"]["betas"]) == (3e-4, [0.1, 0.2])
    assert [layer["units"] for layer in values["model"]["layers"]] == [8, 4]
    with pytest.raises(
        ConfigError, match=r"^override optimizer\.lr=fast: optimizer\.lr: expected a number, got 'fast'"
    ):
        load_config(BASE, {"optimizer.lr": "fast"})
    assert load_config(BASE, "seed=3").seed == 3


def test_problems_of_the_file_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("data: digits\nmodel: {name: mlp, hidden: 3}\n")
    with pytest.raises(ConfigError) as caught:
        load_config("c.yaml", ["optimizer.lr=-1"])
    assert [line.split(": ")[0] for line in str(caught.value).split("\n")] == [
        "c.yaml:2:28",
        "    model",
        " " * 31 + "^",
        "override optimizer.lr=-1",
    ]


def test_overrides_do_not_change_a_loaded_config() -> None:
    config = load_config(BASE)
    before = dump(config)
    changed = load_config(config, ["model.layers.0.units=9", "optimizer.betas.0=0.9", "optimizer.lr=5"])
    assert (dump(changed)["model"]["layers"][0]["units"], changed.optimizer.lr) == (9, 5)
    assert dump(config) == before
    assert dump(load_config(config)) == before


def test_a_changed_copy_of_a_config_keeps_its_changes() -> None:
    for base in (BASE, {"data": "xor", "model": "mlp"}):
        copy = load_config(base).model_copy(update={"seed": 7})
        assert load_config(copy).seed == 7
        assert load_config(copy, ["train.epochs=3"]).seed == 7
    broken = load_config(BASE).model_copy(update={"seed": -1})
    with pytest.raises(ConfigError, match=r"^config: seed: expected at least 0, got -1\."):
        load_config(broken)
