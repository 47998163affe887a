"""`model: auto` and `train.batch_size: auto`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.config import load_config, resolve
from nnzoo.config.auto_model import auto_model


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"name": "csv", "path": "x.csv", "target": "y"}, "tabular"),
        ({"name": "csv", "path": "x.csv", "target": "y", "sequence_id": "id"}, "gru"),
        ({"name": "series", "path": "x.csv", "target": "y"}, "gru"),
        ({"name": "text", "path": "x.txt"}, "gru"),
        ({"name": "language", "path": "x.txt"}, "lstm"),
        ({"name": "trees", "path": "x.txt"}, "recursive"),
        ("breast_cancer", "tabular"),
        ("digits", "cnn"),
        ({"name": "random", "shape": [3, 64, 64]}, "cnn"),
        ("adding", "gru"),
        ("spirals", "mlp"),
        ("xor", "mlp"),
    ],
)
def test_the_model_fits_the_data(data: Any, name: str) -> None:
    config = load_config({"data": data, "model": "auto"})
    assert config.model.name == name


def test_the_defaults_are_those_of_the_chosen_model_and_given_keys_stay() -> None:
    config = load_config(
        {
            "data": "iris",
            "model": {"name": "auto", "freeze": "*.bias"},
            "optimizer": {"lr": 0.1},
            "train": {"epochs": 3},
        }
    )
    tabular = load_config({"data": "iris", "model": "tabular"})
    assert (config.model.name, config.model.freeze) == ("tabular", "*.bias")
    assert (config.optimizer.name, config.optimizer.lr) == ("adamw", 0.1)
    assert (config.train.epochs, config.train.early_stopping) == (3, tabular.train.early_stopping)
    assert auto_model(config.data, config.data.facts()) == {"name": "tabular"}


def test_arrays_are_read_before_a_model_is_chosen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(40, 7, 2)).astype("f4"), y=np.arange(40) % 2)
    config = {"data": {"name": "arrays", "path": str(tmp_path / "d.npz")}, "model": "auto", "train": {"epochs": 1}}
    assert load_config(config).model.name == "auto"
    assert type(nnzoo.build_model(config)).__name__ == "RecurrentNet"
    run = nnzoo.train(config, runs_dir=tmp_path)
    assert "model: gru, chosen by `model: auto` for this data" in capfd.readouterr().err
    assert load_config(run.run_dir).model.name == "gru"
    images = rng.normal(size=(40, 1, 9, 9)), np.arange(40) % 2
    config = {"name": "images", "model": "auto", "train": {"epochs": 1}}
    in_memory = nnzoo.train(config, data=images, runs_dir=tmp_path, quiet=True)
    assert in_memory.model.config.model.name == "cnn"


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 32), (500, 32), (6_400, 64), (14_448, 128), (27_677, 256), (10**7, 256)]
)
def test_the_batch_size_of_a_table_grows_with_its_rows(rows: int, size: int) -> None:
    csv = {"name": "csv", "path": "x.csv", "target": "y"}
    found = {}
    configs: dict[str, dict[str, Any]] = {
        "table": {"data": csv, "model": "mlp"},
        "regression": {"data": csv, "model": "mlp"},
        "given": {"data": csv, "model": "mlp", "train": {"batch_size": 5}},
        "tabular": {"data": "iris", "model": "tabular"},
        "other": {"data": "iris", "model": "mlp"},
        "steps": {"data": {**csv, "sequence_id": "id"}, "model": "gru"},
    }
    for name, config in configs.items():
        loaded = load_config(config)
        task = "regression" if name == "regression" else "classification"
        known: dict[str, Any] = {
            "num_train": rows,
            "task": task,
            "input_shape": (4,),
            "num_classes": 2,
            "num_targets": 1,
        }
        facts = dataclasses.replace(loaded.data.facts(), **known)
        found[name] = resolve(loaded, facts).train.batch_size
    assert found == {"table": size, "regression": 32, "given": 5, "tabular": size, "other": 32, "steps": 32}
