"""The command `nnzoo list`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run
from nnzoo.config.base import listed
from nnzoo.config.describe import UNIONS
from nnzoo.config.metrics import METRICS
from nnzoo.config.shipped import shipped_configs
from nnzoo.run.zoo import zoo_names

KINDS = [*UNIONS, "metrics", "configs"]
NAMES = [
    *((kind, name) for kind, union in UNIONS.items() for name in listed(union)),
    *(("metrics", name) for name in METRICS),
    *(("configs", name) for name in shipped_configs()),
]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["list", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(printed(capsys, *arguments, "--json"))


def test_all_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    assert [line.split(":")[0] for line in lines] == [*KINDS, "zoo"]
    found = as_json(capsys)
    assert list(found) == [*KINDS, "zoo"]
    assert lines == [f"{kind}: {', '.join(names)}" for kind, names in found.items()]
    assert found.pop("zoo") == zoo_names()
    assert sorted((kind, name) for kind, names in found.items() for name in names) == sorted(NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = [name for of_kind, name in NAMES if of_kind == kind]
    found = as_json(capsys, kind)
    assert found["kind"] == kind
    assert list(found["names"]) == names
    assert all(len(meaning) > 5 for meaning in found["names"].values())
    assert [line.split()[0] for line in printed(capsys, kind).splitlines()] == names
    assert printed(capsys, kind, "-q").splitlines() == names


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_one_name(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, kind, name)
    assert (found["kind"], found["name"]) == (kind, name)
    text = printed(capsys, kind, name)
    assert text.startswith(f"{name}: {found['meaning']}\n")
    for field in found["fields"]:
        assert field["meaning"], field
        assert field["required"] != ("default" in field)
        assert f"\n  {field['name']} " in text
        assert field["meaning"] in text


def test_fields_defaults_and_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {field["name"]: field for field in as_json(capsys, "optimizers", "sgd")["fields"]}
    assert (fields["lr"]["default"], fields["nesterov"]["default"]) == (0.001, False)
    assert as_json(capsys, "initializers", "constant")["fields"][-1]["required"] is True
    text = printed(capsys, "models", "mlp")
    assert "Batch norm" not in text
    for words in ("hidden", "= null", "units of each hidden layer", "units", "required", "number of units", "= relu"):
        assert words in text
    text = printed(capsys, "metrics", "rmse")
    assert "lower is better; for regression" in text


def test_a_shipped_config_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = shipped_configs()["digits_mlp"].read_text(encoding="utf-8")
    assert text.strip() in printed(capsys, "configs", "digits_mlp")
    assert as_json(capsys, "configs", "digits_mlp")["text"] == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modls"], "list: 'modls' is not a kind. Did you mean 'models'? (models, data, augmentations,"),
        (["models", "mpl"], "list: 'mpl' is not listed under models. Did you mean 'mlp'? (perceptron, linear, mlp,"),
        (["models", "custom"], "list: 'custom' is not listed under models."),
        (
            ["initializers", "glorot"],
            "list: 'glorot' is not listed under initializers. Did you mean 'xavier_uniform'? (auto,",
        ),
        (["metrics", "acc"], "list: 'acc' is not listed under metrics. Did you mean 'accuracy'? (accuracy,"),
    ],
)
def test_unknown_names(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"nnzoo: {message}")


def test_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "runs")
    assert printed(capsys, "runs", "--runs-dir", folder) == f"no runs in {folder}\n"
    assert as_json(capsys, "runs", "--runs-dir", folder) == {"kind": "runs", "runs": []}
    for name, result in (("a", {"status": "completed", "epochs": 3, "metrics": {"test/accuracy": 0.5}}), ("b", None)):
        run_dir = tmp_path / "runs" / name
        run_dir.mkdir(parents=True)
        (run_dir / "config.yaml").write_text("data: digits\nmodel: mlp\n")
        (run_dir / "result.json").write_text(json.dumps(result) if result else "{")
    found = as_json(capsys, "runs", "--runs-dir", folder)["runs"]
    assert [(entry["name"], entry["status"]) for entry in found] == [("a", "completed"), ("b", "unfinished")]
    assert "test/accuracy 0.5000" in printed(capsys, "runs", "--runs-dir", folder)
    assert [entry["name"] for entry in as_json(capsys, "runs", "b", "--runs-dir", folder)["runs"]] == ["b"]
