"""One output per step: from labelled sequences to tables."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import nn

import nnzoo
from nnzoo.builders import build_model
from nnzoo.cli.app import run as cli
from nnzoo.config import load_config
from nnzoo.data import load_arrays
from nnzoo.errors import ConfigError, DataError
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.losses import CrossEntropyLoss, FocalLoss
from nnzoo.training.measures.metrics import MetricSums

RNG = np.random.default_rng(0)


def write_delayed_copy(folder: Path, *, samples: int = 240, steps: int = 10, delay: int = 3) -> Path:
    """The target of each step is the bit three steps before; the first three steps have no target."""
    bits = np.random.default_rng(1).integers(0, 2, (samples, steps))
    labels = np.full((samples, steps), -100)
    labels[:, delay:] = bits[:, :-delay]
    lengths = np.random.default_rng(2).integers(delay + 1, steps + 1, samples)
    np.savez(folder / "bits.npz", x=bits[:, :, None].astype(np.float32), y=labels, lengths=lengths)
    return folder / "bits.npz"


def config_of(path: Path, **settings: Any) -> dict[str, Any]:
    train = {"epochs": 25, "batch_size": 32, "metrics": ["accuracy", "perplexity", "f1"]}
    return {
        "data": {"name": "arrays", "path": str(path)},
        "model": {"name": "rnn", "hidden_size": 16},
        "optimizer": {"name": "adam", "lr": 0.01},
        "train": train,
        **settings,
    }


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("copying")
    path = write_delayed_copy(folder)
    return path, nnzoo.train(config_of(path), runs_dir=folder, quiet=True)


def test_only_memory_solves_a_delayed_copy(copying: Any) -> None:
    _, run = copying
    assert run.metrics["test/accuracy"] > 0.98
    assert run.metrics["test/perplexity"] < 1.15
    # The bits are random, so only memory helps.
    assert 0.4 < run.result["baseline"]["test/accuracy"] < 0.6
    assert run.result["baseline"]["test/perplexity"] == pytest.approx(2, abs=0.02)
    assert run.config.model.pooling == "none"


def test_eval_repeats_the_metrics_of_training(copying: Any) -> None:
    path, run = copying
    found = evaluate_checkpoint(run.run_dir)
    assert {f"test/{name}": value for name, value in found.metrics.items()} == {
        name: value for name, value in run.metrics.items() if name.startswith("test/")
    }
    assert {f"test/{name}": value for name, value in found.baseline.items()} == {
        name: value for name, value in run.result["baseline"].items() if name.startswith("test/")
    }
    low, high = found.confidence["accuracy"]
    assert low <= found.metrics["accuracy"] <= high
    new = evaluate_checkpoint(run.run_dir, data=path)
    assert new.metrics["accuracy"] > 0.98
    positions = int((np.load(path)["y"] != -100)[np.arange(10) < np.load(path)["lengths"][:, None]].sum())
    assert sum(map(sum, new.confusion_matrix)) == positions == sum(row["support"] for row in new.per_class)


def test_tables_have_one_row_per_step(copying: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path, run = copying
    with (run.run_dir / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["array", "row", "step", "target", "prediction", "probability"]
    right = np.mean([row["target"] == row["prediction"] for row in rows])
    assert right == pytest.approx(run.metrics["test/accuracy"])
    assert {int(row["step"]) for row in rows} == set(range(3, 10))
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)
    assert cli(["predict", str(run.run_dir), str(path)]) == 0
    predicted = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(predicted[0]) == ["input", "step", "prediction", "probability"]
    assert len(predicted) == np.load(path)["lengths"].sum()
    answers = run.model.predict(np.load(path)["x"], np.load(path)["lengths"])
    assert answers.shape == (240, 10)
    assert [row["prediction"] for row in predicted[:4]] == answers[0, :4].tolist()


def test_a_resumed_run_ends_with_the_same_bits(copying: Any, tmp_path: Path) -> None:
    path, whole = copying
    config = config_of(path)
    config["train"] = {**config["train"], "epochs": 10}
    nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    config["train"] = {**config["train"], "epochs": 25}
    again = nnzoo.train(config, runs_dir=tmp_path, quiet=True, resume=True)
    assert again.metrics == whole.metrics


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_outputs_equal_an_explicit_loop(cell: str) -> None:
    config = load_config({"data": {"name": "arrays", "path": "x.npz"}, "model": {"name": cell, "hidden_size": 5}})
    torch.manual_seed(0)
    net = build_model(config, (7, 3), 4, 0, "step").eval()
    weights = dict(net.named_parameters())
    cells: dict[str, type[nn.RNNCellBase]] = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
    step = cells[cell](3, 5)  # type: ignore[call-arg]
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(step, name).data = weights[f"recurrent.0.{name}_l0"].data
    inputs, state, outputs = torch.randn(2, 7, 3), None, []
    for time in range(7):
        state = step(inputs[:, time], state)
        hidden = state[0] if cell == "lstm" else state
        outputs.append(hidden @ weights["output.linear.weight"].T + weights["output.linear.bias"])
    torch.testing.assert_close(net(inputs), torch.stack(outputs, dim=1))
    # Continuing from a state equals reading everything.
    first, states = net.advance(inputs[:, :3])  # type: ignore[operator]
    rest, _ = net.advance(inputs[:, 3:], states)  # type: ignore[operator]
    torch.testing.assert_close(torch.cat([first, rest], dim=1), net(inputs))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_mean_over_steps_with_a_target(weighted: bool, smoothing: float) -> None:
    outputs, targets = torch.randn(3, 5, 4), torch.randint(0, 4, (3, 5))
    targets[0, 1:] = -100
    targets[2, :3] = -100
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0]) if weighted else None
    loss = CrossEntropyLoss(label_smoothing=smoothing, class_weights=weights)
    there = targets != -100
    expected = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)(outputs[there], targets[there])
    torch.testing.assert_close(loss(outputs, targets), expected)
    count = weights[targets[there]].sum() if weights is not None else there.sum()
    torch.testing.assert_close(torch.as_tensor(loss.denominator(targets)), count)
    # With gamma 0, the focal loss is cross entropy.
    if not smoothing:
        torch.testing.assert_close(FocalLoss(gamma=0, class_weights=weights)(outputs, targets), expected)


def test_metrics_equal_scikit_learn_over_steps() -> None:
    outputs, targets = torch.randn(40, 6, 3), torch.randint(0, 3, (40, 6))
    targets[torch.rand(40, 6) < 0.4] = -100
    names = ("accuracy", "precision", "recall", "f1", "auroc", "perplexity")
    sums = MetricSums(names, Decoder("classification", "logits", 3, per="step"))
    for rows in (slice(0, 15), slice(15, 40)):
        sums.add(outputs[rows], targets[rows])
        sums.flush()
    there = targets != -100
    truth, scores = targets[there].numpy(), outputs[there].softmax(1).double()
    guess = outputs[there].argmax(1).numpy()
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(truth, guess),
        "precision": sklearn.metrics.precision_score(truth, guess, average="macro"),
        "recall": sklearn.metrics.recall_score(truth, guess, average="macro"),
        "f1": sklearn.metrics.f1_score(truth, guess, average="macro"),
        "auroc": np.mean([sklearn.metrics.roc_auc_score(truth == k, scores[:, k]) for k in range(3)]),
        "perplexity": math.exp(nn.functional.cross_entropy(outputs[there].double(), targets[there])),
    }
    assert sums.result() == pytest.approx(expected, rel=1e-5)


def test_top5_ignores_steps_without_a_target() -> None:
    outputs, targets = torch.randn(8, 5, 9), torch.randint(0, 9, (8, 5))
    targets[:, 2:] = -100
    sums = MetricSums(("top5_accuracy",), Decoder("classification", "logits", 9, per="step"))
    sums.add(outputs, targets)
    there = targets != -100
    expected = sklearn.metrics.top_k_accuracy_score(targets[there], outputs[there], k=5, labels=range(9))
    assert sums.result()["top5_accuracy"] == pytest.approx(expected)


def save(folder: Path, **arrays: Any) -> dict[str, Any]:
    np.savez(folder / "d.npz", **arrays)
    return {"name": "arrays", "path": str(folder / "d.npz")}


TOKENS = RNG.integers(0, 9, (30, 6))


def test_labels_of_steps_are_read_by_their_shape(tmp_path: Path) -> None:
    settings = np.array([["verb", "noun", "verb"], ["noun", "noun", ""]])
    path = save(tmp_path, x=RNG.normal(size=(2, 3, 4)), y=settings, lengths=np.array([3, 2]))["path"]
    dataset = load_arrays(path=path)
    assert (dataset.per, dataset.classes) == ("step", ("noun", "verb"))
    assert dataset.train.targets.tolist() == [[1, 0, 1], [0, 0, -100]]
    for more in ({"task": "multilabel"}, {"task": "regression"}):
        labels = save(tmp_path, x=TOKENS, y=RNG.integers(0, 2, (30, 6)))["path"]
        assert load_arrays(path=labels, **more).per == "sample"  # type: ignore[arg-type]
    assert load_arrays(path=save(tmp_path, x=TOKENS, y=RNG.integers(0, 2, (30, 6)))["path"]).per == "step"
    assert load_arrays(path=save(tmp_path, x=TOKENS, y=RNG.random((30, 6)))["path"]).per == "sample"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.where(np.arange(30)[:, None] == 4, -100, TOKENS)}, "row 4 has no target at any step"),
        ({"y_val": np.where(np.arange(30)[:, None] == 7, 11, TOKENS), "x_val": TOKENS}, "in row 7 .*got '11'"),
        ({"y_val": TOKENS[:, :4], "x_val": TOKENS}, r"label for every step .*\(30, 4\); expected integers \(30, 6\)"),
        ({"y": np.zeros((30, 6), int)}, "only one class"),
    ],
)
def test_labels_that_do_not_fit_are_an_error(arrays: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_arrays(path=save(tmp_path, **{"x": TOKENS, "y": TOKENS, **arrays})["path"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "mlp"}, "target per step, but mlp has one output per sample"),
        ({"model": {"name": "lstm", "pooling": "mean"}}, r"model\.pooling: mean gives one output per sample"),
        ({"model": "lstm", "loss": "hinge"}, "hinge needs a target for every output.*Use cross_entropy, nll or focal"),
        ({"model": "lstm", "loss": "bce"}, "bce needs a target for every output"),
    ],
)
def test_networks_without_an_output_per_step_are_refused(settings: Any, message: str, tmp_path: Path) -> None:
    x = RNG.normal(size=(30, 6, 2)).astype(np.float32)
    config = {"data": save(tmp_path, x=x, y=TOKENS), **settings}
    with pytest.raises(ConfigError, match=message):
        nnzoo.train(config, runs_dir=tmp_path, quiet=True)


def test_per_step_needs_a_target_per_step(tmp_path: Path) -> None:
    config = {"data": save(tmp_path, x=TOKENS, y=TOKENS[:, 0]), "model": {"name": "gru", "pooling": "none"}}
    with pytest.raises(ConfigError, match="this data has one target per sample"):
        nnzoo.train(config, runs_dir=tmp_path, quiet=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"name": "gru", "bidirectional": True, "num_layers": 2}},
        {"model": {"name": "lstm", "output": {"activation": "softmax"}}, "loss": {"name": "focal"}},
        {"loss": {"name": "cross_entropy", "class_weights": "balanced"}, "train": {"accumulate_grad_batches": 3}},
    ],
)
def test_all_options_of_recurrent_networks_work_with_steps(settings: Any, tmp_path: Path) -> None:
    labels = np.where(np.arange(6) < 2, -100, (TOKENS > 4).astype(int))
    config = {"data": save(tmp_path, x=TOKENS, y=labels), "model": "rnn", "optimizer": {"name": "adam", "lr": 0.02}}
    train = {"epochs": 15, "batch_size": 8, **settings.get("train", {})}
    run = nnzoo.train({**config, **settings, "train": train}, runs_dir=tmp_path, quiet=True)
    assert run.metrics["train/accuracy"] > run.result["baseline"]["test/accuracy"]
    assert run.metrics["train/accuracy"] > 0.9
    assert json.loads((run.run_dir / "result.json").read_text())["metrics"] == run.metrics
    probabilities = run.model.predict_proba(TOKENS)
    assert probabilities.shape == (30, 6, 2)
    assert probabilities.sum(2) == pytest.approx(np.ones((30, 6)), abs=1e-5)
