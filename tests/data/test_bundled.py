from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch

from nnzoo.data import (
    Dataset,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from nnzoo.errors import DataError

LOADERS = [load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine]


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine])
def test_tables_equal_those_of_scikit_learn(load: Callable[[], Dataset]) -> None:
    dataset, expected = load(), getattr(sklearn.datasets, load.__name__)()
    np.testing.assert_array_equal(dataset.train.inputs.numpy(), expected.data)
    np.testing.assert_array_equal(dataset.train.targets.numpy(), expected.target)
    assert dataset.train.inputs.dtype == torch.float64
    assert dataset.train.targets.dtype == torch.int64
    assert dataset.classes == tuple(expected.target_names)
    assert dataset.feature_names == tuple(expected.feature_names)
    assert (dataset.task, dataset.layout, list(dataset.splits)) == ("classification", "features", ["train"])


def test_digits_equal_those_of_scikit_learn() -> None:
    dataset, expected = load_digits(), sklearn.datasets.load_digits()
    np.testing.assert_array_equal(dataset.train.inputs.numpy(), expected.images[:, None].astype(np.float32))
    np.testing.assert_array_equal(dataset.train.targets.numpy(), expected.target)
    assert dataset.classes == tuple("0123456789")
    assert (dataset.task, dataset.layout, dataset.input_shape) == ("classification", "image", (1, 8, 8))


def test_diabetes_equals_the_raw_values_of_scikit_learn() -> None:
    dataset, expected = load_diabetes(), sklearn.datasets.load_diabetes(scaled=False)
    np.testing.assert_array_equal(dataset.train.inputs.numpy(), expected.data)
    np.testing.assert_array_equal(dataset.train.targets.numpy(), expected.target[:, None])
    assert dataset.feature_names == tuple(expected.feature_names)
    assert (dataset.task, dataset.target_names) == ("regression", ("disease_progression",))


def test_scikit_learn_is_not_imported() -> None:
    code = "import sys, nnzoo.data as data; data.load_digits(); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _pretend(monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)


def _package_at(folder: Path) -> ModuleSpec:
    spec = ModuleSpec("sklearn", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


@pytest.mark.parametrize("load", LOADERS)
def test_a_missing_scikit_learn_is_named(load: Callable[[], Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, None)
    with pytest.raises(DataError, match="not installed"):
        load()


@pytest.mark.parametrize("load", LOADERS)
def test_a_file_missing_from_scikit_learn_is_named(
    load: Callable[[], Dataset], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pretend(monkeypatch, _package_at(tmp_path))
    with pytest.raises(DataError, match=r"csv.*: .*does not include this file"):
        load()


@pytest.mark.parametrize("content", ["150,4,a,b,c\n1,2,3,4,0\n", "150,4,a,b,c\n1,2,x,4,0\n"])
def test_changed_file_is_refused(content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "data"
    folder.mkdir(parents=True)
    (folder / "iris.csv").write_text(content)
    _pretend(monkeypatch, _package_at(tmp_path))
    with pytest.raises(DataError, match=r"iris\.csv: .*Install scikit-learn again"):
        load_iris()
