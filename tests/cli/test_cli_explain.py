"""`nnzoo explain` and the texts of `nnzoo schema`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nnzoo.cli.app import run
from nnzoo.config.base import dump, listed
from nnzoo.config.describe import UNIONS
from nnzoo.config.explain import Explanation, explain, known_words
from nnzoo.config.fields import owners_of
from nnzoo.config.references import FORMULAS, papers_in
from nnzoo.config.train import Train


def matches(query: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert run(["explain", query, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["matches"]
    return found


def test_a_key_has_its_meaning_default_values_formula_paper_and_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    [found] = matches("model.mlp.dropout", capsys)
    assert found["paths"] == ["model.dropout"]
    assert found["names"] == ["mlp"]
    assert found["meaning"].startswith("dropout probability of hidden units")
    assert found["defaults"] == [{"value": 0.0, "of": ["mlp"]}]
    assert found["values"] == "a number of at least 0 and below 1"
    assert "1 - p" in found["formula"]
    assert found["papers"]["Srivastava et al. 2014"].startswith("Dropout: A Simple Way")
    assert found["lessons"] == ["dropout"]
    assert run(["explain", "model.mlp.dropout"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("model.dropout\n  meaning  dropout probability")
    assert "  lessons  nnzoo lesson dropout" in text


def test_all_places_of_a_short_key_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    found = matches("lr", capsys)
    assert {path for each in found for path in each["paths"]} == {owner.path for owner in owners_of("lr")}
    assert {name for each in found for name in each["names"]} == set(listed(UNIONS["optimizers"]))
    defaults = {name: each["value"] for entry in found for each in entry["defaults"] for name in each["of"]}
    assert defaults["sgd"] == 0.001
    assert defaults["rmsprop"] == 0.01
    assert [each["paths"] for each in matches("optimizer.adamw.lr", capsys)] == [["optimizer.lr"]]
    assert matches("seed", capsys)[0]["paths"] == ["seed"]
    assert {path for each in matches("seed", capsys) for path in each["paths"]} > {"seed", "data.split.seed"}


@pytest.mark.parametrize(
    ("query", "paths", "values", "lessons"),
    [
        (
            "train.early_stopping.patience",
            ["train.early_stopping.patience"],
            "an integer of at least 1",
            ["overfitting"],
        ),
        ("augment.0.alpha", ["augment.N.alpha"], "a number above 0", []),
        ("train.num_threads", ["train.num_threads"], "an integer from 1 to 1,024 or null", []),
        ("train.mode", ["train.mode"], "auto, min, max", None),
        ("early_stopping", ["train.early_stopping"], "a section with the keys below or null", ["overfitting"]),
        ("train.baselines", ["train.baselines"], "auto, false or a list of linear, gradient_boosting", None),
        ("deterministic", ["train.deterministic"], "true or false", []),
        ("optimizer.betas", ["optimizer.betas"], "a list of numbers of at least 0 and below 1", None),
    ],
)
def test_values_and_lessons(
    query: str, paths: list[str], values: str, lessons: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = matches(query, capsys)
    assert found[0]["paths"] == paths
    assert found[0]["values"] == values
    assert lessons is None or found[0]["lessons"] == lessons


def test_names_of_sections_and_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    [gru] = matches("gru", capsys)
    assert gru["paths"] == ["model: gru"]
    assert gru["lessons"] == ["rnn-forgets", "lstm-gates"]
    assert "h_t = (1 - z) n + z h_(t-1)" in gru["formula"]
    assert "hidden_size" in {each["name"] for each in gru["fields"]}
    assert [each["paths"] for each in matches("step", capsys)] == [["activation: step"], ["scheduler: step"]]
    assert [each["paths"] for each in matches("scheduler: step", capsys)] == [["scheduler: step"]]
    assert matches("f1", capsys)[0]["formula"] == "2 * precision * recall / (precision + recall)"
    [model, loss] = matches("perceptron", capsys)
    assert model["formula"] != loss["formula"]


@pytest.mark.parametrize(
    ("query", "meant"),
    [("droput", "dropout"), ("learning_rate", "lr"), ("optimizer.lrr", "optimizer.lr"), ("adagradd", "adagrad")],
)
def test_a_misspelled_key_is_an_error(query: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", query]) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


@pytest.fixture(scope="module")
def explained() -> dict[str, list[Explanation]]:
    """Returns the explanations of all keys, without their paths, and of all names."""
    return {word: explain(word) for word in known_words() if "." not in word}


def test_every_key_and_name_is_explained(explained: dict[str, list[Explanation]]) -> None:
    assert len(explained) > 250
    for word, matching in explained.items():
        for found in matching:
            assert found.meaning, word
            assert found.values or found.fields or ": " in found.paths[0], word


def test_formulas_and_papers_belong_to_something(explained: dict[str, list[Explanation]]) -> None:
    """A formula under a wrong name would never be shown, nor would a citation have a title."""
    names = {path for matching in explained.values() for found in matching for path in found.paths}
    names |= {f"metrics: {path[16:-1]}" for path in names if path.startswith("train.metrics: [")}
    assert not [name for name in FORMULAS if name not in names and name != "optimizer.sgd.lr"]
    texts = [found.meaning for matching in explained.values() for found in matching]
    untitled = {citation for text in texts for citation, title in papers_in(text).items() if not title}
    assert not untitled, "add their titles to PAPERS in config/references.py"
    cited = papers_in("Kingma & Ba 2015; Weston & Watkins (1999), LeCun et al. 1998b, He et al. 2016")
    assert list(cited) == ["Kingma & Ba 2015", "Weston & Watkins 1999", "LeCun et al. 1998b", "He et al. 2016"]
    assert cited["LeCun et al. 1998b"] == "Efficient BackProp"


def test_the_schema_has_the_same_texts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    definitions = json.loads(capsys.readouterr().out)["$defs"]
    for name, field in Train.model_fields.items():
        [found] = [each for each in explain(f"train.{name}") if each.paths == [f"train.{name}"]]
        described = definitions["Train"]["properties"][name]
        assert described["description"].startswith(found.meaning)
        assert described["title" if "title" in described else "description"]
        assert all(f"nnzoo lesson {lesson}" in described["description"] for lesson in found.lessons)
        assert described["default"] == dump(field.default) or isinstance(described["default"], dict)
    assert definitions["Train"]["properties"]["epochs"]["minimum"] == 1
    adam = definitions["Adam"]
    assert "Formula: m <- b1 m" in adam["description"]
    assert "Paper: Kingma & Ba 2015, Adam: A Method for Stochastic Optimization" in adam["description"]
    assert "Lessons: nnzoo lesson momentum, nnzoo lesson optimizers" in definitions["PartialAdam"]["description"]
    dropout = definitions["Mlp"]["properties"]["dropout"]
    assert dropout["exclusiveMaximum"] == 1
    assert "nnzoo lesson dropout" in dropout["description"]
