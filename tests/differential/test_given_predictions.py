"""Metrics of given predictions equal those of scikit-learn in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from nnzoo.data import Preprocess
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.metrics import MetricSums

LABEL_METRICS = ("accuracy", "precision", "recall", "f1", "auroc")
VALUE_METRICS = ("mae", "mape", "mse", "rmse", "r2")


def measured(names: tuple[str, ...], decoder: Decoder, outputs: Any, targets: Any, *, batch: int) -> dict[str, float]:
    """Returns the metrics of nnzoo, computed batch by batch."""
    sums = MetricSums(names, decoder)
    for start in range(0, len(outputs), batch):
        sums.add(torch.as_tensor(outputs[start : start + batch]), torch.as_tensor(targets[start : start + batch]))
    return sums.result()


@settings(max_examples=150, deadline=None)
@seed(0)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 60), st.integers(1, 64), st.booleans())
def test_metrics_of_classes(draw: int, num_classes: int, count: int, batch: int, ties: bool) -> None:
    random = np.random.default_rng(draw)
    outputs = random.normal(size=(count, num_classes)).astype(np.float32)
    outputs = outputs[random.integers(1 + count // 4, size=count)] if ties else outputs
    actual = random.integers(num_classes, size=count)
    names = (*LABEL_METRICS, "top5_accuracy")
    found = measured(names, Decoder("classification", "logits", num_classes), outputs, actual, batch=batch)
    guess = outputs.argmax(axis=1)
    scores = torch.as_tensor(outputs).softmax(1).numpy()
    average: dict[str, Any] = {"average": "binary"} if num_classes == 2 else {"average": "macro"}
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(actual, guess, zero_division=0, **average)
    expected = {"accuracy": metrics.accuracy_score(actual, guess), "precision": precision, "recall": recall, "f1": f1}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    if num_classes > 2 and not ties:
        known = list(range(num_classes))
        top = metrics.top_k_accuracy_score(actual, scores, k=5, labels=known) if num_classes > 5 else 1.0
        assert found["top5_accuracy"] == pytest.approx(top)
    one_vs_rest = [
        metrics.roc_auc_score(actual == index, scores[:, index])
        for index in ([1] if num_classes == 2 else range(num_classes))
        if 0 < (actual == index).sum() < count
    ]
    assert found["auroc"] == pytest.approx(np.mean(one_vs_rest) if one_vs_rest else np.nan, nan_ok=True)


@settings(max_examples=100, deadline=None)
@seed(1)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 60), st.integers(1, 64))
def test_metrics_of_labels(draw: int, num_labels: int, count: int, batch: int) -> None:
    random = np.random.default_rng(draw)
    outputs = random.normal(size=(count, num_labels)).astype(np.float32)
    actual = random.integers(2, size=(count, num_labels)).astype(np.float32)
    found = measured(LABEL_METRICS, Decoder("multilabel", "log_odds", num_labels), outputs, actual, batch=batch)
    guess = (outputs > 0).astype(np.int64)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(actual, guess, average="macro", zero_division=0)
    expected = {"accuracy": (guess == actual).mean(), "precision": precision, "recall": recall, "f1": f1}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    areas = [
        metrics.roc_auc_score(actual[:, index], outputs[:, index])
        for index in range(num_labels)
        if 0 < actual[:, index].sum() < count
    ]
    assert found["auroc"] == pytest.approx(np.mean(areas) if areas else np.nan, nan_ok=True)


@settings(max_examples=150, deadline=None)
@seed(2)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(2, 60),
    st.integers(1, 64),
    st.sampled_from([0.0, 1.0, -5000.0, 1e9, 1.7e9, 1e12]),
    st.sampled_from([1e-6, 1.0, 10.0, 1e6]),
)
def test_metrics_of_values(draw: int, num_targets: int, count: int, batch: int, offset: float, spread: float) -> None:
    """Metrics have the unit of the targets, also far from 0, where float32 has steps of 128."""
    random = np.random.default_rng(draw)
    spread = max(spread, abs(offset) * 1e-9)
    actual = offset + spread * random.normal(size=(count, num_targets))
    guess = actual + 0.3 * spread * random.normal(size=actual.shape)
    scaling = {
        "target_shift": torch.from_numpy(actual.mean(axis=0)),
        "target_scale": torch.full((num_targets,), spread, dtype=torch.float64),
    }
    preprocess = Preprocess(scaling)
    outputs, targets = (preprocess.scale_targets(torch.from_numpy(values)).float() for values in (guess, actual))
    found = measured(VALUE_METRICS, Decoder("regression", "values", 0, preprocess), outputs, targets, batch=batch)
    expected = expected_of_values(actual, guess)
    assert found == pytest.approx(expected, rel=2e-5, abs=1e-9 * spread)


def expected_of_values(actual: NDArray[np.float64], guess: NDArray[np.float64]) -> dict[str, float]:
    """Returns means over the targets, with differences in float64."""
    each = [metrics.mean_squared_error(actual[:, k], guess[:, k]) for k in range(actual.shape[1])]
    return {
        "mae": metrics.mean_absolute_error(actual, guess),
        "mape": metrics.mean_absolute_percentage_error(actual, guess),
        "mse": float(np.mean(each)),
        "rmse": float(np.mean(np.sqrt(each))),
        "r2": metrics.r2_score(actual, guess),
    }
