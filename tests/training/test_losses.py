"""Losses against closed forms, torch, scikit-learn, and each other."""

import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import sklearn.utils.class_weight
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnzoo.builders import build_dataset, build_decoder, build_loss, facts_of
from nnzoo.config import load_config, num_outputs, resolve
from nnzoo.config.base import listed
from nnzoo.config.loss import LossSection
from nnzoo.data import Preprocess, Split
from nnzoo.training.evaluate import evaluate
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.losses import (
    BCELoss,
    CrossEntropyLoss,
    FocalLoss,
    HingeLoss,
    KLDivLoss,
    MultiMarginLoss,
    PerceptronLoss,
    Reads,
    reads_indices,
)
from nnzoo.training.measures.metrics import MetricSums

BLOBS: dict[str, Any] = {"name": "blobs", "samples": 60, "classes": 3, "split": {"val": 0, "test": 0}}


def loss_of(loss: object, *, data: object = BLOBS, model: object = "linear") -> nn.Module:
    config = load_config({"data": data, "model": model, "loss": loss})
    return build_loss(config, build_dataset(config))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def value_and_gradient(
    loss: nn.Module, activation: nn.Module, logits: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(activation(logits), targets)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


def test_cross_entropy_is_minus_the_log_of_the_product_of_probabilities() -> None:
    logits, targets = numbers(7, 3), torch.tensor([0, 2, 1, 1, 0, 2, 2])
    product = logits.softmax(1)[torch.arange(7), targets].prod()
    summed = CrossEntropyLoss(reduction="sum")(logits, targets)
    torch.testing.assert_close(summed, -product.log())
    torch.testing.assert_close(CrossEntropyLoss()(logits, targets), summed / 7)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("reads", "activation"), [("probabilities", nn.Softmax(1)), ("log_probabilities", nn.LogSoftmax(1))]
)
def test_cross_entropy_is_the_same_for_every_output_activation(
    reads: Reads, activation: nn.Module, label_smoothing: float
) -> None:
    logits, targets = numbers(9, 4), torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 0])
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    expected, expected_gradient = value_and_gradient(
        nn.CrossEntropyLoss(weights, label_smoothing=label_smoothing), nn.Identity(), logits, targets
    )
    for loss, end in (
        (CrossEntropyLoss(label_smoothing=label_smoothing, class_weights=weights), nn.Identity()),
        (CrossEntropyLoss(reads=reads, label_smoothing=label_smoothing, class_weights=weights), activation),
    ):
        value, gradient = value_and_gradient(loss, end, logits, targets)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_indices_one_hot_rows_and_probabilities_give_the_same(
    reduction: Any, label_smoothing: float, weighted: bool
) -> None:
    weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64) if weighted else None
    loss = CrossEntropyLoss(reduction=reduction, label_smoothing=label_smoothing, class_weights=weights)
    logits, targets = numbers(6, 3), torch.tensor([2, 1, 0, 2, 2, 1])
    one_hot = F.one_hot(targets, 3).double()
    torch.testing.assert_close(loss(logits, one_hot), loss(logits, targets))
    # A target of two half classes has half the loss of each if samples have equal weights.
    if not weighted:
        half = (one_hot + one_hot.roll(1, 1)) / 2
        torch.testing.assert_close(loss(logits, half), (loss(logits, one_hot) + loss(logits, one_hot.roll(1, 1))) / 2)


def test_label_smoothing_is_spread_over_all_classes() -> None:
    logits, targets = numbers(5, 4), torch.tensor([0, 3, 2, 1, 1])
    smooth = 0.7 * F.one_hot(targets, 4).double() + 0.3 / 4
    expected = -(smooth * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(CrossEntropyLoss(label_smoothing=0.3)(logits, targets), expected)


def test_class_weights_weigh_samples() -> None:
    loss = loss_of({"name": "cross_entropy", "class_weights": [1, 2, 4]}).double()
    logits, targets = numbers(4, 3), torch.tensor([0, 1, 2, 2])
    each = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(loss(logits, targets), (each * torch.tensor([1.0, 2, 4, 4])).sum() / 11)


def test_balanced_class_weights_match_scikit_learn(tmp_path: Any) -> None:
    y = np.array([0] * 6 + [1] * 3 + [2] * 1)
    np.savez(tmp_path / "data.npz", x=np.zeros((10, 2), np.float32), y=y)
    data = {"name": "arrays", "path": str(tmp_path / "data.npz"), "split": {"val": 0, "test": 0}}
    loss = loss_of({"name": "cross_entropy", "class_weights": "balanced"}, data=data)
    expected = sklearn.utils.class_weight.compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(np.asarray(loss.class_weights), expected, rtol=1e-6)
    # With these weights, every class has the same share of the loss.
    logits, targets = torch.zeros(10, 3), torch.tensor(y)
    shares = [float(loss.class_weights[targets[targets == k]].sum()) for k in range(3)]  # type: ignore[index]
    assert shares == pytest.approx([10 / 3] * 3)
    assert float(loss(logits, targets)) == pytest.approx(math.log(3))


def test_bce_is_the_same_for_every_output_activation() -> None:
    logits, targets = numbers(8, 3), (numbers(8, 3, seed=1) > 0).double()
    expected, expected_gradient = value_and_gradient(nn.BCEWithLogitsLoss(), nn.Identity(), logits, targets)
    for loss, end in ((BCELoss(), nn.Identity()), (BCELoss(reads="probabilities"), nn.Sigmoid())):
        value, gradient = value_and_gradient(loss, end, logits, targets)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)
    torch.testing.assert_close(BCELoss(reduction="sum")(logits, targets), expected * 24)


def test_bce_of_two_classes_is_cross_entropy_of_the_same_log_odds() -> None:
    config = load_config({"data": "xor", "model": "linear", "loss": "bce"})
    dataset = build_dataset(config)
    targets = build_decoder(config, dataset, Preprocess()).encode(dataset.train.targets, indices=False)
    assert targets.shape == (4, 1)
    log_odds = numbers(4, 1)
    two = torch.cat([torch.zeros_like(log_odds), log_odds], dim=1)
    expected = F.cross_entropy(two, dataset.train.targets)
    torch.testing.assert_close(build_loss(config, dataset)(log_odds, targets.double()), expected)


def test_bce_with_more_classes_is_one_vs_rest() -> None:
    decoder = Decoder("classification", "log_odds", 3)
    indices = torch.tensor([0, 2, 1, 2])
    outputs = numbers(4, 3)
    targets = decoder.encode(indices, indices=False).double()
    by_class = [F.binary_cross_entropy_with_logits(outputs[:, k], (indices == k).double()) for k in range(3)]
    torch.testing.assert_close(BCELoss()(outputs, targets), torch.stack(by_class).mean())


def test_hinge_matches_scikit_learn() -> None:
    margins, targets = numbers(40, 1), (numbers(40, 1, seed=3) > 0.2).double()
    signs = 2 * targets[:, 0].numpy() - 1
    expected = sklearn.metrics.hinge_loss(signs, margins[:, 0].numpy())
    assert float(HingeLoss()(margins, targets)) == pytest.approx(expected, rel=1e-12)
    assert float(HingeLoss(reduction="sum")(margins, targets)) == pytest.approx(expected * 40, rel=1e-12)


def test_hinge_of_a_probability_is_the_expected_hinge() -> None:
    margins = numbers(6, 2)
    yes, no = HingeLoss()(margins, torch.ones(6, 2)), HingeLoss()(margins, torch.zeros(6, 2))
    torch.testing.assert_close(HingeLoss()(margins, torch.full((6, 2), 0.3)), 0.3 * yes + 0.7 * no, rtol=1e-6, atol=0)


def test_huber_with_delta_1_is_smooth_l1_with_beta_1() -> None:
    outputs, targets = 3 * numbers(30, 2), numbers(30, 2, seed=1)
    huber, smooth = loss_of({"name": "huber"}, data="sine"), loss_of({"name": "smooth_l1"}, data="sine")
    assert float(huber(outputs, targets)) == float(smooth(outputs, targets))


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ({"name": "mse"}, lambda e: e**2),
        ({"name": "l1"}, abs),
        ({"name": "mae"}, abs),
        ({"name": "huber", "delta": 0.5}, lambda e: 0.5 * e**2 if abs(e) < 0.5 else 0.5 * (abs(e) - 0.25)),
        ({"name": "smooth_l1", "beta": 0.5}, lambda e: e**2 if abs(e) < 0.5 else abs(e) - 0.25),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_regression_losses_match_their_formulas(loss: dict[str, Any], formula: Any, reduction: str) -> None:
    outputs, targets = numbers(20, 2), numbers(20, 2, seed=1)
    each = [formula(float(error)) for error in (outputs - targets).flatten()]
    expected = sum(each) / (len(each) if reduction == "mean" else 1)
    assert float(loss_of(loss | {"reduction": reduction}, data="sine")(outputs, targets)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "activation", "targets"),
    [
        (CrossEntropyLoss(label_smoothing=0.1), nn.Identity(), torch.tensor([0, 1, 2, 1])),
        (CrossEntropyLoss(reads="probabilities", reduction="sum"), nn.Softmax(1), torch.tensor([0, 1, 2, 1])),
        (CrossEntropyLoss(reads="log_probabilities"), nn.LogSoftmax(1), torch.tensor([0, 1, 2, 1])),
        (
            CrossEntropyLoss(class_weights=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)),
            nn.Identity(),
            numbers(4, 3).softmax(1),
        ),
        (BCELoss(), nn.Identity(), numbers(4, 3).sigmoid()),
        (BCELoss(reads="probabilities"), nn.Sigmoid(), numbers(4, 3).sigmoid()),
        (HingeLoss(), nn.Identity(), (numbers(4, 3) > 0).double()),
        (PerceptronLoss(), nn.Identity(), (numbers(4, 3) > 0).double()),
        (FocalLoss(), nn.Identity(), torch.tensor([0, 1, 2, 1])),
        (FocalLoss(gamma=0.5, reads="probabilities"), nn.Softmax(1), numbers(4, 3).softmax(1)),
        (
            FocalLoss(gamma=3.5, class_weights=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)),
            nn.LogSoftmax(1),
            torch.tensor([0, 1, 2, 1]),
        ),
        (KLDivLoss(), nn.Identity(), numbers(4, 3).softmax(1)),
        (MultiMarginLoss(p=2, margin=0.7), nn.Identity(), torch.tensor([0, 1, 2, 1])),
        (MultiMarginLoss(p=2), nn.Identity(), numbers(4, 3).softmax(1)),
    ],
)
def test_gradients_match_finite_differences(loss: nn.Module, activation: nn.Module, targets: Tensor) -> None:
    logits = numbers(4, 3, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(activation(x), targets), logits)


NAMES = listed(LossSection)
DATA: dict[str, tuple[str, Any]] = {
    "two classes": ("classification", "moons"),
    "three classes": ("classification", BLOBS),
    "values": ("regression", "sine"),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name, section in NAMES.items() for kind in DATA if DATA[kind][0] in section.tasks],  # type: ignore[attr-defined]
)
def test_gradients_of_every_loss_match_finite_differences(name: str, kind: str) -> None:
    """The loss is built from the config, with targets in the form of its data."""
    config = load_config({"data": DATA[kind][1], "model": "linear", "loss": name})
    dataset = build_dataset(config)
    config = resolve(config, facts_of(config, dataset))
    loss = build_loss(config, dataset).double()
    outputs = num_outputs(config.loss, facts_of(config, dataset))
    assert outputs is not None
    targets = build_decoder(config, dataset, Preprocess()).encode(dataset.train.targets, indices=reads_indices(loss))[
        :8
    ]
    targets = targets.double() if targets.is_floating_point() else targets
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), numbers(8, outputs, seed=5).requires_grad_())


INDICES = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 0])
WEIGHTS = [1.0, 2.0, 0.5, 3.0]


def four_classes(loss: dict[str, Any], activation: str = "identity") -> nn.Module:
    model = {"name": "linear", "output": {"activation": activation}}
    return loss_of(loss, data=BLOBS | {"classes": 4}, model=model).double()


ENDS = {"identity": nn.Identity(), "softmax": nn.Softmax(1), "log_softmax": nn.LogSoftmax(1)}


@pytest.mark.parametrize("ending", ["identity", "softmax", "log_softmax"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_nll_matches_torch_on_log_probabilities(ending: str, reduction: str, weights: list[float] | None) -> None:
    logits = numbers(9, 4)
    loss = four_classes({"name": "nll", "reduction": reduction, "class_weights": weights}, ending)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    expected = value_and_gradient(nn.NLLLoss(weight, reduction=reduction), nn.LogSoftmax(1), logits, INDICES)
    torch.testing.assert_close(value_and_gradient(loss, ENDS[ending], logits, INDICES), expected)
    cross_entropy = four_classes({"name": "cross_entropy", "reduction": reduction, "class_weights": weights})
    torch.testing.assert_close(value_and_gradient(cross_entropy, nn.Identity(), logits, INDICES), expected)


@pytest.mark.parametrize("ending", ["identity", "softmax", "log_softmax"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_matches_the_formula_of_the_paper(ending: str, reduction: str, gamma: float) -> None:
    logits = numbers(9, 4)
    section = {"name": "focal", "gamma": gamma, "reduction": reduction, "class_weights": WEIGHTS}
    p = logits.softmax(1)[torch.arange(9), INDICES]
    alpha = torch.tensor(WEIGHTS, dtype=torch.float64)[INDICES]
    expected = (-alpha * (1 - p) ** gamma * p.log()).sum() / (alpha.sum() if reduction == "mean" else 1)
    torch.testing.assert_close(four_classes(section, ending)(ENDS[ending](logits), INDICES), expected)


@pytest.mark.parametrize("soft", [False, True])
def test_focal_with_gamma_0_is_cross_entropy(soft: bool) -> None:
    logits, targets = numbers(9, 4), numbers(9, 4, seed=2).softmax(1) if soft else INDICES
    expected = value_and_gradient(CrossEntropyLoss(), nn.Identity(), logits, targets)
    torch.testing.assert_close(value_and_gradient(FocalLoss(gamma=0), nn.Identity(), logits, targets), expected)


def test_focal_has_a_finite_gradient_for_a_sample_with_probability_1() -> None:
    logits = torch.tensor([[200.0, 0.0]])
    for gamma in (0.1, 0.5, 2.0):
        value, gradient = value_and_gradient(FocalLoss(gamma=gamma), nn.Identity(), logits, torch.tensor([0]))
        assert float(value) == 0
        assert gradient.isfinite().all()


@pytest.mark.parametrize("ending", ["identity", "softmax", "log_softmax"])
def test_kl_div_matches_torch_and_is_cross_entropy_minus_entropy(ending: str) -> None:
    logits, targets = numbers(9, 4), numbers(9, 4, seed=2).softmax(1)
    loss = four_classes({"name": "kl_div"}, ending)
    log_p = logits.log_softmax(1)
    value = loss(ENDS[ending](logits), targets)
    torch.testing.assert_close(value, nn.KLDivLoss(reduction="batchmean")(log_p, targets))
    entropy = -(targets * targets.log()).sum(1).mean()
    torch.testing.assert_close(value, CrossEntropyLoss()(logits, targets) - entropy)
    one_hot = F.one_hot(INDICES, 4).double()
    for reduction in ("mean", "sum"):
        expected = F.cross_entropy(logits, INDICES, reduction=reduction)
        summed = four_classes({"name": "kl_div", "reduction": reduction}, ending)
        torch.testing.assert_close(summed(ENDS[ending](logits), INDICES), expected)
        torch.testing.assert_close(summed(ENDS[ending](logits), one_hot), expected)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_multi_margin_matches_torch(p: int, reduction: str, weights: list[float] | None) -> None:
    outputs = numbers(9, 4)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    section = {"name": "multi_margin", "p": p, "margin": 0.5, "reduction": reduction, "class_weights": weights}
    loss = four_classes(section)
    expected = nn.MultiMarginLoss(p, 0.5, weight, reduction=reduction)(outputs, INDICES)
    torch.testing.assert_close(loss(outputs, INDICES), expected)
    torch.testing.assert_close(loss(outputs, F.one_hot(INDICES, 4).double()), expected)


def test_perceptron_matches_scikit_learn_and_its_gradient_is_rosenblatts_rule() -> None:
    from sklearn.linear_model import SGDClassifier

    outputs, targets = numbers(40, 1), (numbers(40, 1, seed=4) > 0.2).double()
    signs = 2 * targets - 1
    expected = (-signs * outputs).clamp_min(0)
    torch.testing.assert_close(PerceptronLoss()(outputs, targets), expected.mean())
    torch.testing.assert_close(PerceptronLoss(reduction="sum")(outputs, targets), expected.sum())
    # One sample per step, from zero, as in the paper: w <- w + (t - step(w x + b)) x.
    inputs = numbers(40, 3, seed=4)
    known = SGDClassifier(loss="perceptron", penalty=None, learning_rate="constant", eta0=1.0, shuffle=False)
    weight, bias = torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    layer = nn.Linear(3, 1).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    for x, t in zip(inputs, targets[:, 0], strict=True):
        layer.zero_grad()
        PerceptronLoss()(layer(x.unsqueeze(0)), t.reshape(1, 1)).backward()
        error = t - float(weight @ x + bias > 0)
        weight, bias = weight + error * x, bias + error
        with torch.no_grad():
            for parameter in layer.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad)
    torch.testing.assert_close(layer.weight.detach()[0], weight)
    torch.testing.assert_close(layer.bias.detach()[0], bias)
    known.partial_fit(inputs.numpy(), targets[:, 0].numpy(), classes=[0, 1])
    # scikit-learn counts an output of 0 as wrong for both classes. Only the first sample, a positive, has it.
    assert targets[0] == 1
    np.testing.assert_allclose(known.coef_[0], weight.numpy(), rtol=1e-9)


def test_the_gradient_of_the_perceptron_at_0_is_that_of_a_negative_output() -> None:
    outputs = torch.zeros(2, 1)
    _, gradient = value_and_gradient(
        PerceptronLoss(reduction="sum"), nn.Identity(), outputs, torch.tensor([[1.0], [0]])
    )
    assert gradient.tolist() == [[-1.0], [0.0]]


@pytest.mark.parametrize("size", [30.0, 300.0, 3e4])
@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (CrossEntropyLoss(), nn.Identity()),
        (CrossEntropyLoss(reads="log_probabilities"), nn.LogSoftmax(1)),
        (
            CrossEntropyLoss(
                reads="probabilities", label_smoothing=0.1, reduction="sum", class_weights=torch.tensor([1e3, 1e3, 1e3])
            ),
            nn.Softmax(1),
        ),
        (FocalLoss(), nn.Identity()),
        (FocalLoss(reads="probabilities", gamma=0.5), nn.Softmax(1)),
        (KLDivLoss(reads="probabilities"), nn.Softmax(1)),
        (MultiMarginLoss(), nn.Identity()),
        (PerceptronLoss(), nn.Identity()),
        (BCELoss(), nn.Identity()),
        (BCELoss(reads="probabilities"), nn.Sigmoid()),
        (HingeLoss(), nn.Identity()),
    ],
)
def test_extreme_logits_stay_finite(loss: nn.Module, activation: nn.Module, size: float) -> None:
    logits = torch.tensor([[size, -size, 0.0], [-size, size, size], [-size, -size, size]])
    indices = torch.tensor([1, 0, 2])
    targets = indices if reads_indices(loss) else F.one_hot(indices, 3).float()
    value, gradient = value_and_gradient(loss, activation, logits, targets)
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert float(value) > 1


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropyLoss(),
        CrossEntropyLoss(reduction="sum"),
        CrossEntropyLoss(class_weights=torch.tensor([1.0, 5.0, 25.0])),
        CrossEntropyLoss(class_weights=torch.tensor([1.0, 5.0, 25.0]), label_smoothing=0.1),
        FocalLoss(class_weights=torch.tensor([1.0, 5.0, 25.0])),
        KLDivLoss(),
        MultiMarginLoss(class_weights=torch.tensor([1.0, 5.0, 25.0])),
        MultiMarginLoss(reduction="sum"),
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_of_a_split_does_not_depend_on_the_batch_size(loss: nn.Module, soft: bool) -> None:
    indices = torch.arange(23) % 3
    split = Split(numbers(23, 3).float(), numbers(23, 3, seed=2).softmax(1).float() if soft else indices)
    expected = float(loss(split.inputs, split.targets))
    for batch_size in (1, 2, 5, 22, 23, 100):
        sums = MetricSums((), Decoder("classification", "logits", 3))
        found = evaluate(nn.Identity(), loss, split, sums, batch_size=batch_size, exact=True)
        assert found.metrics["loss"] == pytest.approx(expected, rel=1e-6)


def test_large_weights_give_the_same_boundary_with_more_confidence() -> None:
    outputs = torch.tensor([[2.0], [1.0], [-1.5], [-1.0]])
    targets = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    decoder = Decoder("classification", "log_odds", 2)
    modest, large = outputs, 10 * outputs
    assert decoder.labels(modest).equal(decoder.labels(large))
    confidence = [decoder.probabilities(x).max(1).values.mean() for x in (modest, large)]
    assert confidence[1] > confidence[0]
    assert BCELoss()(large, targets) > 2 * BCELoss()(modest, targets)
