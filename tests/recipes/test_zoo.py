"""The trained networks that are part of nnzoo: `zoo:NAME`."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path

import pytest
import torch
from hatchling.builders.wheel import WheelBuilder

import nnzoo
from nnzoo.cli.app import run
from nnzoo.config import load_config
from nnzoo.config.data import Files, TorchvisionSet
from nnzoo.recipes.results import read_results
from nnzoo.run.zoo import file_digest, read_card, weights_file, zoo_folder, zoo_names

ROOT = Path(__file__).parents[2]
REAL = os.environ.get("NNZOO_TEST_DATA", "")
CARDS = {name: read_card(name) for name in zoo_names()}
BUNDLED = [
    name for name, card in CARDS.items() if not isinstance(load_config(card.recipe).data, Files | TorchvisionSet)
]
Capture = pytest.CaptureFixture[str]


def measured(name: str) -> float:
    split, metric = CARDS[name].metric.split("/")
    return nnzoo.evaluate(f"zoo:{name}", split=split).metrics[metric]


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_data_gives_the_result_of_the_card(name: str) -> None:
    assert measured(name) == pytest.approx(CARDS[name].value, abs=1e-6)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not REAL, reason="NNZOO_TEST_DATA names no folder")
@pytest.mark.parametrize("name", sorted(CARDS.keys() - BUNDLED))
def test_other_data_gives_the_result_of_the_card(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNZOO_DATA", REAL)
    assert measured(name) == pytest.approx(CARDS[name].value, rel=1e-5)


def test_cards_fit_their_files_and_results() -> None:
    results = read_results()
    files = {file.stem for file in zoo_folder().glob("*.safetensors")}
    assert files == set(CARDS)
    for name, card in CARDS.items():
        file, result = weights_file(name), results[card.recipe]
        assert (card.name, card.num_bytes, card.sha256) == (name, file.stat().st_size, file_digest(file))
        assert card.num_bytes <= 1_500_000
        assert (card.metric, card.num_parameters, card.baseline) == (
            result.metric,
            result.num_parameters,
            result.baseline,
        )
        assert card.value == dict(zip(result.seeds, result.values, strict=True))[card.seed]
    assert sum(card.num_bytes for card in CARDS.values()) <= 15_000_000


def test_weights_in_python() -> None:
    model = nnzoo.load("zoo:iris_mlp")
    assert model.predict([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]).tolist() == ["setosa", "virginica"]
    assert nnzoo.predict("zoo:iris_mlp", [[5.1, 3.5, 1.4, 0.2]]).tolist() == ["setosa"]


def test_weights_on_the_command_line(capsys: Capture) -> None:
    assert run(["predict", "zoo:names_lstm", "--text", "Nakamura", "--text", "Papadopoulos"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["Japanese", "Greek"]
    assert run(["summary", "zoo:iris_mlp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_parameters"] == CARDS["iris_mlp"].num_parameters
    assert run(["eval", "zoo:iris_mlp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"] == pytest.approx(CARDS["iris_mlp"].value)


def test_training_starts_from_weights(tmp_path: Path) -> None:
    model = {"name": "mlp", "hidden": [16], "activation": "tanh", "pretrained": "zoo:iris_mlp"}
    config = {"data": "iris", "model": model, "train": {"epochs": 1}}
    weights = nnzoo.load("zoo:iris_mlp").module.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in nnzoo.build_model(config).state_dict().items())
    first = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert first.config.model.pretrained == "zoo:iris_mlp"
    resumed = nnzoo.train(config, overrides={"train.epochs": 2}, runs_dir=tmp_path, resume=True, quiet=True)
    assert (resumed.run_dir, resumed.result["epochs"]) == (first.run_dir, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "zoo:iris_mpl"], "there are no shipped weights of this name. Did you mean 'zoo:iris_mlp'?"),
        (["predict", "zoo:names_lstmm", "--text", "a"], "Did you mean 'zoo:names_lstm'?"),
        (["summary", "zoo:nothing_like_it"], "zoo:nothing_like_it: there are no shipped weights of this name. (`nnzoo"),
        (["summary", "zoo:iris_mlp", "seed=1"], "overrides apply only to configs"),
        (["list", "zoo", "iris"], "Did you mean 'zoo:iris_mlp'?"),
        (["doctor", "zoo:iris_mlp"], "zoo:iris_mlp: are shipped weights without a run directory."),
        (["report", "zoo:iris_mlp"], "zoo:iris_mlp: are shipped weights without a run directory."),
        (["train", "digits_mlp", "model.pretrained=zoo:digits"], "model.pretrained: zoo:digits: there are no shipped"),
        (["eval", "zoo:../zoo/iris_mlp"], "there are no shipped weights of this name."),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: Capture) -> None:
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def test_data_that_is_not_there(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNZOO_DATA", raising=False)
    assert run(["eval", "zoo:names_lstm"]) == 3
    assert "set NNZOO_DATA to the folder of your data sets" in capsys.readouterr().err


def test_the_list(capsys: Capture) -> None:
    assert run(["list", "zoo"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", header) == ["network", "result", "baseline", "parameters", "KB", "licence of the data"]
    assert [row.split()[0] for row in rows] == [f"zoo:{name}" for name in CARDS]
    assert run(["list", "zoo", "-q"]) == 0
    assert capsys.readouterr().out.splitlines() == list(CARDS)
    assert run(["list", "zoo", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["names"] == {name: card.task for name, card in CARDS.items()}
    assert found["cards"] == [card.model_dump(mode="json") for card in CARDS.values()]
    assert run(["list", "zoo", "names_lstm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"kind": "zoo", **CARDS["names_lstm"].model_dump(mode="json")}
    assert run(["list", "zoo", "zoo:names_lstm"]) == 0
    text = capsys.readouterr().out
    for words in ("zoo:names_lstm: Guesses the language", "\nlicence: MIT\n", "\nlimits: ", "\nrecipe: nnzoo train "):
        assert words in text


def test_the_wheel_contains_the_weights_and_the_results(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"nnzoo/zoo/{name}.{end}" for name in CARDS for end in ("safetensors", "json")} <= names
    assert "nnzoo/configs/results.json" in names
    assert not [name for name in names if name.startswith("docs/")]
