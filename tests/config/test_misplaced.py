"""Misplaced keys and names: the message suggests a valid place."""

from __future__ import annotations

import copy
import re
import time
from typing import Any

import pytest

from nnzoo.config import load_config
from nnzoo.config.base import listed
from nnzoo.config.document import Path, from_plain
from nnzoo.config.fields import UNIONS, valid_paths
from nnzoo.config.suggest import SYNONYMS
from nnzoo.errors import ConfigError

MLP: dict[str, Any] = {"data": "digits", "model": "mlp"}
CNN: dict[str, Any] = {
    "data": {"name": "mnist"},
    "model": {"name": "cnn", "blocks": [{"conv": {"out_channels": 2, "kernel_size": 3}}, {"pool": {"kernel_size": 2}}]},
    "augment": ["noise"],
}


def message(config: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(config, overrides)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("activation=relu", "Did you mean 'model.activation' or 'model.output.activation'?"),
        ("model.init=zeros", "Did you mean 'init' at the top level or 'model.output.init'?"),
        ("model.seed=3", "Did you mean 'seed' at the top level or 'data.split.seed'?"),
        ("data.seed=3", "Did you mean 'seed' at the top level or 'data.split.seed'?"),
        ("train.lr=0.1", "Did you mean 'optimizer.lr'?"),
        ("optimizer.epochs=3", "Did you mean 'train.epochs'?"),
        ("dropout=0.5", "Did you mean 'model.dropout'?"),
        ("patience=3", "Did you mean 'train.early_stopping.patience'?"),
        ("test_size=0.2", "Did you mean 'data.split.test'?"),
        ("validation_split=0.2", "Did you mean 'data.split.val'?"),
        ("num_layers=3", "Did you mean 'model.hidden'?"),
        ("target=y", "It belongs to 'data.target' of data csv, text or series."),
        ("model.bidirectional=true", "It belongs to rnn, lstm or gru."),
        ("l2=0.1", "Did you mean 'regularization.l2'?"),
        ("bias=true", "Did you mean 'model.bias' or 'model.output.bias'?"),
        ("bias=0.1", "Did you mean 'init.bias' or 'model.output.init.bias'?"),
        ("momentum=0.9", "Did you mean 'optimizer.momentum' with `optimizer.name: sgd`?"),
        ("class_weights=balanced", "Did you mean 'loss.class_weights' with `loss.name: cross_entropy`?"),
        ("whiten=true", "Did you mean 'preprocess.pca.whiten' (with n_components)?"),
        ("kernel_size=3", "It belongs to 'model.blocks.N.conv.kernel_size' of model cnn."),
        ("actvation=relu", "Did you mean 'model.activation' or 'model.output.activation'?"),
        ("train.schedular=cosine", "Did you mean 'scheduler' at the top level?"),
        ("adam={lr: 1}", "'adam' is an optimizer: `optimizer: adam`."),
        ("optimizer=cosine", "'cosine' is not an optimizer. It is a scheduler: `scheduler: cosine`."),
        ("loss=relu", "'relu' is not a loss. It is an activation: `model.activation: relu`."),
        ("loss=f1", "'f1' is not a loss. It is a metric: `train.metrics: [f1]`."),
        ("model=digits", "'digits' is not a model. It is a data source: `data: digits`."),
        ("model.activation=zeros", "'zeros' is not an activation. It is an initializer: `init: zeros`."),
        ("train.metrics=[cross_entropy]", "got 'cross_entropy'. It is a loss: `loss: cross_entropy`."),
        ("extends=base.yaml", "`extends` is only valid in a file, not as an override or in a dict."),
    ],
)
def test_the_likeliest_place_comes_first(override: str, hint: str) -> None:
    assert f" {hint}" in f" {message(MLP, override)}"


def test_a_suggested_list_item_is_free() -> None:
    assert "Did you mean 'model.blocks.0.conv.dilation'" in message(CNN, "model.dilation=2")
    assert "Did you mean 'augment.0.sigma'?" in message(CNN, "sigma=0.2")


def test_a_suggestion_keeps_the_chosen_name() -> None:
    assert "It belongs to 'optimizer.momentum' of optimizer sgd, rmsprop or muon." in message(
        MLP, "optimizer=adam", "momentum=0.9"
    )


SAMPLES = [1, 0.5, True, "relu", "auto", "zeros", "standardize", "x", [1], ["accuracy"], [0.5, 0.9], {"units": 3}]


def works(config: dict[str, Any], path: Path, value: Any) -> bool:
    """Returns whether a config with a value at a path is valid."""
    changed = copy.deepcopy(config)
    put(changed, path, value)
    try:
        load_config(changed)
    except ConfigError:
        return False
    return True


def put(config: Any, path: Path, value: Any) -> None:
    for key in path[:-1]:
        below = config[key] if isinstance(key, int) else config.get(key, {})
        config[key] = {"name": below} if isinstance(below, str) else below
        config = config[key]
    config[path[-1]] = value


def valid_fields(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Returns the fields below the top level that are valid in a config, each with a value that it takes."""
    root = from_plain(config, "config")
    top = {str(path[0]) for path in valid_paths(root) if len(path) == 1}
    found: dict[str, Any] = {}
    for path in valid_paths(root):
        name = str(path[-1])
        if name not in found and name not in top:
            values = [value for value in SAMPLES if works(config, path, value)]
            found |= {name: values[0]} if values else {}
    return list(found.items())


LSTM: dict[str, Any] = {
    "data": {"name": "series", "path": "s.csv", "target": "y"},
    "model": {"name": "lstm", "num_layers": 2},
    "optimizer": {"name": "sgd"},
    "scheduler": "plateau",
    "loss": "huber",
    "init": "xavier_normal",
}
SECTIONS = ("", "data", "model", "optimizer", "train", "preprocess")


@pytest.mark.parametrize("config", [MLP, CNN, LSTM], ids=["mlp", "cnn", "lstm"])
def test_following_a_suggestion_gives_a_valid_config(config: dict[str, Any]) -> None:
    """For every field in every wrong section, the first suggestion with the same value is a valid config."""
    valid = valid_paths(from_plain(config, "config"))
    wrong_places = [
        (path, value)
        for name, value in valid_fields(config)
        for section in SECTIONS
        if (path := (section, name) if section else (name,)) not in valid
    ]
    followed = 0
    for path, value in wrong_places:
        wrong = copy.deepcopy(config)
        put(wrong, path, value)
        problem = message(wrong)
        match = re.search(r"Did you mean '([\w.]+)'( \(with|)", problem)
        assert match or " It belongs to " in problem, problem
        if match and not match.group(2) and path[-1] not in SYNONYMS:
            meant = tuple(int(part) if part.isdigit() else part for part in match.group(1).split("."))
            assert works(config, meant, value), problem
            followed += 1
    assert followed > 100


def test_every_field_of_the_schema_gets_a_place() -> None:
    """This includes fields of sections that the config does not choose."""
    top = {str(path[0]) for path in valid_paths(from_plain(MLP, "config"))}
    sections = [member for union in UNIONS.values() for member in listed(union).values()]
    names = {name for section in sections for name in section.model_fields} - top - {"name"}
    assert len(names) > 100
    for name in names:
        problem = message({**MLP, name: None})
        assert re.search(r" Did you mean '| It belongs to '| is an? ", problem), problem


def test_a_thousand_unknown_keys_take_little_time() -> None:
    started = time.process_time()
    with pytest.raises(ConfigError):
        load_config({**MLP, **{f"aktivation{number}": 3 for number in range(1000)}})
    assert time.process_time() - started < 20
