"""The estimators: scikit-learn's own checks, and their use in pipelines, searches and with data frames."""

from __future__ import annotations

import pickle
import pickletools
import random
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import check_estimator

import nnzoo
from nnzoo.errors import ConfigError, UsageError

QUICK: dict[str, Any] = {
    "model": {"hidden": [8]},
    "optimizer": {"lr": 0.1},
    "train": {"epochs": 12, "batch_size": "full"},
}
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "repeated rows change the batches and the mean of the inputs",
    "check_methods_subset_invariance": "in float32 the last bits depend on the number of rows",
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] - 2 * X[:, 1] > 0.3


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("estimator", [nnzoo.NNClassifier(**QUICK), nnzoo.NNRegressor(**QUICK)])
def test_scikit_learns_checks(estimator: BaseEstimator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some checks pass data that is warned about
        done = check_estimator(estimator, expected_failed_checks=EXPECTED_FAILURES, on_skip=None)
    assert len(done) > 50
    assert {each["check_name"] for each in done if each["status"] == "xfail"} <= set(EXPECTED_FAILURES)
    assert not list(Path.cwd().iterdir())


@pytest.fixture(scope="module")
def table() -> tuple[Any, Any]:
    """A data frame with a category, missing values and a name for missing values as a class, and the targets."""
    pandas = pytest.importorskip("pandas")
    size, colour = RNG.normal(size=200), RNG.choice(["red", "green", "blue"], 200)
    age = np.where(np.arange(200) % 7 == 0, np.nan, RNG.integers(1, 80, 200))
    frame = pandas.DataFrame({"size": size, "colour": pandas.Categorical(colour), "age": age})
    return frame, pandas.Series(np.where(size + 2 * (colour == "red") > 0.5, "NA", "no "), index=range(7, 207))


@pytest.fixture(scope="module")
def of_table(table: tuple[Any, Any]) -> Any:
    return nnzoo.NNClassifier(model={"hidden": [8]}, optimizer={"lr": 0.02}, train={"epochs": 12}).fit(*table)


def test_a_data_frame_is_read_as_a_table(of_table: Any, table: tuple[Any, Any]) -> None:
    frame, y = table
    assert of_table.score(frame, y) > 0.95  # a network that ignores the colour reaches about 0.8
    assert of_table.feature_names_in_.tolist() == ["size", "colour", "age"]
    assert of_table.classes_.tolist() == ["NA", "no "]
    with pytest.raises(ValueError, match="same order"):
        of_table.predict(frame[["age", "size", "colour"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert (of_table.predict(frame.to_numpy()) == of_table.predict(frame)).all()


def test_a_pickle_holds_the_artifact_and_no_module(of_table: Any, table: tuple[Any, Any]) -> None:
    content = pickle.dumps(of_table)
    strings = [str(value) for opcode, value, _ in pickletools.genops(content) if "UNICODE" in opcode.name]
    modules = {text.split(".")[0] for text in strings} & {"torch", "nnzoo", "numpy"}
    assert modules == {"nnzoo", "numpy"}
    copied = pickle.loads(content)
    assert (copied.predict_proba(table[0]) == of_table.predict_proba(table[0])).all()
    assert copied.history_["train/loss"] == of_table.history_["train/loss"]


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_data_frames(kind: str) -> None:
    columns = {"size": X[:, 0], "side": np.where(X[:, 1] > 0, "left", "right")}
    frame: Any = pytest.importorskip("polars").DataFrame(columns)
    frame = frame if kind == "polars" else frame.to_arrow()
    fitted = nnzoo.NNClassifier(**QUICK).fit(frame, Y)
    assert fitted.score(frame, Y) > 0.8
    assert fitted.predict(frame[:2]).dtype == bool


def test_a_pipeline_in_a_grid_search() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), nnzoo.NNClassifier(**QUICK, preprocess={"normalize": "none"}))
    grid = {"nnclassifier__optimizer__lr": [1e-6, 0.1], "nnclassifier__model": ["linear", {"hidden": [4]}]}
    with joblib.parallel_config("threading"):
        search = GridSearchCV(pipeline, grid, n_jobs=2, cv=2, scoring="roc_auc").fit(x, y)
    assert search.best_params_["nnclassifier__optimizer__lr"] == 0.1
    assert search.best_score_ > 0.98
    assert search.cv_results_["mean_test_score"].min() < 0.9
    best = search.best_estimator_[-1]
    assert best.model_.config.optimizer.lr == 0.1
    assert clone(best).get_params() == best.get_params()


def test_images_and_cross_validation() -> None:
    digits = load_digits()
    images, y = digits.images[:300, None] / 16, digits.target[:300]
    network = nnzoo.NNClassifier("digits_mlp", optimizer={"lr": 0.01}, train={"epochs": 8})
    assert cross_val_score(network, images, y, cv=2).min() > 0.8


def test_margin_losses_have_scores_but_no_probabilities() -> None:
    assert hasattr(nnzoo.NNClassifier(), "predict_proba")
    assert not hasattr(nnzoo.NNClassifier(loss="hinge"), "predict_proba")
    assert not hasattr(nnzoo.NNClassifier(model="perceptron"), "predict_proba")
    fitted = nnzoo.NNClassifier(loss="hinge", **QUICK).fit(X, Y)
    assert not hasattr(fitted, "predict_proba")
    scores = fitted.decision_function(X)
    assert ((scores > 0) == fitted.predict(X)).all()
    assert (scores > 0).any()


def test_classes_keep_their_type_and_order() -> None:
    y = np.array([10.5, 2.0, -3.0])[RNG.integers(0, 3, 60)]
    y = np.where(y == 10.5, 11.0, y)
    fitted = nnzoo.NNClassifier(**QUICK).fit(np.stack([y, X[:, 0]], 1), y)
    assert fitted.classes_.tolist() == [-3.0, 2.0, 11.0]
    assert fitted.predict([[11, 0], [-3, 0], [2, 0]]).tolist() == [11.0, -3.0, 2.0]
    assert fitted.predict_proba([[11, 0], [-3, 0], [2, 0]]).argmax(1).tolist() == [2, 0, 1]
    assert np.allclose(np.exp(fitted.predict_log_proba(X[:4, :2])), fitted.predict_proba(X[:4, :2]))
    assert fitted.decision_function(X[:, :2]).argmax(1).tolist() == fitted.predict_proba(X[:, :2]).argmax(1).tolist()


def test_class_weights_are_weights_of_samples() -> None:
    rare = X[:, 0] > 1.2
    balanced = nnzoo.NNClassifier(class_weight="balanced", **QUICK).fit(X, rare)
    weighted = nnzoo.NNClassifier(**QUICK).fit(X, rare, sample_weight=compute_sample_weight("balanced", rare))
    assert (balanced.predict_proba(X) == weighted.predict_proba(X)).all()
    plain = nnzoo.NNClassifier(**QUICK).fit(X, rare)
    assert balanced.predict_proba(X)[:, 1].mean() > 1.5 * plain.predict_proba(X)[:, 1].mean()


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_an_integer_weight_is_a_repetition(kind: str) -> None:
    """One batch of all samples, without preprocessing: the losses are equal, and so are the weights of the network."""
    settings = {**QUICK, "preprocess": {"normalize": "none", "scale_target": False}}
    counts = RNG.integers(0, 4, 60)
    network: Any
    network, y = (nnzoo.NNClassifier(**settings), Y) if kind == "classes" else (nnzoo.NNRegressor(**settings), X[:, :2])
    weighted = clone(network).fit(X, y, sample_weight=counts)
    repeated = clone(network).fit(X.repeat(counts, 0), y.repeat(counts, 0))
    assert np.allclose(weighted.history_["train/loss"], repeated.history_["train/loss"], rtol=1e-5)
    for one, other in zip(weighted.model_.module.parameters(), repeated.model_.module.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_fit_leaves_no_trace() -> None:
    np.random.seed(3)
    random.seed(3)
    torch.manual_seed(3)
    expected = np.random.rand(), random.random(), torch.rand(1)
    np.random.seed(3)
    random.seed(3)
    torch.manual_seed(3)
    fitted = nnzoo.NNClassifier(random_state=5, **QUICK).fit(X, Y)
    assert (np.random.rand(), random.random(), torch.rand(1)) == expected
    assert fitted.model_.config.seed == 5
    assert not list(Path.cwd().iterdir())
    with_files = nnzoo.NNClassifier(random_state=5, runs_dir="runs", **QUICK).fit(X, Y)
    assert (with_files.run_dir_ / "result.json").is_file()
    assert np.allclose(with_files.predict_proba(X), nnzoo.load(with_files.run_dir_).predict_proba(X), atol=1e-6)
    assert (with_files.predict_proba(X) == fitted.predict_proba(X)).all()


def test_val_is_split_off_only_if_the_config_says_so() -> None:
    assert "val/loss" not in nnzoo.NNClassifier("digits_mlp", **QUICK).fit(X, Y).history_
    assert "val/loss" in nnzoo.NNClassifier(data={"split": {"val": 0.2}}, **QUICK).fit(X, Y).history_


def test_several_labels_per_sample() -> None:
    labels = (X[:, :2] > 0).astype(int)
    fitted = nnzoo.NNClassifier(**QUICK).fit(X, labels)
    assert fitted.score(X, labels) > 0.7
    assert fitted.predict_proba(X).shape == (60, 2)


def test_parameters_and_mistakes() -> None:
    network = nnzoo.NNClassifier(optimizer="sgd")
    network.set_params(optimizer__lr=0.5, train__early_stopping__patience=3)
    assert network.optimizer == {"name": "sgd", "lr": 0.5}
    assert network.get_params()["train__early_stopping__patience"] == 3
    network.set_params(optimizer__lr=0.1, optimizer="adam")  # entire sections come first
    assert network.get_params()["optimizer"] == {"name": "adam", "lr": 0.1}
    with pytest.raises(ValueError, match="'optimiser__lr' is not a parameter"):
        network.set_params(optimiser__lr=1)
    with pytest.raises(ConfigError, match="Did you mean 'lr'"):
        nnzoo.NNClassifier(optimizer={"lrr": 1}).fit(X, Y)
    with pytest.raises(ValueError, match="only one class"):
        nnzoo.NNClassifier().fit(X, np.zeros(60))
    with pytest.raises(NotFittedError):
        nnzoo.NNRegressor().predict(X)
    frame = pytest.importorskip("pandas").DataFrame({"id": [0, 0, 1, 1], "x": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(UsageError, match="one per row"):
        nnzoo.NNClassifier(model="gru", data={"sequence_id": "id"}).fit(frame, [0, 1, 0, 1])
