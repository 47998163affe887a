"""Metrics against scikit-learn on the same predictions, with various batches."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor

from nnzoo.config.metrics import METRICS
from nnzoo.data import Dataset, Preprocess, Split
from nnzoo.training.measures import metrics as metrics_module
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.metrics import MetricSums

LABELS = ("accuracy", "precision", "recall", "f1")
VALUES = ("mae", "mape", "mse", "rmse", "r2")


def test_every_metric_is_compared_here() -> None:
    rankings = {"auroc", "average_precision"}
    assert {*LABELS, *VALUES, *rankings, "balanced_accuracy", "perplexity", "top5_accuracy"} == set(METRICS)


def measure(
    names: tuple[str, ...], decoder: Decoder, outputs: Tensor, targets: Tensor, batch_size: int = 1000
) -> dict[str, float]:
    sums = MetricSums(names, decoder)
    for batch in zip(torch.split(outputs, batch_size), torch.split(targets, batch_size), strict=True):
        sums.add(*batch)
    return sums.result()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of_labels(actual: Any, predicted: Any, average: str) -> dict[str, float]:
    scores = sklearn.metrics.precision_recall_fscore_support(actual, predicted, average=average, zero_division=0)
    return dict(zip(("precision", "recall", "f1"), scores[:3], strict=True)) | {
        "accuracy": float(np.mean(np.asarray(actual) == np.asarray(predicted)))
    }


@pytest.mark.parametrize("units", [1, 2])
def test_binary_metrics_match_scikit_learn(units: int) -> None:
    decoder = Decoder("classification", "log_odds" if units == 1 else "logits", 2)
    outputs, indices = draw(50, units), (draw(50, seed=1) > 0.5).long()
    targets = decoder.encode(indices, indices=units == 2)
    predicted = (outputs[:, 0] > 0).long() if units == 1 else outputs.argmax(1)
    expected = of_labels(indices, predicted, "binary")
    assert measure(LABELS, decoder, outputs, targets) == pytest.approx(expected)


@pytest.mark.parametrize("absent", [None, "never occurs", "never predicted", "neither"])
def test_multiclass_metrics_are_averaged_over_the_classes_that_occur(absent: str | None) -> None:
    decoder = Decoder("classification", "logits", 4)
    outputs, targets = draw(60, 4), torch.arange(60) % 4
    if absent in ("never predicted", "neither"):
        outputs[:, 3] = -100
    if absent in ("never occurs", "neither"):
        targets = torch.arange(60) % 3
    expected = of_labels(targets, outputs.argmax(1), "macro")
    assert measure(LABELS, decoder, outputs, targets) == pytest.approx(expected)


@pytest.mark.parametrize("reads", ["log_odds", "probabilities", "values"])
@pytest.mark.parametrize("absent", [False, True])
def test_multilabel_metrics_match_scikit_learn(reads: Any, absent: bool) -> None:
    decoder = Decoder("multilabel", reads, 3)
    outputs, targets = draw(40, 3), (draw(40, 3, seed=1) > 0.4).float()
    if absent:
        outputs[:, 2], targets[:, 2] = -9, 0
    predicted = outputs > 0
    expected = of_labels(targets, predicted.float(), "macro")
    outputs = outputs if reads == "log_odds" else outputs.sigmoid()
    assert measure(LABELS, decoder, outputs, targets) == pytest.approx(expected)


def test_probabilities_as_targets_are_their_likeliest_class() -> None:
    outputs, soft = draw(30, 3), draw(30, 3, seed=1).softmax(1)
    decoder = Decoder("classification", "logits", 3)
    assert measure(LABELS, decoder, outputs, soft) == measure(LABELS, decoder, outputs, soft.argmax(1))
    binary = Decoder("classification", "log_odds", 2)
    two = draw(30, 2, seed=2).softmax(1)
    encoded = binary.encode(two, indices=False)
    assert encoded.equal(two[:, 1:])
    assert measure(LABELS, binary, outputs[:, :1], encoded) == pytest.approx(
        of_labels(two.argmax(1), outputs[:, 0] > 0, "binary")
    )


def of_values(truth: Tensor, values: Tensor) -> dict[str, float]:
    return {
        "mae": sklearn.metrics.mean_absolute_error(truth, values),
        "mse": sklearn.metrics.mean_squared_error(truth, values),
        "rmse": sklearn.metrics.root_mean_squared_error(truth, values),
        "r2": sklearn.metrics.r2_score(truth, values),
        "mape": sklearn.metrics.mean_absolute_percentage_error(truth, values),
    }


@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_regression_metrics_match_scikit_learn(num_targets: int, offset: float) -> None:
    targets = draw(80, num_targets) + offset
    outputs = targets + draw(80, num_targets, seed=1) / 2
    expected = of_values(targets.double(), outputs.double())
    for batch_size in (80, 7):
        found = measure(VALUES, Decoder("regression", "values"), outputs, targets, batch_size)
        assert found == pytest.approx(expected, rel=1e-9)


def test_r2_of_constant_targets() -> None:
    targets = torch.tensor([[0.1, 3.0]] * 7)
    decoder = Decoder("regression", "values")
    for outputs in (targets, targets + draw(7, 2), torch.stack([targets[:, 0], draw(7)], dim=1)):
        found = measure(VALUES, decoder, outputs, targets, batch_size=2)
        assert found == pytest.approx(of_values(targets.double(), outputs.double()))


def test_values_are_in_the_unit_of_the_targets() -> None:
    truth = 50 + 20 * draw(30, 1)
    dataset = Dataset({"train": Split(draw(30, 2), truth)}, "regression", "features", target_names=("y",))
    scale = Preprocess.fit(dataset, scale_target=True)
    scaled = scale.scale_targets(truth)
    outputs = scaled.float() + 0.1 * draw(30, 1, seed=1)
    expected = of_values(truth.double(), scale.unscale_targets(outputs).double())
    found = measure(VALUES, Decoder("regression", "values", preprocess=scale), outputs, scaled.float())
    assert found == pytest.approx(expected, rel=1e-5)
    assert 1 < found["mae"] < 4


def draws(num_classes: int) -> tuple[Tensor, Tensor]:
    """Returns outputs with ties, and class indices."""
    return (draw(97, num_classes) * 2).round() / 2, (torch.arange(97) * 7) % num_classes


@pytest.mark.parametrize("reads", ["logits", "log_probabilities", "probabilities", "log_odds", "values"])
@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize("batch_size", [97, 10])
def test_auroc_and_perplexity_match_scikit_learn(reads: Any, num_classes: int, batch_size: int) -> None:
    outputs, indices = draws(num_classes)
    units = 1 if num_classes == 2 and reads in ("log_odds", "values") else num_classes
    outputs = outputs[:, :units]
    if reads == "log_probabilities":
        outputs = outputs.log_softmax(1)
    elif reads in ("probabilities", "values"):
        outputs = outputs.sigmoid() if units == 1 else outputs.softmax(1)
    decoder = Decoder("classification", reads, num_classes)
    targets = decoder.encode(indices, indices=units == num_classes and reads not in ("log_odds", "values"))
    # scikit-learn requires sums closer to 1 than float32 allows.
    probabilities = decoder.probabilities(outputs).double()
    sum_dtype = probabilities / probabilities.sum(1, keepdim=True)
    found = measure(("auroc", "perplexity"), decoder, outputs, targets, batch_size)
    scores = probabilities[:, 1] if num_classes == 2 else sum_dtype
    expected = sklearn.metrics.roc_auc_score(indices, scores, multi_class="ovr", average="macro")
    assert found["auroc"] == pytest.approx(expected, abs=1e-3 if num_classes > 2 else 1e-12)
    areas = [sklearn.metrics.roc_auc_score(indices == k, probabilities[:, k]) for k in range(num_classes)]
    assert found["auroc"] == pytest.approx(areas[1] if num_classes == 2 else np.mean(areas), rel=1e-12)
    assert found["perplexity"] == pytest.approx(np.exp(sklearn.metrics.log_loss(indices, sum_dtype)), rel=1e-5)


def test_auroc_of_margins_and_multilabel() -> None:
    margins, indices = draws(2)
    for units in (1, 2):
        decoder = Decoder("classification", "margins", 2)
        scores = margins[:, 0] if units == 1 else margins[:, 1] - margins[:, 0]
        found = measure(("auroc",), decoder, margins[:, :units], decoder.encode(indices, indices=units == 2), 10)
        assert found["auroc"] == pytest.approx(sklearn.metrics.roc_auc_score(indices, scores), rel=1e-12)
    outputs, labels = draws(3)[0], (draw(97, 3, seed=1) > 0.4).float()
    found = measure(("auroc",), Decoder("multilabel", "log_odds", 3), outputs, labels, 10)
    assert found["auroc"] == pytest.approx(sklearn.metrics.roc_auc_score(labels, outputs, average="macro"), rel=1e-12)
    # A label that all samples have, or none, has no ROC curve.
    labels[:, 1] = 1
    found = measure(("auroc",), Decoder("multilabel", "log_odds", 3), outputs, labels)
    areas = [sklearn.metrics.roc_auc_score(labels[:, k], outputs[:, k]) for k in (0, 2)]
    assert found["auroc"] == pytest.approx(np.mean(areas), rel=1e-12)


def test_auroc_of_a_single_class_or_of_nan_is_nan() -> None:
    decoder = Decoder("classification", "log_odds", 2)
    assert np.isnan(measure(("auroc",), decoder, draw(5, 1), torch.ones(5, 1))["auroc"])
    outputs, targets = draw(6, 1), torch.tensor([[0.0], [1.0]] * 3)
    outputs[2] = float("nan")
    assert np.isnan(measure(("auroc",), decoder, outputs, targets)["auroc"])


def test_perplexity_of_log_odds_does_not_underflow() -> None:
    decoder = Decoder("classification", "log_odds", 2)
    found = measure(("perplexity",), decoder, torch.tensor([[-200.0]]), torch.tensor([[1.0]]))
    assert found["perplexity"] == pytest.approx(np.exp(200.0))


@pytest.mark.parametrize("num_classes", [6, 11])
def test_top5_accuracy_matches_scikit_learn(num_classes: int) -> None:
    outputs, indices = draws(num_classes)
    decoder = Decoder("classification", "logits", num_classes)
    expected = sklearn.metrics.top_k_accuracy_score(indices, outputs, k=5, labels=np.arange(num_classes))
    for batch_size in (97, 10):
        found = measure(("accuracy", "top5_accuracy"), decoder, outputs, indices, batch_size)
        assert found["top5_accuracy"] == pytest.approx(expected)
    outputs[0] = float("nan")
    worse = measure(("top5_accuracy",), decoder, outputs[:1], indices[:1])
    assert worse["top5_accuracy"] == 0


CASES = [
    (LABELS, Decoder("classification", "logits", 5), draw(101, 5), torch.arange(101) % 5),
    (
        ("auroc", "perplexity", "top5_accuracy"),
        Decoder("classification", "logits", 7),
        draw(101, 7),
        torch.arange(101) % 7,
    ),
    ((*LABELS, "auroc"), Decoder("multilabel", "log_odds", 5), draw(101, 5), (draw(101, 5, seed=1) > 0).float()),
    (VALUES, Decoder("regression", "values"), draw(101, 5), draw(101, 5, seed=1)),
]


@pytest.mark.parametrize(("names", "decoder", "outputs", "targets"), CASES)
@pytest.mark.parametrize("max_kept", [1, 37, 10**9])
def test_batches_and_flushes_do_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, names: Any, decoder: Decoder, outputs: Tensor, targets: Tensor, max_kept: int
) -> None:
    expected = measure(names, decoder, outputs, targets)
    monkeypatch.setattr(metrics_module, "MAX_KEPT", max_kept)
    for batch_size in (1, 10, 100):
        assert measure(names, decoder, outputs, targets, batch_size) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("names", "decoder", "outputs", "targets"), CASES)
def test_sums_are_restored_after_a_restart(names: Any, decoder: Decoder, outputs: Tensor, targets: Tensor) -> None:
    first, second = MetricSums(names, decoder), MetricSums(names, decoder)
    first.add(outputs[:40], targets[:40])
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    second.add(outputs[40:], targets[40:])
    assert second.result() == pytest.approx(measure(names, decoder, outputs, targets), rel=1e-12)


def test_metrics_without_samples_are_nan() -> None:
    assert np.isnan(list(MetricSums(LABELS, Decoder("classification", "logits", 3)).result().values())).all()
    assert MetricSums((), Decoder("classification", "logits", 3)).result() == {}


def test_sums_grow_after_a_flush() -> None:
    decoder = Decoder("classification", "logits", 4)
    outputs, targets = draw(40, 4), torch.arange(40) % 4
    sums = MetricSums(("accuracy",), decoder)
    sums.add(outputs[:8], targets[:8])
    resumed = MetricSums(("accuracy",), decoder)
    resumed.load_state_dict(sums.state_dict(), torch.device("cpu"))
    resumed.flush()
    resumed.add(outputs[8:], targets[8:])
    assert resumed.result() == measure(("accuracy",), decoder, outputs, targets)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
@pytest.mark.parametrize("seed", range(8))
def test_balanced_accuracy_and_average_precision_with_ties(num_classes: int, seed: int) -> None:
    names = ("balanced_accuracy", "average_precision", "auroc")
    decoder = Decoder("classification", "logits", num_classes)
    # Rounded logits have many ties, and the classes are imbalanced.
    outputs = (draw(200, num_classes, seed=seed) * 2).round()
    targets = (draw(200, seed=seed + 100).abs() * num_classes / 2).long().clamp_max(num_classes - 1)
    targets[:num_classes] = torch.arange(num_classes)
    shares = decoder.probabilities(outputs)
    if num_classes == 2:
        expected = sklearn.metrics.average_precision_score(targets, shares[:, 1])
    else:
        one_hot = torch.nn.functional.one_hot(targets, num_classes)
        expected = sklearn.metrics.average_precision_score(one_hot, shares, average="macro")
    found = measure(names, decoder, outputs, targets, batch_size=17)
    assert found["average_precision"] == pytest.approx(expected, rel=1e-12)
    balanced = sklearn.metrics.balanced_accuracy_score(targets, outputs.argmax(1))
    assert found["balanced_accuracy"] == pytest.approx(balanced, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_of_multilabel(seed: int) -> None:
    decoder = Decoder("multilabel", "log_odds", 4)
    outputs, targets = draw(90, 4, seed=seed).round(), (draw(90, 4, seed=seed + 50) > 1).float()
    expected = sklearn.metrics.average_precision_score(targets, outputs, average="macro")
    assert measure(("average_precision",), decoder, outputs, targets)["average_precision"] == pytest.approx(expected)


def test_average_precision_skips_labels_without_a_positive() -> None:
    decoder = Decoder("classification", "logits", 3)
    outputs, targets = draw(60, 3), torch.arange(60) % 2
    shares = decoder.probabilities(outputs)
    each = [sklearn.metrics.average_precision_score(targets == index, shares[:, index]) for index in range(2)]
    found = measure(("average_precision", "balanced_accuracy"), decoder, outputs, targets)
    assert found["average_precision"] == pytest.approx(np.mean(each))
    nothing = measure(("average_precision",), Decoder("classification", "logits", 2), draw(9, 2), torch.zeros(9).long())
    assert np.isnan(nothing["average_precision"])


def test_balanced_accuracy_is_over_the_classes_that_occur() -> None:
    decoder = Decoder("classification", "logits", 4)
    outputs, targets = draw(60, 4), torch.arange(60) % 3
    present = [(outputs.argmax(1)[targets == index] == index).double().mean() for index in range(3)]
    found = measure(("balanced_accuracy",), decoder, outputs, targets)["balanced_accuracy"]
    assert found == pytest.approx(float(torch.stack(present).mean()))
