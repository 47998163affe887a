"""Metrics against scikit-learn's on the same predictions, whatever the batches."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor

from nnzoo.data import Dataset, Preprocess, Split
from nnzoo.training import metrics as metrics_module
from nnzoo.training.decoding import Decoder
from nnzoo.training.metrics import MetricSums

LABELS = ("accuracy", "precision", "recall", "f1")
VALUES = ("mae", "mse", "rmse", "r2")


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
def test_two_classes(units: int) -> None:
    decoder = Decoder("classification", "log_odds" if units == 1 else "logits", 2)
    outputs, indices = draw(50, units), (draw(50, seed=1) > 0.5).long()
    targets = decoder.encode(indices, indices=units == 2)
    predicted = (outputs[:, 0] > 0).long() if units == 1 else outputs.argmax(1)
    expected = of_labels(indices, predicted, "binary")
    assert measure(LABELS, decoder, outputs, targets) == pytest.approx(expected)


@pytest.mark.parametrize("absent", [None, "never occurs", "never predicted", "neither"])
def test_more_classes_are_averaged_over_those_there(absent: str | None) -> None:
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
def test_several_labels(reads: Any, absent: bool) -> None:
    decoder = Decoder("multilabel", reads, 3)
    outputs, targets = draw(40, 3), (draw(40, 3, seed=1) > 0.4).float()
    if absent:
        outputs[:, 2], targets[:, 2] = -9, 0
    predicted = outputs > 0
    expected = of_labels(targets, predicted.float(), "macro")
    outputs = outputs if reads == "log_odds" else outputs.sigmoid()
    assert measure(LABELS, decoder, outputs, targets) == pytest.approx(expected)


def test_probabilities_as_targets_count_as_their_likeliest_class() -> None:
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
    }


@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_values(num_targets: int, offset: float) -> None:
    targets = draw(80, num_targets) + offset
    outputs = targets + draw(80, num_targets, seed=1) / 2
    expected = of_values(targets.double(), outputs.double())
    for batch_size in (80, 7):
        found = measure(VALUES, Decoder("regression", "values"), outputs, targets, batch_size)
        assert found == pytest.approx(expected, rel=1e-9)


def test_targets_that_are_all_alike_explain_nothing() -> None:
    targets = torch.tensor([[0.1, 3.0]] * 7)
    decoder = Decoder("regression", "values")
    for outputs in (targets, targets + draw(7, 2), torch.stack([targets[:, 0], draw(7)], dim=1)):
        found = measure(VALUES, decoder, outputs, targets, batch_size=2)
        assert found == pytest.approx(of_values(targets.double(), outputs.double()))


def test_values_are_measured_in_the_targets_own_unit() -> None:
    truth = 50 + 20 * draw(30, 1)
    dataset = Dataset({"train": Split(draw(30, 2), truth)}, "regression", "features", target_names=("y",))
    scale = Preprocess.fit(dataset, scale_target=True)
    scaled = scale.scale_targets(truth)
    outputs = scaled + 0.1 * draw(30, 1, seed=1)
    expected = of_values(truth.double(), scale.unscale_targets(outputs).double())
    found = measure(VALUES, Decoder("regression", "values", preprocess=scale), outputs, scaled)
    assert found == pytest.approx(expected, rel=1e-5)
    assert 1 < found["mae"] < 4


CASES = [
    (LABELS, Decoder("classification", "logits", 5), draw(101, 5), torch.arange(101) % 5),
    (LABELS, Decoder("multilabel", "log_odds", 5), draw(101, 5), (draw(101, 5, seed=1) > 0).float()),
    (VALUES, Decoder("regression", "values"), draw(101, 5), draw(101, 5, seed=1)),
]


@pytest.mark.parametrize(("names", "decoder", "outputs", "targets"), CASES)
@pytest.mark.parametrize("max_kept", [1, 37, 10**9])
def test_neither_batches_nor_flushes_change_the_result(
    monkeypatch: pytest.MonkeyPatch, names: Any, decoder: Decoder, outputs: Tensor, targets: Tensor, max_kept: int
) -> None:
    expected = measure(names, decoder, outputs, targets)
    monkeypatch.setattr(metrics_module, "MAX_KEPT", max_kept)
    for batch_size in (1, 10, 100):
        assert measure(names, decoder, outputs, targets, batch_size) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("names", "decoder", "outputs", "targets"), CASES)
def test_adding_goes_on_after_a_restart(names: Any, decoder: Decoder, outputs: Tensor, targets: Tensor) -> None:
    first, second = MetricSums(names, decoder), MetricSums(names, decoder)
    first.add(outputs[:40], targets[:40])
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    second.add(outputs[40:], targets[40:])
    assert second.result() == pytest.approx(measure(names, decoder, outputs, targets), rel=1e-12)


def test_of_nothing_there_is_nothing_to_say() -> None:
    assert np.isnan(list(MetricSums(LABELS, Decoder("classification", "logits", 3)).result().values())).all()
    assert MetricSums((), Decoder("classification", "logits", 3)).result() == {}
