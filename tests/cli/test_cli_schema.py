"""The JSON Schema accepts exactly the configs that nnzoo reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nnzoo.cli.app import run
from nnzoo.config.shipped import shipped_configs
from nnzoo.config.yaml_reader import parse


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Returns the output of `nnzoo schema`."""
    import contextlib
    import io

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert run(["schema"]) == 0
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


@pytest.fixture(scope="module")
def accepts(schema: dict[str, Any]) -> Any:
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    return lambda text: validator.is_valid(parse(text, "text").plain())


def validates(text: str, folder: Path) -> bool:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return run(["validate", str(path)]) == 0


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_is_accepted(name: str, accepts: Any) -> None:
    assert accepts(shipped_configs()[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", shipped_configs())
def test_every_resolved_config_is_accepted(name: str, accepts: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", name, "--resolved"]) == 0
    assert accepts(capsys.readouterr().out)


GOOD = [
    "{data: digits, model: mlp}",
    "{data: {name: digits}, model: {name: mlp}}",
    "{data: digits, model: mlp, optimizer: {lr: 0.1}, scheduler: {warmup_epochs: 2}, loss: {reduction: sum}}",
    "{data: digits, model: mlp, init: {bias: 0.1}}",
    "{data: digits, model: mlp, scheduler: step}",
    "{data: digits, model: mlp, init: {bias: zeros}, optimizer: sgd, loss: mae}",
    "{data: digits, model: {name: mlp, layers: [{units: 3, activation: tanh, init: {name: eye}}]}}",
    "{data: digits, model: mlp, train: {batch_size: full, early_stopping: null, metrics: [f1], device: 'cuda:1'}}",
    "{data: digits, model: mlp, preprocess: {pca: {n_components: 3}, scale_target: auto}}",
    "{data: {name: random, shape: [3]}, model: {name: linear, freeze: backbone}}",
    "{data: digits, model: mlp, augment: [noise, {name: rotation, degrees: [-5, 9]}, {name: random_crop, padding: 2}]}",
    "{data: {name: image_folder, path: x, size: [3, 4], channels: 1}, model: mlp}",
    "{data: {name: mnist, classes: [3, '8']}, model: mlp}",
]
BAD = [
    "{data: digits}",
    "{data: digits, model: mlp, foo: 3}",
    "{data: digits, model: {hidden: [3]}}",
    "{data: digits, model: {name: mlp, hiden: [3]}}",
    "{data: digits, model: nope}",
    "{data: digits, model: custom}",
    "{data: digits, model: {name: custom}}",
    "{data: digits, model: {name: mlp, layers: [{}]}}",
    "{data: digits, model: mlp, optimizer: {lrr: 3}}",
    "{data: digits, model: mlp, optimizer: {name: sgd, betas: [0.1, 0.2]}}",
    "{data: digits, model: mlp, optimizer: {lr: '0.1'}}",
    "{data: digits, model: mlp, scheduler: {name: step, step_size: 0}}",
    "{data: random, model: mlp}",
    "{data: digits, model: mlp, train: {epochs: 0}}",
    "{data: digits, model: mlp, train: {epochs: true}}",
    "{data: digits, model: mlp, train: {device: gpu}}",
    "{data: digits, model: mlp, seed: -1}",
    "{data: digits, model: mlp, name: ../evil}",
    "{data: digits, model: mlp, augment: [noisy]}",
    "{data: digits, model: mlp, augment: noise}",
    "{data: digits, model: mlp, augment: [random_crop]}",
    "{data: digits, model: mlp, augment: [{name: rotation, degrees: 3, fil: 1}]}",
]


@pytest.mark.parametrize("text", GOOD)
def test_valid_configs_are_accepted(text: str, accepts: Any, tmp_path: Path) -> None:
    assert accepts(text)
    assert validates(text, tmp_path)


@pytest.mark.parametrize("text", BAD)
def test_invalid_configs_are_refused(text: str, accepts: Any, tmp_path: Path) -> None:
    assert not accepts(text)
    assert not validates(text, tmp_path)


@pytest.mark.parametrize(
    "sections",
    [
        "",
        "model: {hidden: [3]}",
        "data: {split: {val: 0.1}}",
        "optimizer: {momentum: 0.5}",
        "scheduler: {step_size: 3}",
        "model: linear, train: {epochs: 3}",
        "model: {output: {init: {val: 3}}}",
    ],
)
def test_with_extends_sections_may_be_partial(sections: str, accepts: Any) -> None:
    assert accepts(f"{{extends: base.yaml, {sections}}}")
    assert not accepts(f"{{extends: 3, {sections}}}")


@pytest.mark.parametrize("sections", ["foo: 3", "model: {hiden: [3]}", "optimizer: {lrr: 3}", "train: {epochs: x}"])
def test_with_extends_unknown_keys_are_refused(sections: str, accepts: Any) -> None:
    assert not accepts(f"{{extends: base.yaml, {sections}}}")


def test_every_key_has_a_description(schema: dict[str, Any]) -> None:
    sections = {"Config": schema, **schema["$defs"]}
    bare = [
        f"{section}.{key}"
        for section, body in sections.items()
        for key, field in body.get("properties", {}).items()
        if key != "name" and not field.get("description")
    ]
    assert not bare
    assert set(schema["then"]["required"]) == {"data", "model"}
