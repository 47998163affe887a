"""The folder of data sets: NNZOO_DATA, or `data` in the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnzoo.config import load_config
from nnzoo.config.data import Files
from nnzoo.errors import DataError
from nnzoo.recipes.measure import data_of


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Changes to a folder with a config in a subfolder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNZOO_DATA", raising=False)
    (tmp_path / "configs").mkdir()
    config = tmp_path / "configs" / "mine.yaml"
    config.write_text("data: {name: csv, path: 'sets/*.csv', target: y}\nmodel: mlp\n", encoding="utf-8")
    return config


def path_of(config: str | Path, **overrides: str) -> str:
    section = load_config(config, overrides).data
    assert isinstance(section, Files)
    return section.path


def test_a_path_is_relative_to_its_file(mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = str(tmp_path / "configs" / "sets" / "*.csv")
    assert path_of(mine) == beside
    monkeypatch.setenv("NNZOO_DATA", str(tmp_path / "all"))
    assert path_of(mine) == beside  # the folder of data sets does not have it either
    (tmp_path / "all" / "sets").mkdir(parents=True)
    assert path_of(mine) == str(tmp_path / "all" / "sets" / "*.csv")
    (tmp_path / "configs" / "sets").mkdir()
    assert path_of(mine) == beside


def test_an_override_is_looked_up_in_the_same_way(mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "other.csv").touch()
    monkeypatch.setenv("NNZOO_DATA", "all")
    assert path_of(mine, **{"data.path": "other.csv"}) == str(tmp_path / "all" / "other.csv")
    assert path_of(mine, **{"data.path": "new.csv"}) == str(tmp_path / "new.csv")


def test_shipped_configs_expect_data_in_the_folder(mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert path_of("names_lstm") == str(tmp_path / "data" / "names18" / "*[a-z].txt")
    monkeypatch.setenv("NNZOO_DATA", str(tmp_path / "elsewhere"))
    assert path_of("names_lstm") == str(tmp_path / "elsewhere" / "names18" / "*[a-z].txt")
    with pytest.raises(DataError, match="set NNZOO_DATA to the folder of your data sets"):
        data_of("names_lstm", download=False)
    with pytest.raises(DataError, match="elsewhere/fashion_mnist/train-images-idx3-ubyte"):
        data_of("fashion_mnist_mlp", download=False)
    mine.write_text("extends: names_lstm\nseed: 1\n", encoding="utf-8")
    assert path_of(mine) == str(tmp_path / "elsewhere" / "names18" / "*[a-z].txt")
    assert not Path(path_of("backpropagation")).is_relative_to(tmp_path)
